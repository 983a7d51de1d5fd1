#!/bin/sh
# Packs the files whose names come in, a line each, in the working folder: the same content gives the same bytes. What
# is made of a tar is keyed by its content, what is made of a folder that a command leaves is keyed by that command.
# For GNU's tar and for busybox's, which has fewer options: no --owner, no --sort, and -T not everywhere.
# Usage: pack.sh TAR
set -euf
names=$(LC_ALL=C sort)
[ -n "$names" ] || {
    : >"$1"
    exit 0
}
# GNU's tar would read a backslash in a name as an escape, and a line of a list as an option.
as_it_is='' listed=''
case $(tar --version 2>&1) in
    *GNU*) as_it_is=--no-unquote listed=--verbatim-files-from ;;
esac
count=$(printf '%s\n' "$names" | wc -l) bytes=$(printf '%s\n' "$names" | wc -c)
# Linux takes 2 MiB of arguments, with eight bytes for each one.
if [ $((bytes + 8 * count)) -lt 1500000 ]; then
    IFS='
'
    # shellcheck disable=SC2086 # a name in each line
    tar -cf "$1" --no-recursion $as_it_is $names
else
    # shellcheck disable=SC2086 # options
    printf '%s\n' "$names" | tar -cf "$1" --no-recursion $as_it_is $listed -T - || {
        echo "===> ${1##*/}: $count files are too many for the tar of the builder image, which takes no list of names (-T);" \
            "give a builder image with GNU tar, or put the files of a priv folder into an archive" >&2
        exit 1
    }
fi
