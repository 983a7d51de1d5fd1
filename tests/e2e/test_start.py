"""Nodes as people start them: configurations, cookies, users, file systems; and who attaches to them."""

from pathlib import Path

from conftest import Module

#: Each case is started in the image with its own files; what it prints is between its title and the next.
CASES = r"""#!/bin/bash
set -u
version=$(cut -d' ' -f2 /opt/greeter/releases/start_erl.data)
release=/opt/greeter/releases/$version
as() { setpriv --reuid "${uid%:*}" --regid "${uid#*:}" --clear-groups "$@"; }
uid=1000:1000 limit=10
VM='-name greeter@127.0.0.1
-setcookie ${RELX_COOKIE}'
rm -f "$release"/vm.args* "$release"/sys.config*

# start TITLE VM_ARGS_FILE TEXT SYS_CONFIG_FILE TEXT [VARIABLE=VALUE...]
start() {
    echo "[$1]"
    rm -rf "$release"/vm.args* "$release"/sys.config* /var/run/greeter/node
    printf '%s\n' "$3" >"$release/$2"
    printf '%s\n' "$5" >"$release/$4"
    shift 5
    # No function: its subshell would stay between the node and the signals.
    setpriv --reuid "${uid%:*}" --regid "${uid#*:}" --clear-groups env "$@" /usr/local/bin/entrypoint >/tmp/log 2>&1 &
    main=$!
    for _ in $(seq $((limit * 5))); do
        as healthcheck >/tmp/health && return
        if ! kill -0 $main 2>/dev/null; then
            code=0
            wait $main || code=$?
            echo "ended with $code"
            grep '^greeter: ' /tmp/log
            return 1
        fi
        sleep 0.2
    done
    cat /tmp/health
    stop
    return 1
}
ask() { as greeter eval "$1" 2>&1; }
listening() { awk '$4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6 | sort; }
stop() {
    kill -TERM $main 2>/dev/null
    wait $main 2>/dev/null
    # Its port mapper stays as an orphan; the next start needs its address free of the last one's names.
    for comm in /proc/[0-9]*/comm; do
        [ "$(cat "$comm" 2>/dev/null)" != epmd ] || { comm=${comm%/comm}; kill "${comm#/proc/}"; }
    done
}
try() { # TITLE VM_FILE TEXT SYS_FILE TEXT ASK [VARIABLE=VALUE...]
    title=$1 vf=$2 vt=$3 sf=$4 st=$5 asked=$6
    shift 6
    if start "$title" "$vf" "$vt" "$sf" "$st" "$@"; then
        echo "healthy: $(ask "$asked")"
        echo "ping: $(as greeter ping 2>&1)"
        stop
    fi
}
COOKIE='erlang:get_cookie().'
ENV='application:get_env(greeter_core, a).'
for vf in vm.args vm.args.src; do
    for sf in sys.config sys.config.src; do
        try "$vf $sf" "$vf" "$VM" "$sf" '[{greeter_core, [{a, 1}]}].' "$ENV" RELX_COOKIE=abc
    done
done
try noname vm.args '+K true' sys.config '[].' 'node().'
try sname vm.args '-sname greeter' sys.config '[].' "$COOKIE" RELX_COOKIE=abc
try noepmd vm.args "$VM
-start_epmd false
-erl_epmd_port 9100" sys.config '[].' "$COOKIE" RELX_COOKIE=abc
try oneline vm.args '-name greeter@127.0.0.1 -setcookie literal' sys.config '[].' "$COOKIE"
try other vm.args '-name greeter@127.0.0.1
-setcookie ${OTHER}' sys.config '[].' "$COOKIE" RELX_COOKIE=abc
try other-set vm.args '-name greeter@127.0.0.1
-setcookie ${OTHER}' sys.config '[].' "$COOKIE" RELX_COOKIE=abc OTHER=def
try unset-name vm.args '-name ${NODE}' sys.config '[].' 'x.'
try regex vm.args "$VM" sys.config.src '[{greeter_core, [{a, ${BROKERS:-["kafka:9092"]}}]}].' "$ENV"
try value vm.args "$VM" sys.config.src '[{greeter_core, [{a, "${V}"}]}].' "$ENV" 'V=a&b[?+(*|${V}'
try 'strange cookie' vm.args "$VM" sys.config '[].' "$COOKIE" 'RELX_COOKIE=$(id);${RELX_COOKIE}&|<>%='
for cookie in "a'b" 'a b' 'a#b' 'a\b' 'é' '+a'; do
    try "cookie $cookie" vm.args "$VM" sys.config '[].' 'x.' "RELX_COOKIE=$cookie"
done
printf 'from-file\n' >/tmp/cookie
chmod 644 /tmp/cookie
try 'cookie of a file' vm.args "$VM" sys.config '[].' "$COOKIE" RELX_COOKIE_FILE=/tmp/cookie
try zone vm.args "$VM" sys.config '[].' 'calendar:universal_time_to_local_time({{2026,7,1},{0,0,0}}).' TZ=Europe/Berlin
try 'zone in full' vm.args "$VM" sys.config '[].' \
    'calendar:universal_time_to_local_time({{2026,7,1},{0,0,0}}).' TZ='<+05>-5'
try 'no such zone' vm.args "$VM" sys.config '[].' 'x.' TZ=Mars/Olympus
try 'health over TLS' vm.args "$VM" sys.config '[].' 'x.' HEALTH_URL=https://127.0.0.1:8443/health
try 'literal host' vm.args '-name greeter@10.0.0.5' sys.config '[].' 'node().'
uid=1000680000:0
try 'random user' vm.args "$VM" sys.config '[].' 'node().'
uid=5000:5000
try 'another user' vm.args "$VM" sys.config '[].' 'node().'
uid=1000:1000

if start attach vm.args "$VM" sys.config '[].' RELX_COOKIE=abc; then
    listening | sed 's/:.*//' | sort -u | sed 's/^/listens: /'
    before=$(cd /var/run/greeter/node && find . -type f -exec sha256sum {} + | sort)
    for command in ping 'eval node().' 'rpc erlang node' foreground; do
        # shellcheck disable=SC2086
        said=$(as env RELX_COOKIE=wrong ERL_DIST_PORT=1 greeter $command 2>&1)
        echo "$command: ${said%% (*}"
    done
    echo "pid: $(($(as greeter pid) == main))"
    echo "stranger: $(uid=777:777; as greeter ping 2>&1)"
    # Until it answers: on a busy machine it takes its time.
    for _ in 1 2 3 4 5 6 7 8 9; do
        sleep 2
        echo 'node().'
        ! grep -q "greeter@127.0.0.1" /tmp/console 2>/dev/null || break
    done |
        as timeout 25 script -qfec 'greeter remote_console' /tmp/console >/dev/null 2>&1
    echo "remote_console: $(grep -c "^.*greeter@127.0.0.1" /tmp/console | sed 's/[1-9][0-9]*/answers/')"
    [ "$before" = "$(cd /var/run/greeter/node && find . -type f -exec sha256sum {} + | sort)" ] && echo "files: same"
    echo "health: $(as healthcheck)"
    as greeter stop
    wait $main
    echo "stopped with $?"
    echo "then: $(as greeter ping 2>&1)"
fi

echo "[read-only]"
rm -rf /var/run/greeter/node
mount -t tmpfs -o mode=0750 tmpfs /var/run/greeter
as entrypoint foreground 2>&1
echo "ended with $?"
umount /var/run/greeter
"""


def read(text: str) -> dict[str, str]:
    """Return what each case printed, by its title."""
    parts = text.split("\n[")
    return dict(part.removeprefix("[").split("]\n", 1) for part in parts if "]\n" in part)


def healthy(answer: str) -> str:
    return f"healthy: {answer}\nping: pong"


def test_nodes_start_as_people_configure_them_or_say_why_not(module: Module, source: Path, tmp_path: Path) -> None:
    script = tmp_path / "cases.sh"
    script.write_text(CASES)
    result = module(
        source, "build-runtime", "with-user", "--name=root", "with-file", "--path=/cases.sh", f"--source={script}",
        "with-exec", "--args=bash,/cases.sh", "--insecure-root-capabilities", "stdout",
    )  # fmt: skip
    assert result.code == 0, result.err
    seen = {title: said.strip() for title, said in read(result.out).items()}
    for vm_args in ("vm.args", "vm.args.src"):
        for sys_config in ("sys.config", "sys.config.src"):
            assert seen[f"{vm_args} {sys_config}"] == healthy("{ok, 1}")
    for title, answer in {
        "noname": "'greeter@127.0.0.1'",
        "sname": "abc",
        "noepmd": "abc",
        "oneline": "literal",
        "other": "abc",
        "other-set": "def",
        "regex": '{ok, ["kafka:9092"]}',
        "value": '{ok, "a&b[?+(*|${V}"}',
        "strange cookie": "'$(id);${RELX_COOKIE}&|<>%='",
        "cookie of a file": "'from-file'",
        "zone": "{{2026, 7, 1}, {2, 0, 0}}",
        "zone in full": "{{2026, 7, 1}, {5, 0, 0}}",
        "literal host": "'greeter@10.0.0.5'",
        "random user": "'greeter@127.0.0.1'",
        "another user": "'greeter@127.0.0.1'",
    }.items():
        assert seen[title] == healthy(answer), title
    code, line = seen["unset-name"].splitlines()
    assert code == "ended with 78"
    assert line.endswith("vm.args:1: -name needs NODE, which is not set")
    for cookie in ("a'b", "a b", "a#b", "a\\b", "é", "+a"):
        code, line = seen[f"cookie {cookie}"].splitlines()
        assert code == "ended with 78"
        assert line.startswith("greeter: RELX_COOKIE: this cookie is not valid: ")

    for case, said in {
        "no such zone": "greeter: TZ=Mars/Olympus: /usr/share/zoneinfo does not have this time zone: ",
        "health over TLS": "greeter: HEALTH_URL=https://127.0.0.1:8443/health: the health check of this image ",
    }.items():
        code, line = seen[case].splitlines()
        assert code == "ended with 78"
        assert line.startswith(said)

    # Whoever attaches changes nothing, and nothing but the application's own port listens outside.
    node = "'greeter@127.0.0.1'"
    assert seen["attach"].splitlines() == [
        # The application's own port.
        "listens: 00000000",
        # The port mapper, and the distribution.
        "listens: 00000000000000000000000001000000",
        "listens: 0100007F",
        "ping: pong",
        f"eval node().: {node}",
        f"rpc erlang node: {node}",
        "foreground: greeter: a node is already running in this container",
        "pid: 1",
        "stranger: greeter: this user (777:777) cannot read /var/run/greeter/node: use the node's user, 1000",
        "remote_console: answers",
        "files: same",
        "health: health: Node OK",
        "stopped with 0",
        "then: greeter: no node is running in this container",
    ]
    refusal, code = seen["read-only"].splitlines()
    assert "--tmpfs /var/run/greeter:mode=1777" in refusal
    assert code == "ended with 78"
