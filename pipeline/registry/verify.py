"""Verify that a published image was signed and attested by the required signer."""

import base64
import contextlib
import dataclasses
import json
from typing import Any

import dagger

from pipeline.errors import InputError, VerificationError
from pipeline.registry.content import resolve
from pipeline.registry.provenance import builder_of, source_of
from pipeline.registry.reference import Reference
from pipeline.registry.signing import (
    CYCLONEDX,
    FINDINGS,
    GITHUB,
    OPTIONAL,
    PREDICATES,
    PROVENANCE,
    PUBLIC,
    SIGNATURE,
    SIGNING,
    Sigstore,
)
from pipeline.registry.tools import Tools, ask, refusal
from pipeline.sbom.cyclonedx import PLATFORM

#: What cosign says if attestations hold, and none of them is of the type.
_OF_OTHERS = "none of the attestations matched the predicate type"


@dataclasses.dataclass(frozen=True, slots=True)
class Signer:
    """The required signer."""

    #: Public key.
    key: dagger.Secret | None = None
    #: Identity in the certificate; a regular expression if it starts with `^`. And who vouches for it.
    identity: str = ""
    issuer: str = ""
    transparency_log: bool = True
    #: Of its own, only by what its work is known.
    sigstore: Sigstore = PUBLIC

    def __post_init__(self) -> None:
        """Raise `InputError` unless it names one signer."""
        if bool(self.key) == bool(self.identity) or bool(self.identity) != bool(self.issuer):
            raise InputError("the required signer is missing: give --key, or --identity and --issuer, to verified")
        if self.identity and not self.transparency_log:
            raise InputError(
                "--transparency-log=false: --identity can only be verified with the log; give --key instead"
            )

    def __str__(self) -> str:
        """Say who, for people."""
        who = "the given key" if self.key else f"{self.identity} ({self.issuer})"
        return who + ("" if self.transparency_log else ", without transparency log")

    async def known_to(self, cosign: dagger.Container) -> dagger.Container:
        """Return cosign with what it verifies with.

        Raises
        ------
        InputError
            If the key is no public one.
        """
        if not self.key:
            return Sigstore(root=self.sigstore.root).known_to(cosign)
        text = await self.key.plaintext()
        if "PRIVATE KEY-----" in text:
            raise InputError(
                "--key: this is a private key; give the public key, which cosign public-key --key=… prints"
            )
        if "PUBLIC KEY-----" not in text:
            raise InputError("--key: this is not a public key in PEM; give it as --key=file:cosign.pub")
        cosign = cosign.with_mounted_secret(f"{SIGNING}/cosign.pub", self.key, mode=0o444)
        return Sigstore(root=self.sigstore.root).known_to(cosign)

    @property
    def options(self) -> list[str]:
        """Of `cosign verify` and `cosign verify-attestation`."""
        root = [f"--trusted-root={SIGNING}/root.json"] if self.sigstore.root else []
        if self.key:
            return [f"--key={SIGNING}/cosign.pub", *(root if self.transparency_log else ["--insecure-ignore-tlog"])]
        kind = "--certificate-identity-regexp" if self.is_pattern else "--certificate-identity"
        return [f"{kind}={self.identity}", f"--certificate-oidc-issuer={self.issuer}", *root]

    @property
    def is_pattern(self) -> bool:
        """Tell whether several may have signed."""
        return self.identity.startswith("^")


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """What was verified of an image: all of it was signed by the required signer."""

    repository: Reference
    digest: str
    signer: str
    #: Predicates by type, of each that must be there at least one.
    predicates: dict[str, list[dict[str, Any]]]
    #: Of the builders that the provenance names, those that a certificate names too; nothing if a key signed.
    certified: frozenset[str] | None = None

    @property
    def verdict(self) -> dict[str, Any]:
        """The last verdict."""
        return self.newest(FINDINGS)

    def newest(self, kind: str) -> dict[str, Any]:
        """Return the newest predicate of a type; of several of one time always the same one."""
        return max(self.predicates[kind], key=lambda each: (_time(each), json.dumps(each, sort_keys=True)))

    def render(self, *more: tuple[str, str]) -> str:
        """Return it for people, with further rows below."""
        provenances = self.predicates[PROVENANCE]
        about = self.newest(CYCLONEDX).get("metadata", {}).get("properties", ())
        platforms = [each["value"] for each in about if each["name"] == PLATFORM]
        rows = [
            ("image", self.repository.at(self.digest)),
            ("signed by", self.signer),
            *(
                (f"attested {PREDICATES[kind]}", f"{kind}{f' ({len(found)} times)' if found[1:] else ''}")
                for kind, found in self.predicates.items()
            ),
            *(("scanned", f"{platform}, one image of this index") for platform in platforms),
            ("verdict", f"{' '.join(self.verdict['verdict']['lines'])} ({self.verdict['time']})"),
            *(("source", source) for source in dict.fromkeys(map(source_of, provenances))),
            *(("built by", self._builder(name)) for name in dict.fromkeys(map(builder_of, provenances))),
            *more,
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows) + "\n"

    def _builder(self, name: str) -> str:
        if not name:
            return "not stated"
        if self.certified is None:
            return name
        return f"{name} ({'confirmed' if name in self.certified else 'not confirmed'} by the certificate)"


async def verify(tools: Tools, reference: Reference, signer: Signer) -> Proof:
    """Check the signature and every attestation of an image.

    Raises
    ------
    VerificationError
        If one of them is missing, or is not by the signer, or is of another image.
    """
    cosign = await signer.known_to(tools.cosign())
    digest = await resolve(tools, reference)
    await check_signed(cosign, signer, reference.at(digest), digest)
    predicates = {}
    for kind in PREDICATES:
        found = await attested(cosign, signer, reference.at(digest), digest, kind)
        if found:
            predicates[kind] = found
    certified = None if signer.key else await _certified(cosign, signer, reference.at(digest), digest, predicates)
    return Proof(reference, digest, str(signer), predicates, certified)


async def _certified(
    cosign: dagger.Container, signer: Signer, pinned: str, digest: str, predicates: dict[str, list[dict[str, Any]]]
) -> frozenset[str]:
    """Return which of the builders that the provenance names are those of a certificate that it was signed with.

    Raises
    ------
    VerificationError
        If one is not, and it is a workflow of GitHub that signed: its certificate names what built it.
    """
    found = set()
    for builder in {builder_of(each) for each in predicates[PROVENANCE]} - {""}:
        named = [each for each in predicates[PROVENANCE] if builder_of(each) == builder]
        held: list[dict[str, Any]] = []
        if builder == signer.identity:
            held = named
        elif signer.is_pattern and not builder.startswith("^"):
            with contextlib.suppress(VerificationError):
                alone = dataclasses.replace(signer, identity=builder)
                held = await attested(cosign, alone, pinned, digest, PROVENANCE)
        if all(each in held for each in named):
            found.add(builder)
        elif signer.issuer == GITHUB:
            raise VerificationError(
                f"{pinned}: the provenance names {builder} as the builder, but no certificate of that builder signed it"
            )
    return frozenset(found)


async def check_signed(cosign: dagger.Container, signer: Signer, pinned: str, digest: str) -> None:
    """Raise `VerificationError` unless an image is signed."""
    signed = await _verified(cosign, ["verify", *signer.options, pinned], pinned, "the signature cannot be verified")
    claims = [claim["critical"] for line in signed.splitlines() if line.strip() for claim in json.loads(line)]
    if not any(c["type"] == SIGNATURE and c["image"]["docker-manifest-digest"] == digest for c in claims):
        raise VerificationError(f"{pinned}: not signed by {signer}; there are only attestations")


async def attested(
    cosign: dagger.Container, signer: Signer, pinned: str, digest: str, kind: str
) -> list[dict[str, Any]]:
    """Return what is attested of an image as predicates of a type; nothing if that one may be missing and is.

    Raises
    ------
    VerificationError
        If there is none, or none that holds.
    """
    name = PREDICATES[kind]
    args = ["verify-attestation", *signer.options, f"--type={kind}", pinned]
    try:
        text = await _verified(cosign, args, pinned, f"the attestation of {name} ({kind}) cannot be verified")
    except VerificationError as error:
        if kind in OPTIONAL and _OF_OTHERS in str(error):
            return []
        raise
    found = _predicates(text, digest, kind)
    if not found:
        raise VerificationError(f"{pinned}: the attestation of {name} is about another image")
    return found


async def _verified(cosign: dagger.Container, args: list[str], pinned: str, otherwise: str) -> str:
    try:
        return await ask(cosign, args)
    except dagger.QueryError as error:
        raise VerificationError(f"{pinned}: {otherwise}: {refusal(error)}") from None


def _predicates(envelopes: str, digest: str, kind: str) -> list[dict[str, Any]]:
    """Return the predicates about a digest, out of the envelopes that cosign proved, a line each."""
    statements = [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in envelopes.split("\n") if line]
    return [
        statement["predicate"]
        for statement in statements
        if statement["predicateType"] == kind
        and any(f"sha256:{subject['digest'].get('sha256')}" == digest for subject in statement["subject"])
    ]


def _time(predicate: dict[str, Any]) -> str:
    """Return when a predicate was made, in RFC 3339: of a verdict, of an OpenVEX document, of an SBOM."""
    about = predicate.get("metadata") or predicate.get("creationInfo") or {}
    return str(predicate.get("time") or predicate.get("timestamp") or about.get("timestamp") or about.get("created"))
