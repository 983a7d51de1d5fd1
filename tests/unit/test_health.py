from pathlib import Path

import pytest

from pipeline.image.crash import diagnose
from pipeline.image.health import Observation, faults, parse_observations

#: Output of real nodes that did not start (OTP 27.3): erlmcp as it is, and copies broken on purpose.
BOOT = Path(__file__).parent / "data" / "boot"

GOOD = """healthy\t0.4\t0\thealth: Node OK
node\t0.1\t0\thealth: Node OK
endpoint\t0.0\t1\thealth: Degraded (the node answers, http://127.0.0.1:1/ does not)
process\t8.0\t1\thealth: Degraded (the node runs but does not answer)
stopped\t1.0\t0\tSIGTERM
none\t0.1\t1\thealth: Down
"""


@pytest.mark.parametrize(
    ("log", "first", "others"),
    [
        (
            "head",
            "application erlmcp_core did not start: erlmcp_memory_monitor:start_link/0 does not exist",
            [
                "process erlmcp_memory_monitor failed; it is a child of erlmcp_resilience_sup < erlmcp_core_sup",
                "process erlmcp_registry died: 'function not exported'",
            ],
        ),
        (
            "head-multiline",
            "application erlmcp_core did not start: erlmcp_memory_monitor:start_link/0 does not exist",
            ["process erlmcp_memory_monitor failed; it is a child of erlmcp_resilience_sup < erlmcp_core_sup"],
        ),
        ("startcrash", "application erlmcp_transports did not start: erlmcp_license:check/1 does not exist", []),
        ("badflag", 'vm.args: bad "Muacul" value: true', []),
        ("badconfig", "invalid config data: application: erl_crash_dump; invalid parameter: 47", []),
        ("nameinuse", "Protocol 'inet_tcp': the name erlmcp@127.0.0.1 seems to be in use by another Erlang node", []),
    ],
)
def test_says_which_process_died_and_why(log: str, first: str, others: list[str]) -> None:
    said = diagnose((BOOT / f"{log}.log").read_text())
    assert said[0] == first
    assert set(others) <= set(said)
    assert len(said) <= 12


def test_a_port_in_use_is_named() -> None:
    said = "\n".join(diagnose((BOOT / "eaddrinuse.log").read_text()))
    assert "Failed to start Ranch listener erlmcp_health_http_listener_8080" in said


def test_a_wrong_logger_level_is_named() -> None:
    assert "{logger_level,warn" in diagnose((BOOT / "badlevel.log").read_text())[0]


def test_a_node_without_a_host_in_its_name_is_told_what_to_write() -> None:
    # Of ReVault's `-name ${NODENAME:-revault}`, whose logger writes nothing of net_kernel's.
    term = (
        "{application_start_failure,kernel,{{shutdown,{failed_to_start_child,net_sup,{shutdown,{failed_to_start_child,"
        "net_kernel,{'EXIT',nodistribution}}}}},{kernel,start,[normal,[]]}}}"
    )
    [first, *_] = diagnose(f'Kernel pid terminated (application_controller) ("{term}")\n')
    assert "write -name NAME@127.0.0.1" in first


def test_a_node_that_writes_elsewhere_is_told_where_it_may() -> None:
    said = diagnose("[critical] Aborting: Cannot create run directory run: permission denied\n")
    assert said[0] == "[critical] Aborting: Cannot create run directory run: permission denied"
    assert "may write to log/ and data/ of its folder" in said[1]


def test_an_emulator_that_aborts_at_its_start_is_shown_as_it_is() -> None:
    # On musl and processors with AMX (github.com/erlang/otp issues 11248 and 11349).
    words = "sys/unix/sys_signal_stack.c:103:sys_sigaltstack(): Internal error: Failed to set alternate signal stack"
    log = f"Exec: /opt/x/erts-17.1/bin/erlexec -noinput +Bd\nRoot: /opt/x\n/opt/x\n{words}\nAborted (core dumped)\n"
    assert diagnose(log) == [words, "Aborted (core dumped)"]


def test_a_log_without_a_cause_is_shown_itself_without_repeats() -> None:
    lines = [f"2026-01-01T00:00:0{n}Z error: the same" for n in range(9)]
    assert diagnose("\n".join(["Exec: /opt/x", *lines])) == ["error: the same"]


def test_an_image_that_shows_each_level_has_no_faults() -> None:
    assert faults(parse_observations(GOOD), endpoint=False) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("stopped\t1.0\t0", "stopped\t1.0\t137", "SIGTERM: clean stop: exit code 137"),
        (
            "stopped\t1.0\t0\tSIGTERM",
            "stopped\t30.0\t137\tdid not end after SIGTERM: killed after 30 s",
            "SIGTERM: clean stop: exit code 137, did not end after SIGTERM: killed after 30 s",
        ),
        ("none\t0.1\t1\thealth: Down", "none\t0.1\t0\thealth: Node OK", "no process: down: exit code 0"),
        ("process\t8.0\t1", "process\t8.0\t0", "node hangs: degraded: exit code 0"),
    ],
)
def test_a_level_that_does_not_show_is_a_fault(before: str, after: str, fault: str) -> None:
    found = faults(parse_observations(GOOD.replace(before, after)), endpoint=False)
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_writable_file_and_a_silent_endpoint_are_faults() -> None:
    steps = [*parse_observations(GOOD), Observation("writable", 0, 1, "/opt/erlmcp/bin/erlmcp")]
    assert faults(steps, endpoint=True) == [
        "HEALTH_URL is set, but the health check answered 'health: Node OK'",
        "/opt/erlmcp/bin/erlmcp is writable by the user of the image",
    ]


def test_a_step_that_was_not_reached_is_a_fault() -> None:
    assert "node answers: healthy: not reached" in faults(parse_observations(GOOD)[:1], endpoint=False)
