#!/bin/sh
# Three levels: HTTP (where HEALTH_URL is set), the node's answer, the process. Exit code 0: healthy.
set -u
if [ -n "${HEALTH_URL:-}" ] && busybox wget -q -T 5 -O /dev/null "$HEALTH_URL" 2>/dev/null; then
    echo "health: HTTP OK"
    exit 0
fi
# A node answers before its applications run: only a started one is healthy.
if status=$(timeout 8 /usr/local/bin/entrypoint eval 'element(1, init:get_status()).' 2>/dev/null) &&
    [ "$status" = started ]; then
    if [ -n "${HEALTH_URL:-}" ]; then
        echo "health: Degraded (the node answers, $HEALTH_URL does not)"
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
