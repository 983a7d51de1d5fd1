#!/bin/sh
# Compiles one application of the project; its siblings are there as headers only (what it needs is in lib/).
# Usage: compile.sh NAME DIR [SIBLING=DIR...]
set -eu
name=$1 dir=$2
shift 2
for sibling in "$@"; do
    sibling_name=${sibling%%=*} include=${sibling#*=}/include
    if [ -d "$include" ] && [ ! -e "lib/$sibling_name" ]; then
        # -include_lib("sibling/include/x.hrl") asks for an application with an ebin.
        mkdir -p "lib/$sibling_name/ebin"
        cp -RL "$include" "lib/$sibling_name/include"
    fi
done
rm -f "$dir/rebar.config.script"
# rebar3 compiles files at the same time; two modules of one name would write one file and destroy each other's.
twice=$(find "$dir/src" -name '*.erl' -exec basename {} \; 2>/dev/null | sort | uniq -d | tr '\n' ' ')
if [ -n "$twice" ]; then
    echo "===> Warning: $dir/src has more than one of: $twice(compiled one by one, the last wins)" >&2
    export ERL_FLAGS="+S 1:1"
fi
rebar3 as prod compile
mkdir -p built
sh /pipeline/collect.sh built _build/prod/lib
[ -d "built/$name" ] || { echo "===> $dir built no application $name" >&2; exit 1; }
