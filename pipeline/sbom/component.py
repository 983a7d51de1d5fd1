"""A part of an image."""

import dataclasses
import enum
import hashlib
from collections.abc import Iterable

from pipeline.sbom.licence import License

#: By the id of os-release(5), vendor and product in the National Vulnerability Database.
_CPES = {"alpine": "alpinelinux:alpine_linux", "debian": "debian:debian_linux", "ubuntu": "canonical:ubuntu_linux"}


class Kind(enum.StrEnum):
    """Where a component comes from."""

    OS = "os"
    #: Erlang/OTP: the whole, ERTS, and each application.
    OTP = "otp"
    HEX = "hex"
    GIT = "git"
    #: An application of the project.
    OWN = "own"
    #: A dependency that no lock speaks for, or what else Syft found.
    OTHER = "other"
    #: No component: a secret that lies in a file.
    SECRET = "secret"  # noqa: S105 # a word


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """A SHA-512, and of what it is: a file, or files by their SHA-256 (`content_of`)."""

    sha512: str
    of: str
    #: In the image; nothing of files in several places.
    path: str = ""


def content_of(files: Iterable[tuple[str, str]], what: str, folder: str = "") -> Content | None:
    """Return the SHA-512 of what `sha256sum` prints of some files, sorted by path; nothing without files.

    Parameters
    ----------
    files
        Path and SHA-256 of each.
    what
        Tells people which files these are.
    folder
        In which all of them are, if they are.
    """
    lines = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files))
    return Content(hashlib.sha512(lines.encode()).hexdigest(), what, folder) if lines else None


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """A part of the image, or something locked that did not get into it."""

    kind: Kind
    name: str
    version: str
    #: Unique in the set.
    purl: str
    description: str = ""
    #: As its maker declares them.
    licenses: tuple[License, ...] = ()
    #: What somebody found who looked into it, and how.
    concluded: tuple[License, ...] = ()
    concluded_by: str = ""
    copyright: tuple[str, ...] = ()
    supplier: str = ""
    cpes: tuple[str, ...] = ()
    #: Of the archive that it was made of, in lower case.
    sha256: str = ""
    sha512: str = ""
    #: Of its files as they are in the image, and which these are.
    content: Content | None = None
    #: Of the file or folder that it is or comes as, without a path; whether something of it is a program.
    filename: str = ""
    executable: bool = False
    download: str = ""
    #: Where its sources are.
    vcs: str = ""
    #: An address of the supplier: a URL or of mail.
    contact: str = ""
    links: tuple[str, ...] = ()
    #: Purls of the components that it needs.
    needs: tuple[str, ...] = ()
    shipped: bool = True
    #: Whether the project asks for it itself, as its lock says; nothing for what is in no lock.
    direct: bool | None = None
    #: The source package of a package of the operating system.
    source: tuple[str, str] = ("", "")
    #: What else a reader should know, by name.
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def has_origin(self) -> bool:
        """Tell whether it is known where it comes from: a registry, a lock, the project's source, or a checksum."""
        notes = dict(self.notes)
        of_source = notes.get("origin", "").startswith("_checkouts")
        return self.kind is not Kind.OTHER or bool(self.sha256 or notes.get("source")) or of_source

    @property
    def has_version(self) -> bool:
        """Tell whether advisories can be matched: a file is known by its checksum, what is in ERTS by that of ERTS."""
        return bool(self.version or self.sha256 or dict(self.notes).get("embedded-in"))


@dataclasses.dataclass(frozen=True, slots=True)
class System:
    """The operating system of the image."""

    name: str
    version: str
    pretty: str
    #: The distribution's page.
    home: str = ""
    #: Of the file that says which one it is.
    content: Content | None = None

    @property
    def cpe(self) -> str:
        """Its name in the National Vulnerability Database; nothing if that is not known."""
        named = _CPES.get(self.name)
        return f"cpe:2.3:o:{named}:{self.version}:*:*:*:*:*:*:*" if named and self.version else ""

    @property
    def filename(self) -> str:
        """Of the file that says which one it is."""
        return self.content.path.rpartition("/")[2] if self.content else ""
