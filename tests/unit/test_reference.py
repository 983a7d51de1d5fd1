"""Names: what is one, and which tags an image gets."""

import pytest

from pipeline.errors import InputError, PolicyError
from pipeline.image.labels import CREATED
from pipeline.image.labels import REVISION as REVISION_LABEL
from pipeline.registry.reference import Reference, parse_repository
from pipeline.registry.tags import check_forward, check_tag, choose_tags, followed, is_version

DIGEST = "sha256:" + "a" * 64
REVISION = "1356e12d0c0ffee0c0ffee0c0ffee0c0ffee0c0f"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ghcr.io/banyan-platform/erlmcp", ("ghcr.io", "banyan-platform/erlmcp", "", "")),
        ("ghcr.io/a/b:3.0.0", ("ghcr.io", "a/b", "3.0.0", "")),
        (f"ghcr.io/a/b@{DIGEST}", ("ghcr.io", "a/b", "", DIGEST)),
        (f"ghcr.io/a/b:v1@{DIGEST}", ("ghcr.io", "a/b", "v1", DIGEST)),
        ("localhost/a", ("localhost", "a", "", "")),
        ("registry:5000/a__b.c-d", ("registry:5000", "a__b.c-d", "", "")),
        ("registry.localhost:5000/a/b/c:x", ("registry.localhost:5000", "a/b/c", "x", "")),
    ],
)
def test_a_reference_is_its_parts(text: str, parts: tuple[str, ...]) -> None:
    reference = Reference.parse(text, "--reference")
    assert (reference.host, reference.path, reference.tag, reference.digest) == parts
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not start with the host of a registry"),
        ("erlmcp", "does not start with the host of a registry"),
        ("library/erlmcp", "does not start with the host of a registry"),
        ("https://ghcr.io/a/b", "does not start with the host of a registry"),
        ("ghcr.io/A/b", "'A/b' is not a repository name"),
        ("ghcr.io/a//b", "is not a repository name"),
        ("ghcr.io/a/../b", "is not a repository name"),
        ("ghcr.io/" + "a" * 260, "is not a repository name"),
        ("ghcr.io/a b", "is not a repository name"),
        ("ghcr.io/a:", "'' is not a tag"),
        ("ghcr.io/a:-x", "'-x' is not a tag"),
        ("ghcr.io/a:b:c", "'b:c' is not a tag"),
        ("ghcr.io/a\n", "is not a repository name"),
        ("ghcr.io/a@sha256:abc", "is not a digest"),
        ("ghcr.io/a@", "is not a digest"),
        (f"ghcr.io/a@{DIGEST.upper()}", "is not a digest"),
    ],
)
def test_what_is_no_reference_says_why(text: str, problem: str) -> None:
    with pytest.raises(InputError, match="--reference") as raised:
        Reference.parse(text, "--reference")
    assert problem in str(raised.value)


@pytest.mark.parametrize("text", ["ghcr.io/a:1", f"ghcr.io/a@{DIGEST}"])
def test_a_repository_has_no_tag(text: str) -> None:
    with pytest.raises(InputError, match="give only the repository"):
        parse_repository(text, "--repository")


@pytest.mark.parametrize("tag", ["", ".x", "-x", "a/b", "a b", "a" * 129, "é", "3.0.0+1", "a\n", "sha256-" + "a" * 64])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="--tags"):
        check_tag(tag, "--tags")


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("3.0.0", True),
        ("v3.0.0", True),
        ("3.0.0-rc.1", True),
        ("3.0", False),
        ("3", False),
        ("latest", False),
        ("main", False),
        ("03.0.0", False),
    ],
)
def test_a_version_is_for_good(tag: str, version: bool) -> None:  # noqa: FBT001 # a table
    assert is_version(tag) is version


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({"version": "3.0.0"}, ["3.0.0", "3.0", "3", "latest"]),
        ({"version": "v3.1.2"}, ["3.1.2", "3.1", "3", "latest"]),
        ({"version": "0.4.1"}, ["0.4.1", "0.4", "latest"]),
        ({"version": "3.0.0-rc.1"}, ["3.0.0-rc.1"]),
        ({"version": "3.0.0", "revision": REVISION}, ["3.0.0", "3.0", "3", "latest", "sha-1356e12d0c0f"]),
        # A fix of an old version leaves what newer ones have.
        ({"version": "2.9.1", "existing": ["3.0.0", "2.9.0"]}, ["2.9.1", "2.9", "2"]),
        ({"version": "2.9.1", "existing": ["2.10.0"]}, ["2.9.1", "2.9"]),
        ({"version": "2.9.1", "existing": ["2.9.2", "2.9", "2", "latest"]}, ["2.9.1"]),
        ({"version": "2.9.1", "existing": ["v2.9.2"]}, ["2.9.1"]),
        ({"version": "2.10.0", "existing": ["2.9.0"]}, ["2.10.0", "2.10", "2", "latest"]),
        # A pre-release of the next version holds nothing back, nor does a second run.
        ({"version": "2.9.1", "existing": ["3.0.0-rc.1", "2.9.1", "main"]}, ["2.9.1", "2.9", "2", "latest"]),
        ({"branch": "main"}, ["main"]),
        ({"branch": "release-3.x_b"}, ["release-3.x_b"]),
        # What of several branches would be one tag gets an end that is of one branch alone.
        ({"branch": "feature/Ünï code"}, ["feature-n-code-833e0af7e7b9"]),
        ({"branch": "-.hidden."}, ["hidden-9bf31539f084"]),
        # A branch takes no name that means something else.
        ({"branch": "latest"}, ["branch-latest-5e1e2bcac305"]),
        ({"branch": "3.0.0"}, ["branch-3.0.0-c9163ff21f1f"]),
        ({"branch": "v3"}, ["branch-v3-e0d2747b9ab7"]),
        ({"branch": "sha-1356e12d0c0f"}, ["branch-sha-1356e12d0c0f-2ef1ef9b6d33"]),
        ({"branch": "pr/7"}, ["branch-pr-7-2594c02b9648"]),
        ({"branch": "main", "revision": REVISION}, ["main", "sha-1356e12d0c0f"]),
        ({"pull_request": "7", "revision": REVISION}, ["pr-7", "sha-1356e12d0c0f"]),
        ({"version": "3.0.0", "given": ["a", "b", "a"]}, ["a", "b"]),
    ],
)
def test_tags_follow_the_policy(what: dict, expected: list[str]) -> None:
    made = choose_tags(**what)
    assert list(made) == expected
    assert all(check_tag(tag, "made") for tag in made)


def test_long_branches_stay_apart() -> None:
    (one,), (other,) = choose_tags(branch="x" * 200 + "1"), choose_tags(branch="x" * 200 + "2")
    assert one != other
    assert len(one) == len(other) == 128


def test_branches_of_like_names_stay_apart() -> None:
    branches = ["a/b", "a-b", "a b", "-a-b", "1.0", "branch-1.0", "branch/1.0"]
    assert len({choose_tags(branch=branch) for branch in branches}) == len(branches)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({}, "no tag is given: give --tags"),
        ({"version": "3.0"}, "--version 3.0: write MAJOR.MINOR.PATCH"),
        ({"version": "3.0.0+build"}, "--version 3.0.0+build: write"),
        ({"version": "latest"}, "--version latest: write"),
        ({"branch": "///"}, "--branch '///': no character of it"),
        ({"pull_request": "7; rm"}, "--pull-request 7; rm: give the number"),
        ({"revision": "HEAD"}, "--revision HEAD: not a git commit"),
        ({"revision": "abc"}, "--revision abc: not a git commit"),
        ({"given": ["ok", "not ok"]}, "--tags 'not ok': not a tag"),
    ],
)
def test_what_makes_no_tag_is_named(what: dict, message: str) -> None:
    with pytest.raises(InputError) as raised:
        choose_tags(**what)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("there", "created", "goes_back"),
    [
        ("2026-02-04T17:25:56Z", "2026-02-04T17:25:55Z", True),
        # The same moment in another zone, as a rebuild of one commit.
        ("2026-02-04T17:25:56Z", "2026-02-04T18:25:56+01:00", False),
        ("2026-02-04T17:25:56Z", "2026-02-04T17:25:57Z", False),
        # What is not known is nobody's fault.
        ("", "2026-02-04T17:25:55Z", False),
        ("2026-02-04T17:25:56Z", "", False),
        ("yesterday", "2026-02-04T17:25:55Z", False),
        ("2026-02-04T17:25:56Z", "2026-02-04T17:25:55", False),
    ],
)
def test_the_tag_of_a_branch_goes_forward_only(there: str, created: str, goes_back: bool) -> None:  # noqa: FBT001 # a table
    labels = {CREATED: there, REVISION_LABEL: REVISION} if there else {}
    if not goes_back:
        check_forward("main", DIGEST, labels, created)
        return
    with pytest.raises(PolicyError) as raised:
        check_forward("main", DIGEST, labels, created)
    said = str(raised.value)
    assert said.startswith(
        f"nothing was pushed: tag main points to {DIGEST}, built from commit {REVISION} of {there}, and this image"
    )
    assert said.endswith("If the branch was moved back on purpose, give --move")


def test_branches_and_pull_requests_have_tags_that_follow_them() -> None:
    assert followed("main", "7") == ("main", "pr-7")
    assert followed("", "") == ()
