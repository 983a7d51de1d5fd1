#!/bin/sh
# Shown as: rebar3 $3 in $2
# Runs a command of rebar3 in the working folder, which has the project as far as this stage needs it.
# Usage: rebar3.sh PROFILE FOLDERS COMMAND...
#   FOLDERS   those of the applications that are compiled here, parted by colons
# With PIPELINE_MODULES in the environment, modules are compiled there that changed; see pipeline_compiler.erl.
set -eu
profile=$1 folders=$2
shift 2
# A link that leads out would bring in what lies there in the builder; one that leads nowhere brings nothing.
find . \( -path ./_build -o -path ./.git \) -prune -o -type l -exec test -e {} \; -print | while read -r link; do
    case $(readlink -f "$link") in
        "$PWD" | "$PWD"/*) ;;
        *)
            echo "===> ${link#./}: a symbolic link to $(readlink "$link"), which is outside of the project;" \
                "copy the target into the project, or exclude the link in .dockerignore" >&2
            exit 1
            ;;
    esac
done
# rebar3 compiles files at the same time; two modules of one name would write one file and destroy each other's.
IFS=:
for folder in $folders; do
    twice=$(find "$folder/src" -name '*.erl' -exec basename {} \; 2>/dev/null | sort | uniq -d | tr '\n' ' ')
    if [ -n "$twice" ]; then
        echo "===> Warning: $folder/src has several files named $twice(compiled one by one; the release has the last)" >&2
        export ERL_FLAGS="+S 1:1"
    fi
done
unset IFS
if [ -n "$folders" ] && [ -n "${PIPELINE_MODULES:-}" ]; then
    compilers="[rebar_compiler_xrl,rebar_compiler_yrl,rebar_compiler_mib,pipeline_compiler]"
    export PIPELINE_FOLDERS="$folders" ERL_AFLAGS="-pa /pipeline -rebar compilers $compilers ${ERL_AFLAGS:-}"
fi
# Every module is compiled, each application in a container of its own: what rebar3 noted there of times is not here.
[ -z "${PIPELINE_COMPILED:-}" ] || export ERL_AFLAGS="-rebar compilers [] ${ERL_AFLAGS:-}"
: >/pipeline/asked
rebar3 as "$profile" "$@"
if [ -s /pipeline/asked ] && [ ! -e .git ]; then
    echo "===> git was asked, but there is no .git directory: $(head -n 1 /pipeline/asked)" >&2
    exit 1
fi
