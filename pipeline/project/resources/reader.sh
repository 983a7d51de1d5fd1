#!/bin/sh
# Shown as: read the project with rebar3
# Asks rebar3 what it knows of the project in the working folder; the answer is /out/project.json, and what was asked
# of git meanwhile is /out/asked.
# Usage: reader.sh PROFILE
set -eu
mkdir -p /out
: >/pipeline/asked
status=0
rebar3 as "$1" pipeline_reader || status=$?
cp /pipeline/asked /out/asked
if [ "$status" != 0 ] && [ -s /pipeline/asked ] && [ ! -e .git ]; then
    echo "===> Before that, rebar3 ran git without a repository: $(head -n 1 /pipeline/asked); give the .git directory" \
        "of the checkout with --git=.git" >&2
fi
exit "$status"
