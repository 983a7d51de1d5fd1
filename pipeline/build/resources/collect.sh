#!/bin/sh
# Copies what runs (ebin, priv) and what others include (include) of every built application below BUILD
# to LIB/NAME: the one place where later stages look for applications.
# Usage: collect.sh LIB BUILD...
set -eu
lib=$1
shift
mkdir -p "$lib"
for build in "$@"; do
    for app in "$build"/*/ebin/*.app; do
        [ -e "$app" ] || continue
        name=$(basename "$app" .app)
        [ -e "$lib/$name/ebin" ] && continue
        mkdir -p "$lib/$name"
        for part in ebin include priv; do
            # -L: rebar3 links these folders to the sources, which are not here later.
            [ ! -d "${app%/ebin/*}/$part" ] || cp -RL "${app%/ebin/*}/$part" "$lib/$name/$part"
        done
        # Licences and links of a Hex package, for the SBOM; a release does not take them.
        [ ! -f "${app%/ebin/*}/hex_metadata.config" ] || cp "${app%/ebin/*}/hex_metadata.config" "$lib/$name/"
    done
done
