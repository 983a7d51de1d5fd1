#!/bin/sh
# Shown as (packages): fetch the packages of Hex
# Shown as (get): fetch the dependencies
# Shown as (compile): compile the dependencies
# Shown as (registry): ask the registries of Hex
# Gets what the project is built from, in three steps, and asks the registries of Hex:
#   fetch.sh packages          the packages of Hex that the lock has: /fetched/packages.etf, /fetched/packages
#   fetch.sh get PROFILE       the rest, and what of it takes a compiler: /fetched/native.json
#   fetch.sh compile PROFILE   compiles it: /fetched/_build, and the index of packages, without which rebar3 does not
#                              know one that is there
#   fetch.sh registry          what they say of the packages of /pipeline/wanted, on standard output; it fails, with
#                              those answers all the same, if something is not known
# Secrets come as files: /run/hex-mirror.pem (public key of a repository), /run/hex.key (of private repositories).
set -eu
what=$1
config=/root/.config/rebar3 cache=/root/.cache/rebar3/hex
mkdir -p "$config" /fetched/hex
if [ -f /run/hex-mirror.pem ] || [ -f /run/hex.key ]; then
    # Not in the global rebar.config: what a project's own says of `hex` replaces what that one says.
    {
        echo '%% coding: utf-8'
        echo '#{'
        separator=''
        if [ -f /run/hex-mirror.pem ]; then
            printf '<<"hexpm">> => #{repo_public_key => <<"\n%s\n">>}' "$(cat /run/hex-mirror.pem)"
            separator=,
        fi
        if [ -f /run/hex.key ]; then
            # Of each private repository that rebar.config names; the folder is a tmpfs.
            key=$(cat /run/hex.key)
            case $key in
                *[!A-Za-z0-9_.-]* | '') echo "===> --hex-key: this is not an API key of Hex, which has only letters, digits, '.', '_' and '-'" >&2; exit 1 ;;
            esac
            while read -r name; do
                printf '%s<<"%s">> => #{repo_key => <<"%s">>}' "$separator" "$name" "$key"
                separator=,
            done </pipeline/repositories
        fi
        echo '}.'
    } >"$config/hex.config"
fi
# These modules are named in rebar3's own environment: no configuration says anything of them.
mkdir -p /pipeline/ebin
erlc -o /pipeline/ebin /pipeline/pipeline_*.erl >&2
flags="-pa /pipeline/ebin"
sources='[{pkg,pipeline_source},{git,pipeline_source},{git_subdir,pipeline_source},{hg,rebar_hg_resource}]'
case $what in
    registry) flags="$flags -rebar providers [pipeline_registry]"; set -- pipeline_registry ;;
    packages) flags="$flags -rebar providers [pipeline_source]"; set -- pipeline_source ;;
    get) flags="$flags -rebar providers [pipeline_native] -rebar resources $sources"; set -- as "$2" pipeline_native ;;
    compile)
        flags="$flags -rebar resources $sources"
        flags="$flags -rebar compilers [rebar_compiler_xrl,rebar_compiler_yrl,rebar_compiler_mib,pipeline_early]"
        set -- as "$2" compile --deps_only
        ;;
esac
status=0
ERL_AFLAGS="$flags ${ERL_AFLAGS:-}" rebar3 "$@" >/pipeline/log 2>&1 || status=$?
if [ "$what" = registry ]; then
    cat /pipeline/log >&2
    [ ! -f /fetched/registry.json ] || cat /fetched/registry.json
else
    cat /pipeline/log
fi
[ "$status" = 0 ] || exit "$status"
# rebar3 continues without a plugin that it cannot load, so the work of the plugin would silently be missing.
if grep -q 'Errors loading plugin' /pipeline/log; then
    echo "===> rebar3 cannot load a plugin and would build without it; if nothing needs the plugin, remove it from" \
        "rebar.config, or from a dependency with {overrides, [{override, NAME, [{plugins, []}]}]}" >&2
    exit 1
fi
[ "$what" = compile ] || exit 0
erl -boot no_dot_erlang -noshell -pa /pipeline/ebin -eval 'ok = pipeline_early:handed_over(), halt().'
[ ! -f "$cache/packages.idx" ] || cp "$cache/packages.idx" /fetched/hex/
[ -d _build ] || mkdir _build
mv _build /fetched/_build
