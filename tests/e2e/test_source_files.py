"""Which files of a checkout the pipeline takes: git itself is asked for those that it sees."""

import subprocess
from pathlib import Path

import anyio
import dagger
import pytest
from conftest import session
from dagger import dag

from pipeline.project import source

TRACKED = ("rebar.lock", "kept.log", "apps/a/src/a.erl", "docs/a.md", "docs/keep.md", ".gitignore", "apps/a/.gitignore")
UNTRACKED = (
    *("a.log", "tmp/x", "build/drop", "build/keep", "apps/a/src/gen_x.erl", "apps/a/src/new.erl", "odd [x].log"),
    *("odd [x]", "apps/b/src/b.erl", "apps/b/src/gen_b.erl", "apps/b/log/b.log", "new/in/a/folder"),
)
IGNORED = {
    ".gitignore": "*.log\n/tmp/\nbuild/*\n!build/keep\nrebar.lock\n",
    "apps/a/.gitignore": "gen_*\n",
    "apps/b/.gitignore": "log/\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    for name in (*TRACKED, *UNTRACKED, *IGNORED):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(IGNORED.get(name, name))
    for name in ("empty", "apps/a/empty/deep", "tmp/empty"):
        (folder / name).mkdir(parents=True)
    git(folder, "init", "-q")
    git(folder, "add", "--force", *TRACKED)
    return folder


def git(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.split("\0")[:-1]


def taken(engine: dict[str, str], folder: Path, *, empty: bool = False) -> list[str]:
    """Return the files that the pipeline takes of a checkout; only with `empty` may there be folders without a file."""
    found: list[str] = []

    async def ask() -> None:
        async with dagger.connection():
            given = dag.host().directory(str(folder), exclude=list(source.SOURCE_IGNORE))
            names = await (await source.filtered(given)).glob("**")
            files = {Path(name) for name in names if not name.endswith("/")}
            folders = {Path(name) for name in names if name.endswith("/")}
            # As in a fresh clone.
            assert empty or folders == {parent for file in files for parent in file.parents} - {Path()}
            found.extend(sorted(map(str, files)))

    with session(engine, folder.parent):
        anyio.run(ask)
    return found


def test_the_files_are_those_that_git_sees(engine: dict[str, str], checkout: Path) -> None:
    seen = git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert {"rebar.lock", "kept.log", "build/keep", "odd [x]", "new/in/a/folder"} < set(seen)
    assert taken(engine, checkout) == sorted(seen)
    (checkout / ".git/index").rename(checkout / ".git/other")
    assert "a.log" in taken(engine, checkout, empty=True), "without an index nothing says what is tracked"


@pytest.mark.parametrize("exclusion", ["!docs/keep.md", "!docs/keep.md\na.log\n!a.log\ntmp\n!tmp/x"])
def test_a_dockerignore_takes_away_and_brings_back_nothing_that_git_ignores(
    engine: dict[str, str], checkout: Path, exclusion: str
) -> None:
    (checkout / ".dockerignore").write_text(f"docs\n{exclusion}\nnew/in\n")
    seen = git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert taken(engine, checkout, empty=True) == sorted(set(seen) - {"docs/a.md", "new/in/a/folder"})
