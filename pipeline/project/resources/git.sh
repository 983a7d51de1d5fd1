#!/bin/sh
# Stands before git on the PATH, and notes what is asked of the project's own repository: the answer is part of the
# result, and without the repository it is none. What rebar3 asks of a dependency's is not noted.
case "$(pwd -P) $* " in
    */_build/*) ;;
    *' clone '* | *' ls-remote '* | *' fetch '* | *' --version '*)
        # Another repository's. To read a project, nothing is fetched: its plugins are not needed for that.
        [ -z "${READER_OUT:-}" ] || exit 1
        ;;
    *) echo "git $*" | tr '\n' ' ' | sed 's/ *$//' >>/pipeline/asked && echo >>/pipeline/asked ;;
esac
# Erlang puts folders of its own before this one.
PATH=$(printf '%s\n' "$PATH" | sed 's#/pipeline/bin:##g')
command -v git >/dev/null || { echo "===> the builder image has no git" >&2; exit 127; }
exec git "$@"
