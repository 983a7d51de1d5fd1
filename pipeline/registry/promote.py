"""Copy a published image to another repository and tag it, without building anything."""

import dataclasses
import json
import re

import dagger

from pipeline.errors import InputError, PolicyError, RegistryError
from pipeline.project.logins import Login
from pipeline.registry.content import look
from pipeline.registry.publish import Action, carry_out, check_arrived, tag_actions
from pipeline.registry.reference import Reference
from pipeline.registry.rescan import SbomScan, shipped_sbom, told
from pipeline.registry.tags import check_moves
from pipeline.registry.tools import LONG, Tools, ask, refusal
from pipeline.registry.verify import Signer, verify

_REFERRER = re.compile(r"via OCI referrer: \S+@(sha256:[0-9a-f]{64})")


def logins(source: Reference, own: Login, target: Reference, other: Login) -> dict[str, Login]:
    """Return who asks for the source and who writes the target; one registry may know two users."""
    if source.host != target.host:
        return {source.host: own, target.host: other}
    if not other.password:
        return {source.host: own}
    return {**({source.repository: own} if own.password else {}), target.repository: other}


async def copy_actions(tools: Tools, source: Reference, target: Reference) -> list[Action]:
    """Return how an image gets to another repository, byte for byte, with all that refers to it."""
    if source.repository == target.repository:
        return []
    try:
        referrers = _REFERRER.findall(await ask(tools.cosign(), ["tree", source.at(source.digest)]))
    except dagger.QueryError as error:
        pinned = source.at(source.digest)
        raise RegistryError(f"nothing was copied: cannot read {pinned}: {refusal(error)}") from None
    return [
        Action(
            f"copy {digest} to {target.repository}", tools.crane(), ["copy", source.at(digest), target.at(digest)], LONG
        )
        for digest in dict.fromkeys([source.digest, *referrers])
    ]


async def promote(
    tools: Tools,
    source: Reference,
    target: Reference,
    tags: tuple[str, ...],
    signer: Signer,
    *,
    move: bool,
    scan: SbomScan | None,
) -> str:
    """Verify and rescan an image, copy it to another repository, and set its tags there.

    Parameters
    ----------
    tools
        That reach both registries.
    source
        The image, by digest.
    target
        The repository; the same one to give more tags only.
    tags
        Tags, checked.
    signer
        Who must have signed it.
    move
        Whether versions that exist may become this image.
    scan
        Judges its SBOM today; nothing to go without.

    Raises
    ------
    InputError
        If the image is named by a tag.
    PolicyError
        If it would not pass today.
    """
    if not source.digest:
        raise InputError(
            f"--reference {source}: promote needs the digest of the image (…@sha256:…), since a tag can move; "
            "published digest shows it"
        )
    try:
        found = (await look(tools, target, tags, create=True)).digests
    except RegistryError as error:
        raise RegistryError(f"nothing was copied: {error}") from None
    check_moves(found, source.digest, move=move)
    proof = await verify(tools, source, signer)
    lines = ["not scanned again"]
    if scan:
        found_today = json.loads(await scan(shipped_sbom(proof), proof.verdict))
        verdict = found_today["verdict"]
        lines = [*told(found_today), *verdict["lines"]]
        if not verdict["passed"]:
            raise PolicyError("\n".join(["nothing was promoted: the image does not pass the policy today", *lines]))
    await carry_out(await copy_actions(tools, source, target))
    arrived = await verify(tools, dataclasses.replace(target, digest=source.digest), signer)
    await carry_out(await tag_actions(tools, target, source.digest, tags, found))
    await check_arrived(tools, target, source.digest, tags)
    return arrived.render(("today", " ".join(lines)), *(("tagged", f"{target.repository}:{tag}") for tag in tags))
