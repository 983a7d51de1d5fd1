#!/bin/sh
# Packs the files whose names come in, a line each, in the working folder: the same content gives the same bytes. What
# is made of a tar is keyed by its content, what is made of a folder that a command leaves is keyed by that command.
# For GNU's tar and for busybox's, which has fewer options: no --owner, no --sort, and -T not everywhere.
# Usage: pack.sh TAR
set -euf
names=$(LC_ALL=C sort)
IFS='
'
# shellcheck disable=SC2086 # a name in each line
if [ -n "$names" ]; then tar -cf "$1" --no-recursion $names; else : >"$1"; fi
