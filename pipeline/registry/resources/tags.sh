#!/bin/sh
# Shown as (put): move the tag $4 of $2
# Shown as: ask for tags of $2
# Asks a registry what tags name, and moves them; with crane on PATH. Each line of what it prints is parted by tabs:
#   listed TAG          the list of tags has it
#   there TAG DIGEST    it names this
#   failed TAG WORDS    what the registry said instead of a digest; without TAG, instead of the list
#
#   tags.sh look REPOSITORY TAG...                   what these tags name
#   tags.sh list REPOSITORY TAG...                   the same, and the list of tags
#   tags.sh all REPOSITORY                           the list, and what each of it names
#   tags.sh put REPOSITORY DIGEST TAG OLD SECONDS    move a tag that still names OLD (nothing, if it is empty)
# ABSENT is a regular expression: what a registry says of what is not there. CREATE, if it is not empty, lets a registry
# make a repository that it does not show: Quay does when it gives a token to push with.
set -u

told() { # the last error in a file, on one line
    said=$(sed -n 's/^Error: //p' "$1" | tail -n 1 | tr '\t' ' ')
    [ -n "$said" ] || said=$(tr '\n\t' '  ' <"$1")
    printf '%s' "$said"
}
list() {
    crane ls --omit-digest-tags "$repository" >"$work/list" 2>"$work/error" ||
        printf 'failed\t\t%s\n' "$(told "$work/error")"
    sed 's/^/listed\t/' "$work/list"
}
one() {
    if digest=$(crane digest "$repository:$1" 2>"$work/error"); then
        printf 'there\t%s\t%s\n' "$1" "$digest"
    else
        printf 'failed\t%s\t%s\n' "$1" "$(told "$work/error")"
    fi
}
each() { # tags on standard input
    xargs -r -n 1 -P 8 sh "$0" one "$repository"
}
fail() {
    echo "Error: $*" >&2
    exit 1
}
# What a tag names, into `now`; empty if it is not there.
names() {
    if ! now=$(crane digest "$repository:$1" 2>"$work/error"); then
        now=''
        grep -Eq "$ABSENT" "$work/error" || fail "$(told "$work/error")"
    fi
}
# Of two that move one tag at the same time, one wins and the other one says so, though a registry knows no locks
# (Fischer's algorithm): each looks, puts within some seconds, waits for longer than that, and looks again.
put() { # digest, tag, what it named before, seconds
    for try in 1 2 3; do
        names "$2"
        [ "$now" != "$1" ] || break
        [ "$now" = "$3" ] || fail "$2 now points to ${now:-nothing}, and before to ${3:-nothing}: another run is moving it"
        code=0
        timeout "${4:-60}" crane tag "$repository@$1" "$2" >/dev/null 2>"$work/error" || code=$?
        [ "$code" != 0 ] || break
        # timeout's own code, that of coreutils and of BusyBox.
        if [ "$code" != 124 ] && [ "$code" != 143 ]; then fail "$(told "$work/error")"; fi
        [ "$try" != 3 ] || fail "the registry took longer than ${4:-60} seconds to move $2"
    done
    [ -z "$4" ] || sleep $((${4} + 1))
    # A registry of many machines may need a moment.
    for try in 1 2 3 4 5; do
        names "$2"
        [ "$now" != "$1" ] || return 0
        [ "$now" = "$3" ] || break
        sleep 2
    done
    fail "$2 points to ${now:-nothing} after it was moved to $1: another run moved it at the same time"
}

command=$1
repository=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ask() {
    case $command in list | all) list ;; esac
    case $command in
        all) each <"$work/list" ;;
        *) [ $# = 0 ] || printf '%s\n' "$@" | each ;;
    esac
}
case $command in
    one) one "$1" ;;
    put) put "$@" ;;
    *)
        ask "$@" >"$work/said"
        # A token service that knows the user lets him push or not; a wrong login gets no further by this.
        if [ -n "${CREATE:-}" ] && grep '^failed' "$work/said" | grep -Eq "$REFUSED" &&
            crane auth token --push "$repository" >/dev/null 2>&1; then
            ask "$@" >"$work/said"
        fi
        cat "$work/said"
        ;;
esac
