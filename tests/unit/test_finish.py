"""The awk program that finishes a release's configuration, with every awk that this machine has."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "pipeline" / "image" / "resources" / "finish.awk"
#: mawk is Debian's, busybox's Alpine's.
AWKS = [
    command
    for command in (["mawk"], ["gawk"], ["busybox", "awk"], ["original-awk"], ["awk"])
    if shutil.which(command[0])
]
ALL = pytest.mark.parametrize("awk", AWKS, ids=" ".join)


def run(awk: list[str], text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "RELEASE_NAME": "demo", **variables}
    return subprocess.run(
        [*awk, "-f", PROGRAM], input=text, env=env, capture_output=True, text=True, timeout=10, check=False
    )


def finished(awk: list[str], folder: Path, text: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Return the lines of a finished vm.args, and the facts."""
    facts = folder / "facts"
    given = {"FINISH_NAME": "demo@127.0.0.1", "FINISH_HOST": "host", "FINISH_MODE": "local", "RELX_COOKIE": "made"}
    done = run(awk, text, FINISH="args", FINISH_FILE="vm.args", FINISH_FACTS=str(facts), **{**given, **variables})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    known = dict(line.split(" ", 1) for line in facts.read_text().splitlines())
    return done.stdout.splitlines(), known


def refused(awk: list[str], folder: Path, text: str, **variables: str) -> str:
    given = {"FINISH": "args", "FINISH_FILE": "vm.args", "FINISH_FACTS": str(folder / "facts"), "RELX_COOKIE": "made"}
    done = run(awk, text, **{**given, **variables})
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


HARD = "a&b \\& [?+(*| ${A} \"'\\n é 日"


@ALL
@pytest.mark.parametrize(
    ("text", "variables", "result"),
    [
        ("x ${A} y", {"A": HARD}, f"x {HARD} y"),
        ("x ${A} y", {}, "x  y"),
        ("${A:-b} ${A:-}", {}, "b "),
        ("${A:-b}", {"A": ""}, "b"),
        ("${A:-b}", {"A": "1e3"}, "1e3"),
        ('${BROKERS:-["kafka:9092"]}', {}, '["kafka:9092"]'),
        (f"${{A:-{HARD.replace('${A}', '')}}}", {}, HARD.replace("${A}", "")),
        ("${A:-{127,0,0,1}}", {}, "{127,0,0,1}"),
        ("${A:-x:-y}", {}, "x:-y"),
        ("${A:-${B}} ${A:-${B:-c}d}", {}, " cd"),
        ("${A:-${B:-c}d}", {"A": "a", "B": "b"}, "a"),
        ("${A:-${B:-c}d}", {"B": "${A}"}, "${A}d"),
        ("${A", {"A": "a"}, "${A"),
        ("${A ${B}", {"B": "b"}, "${A b"),
        ("$A {A} $$ %% ${A}", {"A": "a"}, "$A {A} $$ %% a"),
        ("${A}${A}\n${A}", {"A": "two\nlines"}, "two\nlinestwo\nlines\ntwo\nlines"),
    ],
)
def test_variables_are_replaced_by_any_text(awk: list[str], text: str, variables: dict[str, str], result: str) -> None:
    done = run(awk, text + "\n", FINISH="config", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, result + "\n", "")


@ALL
def test_plain_text_is_copied(awk: list[str]) -> None:
    assert run(awk, "x ${HOME}\n", FINISH="plain", HOME="/").stdout == "x ${HOME}\n"


@ALL
def test_each_option_stands_on_its_line_as_the_start_script_looks_for_it(awk: list[str], tmp_path: Path) -> None:
    text = "\t-name \"demo@127.0.0.1\" -setcookie 'x'#y\n+P 1000 -mnesia dir '\"da ta\"'\n-kernel a b c d\n"
    text += "-extra -name z\n"
    lines, known = finished(awk, tmp_path, text)
    assert lines == [
        "-name demo@127.0.0.1",
        "-setcookie x",
        "+P 1000",
        "-mnesia dir '\"da ta\"'",
        "-kernel a b c d",
        "-kernel inet_dist_use_interface {127,0,0,1}",
        "-extra",
        "-name z",
    ]
    assert known == {
        "cookie": "x",
        "kind": "-name",
        "name": "demo@127.0.0.1",
        "proto": "",
        "port": "",
        "optfile": "",
        "loopback": "1",
    }


@ALL
def test_what_is_missing_is_added(awk: list[str], tmp_path: Path) -> None:
    lines, known = finished(awk, tmp_path, "+K true\n")
    assert lines[:3] == ["+K true", "-name demo@127.0.0.1", "-setcookie made"]
    assert known["cookie"] == "made"


@ALL
def test_a_short_name_gets_this_host(awk: list[str], tmp_path: Path) -> None:
    lines, known = finished(awk, tmp_path, "-sname demo\n-setcookie ${OTHER}\n")
    assert lines[:2] == ["-sname demo@host", "-setcookie made"]
    assert (known["kind"], known["name"]) == ("-sname", "demo@host")


@ALL
@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("-kernel inet_dist_use_interface {0,0,0,0}", {}),
        ("-proto_dist inet6_tcp", {}),
        ("", {"FINISH_OWN_INTERFACE": "1"}),
    ],
)
def test_where_the_project_itself_says_where_to_listen_that_counts(
    awk: list[str], tmp_path: Path, text: str, variables: dict[str, str]
) -> None:
    lines, known = finished(awk, tmp_path, text + "\n", **variables)
    assert "-kernel inet_dist_use_interface {127,0,0,1}" not in lines
    assert known["loopback"] == ""


@ALL
def test_a_cluster_speaks_tls(awk: list[str], tmp_path: Path) -> None:
    lines, known = finished(awk, tmp_path, "-name a@b\n", FINISH_MODE="cluster")
    assert lines[-1] == "-proto_dist inet_tls"
    assert (known["proto"], known["loopback"]) == ("inet_tls", "")


@ALL
def test_a_cluster_with_a_port_of_its_own_needs_no_port_mapper(awk: list[str], tmp_path: Path) -> None:
    cluster = {"FINISH_MODE": "cluster", "ERL_DIST_PORT": "9100"}
    assert finished(awk, tmp_path, "-name a@b\n", **cluster)[0][-1] == "-start_epmd false"
    assert finished(awk, tmp_path, "-name a@b\n-start_epmd true\n", **cluster)[0].count("-start_epmd false") == 0


@ALL
def test_a_file_that_is_named_stands_in_its_place(awk: list[str], tmp_path: Path) -> None:
    (tmp_path / "more.args").write_text("-sname b # ${X}\n")
    lines, _ = finished(awk, tmp_path, f"+K true\n-args_file {tmp_path}/more.args\n+A 1\n")
    assert lines[:3] == ["+K true", "-sname b@host", "+A 1"]
    (tmp_path / "more.args").write_text(f"-args_file {tmp_path}/more.args\n")
    assert "these files include each other" in refused(awk, tmp_path, f"-args_file {tmp_path}/more.args\n")


@ALL
@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ("\n-name ${NODE}\n-setcookie x\n", {}, "demo: vm.args:2: -name needs NODE, which is not set\n"),
        ("-name a@${IP}\n", {}, "vm.args:1: -name needs IP"),
        ("-sname 'a b'\n", {}, "vm.args:1: -sname needs a node name"),
        ("-name a@b\n-sname c\n", {}, "vm.args:2: -sname: the node already has a name, in line 1"),
        ("-name a@b\n%% Cookie\n", {}, "vm.args:1: -name takes one value, but %% is a second"),
        ("-setcookie a\n-setcookie b\n", {}, "vm.args:2: a second -setcookie"),
        ("-setcookie\n", {}, "vm.args:1: -setcookie needs one value"),
        ("-setcookie 'a b'\n", {}, "vm.args:1: this cookie is not valid"),
        ("-setcookie ${C}\n", {"C": "a#b"}, "vm.args:1: the value of C is not a valid cookie"),
        ("-setcookie ${C}\n", {"C": "+a"}, "it begins with +"),
        ("-setcookie ${C}\n", {"C": "é"}, "only printable ASCII characters"),
        ("-setcookie ${C}\n", {"C": "x" * 256}, "more than 255"),
        ("-args_file none\n", {}, "vm.args:1: -args_file none: this file does not exist or cannot be read"),
    ],
)
def test_what_no_node_starts_with_is_refused_in_one_line(
    awk: list[str], tmp_path: Path, text: str, variables: dict[str, str], said: str
) -> None:
    assert said in refused(awk, tmp_path, text, **variables)


@ALL
def test_a_variable_may_hold_several_options(awk: list[str], tmp_path: Path) -> None:
    lines, _ = finished(awk, tmp_path, "${MORE}\n# ${MORE}\n", MORE="+P 1 +A 2 -sname x")
    assert lines[:3] == ["+P 1", "+A 2", "-sname x@host"]
