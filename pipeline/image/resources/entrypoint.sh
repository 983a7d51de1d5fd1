#!/bin/sh
# Starts the release in the foreground. Set by the image: RELEASE_NAME.
set -eu
umask 077
upper=$(printf %s "$RELEASE_NAME" | tr '[:lower:]-' '[:upper:]_')
set -a
# shellcheck disable=SC1090 # the site's own settings
[ ! -r "/etc/$RELEASE_NAME/environment" ] || . "/etc/$RELEASE_NAME/environment"
set +a

# Everything written at run time goes to one private folder; it may be a tmpfs (whose mode is open to all).
private=/var/run/$RELEASE_NAME/node
mkdir -p "$private"
export RELX_OUT_FILE_PATH="$private" PIPE_DIR="$private/pipes/"

# The cookie: given, or from a mounted secret, or made for this one start. Never in the image.
if [ -z "${RELX_COOKIE:-}" ]; then
    if [ -n "${RELX_COOKIE_FILE:-}" ]; then
        RELX_COOKIE=$(cat "$RELX_COOKIE_FILE")
    else
        RELX_COOKIE=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    fi
fi
export RELX_COOKIE

# A cluster speaks TLS between its nodes, or does not start.
mode='' optfile=''
eval "mode=\${${upper}_DISTRIBUTION_MODE:-local}"
if [ "$mode" = cluster ]; then
    eval "optfile=\${${upper}_DIST_OPTFILE:-/etc/$RELEASE_NAME/ssl_dist.conf}"
    if [ ! -r "$optfile" ]; then
        echo "$RELEASE_NAME: ${upper}_DISTRIBUTION_MODE=cluster needs TLS options in $optfile" >&2
        exit 78
    fi
    # The start script looks for -proto_dist in vm.args, to speak TLS itself when it asks the node.
    mkdir -p "$private/cluster"
    release=$(cut -d' ' -f2 "/opt/$RELEASE_NAME/releases/start_erl.data")
    { cat "/opt/$RELEASE_NAME/releases/$release/vm.args.src" && echo && echo "-proto_dist inet_tls"; } \
        >"$private/cluster/vm.args.src"
    export ERL_FLAGS="${ERL_FLAGS:-} -ssl_dist_optfile $optfile"
    export VMARGS_PATH="$private/cluster/vm.args" ERL_DIST_PORT="${ERL_DIST_PORT:-9100}"
fi
# What the health check needs to ask this node.
for name in RELX_COOKIE VMARGS_PATH ERL_DIST_PORT ERL_FLAGS; do
    eval "[ -z \"\${$name:-}\" ] || printf '%s=%s\n' $name \"'\$$name'\""
done >"$private/environment"

[ $# -gt 0 ] || set -- foreground
exec "/opt/$RELEASE_NAME/bin/$RELEASE_NAME" "$@"
