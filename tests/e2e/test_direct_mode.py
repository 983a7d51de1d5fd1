"""`ci/run --direct` against `dagger call`, on the same sources: the same words, exit codes, files and cache keys."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import databases
import pytest
from conftest import _ANSI, ROOT, Module, Result, read_archive
from test_scanning import fresh, given  # noqa: F401 # a fixture


@dataclass(frozen=True)
class Direct:
    """ci/run in direct mode, with the stand-in images."""

    module: Module

    def __call__(self, source: Path, *words: str) -> Result:
        """Run it on a source."""
        done = subprocess.run(
            [ROOT / "ci" / "run", "--direct", *self.module.words(source, *words)],
            env=self.module.env,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return Result(done.returncode, _ANSI.sub("", done.stdout), _ANSI.sub("", done.stderr))

    def help(self, *words: str) -> str:
        """Return the help of a function."""
        command = [ROOT / "ci" / "run", "--direct", *words, "--help"]
        return subprocess.run(command, env=self.module.env, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def direct(module: Module) -> Direct:
    """Return direct mode, ready to call."""
    return Direct(module)


def ran(result: Result) -> int:
    """Return how many steps really ran."""
    [found] = re.findall(r"total; \d+ steps?: (\d+) ran, \d+ from the cache$", result.err, re.MULTILINE)
    return int(found)


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d", "0.0", text)


@pytest.mark.parametrize(
    "words",
    [
        ["application"],
        ["size"],
        ["build-runtime", "entrypoint"],
        # Nothing, as the CLI has it.
        ["build-runtime", "env-variable", "--name=NOT_SET"],
        ["--json", "build-runtime", "env-variable", "--name=NOT_SET"],
    ],
    ids=" ".join,
)
def test_the_answer_is_the_same_and_nothing_runs_for_it_again(
    module: Module, direct: Direct, source: Path, words: list[str]
) -> None:
    by_module, found = module(source, *words), direct(source, *words)
    assert (found.code, without_times(found.out)) == (by_module.code, without_times(by_module.out))
    assert found.out
    assert ran(found) == 0, found.err


def test_the_image_is_the_same_byte_for_byte(module: Module, direct: Direct, source: Path, tmp_path: Path) -> None:
    for name, call in (("module.tar", module), ("direct.tar", direct)):
        done = call(source, "image-tarball", "export", f"--path={tmp_path / name}")
        assert done.code == 0, done.err
        assert done.out == str(tmp_path / name)
    assert read_archive(tmp_path / "direct.tar").digest == read_archive(tmp_path / "module.tar").digest


def test_a_directory_is_written_by_the_same_two_ways(direct: Direct, source: Path, tmp_path: Path) -> None:
    chained = direct(source, "sbom", "export", f"--path={tmp_path / 'a'}")
    saved = direct(source, "sbom", "-o", str(tmp_path / "b"))
    assert (chained.code, saved.code, saved.out) == (0, 0, "")
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert (
        names
        == {path.name for path in (tmp_path / "b").iterdir()}
        == {
            "sbom.cdx.json",
            "sbom.spdx.json",
            "sbom.spdx3.json",
        }
    )


def test_the_verdict_is_the_same(module: Module, direct: Direct, source: Path, fresh: databases.Databases) -> None:  # noqa: F811 # the fixture
    for policy, code in ((["scan"], 1), (["assess", "--fail-on=critical", "verdict"], 0)):
        by_module, found = module(source, *given(fresh), *policy), direct(source, *given(fresh), *policy)
        assert (by_module.code, found.code) == (code, code)
        assert found.out == by_module.out
        if code:
            assert found.message == by_module.message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--otp=99"], ["images"]),
        (["--builder-image=not an image"], ["images"]),
        (["--images=/nowhere"], ["images"]),
        (["--source=/nowhere"], ["deps"]),
        ([], ["published", "--reference=greeter:latest", "digest"]),
        ([], ["build-runtime", "with-exec", "--args=sh,-c,exit 7", "sync"]),
    ],
)
def test_a_refusal_has_the_same_words_and_exit_code(
    module: Module, direct: Direct, source: Path, arguments: list[str], words: list[str]
) -> None:
    by_module, found = module(source, *arguments, *words), direct(source, *arguments, *words)
    assert (found.code, found.out) == (by_module.code, by_module.out)
    assert found.code != 0
    assert found.message.splitlines()[0] == by_module.message.splitlines()[0]
    assert "Traceback" not in found.err


#: The help of the CLI names each of its own options too.
@pytest.mark.parametrize(
    "words",
    [[], ["assess"], ["assess", "publish"], ["published"], ["published", "verified", "promote"], ["health"]],
    ids=" ".join,
)
def test_the_help_is_the_same(module: Module, direct: Direct, words: list[str]) -> None:
    command = ["dagger", "--silent", "call", f"--mod={ROOT}", *words, "--help"]
    done = subprocess.run(command, env=module.env, capture_output=True, text=True, check=True)
    shown, found = _ANSI.sub("", done.stdout), direct.help(*words)
    for title in ("FUNCTIONS", "ARGUMENTS"):
        assert section(found, title) == section(shown, title)
    if words:
        assert found.splitlines()[0] == shown.splitlines()[0]


def section(text: str, title: str) -> str:
    """Return a part of a help text, whatever its lines and columns: the CLI breaks lines at hyphens too."""
    found = re.search(rf"^{title}\n((?:.+\n)*)", f"{text}\n", re.MULTILINE)
    return "".join(found[1].split()) if found else ""
