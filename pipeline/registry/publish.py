"""Push an image, sign and attest it, then move its tags."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import dagger

from pipeline import handover
from pipeline.errors import RegistryError
from pipeline.registry.content import Content
from pipeline.registry.reference import Reference
from pipeline.registry.signing import PREDICATES, SIGNING, Signing
from pipeline.registry.tools import Tools, ask, refusal
from pipeline.table import table

_IMAGE, _PREDICATE = "/image", "/predicate.json"
_MEGA = 1e6


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """One call of a tool that changes something outside."""

    name: str
    container: dagger.Container
    args: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What to publish, checked."""

    repository: Reference
    layout: dagger.Directory
    digest: str
    tags: tuple[str, ...]
    #: Nothing if it is to be neither signed nor attested.
    signing: Signing | None
    #: Texts by predicate type.
    predicates: Mapping[str, str]


def publish_actions(tools: Tools, order: Order) -> list[Action]:
    """Return how an image is published: a key that cannot be read pushes nothing, and tags move last of all."""
    pinned = order.repository.at(order.digest)
    push = Action(
        f"push {pinned}",
        tools.crane().with_mounted_directory(_IMAGE, order.layout),
        ["push", _IMAGE, pinned],
    )
    return [
        *_key_actions(tools, order.signing),
        push,
        *_sign_actions(tools, order, pinned),
        *tag_actions(tools, order.repository, order.digest, order.tags),
    ]


def _key_actions(tools: Tools, signing: Signing | None) -> list[Action]:
    """Return how a key is tried; a token can be used once."""
    if not signing or not signing.key:
        return []
    return [
        Action("read --cosign-key", signing.given_to(tools.cosign()), ["public-key", f"--key={SIGNING}/cosign.key"])
    ]


def _sign_actions(tools: Tools, order: Order, pinned: str) -> list[Action]:
    if not order.signing:
        return []
    cosign = order.signing.given_to(tools.cosign())
    options = order.signing.options
    return [
        Action(f"sign it {order.signing}", cosign, ["sign", *options, pinned]),
        *(
            Action(
                f"attest {PREDICATES[kind]} ({kind}, {len(text.encode())} bytes)",
                cosign.with_mounted_file(_PREDICATE, handover.file("predicate.json", text)),
                ["attest", *options, f"--type={kind}", f"--predicate={_PREDICATE}", pinned],
            )
            for kind, text in order.predicates.items()
        ),
    ]


def tag_actions(tools: Tools, repository: Reference, digest: str, tags: Iterable[str]) -> list[Action]:
    """Return how an image gets its tags."""
    return [Action(f"tag {tag}", tools.crane(), ["tag", repository.at(digest), tag]) for tag in tags]


async def carry_out(steps: Sequence[Action]) -> None:
    """Do one step after the other.

    Raises
    ------
    RegistryError
        If one fails: which, why, what was done before it, and what was not.
    """
    for number, step in enumerate(steps):
        try:
            await ask(step.container, step.args)
        except dagger.QueryError as error:
            lines = [
                f"could not {step.name}: {refusal(error)}",
                *(f"done:     {done.name}" for done in steps[:number]),
                *(f"not done: {left.name}" for left in steps[number:]),
                "The same command, when that is mended, completes it with the same digest.",
            ]
            raise RegistryError("\n".join(lines)) from None


def render_dry_run(steps: Sequence[Action], content: Content, standing: Mapping[str, str]) -> str:
    """Say what `carry_out` would do."""
    rows = [(digest, f"{size}") for digest, size in content.blobs.items()]
    moves = [f"  {tag} is now {old}" for tag, old in standing.items() if old != content.digest]
    return "\n".join(
        [
            "dry run: nothing was pushed",
            *(f"would {step.name}" for step in steps),
            *(["tags that would move", *moves] if moves else []),
            *(f"{platform}: {size / _MEGA:.1f} MB" for platform, size in content.sizes.items()),
            table(("blob (pushed unless it is there)", "bytes"), rows),
        ]
    )
