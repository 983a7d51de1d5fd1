#!/bin/sh
# Stands before git on the PATH, and notes what is asked of the project's own repository: the answer is part of the
# result, and without the repository it is none. What rebar3 asks of a dependency's is not noted.
# Where the build image has no git, that of another image answers, whose files lie in /pipeline/git-root.
if [ -z "${PIPELINE_GIT:-}" ]; then
    case "$(pwd -P) $* " in
        */_build/*) ;;
        *' clone '* | *' ls-remote '* | *' fetch '* | *' --version '*)
            # Another repository's. To read a project, nothing is fetched: its plugins are not needed for that.
            [ -z "${READER_OUT:-}" ] || exit 1
            ;;
        *) echo "git $*" | tr '\n' ' ' | sed 's/ *$//' >>/pipeline/asked && echo >>/pipeline/asked ;;
    esac
fi
# Erlang puts folders of its own before this one.
path=$(printf '%s\n' "$PATH" | sed 's#/pipeline/bin:##g')
if git=$(PATH=$path command -v git); then
    PATH=$path exec "$git" "$@"
fi
root=/pipeline/git-root
if [ ! -d "$root" ]; then
    echo "===> git $*: the builder image has no git; give one that has git with --builder-image" >&2
    exit 127
fi
case " $* " in
    *' clone '* | *' fetch '* | *' ls-remote '* | *' pull '* | *' push '* | *' submodule '*)
        echo "===> git $*: the builder image has no git to fetch with; lock the dependency in rebar.lock, or give an" \
            "image that has git with --builder-image" >&2
        exit 1
        ;;
esac
# Its own loader and libraries: that image may be of another libc than this one.
libraries=$root/lib:$root/usr/lib
for folder in "$root"/usr/lib/*-linux-gnu*; do
    libraries=$libraries:$folder
done
for loader in "$root"/lib/ld-musl-*.so.1 "$root"/lib64/ld-linux-*.so.? "$root"/lib/ld-linux-*.so.?; do
    if [ -e "$loader" ]; then
        # What git calls of its own commands comes here again.
        export PIPELINE_GIT=yes GIT_EXEC_PATH=/pipeline/bin GIT_TEMPLATE_DIR="$root/usr/share/git-core/templates"
        exec "$loader" --library-path "$libraries" "$root/usr/bin/git" "$@"
    fi
done
echo "===> the image git of the image table is neither Alpine nor Debian; give another one with --images" >&2
exit 127
