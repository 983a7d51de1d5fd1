"""Choose the tags for a version, a branch or a revision, and refuse to move version tags."""

import datetime as dt
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping

from pipeline.errors import InputError, PolicyError
from pipeline.image.labels import CREATED, REVISION
from pipeline.registry.reference import TAG

_LONGEST_TAG = 128
# Semantic Versioning 2.0.0, without build metadata: a tag has no place for its plus sign.
_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
_REVISION = re.compile(r"[0-9a-f]{12,64}")
#: Tags that a branch may not take: versions and parts of one, what the policy makes, and what tools keep there.
_TAKEN = re.compile(r"v?\d+(\.\d+)*([.-].*)?|latest|(sha|pr)-.*|sha256-.*")
_SHORT = 12


def check_tag(tag: str, name: str) -> str:
    """Return the tag, or raise `InputError` if it cannot be one."""
    if not TAG.fullmatch(tag):
        raise InputError(
            f"{name} {tag!r}: not a tag; use at most {_LONGEST_TAG} letters, digits, _ . and -, not beginning "
            "with . or -"
        )
    if tag.startswith("sha256-"):
        raise InputError(f"{name} {tag}: tags of this form are reserved for signatures; choose another")
    return tag


def is_version(tag: str) -> bool:
    """Tell whether a tag names one version for good: `3.0.0`, `v3.0.0-rc.1`, not `3.0` and not `latest`."""
    return bool(_VERSION.fullmatch(tag))


def choose_tags(
    *,
    version: str = "",
    branch: str = "",
    pull_request: str = "",
    revision: str = "",
    given: Iterable[str] = (),
    existing: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the tags of an image, each once; the most telling first.

    Parameters
    ----------
    version
        A release: `3.0.0` gives `3.0.0`, `3.0`, `3` and `latest`; a pre-release gives only its own tag.
        `3.0`, `3` and `latest` belong to the highest version: a later fix of an old version does not move them.
    branch
        A branch: its name, or if that is not a valid tag, one derived from it that no other branch gets.
    pull_request
        Number of a pull request: `pr-7`.
    revision
        A git commit: `sha-` and its first 12 digits.
    given
        Tags to use instead of the others.
    existing
        Tags that the repository has.

    Raises
    ------
    InputError
        If an argument is wrong, or none is given.
    """
    chosen = [check_tag(tag, "--tags") for tag in given]
    if not chosen:
        chosen += _of_version(version, existing) if version else ()
        chosen += followed(branch, pull_request)
        chosen += [_of_revision(revision)] if revision else ()
    if not chosen:
        raise InputError("no tag is given: give --tags, --version, --branch, --pull-request or --revision")
    return tuple(dict.fromkeys(chosen))


def followed(branch: str, pull_request: str) -> tuple[str, ...]:
    """Return the tags that go along with a branch or a pull request."""
    return (*([_of_branch(branch)] if branch else ()), *([_of_pull_request(pull_request)] if pull_request else ()))


def _of_version(version: str, existing: Collection[str]) -> list[str]:
    if not is_version(version):
        raise InputError(f"--version {version}: write MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-PRERELEASE")
    plain = version.removeprefix("v")
    number = _number(plain)
    if not number:
        return [plain]
    others = [other for tag in existing if (other := _number(tag.removeprefix("v")))]
    floating = {".".join(map(str, number[:length])): number[:length] for length in (2, 1)} | {"latest": ()}
    if number[0] == 0:
        del floating["0"]  # of 0.x, each minor version may break what the one before it did
    highest = [
        tag
        for tag, front in floating.items()
        if all(other <= number for other in others if other[: len(front)] == front)
    ]
    return [plain, *highest]


def _number(version: str) -> tuple[int, ...]:
    """Return a stable version as numbers; nothing for any other tag."""
    return tuple(map(int, version.split("."))) if is_version(version) and "-" not in version else ()


def _of_branch(branch: str) -> str:
    safe = re.sub(r"[^a-zA-Z0-9._-]+", "-", branch).strip(".-")
    if not safe:
        raise InputError(f"--branch {branch!r}: no character of it is allowed in a tag; give a tag with --tags")
    if _TAKEN.fullmatch(safe):
        safe = f"branch-{safe}"
    if safe == branch and len(safe) <= _LONGEST_TAG:
        return safe
    # Several branches come to one name: feature/x and feature-x, and long ones that differ at their ends alone.
    end = hashlib.sha256(branch.encode()).hexdigest()[:_SHORT]
    return f"{safe[: _LONGEST_TAG - _SHORT - 1]}-{end}"


def _of_pull_request(number: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,17}", number, re.ASCII):
        raise InputError(f"--pull-request {number}: give the number of the pull request")
    return f"pr-{number}"


def _of_revision(revision: str) -> str:
    if not _REVISION.fullmatch(revision):
        raise InputError(f"--revision {revision}: not a git commit; give at least {_SHORT} hexadecimal digits")
    return f"sha-{revision[:_SHORT]}"


def check_moves(standing: Mapping[str, str], digest: str, *, move: bool) -> None:
    """Raise `PolicyError` if a version that exists would become another image."""
    moved = [tag for tag, old in standing.items() if is_version(tag) and old != digest]
    if moved and not move:
        raise PolicyError(
            "nothing was pushed: "
            + ", ".join(f"tag {tag} already points to {standing[tag]}" for tag in moved)
            + f", and this image is {digest}; version tags are not moved: choose another version, or give --move"
        )


def check_forward(tag: str, digest: str, there: Mapping[str, str], created: str) -> None:
    """Raise `PolicyError` if a branch's tag would go back to an earlier commit, as when an earlier run ends late.

    Parameters
    ----------
    tag
        Of a branch or a pull request.
    digest
        That it names.
    there
        Labels of the image that it names.
    created
        Time of the commit that is published; where one of the two is not known, nothing is said.
    """
    try:
        is_back = dt.datetime.fromisoformat(created) < dt.datetime.fromisoformat(there.get(CREATED, ""))
    except (ValueError, TypeError):  # no time, or one with a zone and one without
        return
    if is_back:
        raise PolicyError(
            f"nothing was pushed: tag {tag} points to {digest}, built from commit {there.get(REVISION, '(unknown)')} "
            f"of {there[CREATED]}, and this image is from an earlier commit, of {created}: probably an earlier run "
            "that ended later. If the branch was moved back on purpose, give --move"
        )
