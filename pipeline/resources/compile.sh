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
rebar3 as prod compile
mkdir -p built
sh /pipeline/collect.sh built _build/prod/lib
[ -d "built/$name" ] || { echo "===> $dir built no application $name" >&2; exit 1; }
