"""Who calls the functions that an advisory names: out of BEAM files, and in words."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.handover import script_text
from pipeline.scan.calls import Callers, evidence

FLAWED = """
-module(flawed).
-export([open/1, harmless/0, handle_call/3]).
open(Files) -> [inner(File) || File <- Files].
inner(File) -> weak(File, 1).
weak(File, More) -> binary_to_term(File) + More.
harmless() -> ok.
handle_call(Files, _, State) -> {reply, deep(Files), State}.
deep(Files) -> Files.
"""
MINE = """
-module(mine).
-export([in_a_fun/1, as_a_value/0, by_name/2, otherwise/0]).
in_a_fun(Files) -> lists:foreach(fun(File) -> flawed:open([File]) end, Files).
as_a_value() -> #{reader => fun flawed:open/1}.
by_name(Module, Files) -> Module:open(Files).
otherwise() -> flawed:harmless().
"""
THEIRS = "-module(theirs).\n-export([f/1]).\nf(Files) -> flawed:open(Files).\n"
HIDDEN = "-module(hidden).\n-export([f/1]).\nf(Files) -> Files.\n"
NEEDED = {"flawed": FLAWED, "mine": MINE, "theirs": THEIRS}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Return what a release of three applications says."""
    if not shutil.which("escript"):
        pytest.skip("needs Erlang: escript on the PATH (Debian: erlang-base, erlang-crypto)")
    folder = tmp_path_factory.mktemp("calls")
    for name, text in NEEDED.items():
        ebin = folder / "lib" / f"{name}_app-1.0" / "ebin"
        ebin.mkdir(parents=True)
        (folder / f"{name}.erl").write_text(text)
        subprocess.run(["erlc", "-o", ebin, folder / f"{name}.erl"], check=True)
    (folder / "hidden.erl").write_text(HIDDEN)
    subprocess.run(["erlc", "-o", folder / "lib" / "flawed_app-1.0" / "ebin", folder / "hidden.erl"], check=True)
    for path in ("scan/resources/callers.escript", "project/resources/common.hrl"):
        (folder / Path(path).name).write_text(script_text(path))
    wanted = ["flawed:open/1", "flawed:weak/2", "flawed:deep/1", "'flawed':harmless/0", "gone:f/1", "hidden:f/1"]
    lines = [f"flawed_app {name}" for name in wanted] + ["erts erlang:binary_to_term/1", "ssh ssh_sftpd:handle_op/4"]
    (folder / "wanted").write_text("\n".join(lines))
    command = ["escript", folder / "callers.escript", folder, folder / "wanted", folder / "out"]
    subprocess.run(command, check=True)
    return json.loads((folder / "out").read_text())


def names(calls: list[dict[str, str]]) -> list[str]:
    return [f"{each['application']} {each['function']}" for each in calls]


@pytest.mark.parametrize("function", ["open/1", "weak/2"])
def test_a_caller_is_found_through_funs_comprehensions_and_functions_between(
    found: dict[str, dict], function: str
) -> None:
    assert names(found[f"flawed_app flawed:{function}"]["callers"]) == [
        "mine_app mine:as_a_value/0",
        "mine_app mine:in_a_fun/1",
        "theirs_app theirs:f/1",
    ]


def test_what_a_callback_alone_leads_to_has_callers_of_its_module(found: dict[str, dict]) -> None:
    deep = found["flawed_app flawed:deep/1"]
    assert deep["callers"] == []
    assert "mine_app mine:otherwise/0" in names(deep["of_module"])
    hidden = found["flawed_app hidden:f/1"]
    assert hidden["callers"] == hidden["of_module"] == []
    assert "mine_app mine:otherwise/0" in names(hidden["of_application"])


def test_a_quoted_name_is_the_same_function(found: dict[str, dict]) -> None:
    assert names(found["flawed_app 'flawed':harmless/0"]["callers"]) == ["mine_app mine:otherwise/0"]


def test_a_function_of_the_runtime_system_is_in_no_application(found: dict[str, dict]) -> None:
    asked = found["erts erlang:binary_to_term/1"]
    assert names(asked["callers"]) == ["flawed_app flawed:weak/2"]
    assert (asked["missing"], asked["of_module"], asked["of_application"]) == (False, [], [])


def test_a_module_is_missing_only_where_its_application_is_there(found: dict[str, dict]) -> None:
    assert found["flawed_app gone:f/1"]["missing"]
    assert not found["ssh ssh_sftpd:handle_op/4"]["missing"]


SILENT = "the code has no visible call from outside zip_app (calls of names computed at run time are not visible)"


def known(**functions: Callers) -> dict[str, Callers]:
    return {f"zip_app {name}:f/1": each for name, each in functions.items()}


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (
            Callers(callers=(("cowboy", "cow:b/1"), ("mine", "my:z/2"), ("mine", "my:a/1"))),
            "called by my:a/1 of mine and 2 more",
        ),
        (Callers(callers=(("cowboy", "cow:b/1"),), of_module=(("mine", "my:a/1"),)), "called by cow:b/1 of cowboy"),
        (
            Callers(of_module=(("mine", "my:a/1"),), of_application=(("a", "b:c/1"),)),
            "its module is called by my:a/1 of mine",
        ),
        (Callers(of_application=(("mine", "my:a/1"),)), "zip_app is called by my:a/1 of mine"),
        (Callers(missing=True), "m of zip_app is not in the image"),
        (
            Callers(),
            "the code has no visible call from outside zip_app (calls of names computed at run time are not visible)",
        ),
    ],
)
def test_evidence_is_said_in_words_and_never_more_than_was_seen(each: Callers, words: str) -> None:
    assert evidence("zip_app", ["m:f/1"], known(m=each), {"mine"}) == words
    assert "reach" not in words


def test_one_module_that_is_there_is_not_missing() -> None:
    both = known(m=Callers(missing=True), n=Callers(callers=(("mine", "my:a/1"),)))
    assert evidence("zip_app", ["m:f/1", "n:f/1"], both, ()) == "called by my:a/1 of mine"


def test_there_is_no_evidence_of_what_was_not_looked_for() -> None:
    assert evidence("zip_app", ["m:f/1"], {}, ()) == evidence("zip_app", [], known(m=Callers()), ()) == ""
