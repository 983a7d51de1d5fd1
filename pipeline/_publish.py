"""Publish, sign, attest, verify, promote, rescan: each step is one call of crane or cosign, in a container of its own.

A registry keeps a signature or an attestation as a manifest that refers to the image's (a Sigstore bundle, OCI 1.1
referrers); where it does not list those itself, the tools list them under the tag `sha256-…`. That list is written anew
with each one, so they are made one after the other.
"""

import base64
import dataclasses
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import dagger
from dagger import dag

from pipeline import handover
from pipeline._provenance import Provenance, builder_of, source_of
from pipeline._reference import Reference, is_version
from pipeline.errors import InputError, PipelineError, PolicyError
from pipeline.project.images import Images, is_pinned
from pipeline.project.project import Project
from pipeline.table import table

#: The host name under which `--registry-service` is known to crane and cosign. Both speak plain HTTP with hosts that
#: end so, and with no other of the engine's network: a registry with a real name is never spoken to without TLS.
SERVICE_HOST = "registry.localhost"

SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"
PROVENANCE = "https://slsa.dev/provenance/v1"
#: in-toto's predicate for vulnerabilities is what one scanner says of one database; ours is what several come to,
#: with the policy, what was accepted and why. So it is `findings.json` as it is, whose schema is in the project.
FINDINGS = "https://github.com/banyan-platform/erlmcp/pipeline/findings/v1"
#: What a published image must have, by predicate type: names for people.
PREDICATES = {SPDX: "SPDX", CYCLONEDX: "CycloneDX", FINDINGS: "verdict", PROVENANCE: "provenance"}
#: The predicate type of a signature alone. `cosign verify` is content with any signed statement about the image.
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"

# Sigstore's services: none. For sites that keep their signatures to themselves.
_NO_SERVICES = (
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}'
)
_NO_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'

_LOGIN, _IMAGE, _SIGNING, _PREDICATE = "/login", "/image", "/signing", "/predicate.json"
_REFERRER = re.compile(r"via OCI referrer: \S+@(sha256:[0-9a-f]{64})")
_ABSENT = re.compile(r"NAME_UNKNOWN|MANIFEST_UNKNOWN|404 Not Found")
_REFUSED = re.compile(r"UNAUTHORIZED|DENIED|401 Unauthorized|403 Forbidden", re.IGNORECASE)
_MEGA = 1e6

#: Scans a CycloneDX document against today's databases and returns the verdict, as `findings.json`.
Scan = Callable[[str], Awaitable[str]]


class RegistryError(PipelineError):
    """A registry, or a service of Sigstore, did not do what was asked; the message says what was done before."""


class VerificationError(PipelineError):
    """An image is not proved to be what it should be."""


for _class in (RegistryError, VerificationError):
    _class.__module__ = "builtins"  # as in errors


# How a registry is reached --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """Who asks a registry."""

    user: str = ""
    password: dagger.Secret | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` if half of it is missing."""
        if bool(self.user) != bool(self.password):
            raise InputError("a login is --user and --password: give both, or none for a registry that asks for none")


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """Crane and cosign, as containers that can reach the registries of one run."""

    images: Images
    #: Docker's config.json.
    config: dagger.Secret | None = None
    service: dagger.Service | None = None

    def crane(self) -> dagger.Container:
        """Return crane, with the login alone."""
        return self._container("crane")

    def cosign(self) -> dagger.Container:
        """Return cosign, with the login alone; what signs is given to it where it signs."""
        # It keeps what it knows of Sigstore's keys in its user's home, which its image may not have.
        return self._container("cosign").with_env_variable("TUF_ROOT", "/tmp/sigstore").with_mounted_temp("/tmp")  # noqa: S108 # in a container

    def _container(self, key: str) -> dagger.Container:
        container = dag.container().from_(self.images[key])
        if self.service:
            container = container.with_service_binding(SERVICE_HOST, self.service)
        if self.config:
            # Readable for any user: which one runs is the image's choice, and it is alone there.
            container = container.with_mounted_secret(f"{_LOGIN}/config.json", self.config, mode=0o444)
            container = container.with_env_variable("DOCKER_CONFIG", _LOGIN)
        return container


async def tools(images: Images, logins: Mapping[str, Login], service: dagger.Service | None = None) -> Tools:
    """Return the tools for some registries.

    Parameters
    ----------
    images
        The table of image references.
    logins
        By host, as in the references.
    service
        A registry without a name of its own, reached as `registry.localhost:PORT`.

    Raises
    ------
    InputError
        If a host is this machine's own name but no service is given: a container has no such neighbour.
    """
    for host in logins:
        _check_host(host, service)
    entries = {
        host: {"auth": base64.b64encode(f"{login.user}:{await login.password.plaintext()}".encode()).decode()}
        for host, login in logins.items()
        if login.password
    }
    config = dag.set_secret(f"login {' '.join(sorted(entries))}", json.dumps({"auths": entries})) if entries else None
    return Tools(images, config, service)


def _check_host(host: str, service: dagger.Service | None) -> None:
    name, _, port = host.partition(":")
    if service and name != SERVICE_HOST:
        raise InputError(f"{host}: with --registry-service the registry is called {SERVICE_HOST}:PORT")
    if not service and (name in ("localhost", "127.0.0.1") or name.endswith(".localhost")):
        raise InputError(
            f"{host}: the engine's containers do not see this machine; give --registry-service "
            f"tcp://localhost:{port or 'PORT'} and call the registry {SERVICE_HOST}:{port or 'PORT'}"
        )


async def _run(container: dagger.Container, args: Sequence[str]) -> str:
    """Run a tool, really: what a registry says now is never answered by the cache."""
    now = container.with_env_variable("ASKED_AT", str(time.time_ns()))
    return await now.with_exec([*args], use_entrypoint=True).stdout()


def _said(error: dagger.QueryError) -> str:
    """Return what a tool said when it failed, in a line or two."""
    if not isinstance(error, dagger.ExecError):
        return str(error).splitlines()[0]
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    telling = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")] or lines[-2:]
    text = " / ".join(telling) or f"exit code {error.exit_code}"
    if _REFUSED.search(text):
        return f"the registry refused the login, or this user may not do that (see --user, --password): {text}"
    return text


# What is in a registry ------------------------------------------------------------------------------------------------


async def existing_tags(tools: Tools, repository: Reference) -> tuple[str, ...]:
    """Return the tags of a repository; none if there is no such repository yet."""
    try:
        listed = await _run(tools.crane(), ["ls", "--omit-digest-tags", repository.repository])
    except dagger.QueryError as error:
        said = _said(error)
        if _ABSENT.search(said):
            return ()
        raise RegistryError(f"nothing was pushed: {repository.repository} cannot be read: {said}") from None
    return tuple(listed.split())


async def resolve(tools: Tools, reference: Reference) -> str:
    """Return the digest that a reference names."""
    if reference.digest:
        return reference.digest
    try:
        return (await _run(tools.crane(), ["digest", str(reference)])).strip()
    except dagger.QueryError as error:
        raise RegistryError(f"{reference} cannot be read: {_said(error)}") from None


async def standing(tools: Tools, repository: Reference, tags: Iterable[str], existing: Iterable[str]) -> dict[str, str]:
    """Return the digests of those tags that exist."""
    return {
        tag: await resolve(tools, dataclasses.replace(repository, tag=tag, digest=""))
        for tag in tags
        if tag in set(existing)
    }


def check_moves(standing: Mapping[str, str], digest: str, *, move: bool) -> None:
    """Raise `PolicyError` if a version that exists would become another image."""
    moved = [tag for tag, old in standing.items() if is_version(tag) and old != digest]
    if moved and not move:
        raise PolicyError(
            "nothing was pushed: "
            + ", ".join(f"{tag} is {standing[tag]} already" for tag in moved)
            + f", and this image is {digest}; a version keeps its image, so choose another or say --move"
        )


# What is pushed -------------------------------------------------------------------------------------------------------


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
        return await _run(tools.crane(), [kind, repository.at(name)])

    try:
        return await read_content(digest, read)
    except dagger.QueryError as error:
        raise RegistryError(f"{repository.at(digest)} cannot be read: {_said(error)}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class Signing:
    """With what cosign signs."""

    #: Private key, and its password.
    key: dagger.Secret | None = None
    key_password: dagger.Secret | None = None
    #: OpenID Connect token of a CI's run: a certificate is given for it.
    identity_token: dagger.Secret | None = None
    transparency_log: bool = True

    def __post_init__(self) -> None:
        """Raise `InputError` unless it is one way to sign."""
        if bool(self.key) == bool(self.identity_token):
            raise InputError("give one of --cosign-key and --identity-token, or say --unsigned")
        if self.identity_token and not self.transparency_log:
            raise InputError(
                "--transparency-log=false: a certificate for --identity-token lasts ten minutes, and only the log "
                "proves that it was used in them; sign with --cosign-key instead"
            )

    def __str__(self) -> str:
        """Say how, for people."""
        how = "with the key given" if self.key else "with a certificate for the identity token"
        return how + (", logged in Sigstore's transparency log" if self.transparency_log else ", logged nowhere")

    def given_to(self, cosign: dagger.Container) -> dagger.Container:
        """Return cosign with what it signs with."""
        if self.key:
            cosign = cosign.with_mounted_secret(f"{_SIGNING}/cosign.key", self.key, mode=0o444)
            if self.key_password:
                cosign = cosign.with_secret_variable("COSIGN_PASSWORD", self.key_password)
            else:
                cosign = cosign.with_env_variable("COSIGN_PASSWORD", "")  # unset, it would ask a terminal
        if self.identity_token:
            cosign = cosign.with_mounted_secret(f"{_SIGNING}/token", self.identity_token, mode=0o444)
        if not self.transparency_log:
            cosign = cosign.with_new_file(f"{_SIGNING}/services.json", _NO_SERVICES)
            cosign = cosign.with_new_file(f"{_SIGNING}/root.json", _NO_ROOT)
        return cosign

    @property
    def options(self) -> list[str]:
        """Of `cosign sign` and `cosign attest`."""
        options = ["--yes", f"--key={_SIGNING}/cosign.key" if self.key else f"--identity-token={_SIGNING}/token"]
        if not self.transparency_log:
            options += [f"--signing-config={_SIGNING}/services.json", f"--trusted-root={_SIGNING}/root.json"]
        return options


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
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


def publish_steps(tools: Tools, order: Order) -> list[Step]:
    """Return how an image is published: a key that cannot be read pushes nothing, and tags move last of all."""
    pinned = order.repository.at(order.digest)
    push = Step(
        f"push {pinned}",
        tools.crane().with_mounted_directory(_IMAGE, order.layout),
        ["push", _IMAGE, pinned],
    )
    return [
        *_key_steps(tools, order.signing),
        push,
        *_sign_steps(tools, order, pinned),
        *_tag_steps(tools, order.repository, order.digest, order.tags),
    ]


def _key_steps(tools: Tools, signing: Signing | None) -> list[Step]:
    """Return how a key is tried; a token can be used once."""
    if not signing or not signing.key:
        return []
    return [Step("read --cosign-key", signing.given_to(tools.cosign()), ["public-key", f"--key={_SIGNING}/cosign.key"])]


def _sign_steps(tools: Tools, order: Order, pinned: str) -> list[Step]:
    if not order.signing:
        return []
    cosign = order.signing.given_to(tools.cosign())
    options = order.signing.options
    return [
        Step(f"sign it {order.signing}", cosign, ["sign", *options, pinned]),
        *(
            Step(
                f"attest {PREDICATES[kind]} ({kind}, {len(text.encode())} bytes)",
                cosign.with_mounted_file(_PREDICATE, handover.file("predicate.json", text)),
                ["attest", *options, f"--type={kind}", f"--predicate={_PREDICATE}", pinned],
            )
            for kind, text in order.predicates.items()
        ),
    ]


def _tag_steps(tools: Tools, repository: Reference, digest: str, tags: Iterable[str]) -> list[Step]:
    return [Step(f"tag {tag}", tools.crane(), ["tag", repository.at(digest), tag]) for tag in tags]


async def carry_out(steps: Sequence[Step]) -> None:
    """Do one step after the other.

    Raises
    ------
    RegistryError
        If one fails: which, why, what was done before it, and what was not.
    """
    for number, step in enumerate(steps):
        try:
            await _run(step.container, step.args)
        except dagger.QueryError as error:
            lines = [
                f"could not {step.name}: {_said(error)}",
                *(f"done:     {done.name}" for done in steps[:number]),
                *(f"not done: {left.name}" for left in steps[number:]),
                "The same command, when that is mended, completes it with the same digest.",
            ]
            raise RegistryError("\n".join(lines)) from None


def dry_run(steps: Sequence[Step], content: Content, standing: Mapping[str, str]) -> str:
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


async def provenance(
    project: Project, images: Images, *, source: str, flavor: str, builder: str, invocation: str
) -> Provenance:
    """Return where an image of a project comes from; images without digest are looked up.

    Parameters
    ----------
    project
        What the user gave.
    images
        The table of image references.
    source
        The project's repository.
    flavor
        Which builder and runtime.
    builder
        URI of who runs the pipeline.
    invocation
        Which run of it.
    """
    parameters: dict[str, Any] = {"flavor": flavor}
    for field in dataclasses.fields(project):
        value = getattr(project, field.name)
        if isinstance(value, dagger.File):
            parameters[field.name] = {"digest": await value.digest()}
        elif value and isinstance(value, str | tuple) and field.name not in ("builder", "runtime", "revision"):
            # A mirror's URL may hold a password; provenance is for everybody.
            parameters[field.name] = re.sub(r"//[^/@]*@", "//", value) if isinstance(value, str) else list(value)
    return Provenance(
        source=source,
        revision=project.revision,
        content=await project.source.digest(),
        parameters=parameters,
        images={"builder": await _pinned(project.builder), "runtime": await _pinned(project.runtime)},
        tools={key: await _pinned(images[key]) for key in ("syft", "trivy", "grype", "crane", "cosign")},
        builder=builder,
        invocation=invocation,
        versions={"dagger": await dag.version()},
    )


async def _pinned(reference: str) -> str:
    return reference if is_pinned(reference) else await dag.container().from_(reference).image_ref()


# What is proved -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Signer:
    """Who must have signed."""

    #: Public key.
    key: dagger.File | None = None
    #: Identity in the certificate; a regular expression if it starts with `^`. And who vouches for it.
    identity: str = ""
    issuer: str = ""
    transparency_log: bool = True

    def __post_init__(self) -> None:
        """Raise `InputError` unless it names one signer."""
        if bool(self.key) == bool(self.identity) or bool(self.identity) != bool(self.issuer):
            raise InputError("who must have signed it? Give --key, or --identity and --issuer")
        if self.identity and not self.transparency_log:
            raise InputError("--transparency-log=false: without the log, --identity proves nothing; it goes with --key")

    def __str__(self) -> str:
        """Say who, for people."""
        who = "the key given" if self.key else f"{self.identity} ({self.issuer})"
        return who + ("" if self.transparency_log else ", no transparency log asked")

    def known_to(self, cosign: dagger.Container) -> dagger.Container:
        """Return cosign with what it verifies with."""
        return cosign.with_mounted_file(f"{_SIGNING}/cosign.pub", self.key) if self.key else cosign

    @property
    def options(self) -> list[str]:
        """Of `cosign verify` and `cosign verify-attestation`."""
        if self.key:
            options = [f"--key={_SIGNING}/cosign.pub"]
            return options if self.transparency_log else [*options, "--insecure-ignore-tlog"]
        kind = "--certificate-identity-regexp" if self.identity.startswith("^") else "--certificate-identity"
        return [f"{kind}={self.identity}", f"--certificate-oidc-issuer={self.issuer}"]


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """What was proved of an image: all of it was signed by the one who must have."""

    repository: Reference
    digest: str
    signer: str
    #: Predicates by type, of each at least one.
    predicates: dict[str, list[dict[str, Any]]]

    @property
    def verdict(self) -> dict[str, Any]:
        """The last verdict."""
        return max(self.predicates[FINDINGS], key=lambda findings: str(findings.get("time", "")))

    def render(self, *more: tuple[str, str]) -> str:
        """Return it for people, with further rows below."""
        provenances = self.predicates[PROVENANCE]
        rows = [
            ("image", self.repository.at(self.digest)),
            ("signed by", self.signer),
            *(
                (f"attested {PREDICATES[kind]}", f"{kind}{f' ({len(found)} times)' if found[1:] else ''}")
                for kind, found in self.predicates.items()
            ),
            ("verdict", f"{' '.join(self.verdict['verdict']['lines'])} ({self.verdict['time']})"),
            *(("source", source) for source in dict.fromkeys(map(source_of, provenances))),
            *(("built by", builder) for builder in dict.fromkeys(map(builder_of, provenances))),
            *more,
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows) + "\n"


async def verify(tools: Tools, reference: Reference, signer: Signer) -> Proof:
    """Check the signature and every attestation of an image.

    Raises
    ------
    VerificationError
        If one of them is missing, or is not by the signer, or is of another image.
    """
    digest = await resolve(tools, reference)
    pinned = reference.at(digest)
    cosign = signer.known_to(tools.cosign())
    signed = await _verified(cosign, ["verify", *signer.options, pinned], pinned, "no signature of it holds")
    claims = [claim["critical"] for line in signed.splitlines() if line.strip() for claim in json.loads(line)]
    if not any(c["type"] == SIGNATURE and c["image"]["docker-manifest-digest"] == digest for c in claims):
        raise VerificationError(f"{pinned}: not signed by {signer}; there are attestations only")
    predicates = {}
    for kind, name in PREDICATES.items():
        args = ["verify-attestation", *signer.options, f"--type={kind}", pinned]
        text = await _verified(cosign, args, pinned, f"no attestation of it with {name} ({kind}) holds")
        predicates[kind] = _predicates(text, digest, kind)
        if not predicates[kind]:
            raise VerificationError(f"{pinned}: {name} is attested, but of another image")
    return Proof(reference, digest, str(signer), predicates)


async def _verified(cosign: dagger.Container, args: list[str], pinned: str, otherwise: str) -> str:
    try:
        return await _run(cosign, args)
    except dagger.QueryError as error:
        raise VerificationError(f"{pinned}: {otherwise}: {_said(error)}") from None


def _predicates(envelopes: str, digest: str, kind: str) -> list[dict[str, Any]]:
    """Return the predicates about a digest, out of the envelopes that cosign proved, a line each."""
    statements = [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in envelopes.split("\n") if line]
    return [
        statement["predicate"]
        for statement in statements
        if statement["predicateType"] == kind
        and any(f"sha256:{subject['digest'].get('sha256')}" == digest for subject in statement["subject"])
    ]


# What is done with what is published ----------------------------------------------------------------------------------


async def copy_steps(tools: Tools, source: Reference, target: Reference) -> list[Step]:
    """Return how an image gets to another repository, byte for byte, with all that refers to it."""
    if source.repository == target.repository:
        return []
    try:
        referrers = _REFERRER.findall(await _run(tools.cosign(), ["tree", source.at(source.digest)]))
    except dagger.QueryError as error:
        raise RegistryError(f"nothing was copied: {source.at(source.digest)} cannot be read: {_said(error)}") from None
    return [
        Step(f"copy {digest} to {target.repository}", tools.crane(), ["copy", source.at(digest), target.at(digest)])
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
    scan: Scan | None,
) -> str:
    """Give an image its tags in another repository, without building anything.

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
        raise InputError(f"{source}: promote takes an image by its digest (…@sha256:…); a tag can move meanwhile")
    found = await standing(tools, target, tags, await existing_tags(tools, target))
    check_moves(found, source.digest, move=move)
    proof = await verify(tools, source, signer)
    lines = ["not scanned anew"]
    if scan:
        verdict = json.loads(await scan(_sbom(proof)))["verdict"]
        lines = verdict["lines"]
        if not verdict["passed"]:
            raise PolicyError("\n".join(["nothing was promoted: it would not pass today", *lines]))
    await carry_out(await copy_steps(tools, source, target))
    arrived = await verify(tools, dataclasses.replace(target, digest=source.digest), signer)
    await carry_out(_tag_steps(tools, target, source.digest, tags))
    return arrived.render(("today", " ".join(lines)), *(("tagged", f"{target.repository}:{tag}") for tag in tags))


def _sbom(proof: Proof) -> str:
    """Return what is in the image, as CycloneDX: without what is locked but not shipped, which scanners would count."""
    document = proof.predicates[CYCLONEDX][-1]
    parts = [part for part in document.get("components", []) if part.get("scope") != "excluded"]
    return json.dumps({**document, "components": parts})


async def rescan(tools: Tools, reference: Reference, signer: Signer, scan: Scan) -> str:
    """Judge a published image anew, from its attested SBOM; say what is new since its attested verdict.

    Raises
    ------
    PolicyError
        If something new breaks the policy.
    """
    proof = await verify(tools, reference, signer)
    text, alarming = compare(proof.verdict, json.loads(await scan(_sbom(proof))))
    text = f"{proof.repository.at(proof.digest)}\n{text}"
    if alarming:
        raise PolicyError(text)
    return text


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, bool]:
    """Compare two verdicts (`findings.json`); return what is new for people, and whether it must not stay so.

    New is what was not there, and what has come to break the policy. A finding is known by any of its names: which of
    them is the first can change with the databases.
    """
    known = {key: finding["status"] for finding in before["findings"] for key in _keys(finding)}
    breaking, other = [], []
    for finding in now["findings"]:
        then = {known[key] for key in _keys(finding) if key in known}
        if finding["status"] == "breaking" and "breaking" not in then:
            breaking.append(finding)
        elif not then:
            other.append(finding)
    header = ("advisory", "package", "version", "severity", "fixed in", "status")
    rows = [
        (f["id"], f["package"]["name"], f["package"]["version"], f["severity"], ", ".join(f["fixed"]), f["status"])
        for f in [*breaking, *other]
    ]
    lines = [
        f"{len(rows)} new since {before['time']}, {len(breaking)} of them break the policy",
        *([table(header, rows).rstrip()] if rows else []),
        *now["verdict"]["lines"],
    ]
    return "\n".join(lines) + "\n", bool(breaking) or not now["verdict"]["decided"]


def _keys(finding: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, finding["package"]["name"]) for name in (finding["id"], *finding["aliases"])]
