"""What dependencies are built with: what their hooks call, and how git answers where the builder has none."""

import shutil
import subprocess
from pathlib import Path

import pytest

RESOURCES = Path(__file__).parents[2] / "pipeline" / "project" / "resources"
CALLED = """#!/usr/bin/env escript
%%! +A0
-include("native.hrl").
-compile({nowarn_unused_function, [{native, 2}]}).
main(Commands) -> [io:format("~ts~n", [lists:join(" ", called(C))]) || C <- Commands].
"""


@pytest.mark.skipif(not shutil.which("escript"), reason="no Erlang")
def test_the_first_word_of_each_command_is_what_a_hook_calls(tmp_path: Path) -> None:
    wanted = {
        "make -C c_src": "make",
        "CFLAGS=-O2 /usr/bin/make all": "make",
        "cd c_src && cmake .. ; exec make": "cd cmake make",
        "sh -c 'cargo build | tee log'": "sh cargo tee",
        "if test -f x; then gcc x.c; fi": "test gcc fi",
        "sh scripts/make.sh make": "sh",
        "echo making": "echo",
        "": "",
    }
    shutil.copy(RESOURCES / "native.hrl", tmp_path)
    script = tmp_path / "called.escript"
    script.write_text(CALLED)
    done = subprocess.run(["escript", script, *wanted], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert dict(zip(wanted, done.stdout.split("\n"), strict=False)) == wanted


@pytest.fixture
def git(tmp_path: Path) -> Path:
    """Return the program that stands before git, as in a builder that has none."""
    program = tmp_path / "pipeline" / "bin" / "git"
    program.parent.mkdir(parents=True)
    program.write_text((RESOURCES / "git.sh").read_text().replace("/pipeline", str(tmp_path / "pipeline")))
    program.chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sed", "tr", "printf", "pwd"):
        (tools / name).symlink_to(shutil.which(name) or name)
    return program


def ask(git: Path, *words: str, **env: str) -> tuple[int, str]:
    path = f"{git.parent}:{git.parents[2] / 'tools'}"
    done = subprocess.run([git, *words], env={"PATH": path, **env}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def other_git(git: Path, loader: str) -> None:
    """Put the files of another image there, whose loader says how it was called."""
    program = git.parents[1] / "git-root" / loader
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$GIT_EXEC_PATH $PATH $*"\n')
    program.chmod(0o755)


def asked(git: Path) -> str:
    path = git.parents[1] / "asked"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    "loader", ["lib/ld-musl-x86_64.so.1", "lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"]
)
def test_a_question_is_answered_by_the_git_of_another_image_with_its_own_loader(git: Path, loader: str) -> None:
    other_git(git, loader)
    (git.parents[1] / "git-root" / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    root = git.parents[1] / "git-root"
    code, said = ask(git, "describe", "--tags")
    libraries = f"{root}/lib:{root}/usr/lib:{root}/usr/lib/x86_64-linux-gnu"
    assert code == 0
    assert said.split()[0] == str(git.parent), "its own commands come here again"
    assert said.endswith(f" --library-path {libraries} {root}/usr/bin/git describe --tags\n")
    assert asked(git) == "git describe --tags\n"


def test_what_git_asks_of_itself_is_not_noted(git: Path) -> None:
    other_git(git, "lib/ld-musl-x86_64.so.1")
    assert ask(git, "update-index", "--refresh", PIPELINE_GIT="yes")[0] == 0
    assert asked(git) == ""


def test_without_any_git_that_is_said(git: Path) -> None:
    assert ask(git, "rev-parse", "HEAD") == (
        127,
        "===> git rev-parse HEAD: the builder image has no git; give one that has git with --builder-image\n",
    )


@pytest.mark.parametrize("words", [["clone", "-n", "https://x"], ["-c", "a=b", "fetch", "origin"]])
def test_nothing_is_fetched_by_another_images_git(git: Path, words: list[str]) -> None:
    other_git(git, "lib/ld-musl-x86_64.so.1")
    code, said = ask(git, *words)
    assert code == 1
    assert said.startswith(f"===> git {' '.join(words)}: the builder image has no git to fetch with; ")
    assert "--builder-image" in said


def test_the_builders_own_git_comes_first(git: Path) -> None:
    other_git(git, "lib/ld-musl-x86_64.so.1")
    own = git.parents[2] / "tools" / "git"
    own.write_text('#!/bin/sh\necho own "$PATH"\n')
    own.chmod(0o755)
    assert ask(git, "clone", "https://x") == (0, f"own {own.parent}\n")
