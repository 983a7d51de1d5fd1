import subprocess
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.project.source import parse_dockerignore, patterns_of, tracked_paths, untracked


def test_reads_lines_as_docker_does() -> None:
    text = "\ufeff# a comment\n\n  docs  \n/top\n!docs/keep.md\n./a/../b/\n  # no comment: only column one is\n"
    assert parse_dockerignore(text) == ["docs", "top", "!docs/keep.md", "b", "# no comment: only column one is"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[a", "a [ has no closing ]"),
        ("x/[]", "a [ has no closing ]"),
        ("a\\", "it ends with a backslash"),
        ("!", "nothing after the exclamation mark"),
    ],
)
def test_names_the_broken_line(line: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_dockerignore(f"docs\n{line}\n")
    assert str(caught.value).startswith(f".dockerignore:2: {line!r}")
    assert why in str(caught.value)


@pytest.mark.parametrize("line", ["[a-c]", "[^x]y", "\\[a", "**/*.md", "a?c"])
def test_takes_every_pattern_of_go(line: str) -> None:
    assert parse_dockerignore(line) == [line]


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GIT_DEFAULT_HASH", request.param)
    for name in ("a", "b/c", "b/cc", "b/d e/é", "long/" + "x" * 200, "later"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "a", "b", "long")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_the_index_says_what_is_tracked(repository: Path, version: str) -> None:
    if version == "3":
        # git writes this version where an entry has more flags.
        git(repository, "add", "--intent-to-add", "later")
    else:
        git(repository, "update-index", "--index-version", version)
    index = (repository / ".git" / "index").read_bytes()
    assert index[4:8] == int(version).to_bytes(4)
    expected = {"a", "b/c", "b/cc", "b/d e/é", "long/" + "x" * 200} | ({"later"} if version == "3" else set())
    assert tracked_paths(index) == expected


def test_an_index_that_does_not_say_it_all_says_nothing(repository: Path) -> None:
    git(repository, "update-index", "--split-index")
    assert tracked_paths((repository / ".git" / "index").read_bytes()) is None
    assert tracked_paths(b"else" + bytes(20)) is None


def test_what_is_tracked_and_the_folders_above_it_are_not_untracked() -> None:
    names = ["log/", "log/a", "priv/", "priv/x.log", "priv/kept.log", "rebar.lock", ".git/", ".git/index"]
    assert untracked(names, {"rebar.lock", "priv/kept.log", "src/a.erl"}) == {"log/", "log/a", "priv/x.log"}


def test_what_lies_in_a_folder_that_goes_as_a_whole_needs_no_pattern() -> None:
    gone = ["log/", "log/a", "log/b/", "log/b/c", "priv/x.log", "w[eird]*"]
    assert patterns_of(gone) == ["log", "log/**", "priv/x.log", "w\\[eird\\]\\*"]


def test_a_repository_within_has_rules_of_its_own(repository: Path) -> None:
    git(repository, "init", "-q", "within")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    git(repository / "within", *who, "commit", "-q", "--allow-empty", "-m", "x")
    git(repository, "-c", "advice.addEmbeddedRepo=false", "add", "within")
    tracked = tracked_paths((repository / ".git" / "index").read_bytes())
    assert tracked is not None
    assert "within/" in tracked
    assert untracked(["within/", "within/ebin/", "within/ebin/x.app", "ebin/"], tracked) == {"ebin/"}
