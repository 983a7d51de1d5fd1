#!/bin/sh
# Stands before git on the PATH, and notes what is asked of the project's own repository: the answer is part of the
# result, and without the repository it is none. What rebar3 asks of a dependency's is not noted.
case $(pwd -P) in
    */_build/*) ;;
    *) echo "git $*" >>/pipeline/asked ;;
esac
# Erlang puts folders of its own before this one.
PATH=$(printf '%s\n' "$PATH" | sed 's#/pipeline/bin:##g')
command -v git >/dev/null || { echo "===> the builder image has no git" >&2; exit 127; }
exec git "$@"
