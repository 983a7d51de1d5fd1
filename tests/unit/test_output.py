"""What is shown of what rebar3 really said (recorded by record_builds.py), and of other tools."""

import json
from pathlib import Path

import pytest

from pipeline.output import shortened

HEADER = "can't find include lib \"gone/include/gone.hrl\"; Make sure gone is in your app file's 'applications' list"
BUILDS = Path(__file__).parent / "data" / "builds"


def said(name: str, lines: int = 25) -> list[str]:
    recorded = json.loads((BUILDS / f"{name}.json").read_text(encoding="utf-8"))
    return shortened(recorded["stdout"], recorded["stderr"], lines).splitlines()


def test_of_many_errors_the_first_are_shown_and_the_others_counted() -> None:
    headline, *errors, left = said("many-errors")
    assert headline == "===> Compiling apps/demo/src/demo_broken.erl failed"
    assert errors == [
        f"apps/demo/src/demo_broken.erl:{number + 3}:{9 + (number > 9)}: variable 'Unbound{number}' is unbound"
        for number in range(23)
    ]
    assert left == "… and 37 more errors"
    assert len(said("many-errors", 100)) == 61


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "deterministic",
            [
                "===> Compiling apps/demo/src/deep/demo_broken.erl failed",
                "apps/demo/src/deep/demo_broken.erl:3:9: variable 'Unbound0' is unbound",
                "apps/demo/src/deep/demo_broken.erl:4:9: variable 'Unbound1' is unbound",
            ],
        ),
        (
            "missing-package",
            [
                "===> Failed to update package cowboy from repo hexpm",
                "===> Package not found in any repo: cowboy 2.99.0",
            ],
        ),
        (
            "missing-repository",
            [
                '===> Failed to fetch and copy dep: {git,"https://127.0.0.1:9/gone.git",',
                '                                   {branch,"main"}}',
            ],
        ),
        (
            "warnings-as-errors",
            [
                "===> Compiling apps/demo/src/demo_a.erl failed",
                "apps/demo/src/demo_a.erl:2:1: function unused/0 is unused",
                "apps/demo/src/demo_a.erl:3:1: function other/1 is unused",
                "apps/demo/src/demo_a.erl:3:7: variable 'X' is unused",
            ],
        ),
        (
            "missing-header",
            [
                "===> Compiling apps/demo/src/demo_a.erl failed",
                f"apps/demo/src/demo_a.erl:2:14: {HEADER}",
            ],
        ),
        (
            "missing-transform",
            [
                "===> Compiling apps/demo/src/demo.erl failed",
                "apps/demo/src/demo.erl: undefined parse transform 'gone_transform'",
            ],
        ),
        (
            "failing-hook",
            [
                "cc -c nif.c",
                "nif.c:3:10: fatal error: gone.h: No such file or directory",
                "    3 | #include <gone.h>",
                "      |          ^~~~~~~~",
                "make: *** [Makefile:2: nif.so] Error 1",
                "===> Hook for compile failed!",
            ],
        ),
        ("hook-without-program", ["sh: 1: exec: cmake: not found", "===> Hook for compile failed!"]),
        (
            "release-without-application",
            [
                '===> "_build/prod/lib/demo/ebin/demo.app" is missing description entry',
                "===> Application needed for release not found: gone",
            ],
        ),
        ("config-syntax", ["===> Error reading file rebar.config: 1: syntax error before: '}'"]),
        ("app-src-syntax", ["===> Error reading file apps/demo/src/demo.app.src: 1: syntax error before: 1"]),
    ],
)
def test_what_rebar3_says_is_wrong_is_kept(name: str, lines: list[str]) -> None:
    assert said(name) == lines


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILDS.glob("*.json")))
def test_no_output_has_our_paths_or_pictures(name: str) -> None:
    text = "\n".join(said(name))
    assert text
    assert "/build/" not in text
    assert "\\x{" not in text
    assert "│" not in text


def test_of_a_talkative_tool_the_end_is_shown_and_the_beginning_counted() -> None:
    first, *rest = said("talkative-hook")
    assert first == "(17 lines before these are omitted)"
    assert (rest[0], rest[-2:]) == ("step 18", ["it does not work", "===> Hook for compile failed!"])
    assert len(rest) == 25


def test_errors_come_first_and_what_was_said_of_it_all_last() -> None:
    errors = [f"a.erl:{number}:1: bad" for number in range(9)]
    text = "\n".join(["one", "===> Compiling a.erl failed", *errors, "===> Hook for compile failed!"])
    assert shortened(text, "", 6).splitlines() == [
        "===> Compiling a.erl failed",
        *errors[:3],
        "… and 6 more errors",
        "===> Hook for compile failed!",
    ]


def test_a_warning_with_its_picture_is_no_error() -> None:
    warning = "   ┌─ a.erl:\n   │\n 1 │  f() -> X = 1.\n   │         ╰── Warning: variable 'X' is unused\n\n"
    error = "   ┌─ b.erl:\n   │\n 22 │  \tf(.\n   │  \t  ╰── syntax error before: '.'\nand more of it\n\n"
    assert shortened(warning + error, "") == "b.erl:22:4: syntax error before: '.'\nand more of it"
    assert shortened(warning, "") == "a.erl:1:8: Warning: variable 'X' is unused"


def test_what_the_engine_did_not_keep_is_said() -> None:
    text = shortened("[omitting 986495 bytes]... 90694\na.erl:1:2: bad\n", "")
    assert text.splitlines() == [
        "(the engine kept only the end of the output: 986495 bytes before it are missing)",
        " 90694",
        "a.erl:1:2: bad",
    ]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("===> Compiling demo", False),
        ("===> Compiling apps/demo/src/demo.erl failed", True),
        ("===> Fetching tiny_text v1.0.2", False),
        ("===> Fetching tiny_text failed", True),
        ("===> Package not found in any repo: cowboy 2.99.0", True),
        ("===> Using custom resource x that implements a deprecated api.", True),
        ("===> Skipping tiny as an app of the same name has already been fetched", True),
        ("===> Release successfully assembled: _build/prod/rel/demo", False),
    ],
)
def test_only_progress_is_noise(line: str, kept: bool) -> None:  # noqa: FBT001 # a table
    assert shortened(f"{line}\nit failed", "").splitlines() == ([line] if kept else []) + ["it failed"]


def test_paths_are_the_projects() -> None:
    text = "at /build/apps/demo/x.erl, (/build/rebar.config) and /home/build/x, /build/ of 2026/build/1"
    assert shortened(text, "") == "at apps/demo/x.erl, (rebar.config) and /home/build/x, /build/ of 2026/build/1"
