"""Push an image if its scan passes, sign and attest it, and set its tags last."""

import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import dagger
from dagger import dag

from pipeline import handover
from pipeline.errors import InputError, PolicyError, RegistryError, VerificationError
from pipeline.image.labels import CREATED, SOURCE, labels
from pipeline.project.application import Application
from pipeline.project.logins import Login
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.registry.content import Content, Standing, labels_of, layout_content, look
from pipeline.registry.provenance import Origin, lasting, provenance_of
from pipeline.registry.reference import Reference, parse_repository
from pipeline.registry.result import result, tried
from pipeline.registry.signing import (
    CYCLONEDX,
    FINDINGS,
    OPENVEX,
    PREDICATES,
    PROVENANCE,
    RESULT,
    SIGNING,
    SPDX,
    TESTED,
    Signing,
)
from pipeline.registry.tags import check_forward, check_moves, is_version
from pipeline.registry.tools import LONG, PATIENCE, Tools, ask, check_host, refusal, tools_for
from pipeline.registry.verify import Signer, attested, check_signed
from pipeline.report.assessment import Assessed
from pipeline.report.terminal import conclude
from pipeline.table import table

#: Builds, scans and judges the image of a project, of which this was read.
Assess = Callable[[Application], Awaitable[Assessed]]

_IMAGE, _PREDICATE = "/image", "/predicate.json"
_MEGA = 1e6
#: Within how many seconds a version's tag must be put, so that of two who put it at the same time one wins.
_WITHIN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """One call of a tool that changes something in a registry or a Sigstore service."""

    name: str
    container: dagger.Container
    args: list[str]
    #: How long it may take, in seconds.
    patience: int = PATIENCE


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What to publish, checked."""

    repository: Reference
    layout: dagger.Directory
    digest: str
    #: Nothing if it is to be neither signed nor attested.
    signing: Signing | None
    #: Texts by predicate type.
    predicates: Mapping[str, str]
    #: Those of each image of an index, by its digest.
    of_images: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    #: Whether it is signed already.
    signed: bool = False
    #: Time of the commit, as the image's label has it.
    created: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """How to publish, as the user wants it."""

    #: Makes the tags; its argument `existing` takes those that the repository has.
    choose: Callable[..., tuple[str, ...]]
    #: Whether those that the repository has matter: to which version `latest` belongs.
    floating: bool
    #: At the repository's registry.
    login: Login
    #: With what to sign; nothing to do without.
    signing: Signing | None
    #: Who runs this, for the provenance.
    origin: Origin
    #: Which of the tags follow a branch or a pull request: they go forward only.
    follows: tuple[str, ...] = ()
    #: Whether versions that exist may become this image, and a branch's tag that of an earlier commit.
    move: bool = False
    #: Say what would be done, and do nothing.
    dry_run: bool = False


async def publish(project: Project, request: Request, assess: Assess) -> str:
    """Build, judge and push the image of a project, sign and attest it, then set its tags; return `repository@digest`.

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
        If the image breaks the policy, or a version would move, or a branch's tag go back.
    ScannerError
        If there is no verdict.
    RegistryError
        If the registry, or a service of Sigstore, fails.
    """
    # First of all, to refuse wrong arguments.
    request.choose()
    if not project.repository:
        raise InputError(
            "--repository is missing: give the repository to publish to, before the function assess, such as "
            "--repository=ghcr.io/OWNER/NAME"
        )
    repository = parse_repository(project.repository, "--repository")
    check_host(repository.host, project.registry_service)
    application = await read(project)
    logins = {repository.host: request.login}
    tools = await tools_for(project.images, logins, project.registry_service, project.docker_config)
    # To refuse early; asked again after the build, which takes its time.
    await standing_of(tools, repository, request)
    assessed = await assess(application)
    conclude(assessed.report)
    checks = await assessed.checks()
    if unmet := assessed.unmet(checks):
        head = "nothing was pushed: the image fails checks that the policy requires (fix them, or change --require)"
        raise PolicyError("\n".join([head, *unmet]))
    built = assessed.subject.project
    told = labels(built, application)
    origin = await origin_of(request)
    provenance = await provenance_of(built, origin, source=told.get(SOURCE, ""), started=assessed.report.time)
    documents = assessed.documents()
    predicates = {
        **_sboms(documents),
        FINDINGS: documents["findings.json"],
        PROVENANCE: provenance.predicate(),
        RESULT: result(documents["findings.json"]),
    }
    if checks:
        predicates[TESTED] = tried(checks, assessed.report.rules.require)
    if vex := documents.get("vex.openvex.json"):
        predicates[OPENVEX] = vex
    of_images = {name: _sboms(files) for name, files in (await assessed.sboms()).items()} if request.signing else {}
    image = assessed.subject
    order = Order(
        repository,
        image.published,
        image.image.digest,
        request.signing,
        predicates,
        of_images,
        created=told.get(CREATED, ""),
    )
    return await send(tools, request, order)


async def send(tools: Tools, request: Request, order: Order) -> str:
    """Push an image, sign and attest it, then set its tags; return `repository@digest`, or what would be done.

    Parameters
    ----------
    tools
        That reach the registry.
    request
        How to publish it.
    order
        What, and where to.

    Raises
    ------
    InputError
        If the identity token has expired.
    PolicyError
        If a version would move, or a branch's tag go back to an earlier commit.
    RegistryError
        If the registry does not do what is asked, or somebody else moves a tag at the same time.
    """
    repository, digest = order.repository, order.digest
    before = await standing_of(tools, repository, request)
    tags = versions_first(request.choose(existing=before.listed))
    standing = {tag: before.digests[tag] for tag in tags if tag in before.digests}
    check_moves(standing, digest, move=request.move)
    for tag in () if request.move else set(request.follows) & standing.keys():
        if standing[tag] != digest:
            check_forward(tag, standing[tag], await labels_of(tools, repository, standing[tag]), order.created)
    order = await lacking(tools, order)
    steps = publish_actions(tools, order)
    pushed = len(steps)
    steps += await tag_actions(tools, repository, digest, tags, standing)
    if request.dry_run:
        return render_dry_run(steps, await layout_content(order.layout, digest), standing)
    if request.signing:
        await request.signing.check_alive(time.time())
    if request.floating:
        # After the version tag is set, look again: another run may have published a higher version for `latest`.
        own = pushed + sum(map(is_version, tags))
        await carry_out(steps, stop=own)
        after = await look(tools, repository, command="list")
        tags = versions_first(request.choose(existing={*before.listed, *after.listed}))
        steps[pushed:] = await tag_actions(tools, repository, digest, tags, standing)
        await carry_out(steps, start=own)
    else:
        await carry_out(steps)
    await check_arrived(tools, repository, digest, tags)
    return repository.at(digest)


async def origin_of(request: Request) -> Origin:
    """Return who runs this; the builder is the one that the certificate will name, if that is known."""
    identity = await request.signing.identity() if request.signing else None
    is_workflow = identity is not None and identity.name.startswith("https://")
    return dataclasses.replace(request.origin, builder=identity.name) if identity and is_workflow else request.origin


def _sboms(documents: Mapping[str, str]) -> dict[str, str]:
    return {SPDX: documents["sbom.spdx.json"], CYCLONEDX: documents["sbom.cdx.json"]}


async def lacking(tools: Tools, order: Order) -> Order:
    """Return what is left to do if the image was published before, in whole or in part, so nothing is attested twice.

    Only signatures and attestations of the same key or identity count as done.
    """
    if not order.signing:
        return order
    pinned = order.repository.at(order.digest)
    try:
        await ask(tools.crane(), ["digest", pinned])
        signer = await _signer_of(tools, order.signing)
    except dagger.QueryError:
        # It is not there, or publishing itself will say what is wrong.
        return order
    if not signer:
        return order
    cosign = await signer.known_to(tools.cosign())
    signed = True
    try:
        await check_signed(cosign, signer, pinned, order.digest)
    except VerificationError:
        signed = False

    async def left(digest: str, predicates: Mapping[str, str]) -> dict[str, str]:
        result = dict(predicates)
        for kind, text in predicates.items():
            try:
                found = await attested(cosign, signer, order.repository.at(digest), digest, kind)
            except VerificationError:
                continue
            if lasting(json.loads(text)) in map(lasting, found):
                del result[kind]
        return result

    return dataclasses.replace(
        order,
        predicates=await left(order.digest, order.predicates),
        of_images={digest: await left(digest, predicates) for digest, predicates in order.of_images.items()},
        signed=signed,
    )


async def _signer_of(tools: Tools, signing: Signing) -> Signer | None:
    """Return the signer; None if only the certificate will tell the identity."""
    if not signing.key:
        identity = await signing.identity()
        return Signer(None, identity.name, identity.issuer, sigstore=signing.sigstore) if identity else None
    public = await ask(signing.given_to(tools.cosign()), ["public-key", f"--key={SIGNING}/cosign.key"])
    return Signer(
        dag.set_secret("public key", public), transparency_log=signing.transparency_log, sigstore=signing.sigstore
    )


def versions_first(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags in the order in which an image gets them."""
    return tuple(sorted(tags, key=lambda tag: not is_version(tag)))


async def standing_of(tools: Tools, repository: Reference, request: Request) -> Standing:
    """Return the state of the tags that the image may get.

    Raises
    ------
    RegistryError
        If that cannot be known.
    """
    candidates = request.choose()
    command = "list" if request.floating else "look"
    try:
        found = await look(tools, repository, candidates, command=command, create=not request.dry_run)
    except RegistryError as error:
        raise RegistryError(f"nothing was pushed: {error}") from None
    if request.floating and found.unlisted:
        raise RegistryError(
            f"nothing was pushed: {repository.repository} has {', '.join(found.unlisted)}, but its list of tags does "
            "not, so the highest version is not known; call again when the list is complete, or give --tags instead "
            "of --version"
        )
    return found


async def check_arrived(tools: Tools, repository: Reference, digest: str, tags: Iterable[str]) -> None:
    """Raise `RegistryError` if a tag does not point to the image afterwards."""
    arrived = (await look(tools, repository, tags)).digests
    lost = [f"{tag} points to {arrived.get(tag, 'nothing')}" for tag in tags if arrived.get(tag) != digest]
    if lost:
        raise RegistryError(
            f"{repository.at(digest)} was pushed and tagged, but another run moved tags at the same time: "
            + ", ".join(lost)
        )


def publish_actions(tools: Tools, order: Order) -> list[Action]:
    """Return the steps that push, sign and attest an image, without tags; an unreadable key fails before the push."""
    pinned = order.repository.at(order.digest)
    push = Action(
        f"push {pinned}",
        tools.crane().with_mounted_directory(_IMAGE, order.layout),
        ["push", _IMAGE, pinned],
        LONG,
    )
    return [
        *_key_actions(tools, order.signing),
        push,
        *_sign_actions(tools, order, pinned),
    ]


def _key_actions(tools: Tools, signing: Signing | None) -> list[Action]:
    """Return the step that tests the key; a token can be used only once, so it is not tested."""
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
    sign = Action(f"sign it {order.signing}", cosign, ["sign", *options, pinned])
    return [
        *([] if order.signed else [sign]),
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


async def tag_actions(
    tools: Tools, repository: Reference, digest: str, tags: Iterable[str], standing: Mapping[str, str]
) -> list[Action]:
    """Return the steps that set the tags, each only if it still points to what it did before."""
    crane = await tools.tags()
    return [
        Action(
            f"tag {tag}",
            crane,
            ["put", repository.repository, digest, tag, standing.get(tag, ""), within],
        )
        for tag in tags
        for within in [f"{_WITHIN}" if is_version(tag) else ""]
    ]


async def carry_out(steps: Sequence[Action], start: int = 0, stop: int | None = None) -> None:
    """Carry out some of the steps, by default all, one after the other.

    Raises
    ------
    RegistryError
        If one fails: which one, why, and what was and was not done.
    """
    for number, step in list(enumerate(steps))[start:stop]:
        try:
            await ask(step.container, step.args, step.patience)
        except (dagger.QueryError, RegistryError) as error:
            said = refusal(error) if isinstance(error, dagger.QueryError) else error
            lines = [
                f"failed to {step.name}: {said}",
                *(f"done:     {done.name}" for done in steps[:number]),
                *(f"not done: {left.name}" for left in steps[number:]),
                "Fix this and run the same command again: it completes the work with the same digest.",
            ]
            raise RegistryError("\n".join(lines)) from None


def render_dry_run(steps: Sequence[Action], content: Content, standing: Mapping[str, str]) -> str:
    """Describe what `carry_out` would do."""
    rows = [(digest, f"{size}") for digest, size in content.blobs.items()]
    moves = [f"  {tag} now points to {old}" for tag, old in standing.items() if old != content.digest]
    return "\n".join(
        [
            "dry run: nothing was pushed",
            *(f"would {step.name}" for step in steps),
            *(["tags that would move", *moves] if moves else []),
            *(f"{platform}: {size / _MEGA:.1f} MB" for platform, size in content.sizes.items()),
            # A digest in one line can be copied.
            table(("blob (pushed if missing)", "bytes"), rows, width=100),
        ]
    )
