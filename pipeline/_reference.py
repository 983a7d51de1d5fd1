"""Names in a registry: references, and the policy that makes tags of version, branch and revision."""

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterable
from typing import Self

from pipeline.errors import InputError

# Of the distribution specification 1.1 (spec.md, Pulling manifests) and of github.com/distribution/reference.
_HOST = re.compile(r"(localhost|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:))(:[0-9]{1,5})?")
_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME = 255
_LONGEST_TAG = 128

# Semantic Versioning 2.0.0, without build metadata: a tag has no place for its plus sign.
_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
_REVISION = re.compile(r"[0-9a-f]{12,64}")
#: Tags that a branch may not take: versions and parts of one, what the policy makes, and what tools keep there.
_TAKEN = re.compile(r"v?\d+(\.\d+)*([.-].*)?|latest|(sha|pr)-.*|sha256-.*")
_SHORT = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry: `host/path[:tag][@digest]`."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Host and path."""
        return f"{self.host}/{self.path}"

    def __str__(self) -> str:
        """Return the whole reference."""
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def at(self, digest: str) -> str:
        """Return the name of one content of the repository."""
        return f"{self.repository}@{digest}"

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Read a reference; its host is always named, so that nothing goes to a registry that nobody meant.

        Parameters
        ----------
        text
            `ghcr.io/owner/name:tag`, `…@sha256:…`, or the repository alone.
        name
            The argument that it comes from, for the message.

        Raises
        ------
        InputError
            If it is none.
        """
        rest, at, digest = text.partition("@")
        host, slash, path = rest.partition("/")
        path, colon, tag = path.partition(":")
        problem = ""
        if not slash or not _HOST.fullmatch(host):
            problem = "it does not start with a registry's host"
        elif not _PATH.fullmatch(path) or len(f"{host}/{path}") > _LONGEST_NAME:
            problem = f"{path!r} is no name of a repository (small letters, digits, single . _ / - between them)"
        elif colon and not _TAG.fullmatch(tag):
            problem = f"{tag!r} is no tag"
        elif at and not _DIGEST.fullmatch(digest):
            problem = f"{digest!r} is no digest (sha256: and 64 hexadecimal digits)"
        if problem:
            raise InputError(f"{name} {text}: {problem}; expected such as ghcr.io/owner/name")
        return cls(host, path, tag, digest)


def repository(text: str, name: str) -> Reference:
    """Read a reference that may name a repository only."""
    reference = Reference.parse(text, name)
    if reference.tag or reference.digest:
        raise InputError(f"{name} {text}: only the repository belongs here, without tag and digest")
    return reference


def check_tag(tag: str, name: str) -> str:
    """Return the tag, or raise `InputError` if it cannot be one."""
    if not _TAG.fullmatch(tag):
        raise InputError(
            f"{name} {tag!r}: no tag; letters, digits, _ . and -, at most {_LONGEST_TAG}, not beginning with . or -"
        )
    if tag.startswith("sha256-"):
        raise InputError(f"{name} {tag}: tags of this form hold the signatures; choose another")
    return tag


def is_version(tag: str) -> bool:
    """Tell whether a tag names one version for good: `3.0.0`, `v3.0.0-rc.1`, not `3.0` and not `latest`."""
    return bool(_VERSION.fullmatch(tag))


def tags(
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
        A release: `3.0.0` makes `3.0.0`, `3.0`, `3` and `latest`; a pre-release makes its own tag alone.
        `3` and its like go to the highest version: a later fix of an old one leaves them where they are.
    branch
        A branch: its name made safe.
    pull_request
        Number of a pull request: `pr-7`.
    revision
        A git commit: `sha-` and its first 12 digits.
    given
        Tags to use instead of all that.
    existing
        Tags that the repository has.

    Raises
    ------
    InputError
        If something is not what it should be, or nothing was said.
    """
    chosen = [check_tag(tag, "--tags") for tag in given]
    if not chosen:
        chosen += _of_version(version, existing) if version else ()
        chosen += [_of_branch(branch)] if branch else ()
        chosen += [_of_pull_request(pull_request)] if pull_request else ()
        chosen += [_of_revision(revision)] if revision else ()
    if not chosen:
        raise InputError("no tag: give --tags, or one of --version, --branch, --pull-request and --revision")
    return tuple(dict.fromkeys(chosen))


def _of_version(version: str, existing: Collection[str]) -> list[str]:
    if not is_version(version):
        raise InputError(f"--version {version}: expected MAJOR.MINOR.PATCH, or that and -PRERELEASE")
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
        raise InputError(f"--branch {branch!r}: nothing in it can stand in a tag")
    if _TAKEN.fullmatch(safe):
        safe = f"branch-{safe}"
    if len(safe) > _LONGEST_TAG:
        # Long names often differ at their ends alone.
        end = hashlib.sha256(branch.encode()).hexdigest()[:_SHORT]
        safe = f"{safe[: _LONGEST_TAG - _SHORT - 1]}-{end}"
    return safe


def _of_pull_request(number: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,17}", number, re.ASCII):
        raise InputError(f"--pull-request {number}: not a number")
    return f"pr-{number}"


def _of_revision(revision: str) -> str:
    if not _REVISION.fullmatch(revision):
        raise InputError(f"--revision {revision}: no git commit (at least {_SHORT} hexadecimal digits)")
    return f"sha-{revision[:_SHORT]}"
