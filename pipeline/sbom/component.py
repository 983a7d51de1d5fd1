"""A part of an image."""

import dataclasses
import enum

from pipeline.sbom.licence import License


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
    #: What the texts of its licence files are.
    concluded: tuple[License, ...] = ()
    copyright: tuple[str, ...] = ()
    supplier: str = ""
    cpes: tuple[str, ...] = ()
    #: Of the archive that it was made of, in lower case.
    sha256: str = ""
    download: str = ""
    links: tuple[str, ...] = ()
    #: Purls of the components that it needs.
    needs: tuple[str, ...] = ()
    shipped: bool = True
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
