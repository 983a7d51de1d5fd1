#!/bin/sh
# Shown as: start the image and test its health check
# Starts the release as the image does, and proves each level of the health check.
# Prints lines "step<TAB>seconds<TAB>exit code<TAB>message"; the node's own output goes to /tmp/node.log.
# Usage: prove_health.sh SECONDS SECONDS (how long a start may take, and a stop)
set -u
limit=$1 stop_limit=$2
log=/tmp/node.log
now() { cut -d' ' -f1 /proc/uptime; }
since() { awk "BEGIN { printf \"%.1f\", $(now) - $1 }"; }
probe() { # step, environment...
    step=$1
    shift
    begin=$(now)
    message=$(env "$@" /usr/local/bin/healthcheck)
    code=$?
    printf '%s\t%s\t%s\t%s\n' "$step" "$(since "$begin")" "$code" "$message"
}
node() { # the process id of the emulator
    for comm in /proc/[0-9]*/comm; do
        [ "$(cat "$comm" 2>/dev/null)" != beam.smp ] || { comm=${comm%/comm}; echo "${comm#/proc/}"; return; }
    done
}

begin=$(now)
/usr/local/bin/entrypoint foreground >"$log" 2>&1 &
main=$!
while :; do
    if message=$(/usr/local/bin/healthcheck); then
        printf 'healthy\t%s\t0\t%s\n' "$(since "$begin")" "$message"
        break
    fi
    if ! kill -0 "$main" 2>/dev/null; then
        wait "$main"
        printf 'died\t%s\t%s\t%s\n' "$(since "$begin")" "$?" "$message"
        exit 0
    fi
    if awk "BEGIN { exit !($(since "$begin") > $limit) }"; then
        printf 'timeout\t%s\t1\t%s\n' "$(since "$begin")" "$message"
        exit 0
    fi
    sleep 0.3
done

probe node HEALTH_URL=
probe endpoint HEALTH_URL=http://127.0.0.1:1/
kill -STOP "$(node)"
probe process HEALTH_URL=
kill -CONT "$(node)"

begin=$(now)
kill -TERM "$main"
how=SIGTERM
# A process that ended stays as a zombie until it is waited for.
while [ "$(sed 's/^.*) //' "/proc/$main/stat" 2>/dev/null | cut -c1)" != Z ] && kill -0 "$main" 2>/dev/null; do
    if awk "BEGIN { exit !($(since "$begin") > $stop_limit) }"; then
        how="did not end after SIGTERM: killed after $stop_limit s"
        kill -KILL "$main"
        break
    fi
    sleep 0.2
done
wait "$main"
printf 'stopped\t%s\t%s\t%s\n' "$(since "$begin")" "$?" "$how"
probe none HEALTH_URL=
# Whoever runs with a read-only root filesystem gives tmpfs for these, and nothing else.
# (Not find's -writable: Alpine's find has none, and would say nothing.)
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o ! -type l \
    -exec sh -c 'for path; do [ ! -w "$path" ] || printf "%s\n" "$path"; done' sh {} + 2>/dev/null |
    grep -Ev "^/(tmp|var/tmp|var/(log|lib|run)/$RELEASE_NAME|run/$RELEASE_NAME|run/lock)(/|$)" |
    while read -r path; do printf 'writable\t0\t1\t%s\n' "$path"; done
