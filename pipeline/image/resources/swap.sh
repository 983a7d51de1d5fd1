#!/bin/sh
# Shown as: copy ERTS for $1
# Makes the layer of ERTS and OTP of a release, in /layers/erts, for another platform, and packs it as release.sh does.
# The layer, and the native code of the others, are those that release.sh packed: erts.tar and native.tar in /pipeline.
# Usage: swap.sh ARCHITECTURE TIME
# What stands against it is in /layers/problems; see elf.escript.
set -eu
mkdir -p /layers/erts /packed
tar -xf /pipeline/erts.tar -C /layers/erts
[ ! -s /pipeline/native.tar ] || tar -xf /pipeline/native.tar -C /layers
escript /pipeline/elf.escript swap "$1" /layers /foreign
cd /layers/erts
find . -exec touch -h -d "@$2" {} +
find . | sh /pipeline/pack.sh /packed/erts.tar
