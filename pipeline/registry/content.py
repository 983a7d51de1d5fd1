"""Read the tags of a repository, and what an image consists of."""

import dataclasses
import json
import re
from collections.abc import Awaitable, Callable, Iterable

import dagger

from pipeline.errors import RegistryError
from pipeline.registry.reference import Reference
from pipeline.registry.tools import ABSENT, Tools, ask, refusal, told


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What a repository has."""

    #: Its tags, by its list; empty if that was not asked for.
    listed: tuple[str, ...] = ()
    #: What those tags name that were asked about and are there.
    digests: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def unlisted(self) -> list[str]:
        """Return the tags that are there, and that the list does not have."""
        return [tag for tag in self.digests if tag not in self.listed]


async def look(
    tools: Tools, repository: Reference, tags: Iterable[str] = (), *, command: str = "look", create: bool = False
) -> Standing:
    """Ask a registry where tags point, for each tag, because the list of tags may be late or incomplete.

    Parameters
    ----------
    tools
        That reach the registry.
    repository
        The repository; that it is not there yet is no error.
    tags
        To ask about.
    command
        `list` asks for the list of tags too, and `all` about each of that list.
    create
        Let a registry make the repository that does not show it.

    Raises
    ------
    RegistryError
        If it answers anything but a digest, or that there is none.
    """
    asking = await tools.tags()
    if create and tools.config:
        asking = asking.with_env_variable("CREATE", "yes")
    try:
        said = await ask(asking, [command, repository.repository, *tags])
    except dagger.QueryError as error:
        raise RegistryError(f"cannot read {repository.repository}: {refusal(error)}") from None
    listed, digests = [], {}
    for line in said.splitlines():
        kind, tag, *rest = line.split("\t")
        if kind == "listed":
            listed.append(tag)
        elif kind == "there":
            digests[tag] = rest[0]
        elif not re.search(ABSENT, rest[0]):
            what = f"{repository.repository}:{tag}" if tag else f"the list of tags of {repository.repository}"
            raise RegistryError(f"cannot read {what}: {told(rest[0])}")
    return Standing(tuple(listed), digests)


async def resolve(tools: Tools, reference: Reference) -> str:
    """Return the digest that a reference names."""
    if reference.digest:
        return reference.digest
    try:
        return (await ask(tools.crane(), ["digest", str(reference)])).strip()
    except dagger.QueryError as error:
        raise RegistryError(f"cannot read {reference}: {refusal(error)}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """An image, or an index of several: what its manifests say."""

    digest: str
    #: Bytes to push or pull by platform, without the manifests.
    sizes: dict[str, int]
    #: Bytes of each blob.
    blobs: dict[str, int]


async def read_content(digest: str, read: Callable[[str, str], Awaitable[str]]) -> Content:
    """Read what a digest consists of.

    Parameters
    ----------
    digest
        Of a manifest or an index.
    read
        Returns a `manifest` (or index) or another `blob` as text: which of them, and its digest.
    """
    sizes: dict[str, int] = {}
    blobs: dict[str, int] = {}
    top = json.loads(await read("manifest", digest))
    for manifest_digest in [entry["digest"] for entry in top.get("manifests", [])] or [digest]:
        manifest = json.loads(await read("manifest", manifest_digest))
        config = json.loads(await read("blob", manifest["config"]["digest"]))
        platform = "/".join(filter(None, (config["os"], config["architecture"], config.get("variant"))))
        mine = {part["digest"]: part["size"] for part in [manifest["config"], *manifest["layers"]]}
        sizes[platform] = sum(mine.values())
        blobs |= mine
    return Content(digest, sizes, blobs)


async def layout_content(layout: dagger.Directory, digest: str) -> Content:
    """Read an OCI image layout."""
    return await read_content(digest, lambda _, name: layout.file(f"blobs/{name.replace(':', '/')}").contents())


async def registry_content(tools: Tools, repository: Reference, digest: str) -> Content:
    """Read an image in a registry."""

    async def read(kind: str, name: str) -> str:
        return await ask(tools.crane(), [kind, repository.at(name)])

    try:
        return await read_content(digest, read)
    except dagger.QueryError as error:
        raise RegistryError(f"cannot read {repository.at(digest)}: {refusal(error)}") from None


async def labels_of(tools: Tools, repository: Reference, digest: str) -> dict[str, str]:
    """Return the labels of an image in a registry, of an index those of its first one; none of what is no image."""
    pinned = repository.at(digest)
    try:
        top = json.loads(await ask(tools.crane(), ["manifest", pinned]))
        if top.get("manifests"):
            pinned = repository.at(top["manifests"][0]["digest"])
        config = json.loads(await ask(tools.crane(), ["config", pinned]))
    except dagger.QueryError as error:
        raise RegistryError(f"cannot read {pinned}: {refusal(error)}") from None
    return dict(config.get("config", {}).get("Labels") or {})


async def sizes_of(tools: Tools, reference: Reference) -> list[str]:
    """Return the bytes to pull, as `PLATFORM BYTES`: the CLI shows a big number as 3.8e+07."""
    content = await registry_content(tools, reference, await resolve(tools, reference))
    return [f"{platform} {size}" for platform, size in content.sizes.items()]


async def refs_of(tools: Tools, repository: Reference, digest: str) -> list[str]:
    """Return every tag of a repository that names a digest, as references."""
    standing = await look(tools, repository, command="all")
    return [f"{repository.repository}:{tag}" for tag in standing.listed if standing.digests.get(tag) == digest]
