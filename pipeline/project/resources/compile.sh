#!/bin/sh
# Shown as: prepare $1
# Compiles one of the pipeline's own scripts in Erlang, so that no stage that runs it has to: a module to a beam, an
# escript to an escript that holds its beam. Both are called as before.
# Usage: compile.sh FILE   the file is in /pipeline; what it becomes is in /compiled
set -eu
mkdir /compiled
case $1 in
    *.erl) exec erlc -o /compiled "/pipeline/$1" ;;
esac
exec erl -boot no_dot_erlang -noshell -eval '
    [Script] = init:get_plain_arguments(),
    {ok, Parts} = escript:extract("/pipeline/" ++ Script, [compile_source]),
    {source, Beam} = lists:keyfind(source, 1, Parts),
    ok = escript:create("/compiled/" ++ Script, [shebang, {beam, Beam}]),
    halt(0).' -extra "$1"
