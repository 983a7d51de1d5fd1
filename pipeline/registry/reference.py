"""References: the names of images in a registry."""

import dataclasses
import re
from typing import Self

from pipeline.errors import InputError

# Of the distribution specification 1.1 (spec.md, Pulling manifests) and of github.com/distribution/reference.
_HOST = re.compile(r"(localhost|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:))(:[0-9]{1,5})?")
_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME = 255


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
        """Read a reference, which must name the host, so that nothing goes to an unintended registry.

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
            problem = "it does not start with the host of a registry"
        elif not _PATH.fullmatch(path) or len(f"{host}/{path}") > _LONGEST_NAME:
            problem = f"{path!r} is not a repository name (lower-case letters and digits, with single . _ / - between)"
        elif colon and not TAG.fullmatch(tag):
            problem = f"{tag!r} is not a tag"
        elif at and not _DIGEST.fullmatch(digest):
            problem = f"{digest!r} is not a digest (sha256: and 64 hexadecimal digits)"
        if problem:
            raise InputError(f"{name} {text}: {problem}; write it as ghcr.io/owner/name")
        return cls(host, path, tag, digest)


def parse_repository(text: str, name: str) -> Reference:
    """Read a reference that may name a repository only."""
    reference = Reference.parse(text, name)
    if reference.tag or reference.digest:
        raise InputError(f"{name} {text}: give only the repository, without tag and digest")
    return reference
