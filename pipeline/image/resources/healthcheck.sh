#!/bin/sh
# Checks three levels: HTTP (if HEALTH_URL is set), the node's answer, the process. Exit code 0: healthy.
set -u
# Asks over HTTP, for 5 seconds at most: with busybox (Alpine's), or else with bash (Debian's), which speaks no TLS.
asked() { # url
    if command -v busybox >/dev/null; then
        timeout 5 busybox wget -q -T 5 -O /dev/null "$1" 2>/dev/null
        return
    fi
    # shellcheck disable=SC2016 # bash's own
    timeout 5 bash -c '
        rest=${1#http://}
        server=${rest%%[/?#]*}
        path=${rest#"$server"}
        path=${path%%#*}
        login=
        case $server in
            *@*) login=$(printf %s "${server%@*}" | base64 -w 0) server=${server##*@} ;;
        esac
        case $server in
            \[*\]*) host=${server#\[} host=${host%%\]*} port=${server##*\]} port=${port#:} ;;
            *:*) host=${server%:*} port=${server##*:} ;;
            *) host=$server port= ;;
        esac
        exec 3<>"/dev/tcp/$host/${port:-80}" || exit
        {
            printf "GET /%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: healthcheck\r\nConnection: close\r\n" "${path#/}" "$server"
            [ -z "$login" ] || printf "Authorization: Basic %s\r\n" "$login"
            printf "\r\n"
        } >&3
        read -r _ status _ <&3
        [[ $status == [23][0-9][0-9] ]]' healthcheck "$1" 2>/dev/null
}

if [ -n "${HEALTH_URL:-}" ] && asked "$HEALTH_URL"; then
    echo "health: HTTP OK"
    exit 0
fi
# A node answers before its applications run: only a started one is healthy.
if status=$(timeout 8 /usr/local/bin/entrypoint eval 'element(1, init:get_status()).' 2>/dev/null) &&
    [ "$status" = started ]; then
    if [ -n "${HEALTH_URL:-}" ]; then
        echo "health: Degraded (the node answers, but $HEALTH_URL does not)"
        exit 1
    fi
    echo "health: Node OK"
    exit 0
fi
case ${status:-} in
    "" | *[!a-z]*) state="does not answer" ;;
    *) state="is $status" ;;
esac
# By the name of the process: the command line of a release does not hold "beam.smp".
for comm in /proc/[0-9]*/comm; do
    if [ "$(cat "$comm" 2>/dev/null)" = beam.smp ]; then
        echo "health: Degraded (the node runs but $state)"
        exit 1
    fi
done
echo "health: Down"
exit 1
