#!/bin/sh
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
    echo "===> Before, it asked git, whose folder is not there; give it with --git=.git: $(head -n 1 /pipeline/asked)" >&2
fi
exit "$status"
