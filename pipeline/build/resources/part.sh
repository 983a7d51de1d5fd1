#!/bin/sh
# Shown as: strip the modules of the release $2
# Parts compiled applications into their modules and what relx assembles a release of. The working folder is that in which
# rebar3 compiled them.
# Usage: part.sh LIBRARIES RELEASE TIME [FOLDER NAME]...
#   LIBRARIES   the folder of rebar3 with every application that was built, as _build/prod/lib
#   RELEASE     its name
#   TIME        of every module and the folders above it, in seconds since the epoch
# It leaves
#   /pipeline/frame.tar   what relx copies of the applications, with a placeholder for each module; the same content gives
#                         the same bytes
#   /pipeline/stripped    the modules as relx leaves them: opt/RELEASE/lib/NAME-VERSION/ebin/MODULE.beam
#   /pipeline/whole       why relx must see the modules themselves; empty if it need not
set -eu
libraries=$1 release=$2 time=$3
shift 3
frame=/pipeline/frame lib=/pipeline/stripped/opt/$release/lib
mkdir -p "$frame/$libraries" "$lib"
count=$#
while [ "$count" -gt 0 ]; do
    folder=$1 name=$2
    shift 2
    count=$((count - 2))
    cp -RP "$libraries/$name" "$frame/$libraries/"
    if [ -e "$folder/priv" ]; then
        mkdir -p "$frame/$folder"
        cp -RP "$folder/priv" "$frame/$folder/"
    fi
    set -- "$@" "$frame/$libraries/$name/ebin"
done
escript /pipeline/pipeline_modules.escript part /pipeline/pipeline_placeholder.beam "$lib" "$@" >/pipeline/whole
find /pipeline/stripped -exec touch -h -d "@$time" {} +
cd "$frame"
find . -exec touch -h -d @0 {} +
find . | sh /pipeline/pack.sh "$frame.tar"
