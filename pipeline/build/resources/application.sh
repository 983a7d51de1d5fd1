#!/bin/sh
# Shown as: compile $3
# Compiles one application in the working folder; of the other applications it sees the interfaces in /pipeline/seen.
# Usage: application.sh PROFILE FOLDER NAME LIBRARIES RELEASE TIME OTHER_FOLDER...
#   LIBRARIES   the folder of rebar3 with every application that was built, as _build/prod/lib
#   RELEASE, TIME   for part.sh, if that is there; what it makes is left too
# It leaves
#   /pipeline/interface.tar   what the compiler can ask of this application when it compiles another one: its headers,
#                             and of its modules the behaviours, which say what callbacks they have and nothing else;
#                             the same content gives the same bytes
#   /pipeline/why             why the project cannot be compiled in this way; empty if it can
set -eu
profile=$1 folder=$2 name=$3 libraries=$4 release=$5 time=$6
shift 6
shown=/pipeline/interface
mkdir "$shown"
: >"$shown.tar"

for tar in /pipeline/seen/*.tar; do
    [ ! -s "$tar" ] || tar -xf "$tar"
done

# A transform is a function that the compiler calls: it may call any module, and read any file. Those of OTP do not.
# A transform can come out of a header, which may be a dependency's.
{
    find . -path ./.git -prune -o -type f ! -name rebar.config \
        \( -path "./$folder/*" -o -name '*.hrl' -o -name '*.inc' \) \
        -exec grep -ohE "(parse|core)_transform[^}]{0,80}" {} + || true
} | tr -d " \t\r'" | { grep -vxE 'parse_transform,(eunit_autoexport|merl_transform|ms_transform|qlc)' || true; } |
    head -n 1 | sed "s|.*|$folder or a header names a parse transform: &|" >/pipeline/why
# A link whose target belongs to another application leads nowhere here.
find . \( -path ./_build -o -path ./.git \) -prune -o -type l ! -exec test -e {} \; -print | while read -r link; do
    target=$(readlink "$link")
    for other do
        case "/$target/" in
            */"${other##*/}"/*) echo "$link links to $target, which is in another application" >>/pipeline/why ;;
        esac
    done
done
[ ! -s /pipeline/why ] || exit 0

# Two modules of one name are compiled into one file; rebar3 does that at the same time, and the last one stays. The
# compiler of ours lets it stay that is the last one in rebar3's own order.
flags=
if [ -n "${PIPELINE_MODULES:-}" ] || [ -n "$(find "$folder" -name '*.erl' -exec basename {} \; | sort | uniq -d)" ]; then
    flags="-pa /pipeline -rebar compilers [rebar_compiler_xrl,rebar_compiler_yrl,rebar_compiler_mib,pipeline_compiler]"
fi
PIPELINE_FOLDERS=$folder ERL_AFLAGS="$flags ${ERL_AFLAGS:-}" sh /pipeline/rebar3.sh "$profile" "" compile

parting=
if [ -e /pipeline/part.sh ]; then
    sh /pipeline/part.sh "$libraries" "$release" "$time" "$folder" "$name" &
    parting=$!
fi
find "$folder" -name '*.hrl' | while read -r header; do
    mkdir -p "$shown/${header%/*}"
    cp -P "$header" "$shown/$header"
done
# The names in a module are readable, unless the whole file is compressed.
ebin=$libraries/$name/ebin
if find "$ebin" -name '*.beam' -exec grep -l behaviour_info {} + | grep -q . ||
    find "$ebin" -name '*.beam' -exec grep -L FOR1 {} + | grep -q .; then
    mkdir -p "$shown/$ebin"
    escript /pipeline/pipeline_interface.escript "$ebin" "$shown/$ebin" >/pipeline/why
fi
cd "$shown"
find . -exec touch -h -d @0 {} +
find . \( -type f -o -type l \) | sh /pipeline/pack.sh "$shown.tar"
[ -z "$parting" ] || wait "$parting"
