#!/bin/sh
# Fetches and compiles the dependencies and the plugins of the project in the working folder. What later stages need
# of it goes to /fetched: _build, and the index of packages, without which rebar3 does not know one that is there.
# Usage: fetch.sh PROFILE
# Secrets come as files: /run/hex-mirror.pem (public key of a repository), /run/hex.key (of private repositories).
set -eu
profile=$1
config=/root/.config/rebar3 cache=/root/.cache/rebar3/hex
mkdir -p "$config" /fetched/hex
if [ -f /run/hex-mirror.pem ]; then
    # rebar3 takes the key of a repository that signs with its own from its global configuration only.
    printf '{hex, [{repos, [#{name => <<"hexpm">>, repo_public_key => <<"\n%s\n">>}]}]}.\n' \
        "$(cat /run/hex-mirror.pem)" >"$config/rebar.config"
fi
if [ -f /run/hex.key ]; then
    # Of each private repository that rebar.config names; the folder is a tmpfs.
    key=$(cat /run/hex.key)
    case $key in
        *[!A-Za-z0-9_.-]* | '') echo "===> --hex-key: not the key of a Hex user or organisation" >&2; exit 1 ;;
    esac
    {
        echo '%% coding: utf-8'
        echo '#{'
        separator=''
        while read -r name; do
            printf '%s<<"%s">> => #{repo_key => <<"%s">>}' "$separator" "$name" "$key"
            separator=,
        done </pipeline/repositories
        echo '}.'
    } >"$config/hex.config"
fi
status=0
rebar3 as "$profile" compile --deps_only >/pipeline/log 2>&1 || status=$?
cat /pipeline/log
[ "$status" = 0 ] || exit "$status"
# rebar3 goes on without a plugin that it cannot load, and what the plugin does is not done.
if grep -q 'Errors loading plugin' /pipeline/log; then
    echo "===> rebar3 would go on without what could not be loaded, and what it does would not be done; if nothing needs" \
        "it, leave it out of rebar.config, or of a dependency: {overrides, [{override, NAME, [{plugins, []}]}]}" >&2
    exit 1
fi
[ ! -f "$cache/packages.idx" ] || cp "$cache/packages.idx" /fetched/hex/
# Which repository each locked package came from: NAME-VERSION.tar lies in that one's folder. The cache may have tarballs
# of other projects too; the checksum tells.
for tarball in "$cache"/*/packages/*.tar; do
    if [ ! -f "$tarball" ] || [ ! -f rebar.lock ]; then continue; fi
    sum=$(sha256sum "$tarball")
    grep -qiF "${sum%% *}" rebar.lock || continue
    package=$(basename "$tarball" .tar)
    # The name of a package has no hyphen.
    echo "${package%%-*} ${package#*-} $(basename "$(dirname "$(dirname "$tarball")")")"
done >/fetched/packages
[ -d _build ] || mkdir _build
mv _build /fetched/_build
