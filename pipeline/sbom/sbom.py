"""The component set of an image."""

import dataclasses
import json
import uuid
from typing import Any, Self

from pipeline.errors import InputError
from pipeline.project.images import Images
from pipeline.sbom import purl
from pipeline.sbom.beam import Source, applications, folders
from pipeline.sbom.component import Component, Content, Kind, System
from pipeline.sbom.files import files, natives, scripts
from pipeline.sbom.native import linked
from pipeline.sbom.syft import owners, packages, reviewed, system_of


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """The image that is described."""

    #: Without tag and digest, such as `ghcr.io/banyan-platform/erlmcp`.
    name: str
    version: str
    digest: str
    #: RFC 3339, UTC; nothing if it was not given.
    created: str
    #: The reference of the base image.
    base: str = ""
    source: Source = dataclasses.field(default_factory=Source)
    #: Of an index of several images: the platform of the one that was looked at.
    seen_on: str = ""
    #: SHA-512 of its manifest.
    sha512: str = ""

    @property
    def title(self) -> str:
        """Its name without a registry: where it will be pushed to, if ever, is not known to a document about it."""
        return self.name.rpartition("/")[2]

    @property
    def purl(self) -> str:
        """The package URL of the image."""
        return purl.of_image(f"{self.title}@{self.digest}")

    def place(self, path: str) -> str:
        """Return the package URL of what lies at a path of the image; of the image itself, if there is no such path."""
        return purl.of_image(f"{self.title}@{self.digest}", inside=path)

    @property
    def filename(self) -> str:
        """Of its manifest, as it is called in an OCI image layout."""
        return self.digest.partition(":")[2]

    @property
    def content(self) -> Content | None:
        """Its manifest, which names every other part of it by a hash."""
        return Content(self.sha512, "the image's manifest") if self.sha512 else None

    @property
    def remark(self) -> str:
        """A remark on an index, of which only one image was scanned; empty for a single image."""
        return f"an index of several images; the one for {self.seen_on} was scanned" if self.seen_on else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Sbom:
    """The component set of an image."""

    image: Image
    system: System
    #: In order of kind and purl.
    components: tuple[Component, ...]

    @classmethod
    def parse(cls, image: Image, syft: str, inventory: str, images: Images, loads: str = "") -> Self:
        """Merge what Syft found in the image with what the release is made of.

        Parameters
        ----------
        image
            The image.
        syft
            Syft's own JSON of the image.
        inventory
            The JSON of `inventory.escript`.
        images
            The table of what is fetched.
        loads
            What native files of the release load, as `elf.escript` writes it.

        Raises
        ------
        InputError
            If one of them is not readable, or has nothing in it.
        """
        found = _load(syft, "the JSON of Syft", "artifacts")
        release = _load(inventory, "the inventory of the release", "applications")
        system = system_of(found)
        if release.get("system"):
            path = release["system"]["path"]
            about = Content(release["system"]["sha512"], f"{path}, which says what it is", path)
            system = dataclasses.replace(system, content=about)
        found_packages = reviewed(packages(found, system), release.get("reviews", ()), system)
        if not any(package.kind is Kind.OS for package in found_packages):
            raise InputError(
                "sbom: the SBOM would be empty: Syft found no package of an operating system in the image; "
                "give a base image that keeps its package database (/var/lib/dpkg or /lib/apk/db)"
            )
        components: dict[str, Component] = {}
        project = (image.source.supplier, image.source.contact)
        laid = natives(release, project)
        own = [*files(release.get("files", ()), images, found_packages, project), *scripts(release), *laid]
        beam = applications(release, image.source, loads)
        where = folders(release, image.source)
        owned = owners(found) | {part.content.path: part.purl for part in laid if part.content}
        for component in linked([*found_packages, *own, *beam], loads, where, owned):
            components.setdefault(component.purl, component)
        order = list(Kind)
        return cls(
            image,
            system,
            tuple(sorted(components.values(), key=lambda component: (order.index(component.kind), component.purl))),
        )

    def shipped(self) -> Self:
        """Return the set without what is locked but not in the image: for scanners, which do not look at the mark."""
        return dataclasses.replace(self, components=tuple(part for part in self.components if part.shipped))

    @property
    def own(self) -> Component:
        """What the project itself says of its licence and copyright: what all of its applications say."""
        parts = [part for part in self.components if part.kind is Kind.OWN]
        return Component(
            Kind.OWN,
            self.image.title,
            self.image.version,
            self.image.purl,
            licenses=tuple(dict.fromkeys(entry for part in parts for entry in part.licenses)),
            concluded=tuple(dict.fromkeys(entry for part in parts for entry in part.concluded)),
            concluded_by=next((part.concluded_by for part in parts if part.concluded_by), ""),
            copyright=tuple(dict.fromkeys(line for part in parts for line in part.copyright)),
            vcs=purl.plain_url(self.image.source.url),
        )

    @property
    def base(self) -> Component:
        """What is concluded of the operating system: what is of its packages, if something is of each."""
        parts = [part for part in self.components if part.kind is Kind.OS]
        known = all(part.concluded for part in parts)
        return Component(
            Kind.OS,
            self.system.name,
            self.system.version,
            "",
            concluded=tuple(dict.fromkeys(entry for part in parts for entry in part.concluded)) if known else (),
            concluded_by="what is concluded of each of its packages" if known else "",
        )

    def lacking(self) -> tuple[str, ...]:
        """Return the purls of what is locked and not in the image."""
        return tuple(part.purl for part in self.components if not part.shipped)

    def tops(self) -> tuple[str, ...]:
        """Return the purls of what the image has of its own accord; packages of the system hang on the system."""
        parts = [part for part in self.components if part.shipped and part.kind is not Kind.OS]
        needed = {purl for part in parts for purl in part.needs}
        return tuple(part.purl for part in parts if part.purl not in needed)

    def counts_by_kind(self) -> dict[str, int]:
        """Count the components of each kind, and last what is locked but not shipped."""
        kinds = [part.kind for part in self.components if part.shipped]
        return {kind.value: kinds.count(kind) for kind in Kind if kind is not Kind.SECRET} | {
            "not shipped": len(self.components) - len(kinds)
        }

    @property
    def uuid(self) -> uuid.UUID:
        """The same for the same image."""
        return uuid.uuid5(uuid.NAMESPACE_URL, self.image.purl)


def _load(text: str, what: str, key: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and "error" in value:
        raise InputError(str(value["error"]))
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise InputError(f"sbom: {what} cannot be read: it must be a JSON object with a list `{key}`")
    if not value[key]:
        raise InputError(f"sbom: the SBOM would be empty: {what} has no {key}")
    return value
