"""Release lines of images: which tags are newer versions of the same line."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Self

import dagger

from pipeline.errors import InputError, RegistryError
from pipeline.project.images import GIVEN, Images, check_reference
from pipeline.project.logins import Login
from pipeline.registry.reference import Reference
from pipeline.registry.tools import SERVICE_HOST, Tools, tools_for

_TAG = re.compile(r"((?:[a-z]+-|v)?)(\d+(?:\.\d+)*)(-[a-z][a-z0-9.-]*|)")
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}")
#: Versions whose images were malicious (CVE-2026-33634), by key of the table.
_MALICIOUS = {"trivy": ("0.69.4", "0.69.5", "0.69.6")}


@dataclasses.dataclass(frozen=True, slots=True)
class Tag:
    """A tag with a version in it: `29.1.1-alpine`, `v3.1.3`, `trixie-20260918-slim`."""

    prefix: str
    version: tuple[int, ...]
    suffix: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of a tag; nothing if it has no version."""
        match = _TAG.fullmatch(text)
        return cls(match[1], tuple(int(part) for part in match[2].split(".")), match[3]) if match else None

    @property
    def number(self) -> str:
        """The version alone."""
        return ".".join(map(str, self.version))

    def __str__(self) -> str:
        """Return the tag."""
        return f"{self.prefix}{self.number}{self.suffix}"


def newer(key: str, tag: str, tags: Iterable[str]) -> list[str]:
    """Return the tags of the same line that are newer, the newest first.

    A line has one prefix and one suffix. That of a builder stays with one major version of Erlang/OTP, that of a
    runtime with one release of its distribution.

    Parameters
    ----------
    key
        Of the image table.
    tag
        In use.
    tags
        Those of the repository.
    """
    own = Tag.parse(tag)
    if not own:
        return []
    kept = 1 if key.startswith("builder-") else 2 if key.startswith("runtime-") and len(own.version) > 1 else 0
    found = [
        other
        for other in map(Tag.parse, tags)
        if other
        and (other.prefix, other.suffix) == (own.prefix, own.suffix)
        and other.version > own.version
        and other.version[:kept] == own.version[:kept]
        and not is_malicious(key, str(other))
    ]
    return [str(other) for other in sorted(found, key=lambda other: other.version, reverse=True)]


def is_malicious(key: str, tag: str) -> bool:
    """Tell whether an image of the table is one that was published with malice."""
    own = Tag.parse(tag)
    return bool(own and own.number in _MALICIOUS.get(key, ()))


def place(reference: str, name: str) -> Reference:
    """Return where an image of the table is; without a host it is Docker Hub's, as the engine reads it."""
    host, slash, _ = check_reference(reference, name).partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif not re.search(r"[.:]|^localhost$", host):
        reference = f"docker.io/{reference}"
    return Reference.parse(reference, name)


def reached(image: Reference, *, service: bool) -> Reference:
    """Return an image under the name by which a container of the engine reaches it.

    Raises
    ------
    RegistryError
        If the registry is on the engine's own machine, and no service leads there.
    """
    host, _, port = image.host.partition(":")
    if not _LOOPBACK.fullmatch(host):
        return image
    if not service:
        raise RegistryError(
            f"{image.host}: a registry on this machine; make it reachable with --registry-service tcp://{image.host}"
        )
    return dataclasses.replace(image, host=f"{SERVICE_HOST}:{port}")


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """How the registries of a table's images are asked."""

    user: str = ""
    password: dagger.Secret | None = None
    service: dagger.Service | None = None
    #: The user's own Docker configuration.
    config: dagger.Secret | None = None

    async def tools(self, images: Images, references: Mapping[str, str]) -> Tools:
        """Return crane, with the login of the one registry that all images are in.

        Parameters
        ----------
        images
            In use; crane is one of them.
        references
            Those that are asked about, by key.

        Raises
        ------
        InputError
            If there is a login, and several registries: a password goes to the one alone that it is of.
        """
        login = Login(self.user, self.password)
        if not login.password:
            return await tools_for(images, {}, self.service, self.config)
        places = [place(reference, key) for key, reference in references.items()]
        hosts = sorted({reached(image, service=bool(self.service)).host for image in places})
        if len(hosts) != 1:
            raise InputError(
                f"--user and --password are for one registry, but the images are in {', '.join(hosts)}; give a table "
                f"with images of one registry with {GIVEN}, or logins with --docker-config"
            )
        return await tools_for(images, {hosts[0]: login}, self.service, self.config)
