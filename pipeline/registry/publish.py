"""Push an image if its scan passes, sign and attest it, then move its tags."""

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import dagger

from pipeline import handover
from pipeline.errors import PolicyError, RegistryError
from pipeline.image.labels import SOURCE, labels
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.registry.content import Content, digests_of, existing_tags, layout_content
from pipeline.registry.provenance import Origin, provenance_of
from pipeline.registry.reference import Reference, parse_repository
from pipeline.registry.signing import CYCLONEDX, FINDINGS, OPENVEX, PREDICATES, PROVENANCE, SIGNING, SPDX, Signing
from pipeline.registry.tags import check_moves
from pipeline.registry.tools import Login, Tools, ask, check_host, refusal, tools_for
from pipeline.report.assessment import Assessed
from pipeline.report.terminal import conclude
from pipeline.table import table

#: Builds, scans and judges the image of a project, of which this was read.
Assess = Callable[[Application], Awaitable[Assessed]]

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
    #: Those of each image of an index, by its digest.
    of_images: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """How to publish, as the user wants it."""

    #: Makes the tags; its argument `existing` takes those that the repository has.
    choose: Callable[..., tuple[str, ...]]
    #: At the repository's registry.
    login: Login
    #: With what to sign; nothing to do without.
    signing: Signing | None
    #: Who runs this, for the provenance.
    origin: Origin
    #: Whether versions that exist may become this image.
    move: bool = False
    #: Say what would be done, and do nothing.
    dry_run: bool = False


async def publish(project: Project, request: Request, assess: Assess) -> str:
    """Push the image of a project, sign and attest it, then move its tags; return `repository@digest`.

    Parameters
    ----------
    project
        What the user gave.
    request
        How to publish it.
    assess
        Builds, scans and judges the image.

    Raises
    ------
    InputError
        If an argument is wrong: before anything is built.
    PolicyError
        If the image breaks the policy, or a version would move.
    ScannerError
        If nothing is decided about the image.
    RegistryError
        If the registry, or a service of Sigstore, does not do what is asked.
    """
    # Before anything is asked, for their errors.
    request.choose()
    if project.repository:
        check_host(parse_repository(project.repository, "--repository").host, project.registry_service)
    application = await read(project)
    repository = parse_repository(project.repository_of(application.name), "--repository")
    tools = await tools_for(project.images, {repository.host: request.login}, project.registry_service)
    existing = await existing_tags(tools, repository)
    assessed = await assess(application)
    conclude(assessed.report)
    unmet = await assessed.unmet()
    if unmet:
        head = "nothing was pushed: the policy requires what the image is not (mend it, or name others with --require)"
        raise PolicyError("\n".join([head, *unmet]))
    tags, digest = request.choose(existing=existing), assessed.subject.image.digest
    standing = await digests_of(tools, repository, tags, existing)
    check_moves(standing, digest, move=request.move)
    built = assessed.subject.project
    provenance = await provenance_of(built, request.origin, source=labels(built, application).get(SOURCE, ""))
    documents = assessed.documents()
    predicates = {
        **_sboms(documents),
        FINDINGS: documents["findings.json"],
        PROVENANCE: provenance.predicate(),
    }
    if vex := documents.get("vex.openvex.json"):
        predicates[OPENVEX] = vex
    layout = assessed.subject.published
    of_images = {name: _sboms(files) for name, files in (await assessed.sboms()).items()} if request.signing else {}
    actions = publish_actions(tools, Order(repository, layout, digest, tags, request.signing, predicates, of_images))
    if request.dry_run:
        return render_dry_run(actions, await layout_content(layout, digest), standing)
    await carry_out(actions)
    return repository.at(digest)


def _sboms(documents: Mapping[str, str]) -> dict[str, str]:
    return {SPDX: documents["sbom.spdx.json"], CYCLONEDX: documents["sbom.cdx.json"]}


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
                f"attest {PREDICATES[kind]}{'' if digest == order.digest else f' of {digest}'} "
                f"({kind}, {len(text.encode())} bytes)",
                cosign.with_mounted_file(_PREDICATE, handover.file("predicate.json", text)),
                ["attest", *options, f"--type={kind}", f"--predicate={_PREDICATE}", order.repository.at(digest)],
            )
            for digest, predicates in {**order.of_images, order.digest: order.predicates}.items()
            for kind, text in predicates.items()
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
