"""The script that asks for tags and moves them, with a crane that answers out of files."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.registry.tools import ABSENT, REFUSED

SCRIPT = Path(__file__).parents[2] / "pipeline" / "registry" / "resources" / "tags.sh"
ONE, TWO, THREE = (f"sha256:{letter * 64}" for letter in "abc")
#: `tags/NAME` holds a digest, `words/NAME` what the registry says instead; `slow` holds seconds before a tag is put,
#: twice that for the second digest. `hidden` is there as long as nobody asked for a token to push with.
CRANE = r"""#!/bin/sh
cd "$REGISTRY" || exit
echo "$*" >>calls
fail() { echo "2026/01/01 00:00:00 HEAD request failed, falling back on GET" >&2; echo "Error: $*" >&2; exit 1; }
[ "$1" != auth ] || { [ ! -e wrong ] || fail "GET https://r/token: UNAUTHORIZED: no"; rm -f hidden; exit; }
[ ! -e hidden ] || fail "GET https://r/v2/p/tags/list: UNAUTHORIZED: not authorized"
case $1 in
    ls) [ ! -e words/list ] || fail "$(cat words/list)"; ls tags ;;
    digest)
        tag=${2##*:}
        [ ! -e "words/$tag" ] || fail "$(cat "words/$tag")"
        cat "tags/$tag" 2>/dev/null || fail "GET https://r/v2/p/manifests/$tag: MANIFEST_UNKNOWN: manifest unknown" ;;
    tag)
        [ ! -e slow ] || sleep "$(cat slow)"
        case $2 in *bbb*) [ ! -e slow ] || sleep "$(cat slow)" ;; esac
        [ ! -e words/put ] || fail "$(cat words/put)"
        echo "${2##*@}" >"tags/$3.$$"
        mv "tags/$3.$$" "tags/$3" ;;
esac
"""


@dataclass(frozen=True)
class Registry:
    """A registry out of files, and the script."""

    folder: Path

    def start(self, *words: str, create: bool = False) -> subprocess.Popen[str]:
        """Run the script."""
        env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "REGISTRY": str(self.folder)}
        env |= {"ABSENT": ABSENT, "REFUSED": REFUSED} | ({"CREATE": "yes"} if create else {})
        pipe = subprocess.PIPE
        return subprocess.Popen(["sh", SCRIPT, *words], env=env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, create: bool = False) -> tuple[int, str, str]:
        """Run the script; return its code, what it says and its error."""
        process = self.start(*words, create=create)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def says(self, *words: str, create: bool = False) -> set[str]:
        """Return the lines of a run that succeeds."""
        code, out, err = self.run(*words, create=create)
        assert (code, err) == (0, "")
        return set(out.splitlines())

    def tag(self, name: str) -> str:
        """Return what a tag names."""
        return (self.folder / "tags" / name).read_text().strip()

    def write(self, name: str, text: str) -> None:
        """Write a file of it."""
        (self.folder / name).write_text(text)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    if not shutil.which("timeout"):
        pytest.skip("needs the program timeout on the PATH (Debian: coreutils, or busybox)")
    for name in ("bin", "tags", "words"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "crane").write_text(CRANE)
    (tmp_path / "bin" / "crane").chmod(0o755)
    return Registry(tmp_path)


def test_each_tag_says_what_it_names_or_why_not(registry: Registry) -> None:
    registry.write("tags/1.2.0", ONE)
    registry.write("words/late", "GET https://r/v2/p/manifests/late: TOOMANYREQUESTS: slow\tdown")
    unknown = "failed\tnew\tGET https://r/v2/p/manifests/new: MANIFEST_UNKNOWN: manifest unknown"
    late = "failed\tlate\tGET https://r/v2/p/manifests/late: TOOMANYREQUESTS: slow down"
    asked = {f"there\t1.2.0\t{ONE}", unknown, late}
    assert registry.says("look", "r/p", "1.2.0", "new", "late") == asked
    assert registry.says("list", "r/p", "1.2.0", "new", "late") == {"listed\t1.2.0", *asked}
    assert registry.says("look", "r/p") == set()


def test_a_list_that_is_refused_is_told(registry: Registry) -> None:
    registry.write("words/list", "GET https://r/v2/p/tags/list: UNSUPPORTED: no")
    assert registry.says("list", "r/p") == {"failed\t\tGET https://r/v2/p/tags/list: UNSUPPORTED: no"}


def test_all_tags_of_a_long_list_are_asked_about(registry: Registry) -> None:
    for number in range(40):
        registry.write(f"tags/{number}", ONE)
    said = registry.says("all", "r/p")
    assert said == {line for n in range(40) for line in (f"listed\t{n}", f"there\t{n}\t{ONE}")}


def test_a_repository_that_is_hidden_until_it_is_pushed_to_is_made_only_where_one_may(registry: Registry) -> None:
    registry.write("hidden", "")
    hidden = "GET https://r/v2/p/tags/list: UNAUTHORIZED: not authorized"
    assert registry.says("list", "r/p", "1") == {f"failed\t\t{hidden}", f"failed\t1\t{hidden}"}
    registry.write("wrong", "")
    assert registry.says("list", "r/p", "1", create=True) == {f"failed\t\t{hidden}", f"failed\t1\t{hidden}"}
    (registry.folder / "wrong").unlink()
    unknown = "failed\t1\tGET https://r/v2/p/manifests/1: MANIFEST_UNKNOWN: manifest unknown"
    assert registry.says("list", "r/p", "1", create=True) == {unknown}


@pytest.mark.parametrize(("stands", "old"), [("", ""), (TWO, TWO), (ONE, ""), (ONE, TWO)])
def test_a_tag_moves_from_what_it_was(registry: Registry, stands: str, old: str) -> None:
    if stands:
        registry.write("tags/latest", stands)
    assert registry.run("put", "r/p", ONE, "latest", old, "") == (0, "", "")
    assert registry.tag("latest") == ONE
    puts = [line for line in (registry.folder / "calls").read_text().splitlines() if line.startswith("tag ")]
    assert len(puts) == (stands != ONE)


@pytest.mark.parametrize(
    ("stands", "old", "said"),
    [
        (TWO, "", f"latest now points to {TWO}, and before to nothing: another run is moving it"),
        (TWO, THREE, f"latest now points to {TWO}, and before to {THREE}: another run is moving it"),
        ("", THREE, f"latest now points to nothing, and before to {THREE}: another run is moving it"),
    ],
)
def test_a_tag_that_moved_meanwhile_stays(registry: Registry, stands: str, old: str, said: str) -> None:
    if stands:
        registry.write("tags/latest", stands)
    assert registry.run("put", "r/p", ONE, "latest", old, "") == (1, "", f"Error: {said}\n")
    assert not stands or registry.tag("latest") == stands


@pytest.mark.parametrize("of", ["latest", "put"])
def test_a_registry_that_fails_moves_nothing_and_is_quoted(registry: Registry, of: str) -> None:
    registry.write(f"words/{of}", "PUT https://r/v2/p/manifests/latest: TAG_IMMUTABLE: tag is immutable")
    said = "Error: PUT https://r/v2/p/manifests/latest: TAG_IMMUTABLE: tag is immutable\n"
    assert registry.run("put", "r/p", ONE, "latest", "", "") == (1, "", said)


def test_of_two_that_put_one_version_at_once_one_wins_and_the_other_one_says_so(registry: Registry) -> None:
    # Both look before either puts.
    registry.write("slow", "0.5")
    runs = {digest: registry.start("put", "r/p", digest, "1.2.0", "", "2") for digest in (ONE, TWO)}
    ended = {digest: (run.communicate(timeout=60)[1], run.returncode) for digest, run in runs.items()}
    winner, loser = TWO, ONE
    assert registry.tag("1.2.0") == winner
    assert ended[winner] == ("", 0)
    assert ended[loser][1] == 1
    assert f"1.2.0 points to {winner} after it was moved to {loser}: another run" in ended[loser][0]


def test_a_registry_that_is_too_slow_for_that_is_told(registry: Registry) -> None:
    registry.write("slow", "20")
    code, _, err = registry.run("put", "r/p", ONE, "1.2.0", "", "1")
    assert (code, err) == (1, "Error: the registry took longer than 1 seconds to move 1.2.0\n")
    assert not (registry.folder / "tags" / "1.2.0").exists()
