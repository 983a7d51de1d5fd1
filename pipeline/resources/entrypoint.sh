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
printf %s "$RELX_COOKIE" >"$private/cookie"

# A cluster speaks TLS between its nodes, or does not start.
mode='' optfile=''
eval "mode=\${${upper}_DISTRIBUTION_MODE:-local}"
if [ "$mode" = cluster ]; then
    eval "optfile=\${${upper}_DIST_OPTFILE:-/etc/$RELEASE_NAME/ssl_dist.conf}"
    if [ ! -r "$optfile" ]; then
        echo "$RELEASE_NAME: ${upper}_DISTRIBUTION_MODE=cluster needs TLS options in $optfile" >&2
        exit 78
    fi
    export ERL_DIST_PORT="${ERL_DIST_PORT:-9100}" USE_NODETOOL=1
    export ERL_FLAGS="${ERL_FLAGS:-} -proto_dist inet_tls -ssl_dist_optfile $optfile"
fi

[ $# -gt 0 ] || set -- foreground
exec "/opt/$RELEASE_NAME/bin/$RELEASE_NAME" "$@"
