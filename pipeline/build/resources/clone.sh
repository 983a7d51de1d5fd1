#!/bin/sh
# Shown as: clone $1
# Fetches a git dependency into /fetched as rebar3 does: with all of its history, from which its version may come, and
# without submodules.
# Usage: clone.sh URL COMMIT FOLDER
#   FOLDER   the only one to take; empty for all
set -eu
export GIT_TERMINAL_PROMPT=0
git clone -q -n -- "$1" /fetched
cd /fetched
if [ -n "$3" ]; then
    git config core.sparsecheckout true
    mkdir -p .git/info
    printf %s "$3" >.git/info/sparse-checkout
fi
git checkout -q "$2"
if [ -n "$3" ] && [ ! -d "$3" ]; then
    echo "===> the repository has no folder $3 at this commit" >&2
    exit 1
fi
