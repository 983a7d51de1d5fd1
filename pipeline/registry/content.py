"""What is in a registry, and what an image consists of."""

import dataclasses
import json
import re
from collections.abc import Awaitable, Callable, Iterable

import dagger

from pipeline.errors import RegistryError
from pipeline.registry.reference import Reference
from pipeline.registry.tools import Tools, ask, refusal

#: How registries say that a repository is not there yet. Harbor has a code of its own, also for a project that is not
#: there: that one nobody makes by pushing.
_ABSENT = re.compile(r"NAME_UNKNOWN|MANIFEST_UNKNOWN|404 Not Found|\bNOT_FOUND: (?!project\b)")


async def existing_tags(tools: Tools, repository: Reference) -> tuple[str, ...]:
    """Return the tags of a repository; none if there is no such repository yet."""
    try:
        listed = await ask(tools.crane(), ["ls", "--omit-digest-tags", repository.repository])
    except dagger.QueryError as error:
        said = refusal(error)
        if _ABSENT.search(said):
            return ()
        raise RegistryError(f"nothing was pushed: {repository.repository} cannot be read: {said}") from None
    return tuple(listed.split())


async def resolve(tools: Tools, reference: Reference) -> str:
    """Return the digest that a reference names."""
    if reference.digest:
        return reference.digest
    try:
        return (await ask(tools.crane(), ["digest", str(reference)])).strip()
    except dagger.QueryError as error:
        raise RegistryError(f"{reference} cannot be read: {refusal(error)}") from None


async def digests_of(
    tools: Tools, repository: Reference, tags: Iterable[str], existing: Iterable[str]
) -> dict[str, str]:
    """Return the digests of those tags that exist."""
    return {
        tag: await resolve(tools, dataclasses.replace(repository, tag=tag, digest=""))
        for tag in tags
        if tag in set(existing)
    }


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
        raise RegistryError(f"{repository.at(digest)} cannot be read: {refusal(error)}") from None


async def sizes_of(tools: Tools, reference: Reference) -> list[str]:
    """Return the bytes to pull, as `PLATFORM BYTES`: the CLI shows a big number as 3.8e+07."""
    content = await registry_content(tools, reference, await resolve(tools, reference))
    return [f"{platform} {size}" for platform, size in content.sizes.items()]


async def refs_of(tools: Tools, repository: Reference, digest: str) -> list[str]:
    """Return every tag of a repository that names a digest, as references."""
    existing = await existing_tags(tools, repository)
    found = await digests_of(tools, repository, existing, existing)
    return [f"{repository.repository}:{tag}" for tag, its in found.items() if its == digest]
