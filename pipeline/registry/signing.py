"""Signatures and attestations: how cosign signs, and what it attests."""

import base64
import dataclasses
import datetime as dt
import json
import urllib.request
from collections.abc import Mapping
from typing import Any, Self

import anyio.to_thread
import dagger

from pipeline.errors import InputError, RegistryError

SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"
PROVENANCE = "https://slsa.dev/provenance/v1"
#: in-toto's predicate for vulnerabilities is what one scanner says of one database; ours is what several come to,
#: with the policy, what was accepted and why. So it is `findings.json` as it is, whose schema is in the project.
FINDINGS = "https://github.com/banyan-platform/erlmcp/pipeline/findings/v1"
#: Without a version, as `--type openvex` of cosign has it and vexctl looks for it; Trivy takes every version.
OPENVEX = "https://openvex.dev/ns"
#: The verdict in short, for verifiers that do not know ours.
RESULT = "https://in-toto.io/attestation/svr/v0.2"
#: What was tried out on the image before it was published.
TESTED = "https://in-toto.io/attestation/test-result/v0.1"
#: What is attested of a published image, by predicate type: names for people.
PREDICATES = {
    SPDX: "SPDX",
    CYCLONEDX: "CycloneDX",
    FINDINGS: "verdict",
    PROVENANCE: "provenance",
    OPENVEX: "VEX",
    RESULT: "result",
    TESTED: "tests",
}
#: What it may lack: there is no OpenVEX document without a statement and no test that nobody requires, and older images
#: have no result.
OPTIONAL = {OPENVEX, RESULT, TESTED}
#: The predicate type of a signature alone. `cosign verify` is content with any signed statement about the image.
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"

# Sigstore's services: none. For sites that keep their signatures to themselves.
_NO_SERVICES = (
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}'
)
_NO_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'

#: Who vouches for the identities of GitHub's workflows.
GITHUB = "https://token.actions.githubusercontent.com"
#: For how many seconds an identity must last yet: for one signature and each attestation.
_SIGNING_TIME = 120
#: How long GitHub may take to give an identity, in seconds.
_ASKING_TIME = 30
#: Where a container of cosign finds keys and settings.
SIGNING = "/signing"


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Whom Sigstore's certificate names, and who vouches for it."""

    name: str
    issuer: str

    @classmethod
    def parse(cls, token: str) -> Self | None:
        """Read what the certificate for a token will name, as far as that is known before there is one.

        It is what github.com/sigstore/fulcio has in config/identity/config.yaml (subject-alternative-name-template) for
        workflows of GitHub and pipelines of GitLab, and the address of a person.
        """
        claims = _claims(token)
        issuer = str(claims.get("iss", ""))
        name = str(claims.get("email", ""))
        if issuer == GITHUB and (ref := claims.get("job_workflow_ref")):
            name = f"https://github.com/{ref}"
        elif ref := claims.get("ci_config_ref_uri"):
            name = f"https://{ref}"
        return cls(name, issuer) if name and issuer else None


def _claims(token: str) -> Mapping[str, Any]:
    """Return what a JSON Web Token says; nothing if it is none: cosign and Sigstore say what they think of it."""
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


@dataclasses.dataclass(frozen=True, slots=True)
class Sigstore:
    """A private Sigstore, described by two files of cosign; the public Sigstore without them."""

    #: Its signing configuration (the services) and its trusted root (their certificates and keys).
    services: dagger.File | None = None
    root: dagger.File | None = None

    def known_to(self, cosign: dagger.Container) -> dagger.Container:
        """Return cosign with the files that there are."""
        for name, file in (("services", self.services), ("root", self.root)):
            if file:
                cosign = cosign.with_mounted_file(f"{SIGNING}/{name}.json", file)
        return cosign


#: That of everybody.
PUBLIC = Sigstore()


@dataclasses.dataclass(frozen=True, slots=True)
class Signing:
    """How cosign signs."""

    #: Private key, and its password.
    key: dagger.Secret | None = None
    key_password: dagger.Secret | None = None
    #: OpenID Connect token of a CI's run: a certificate is given for it.
    identity_token: dagger.Secret | None = None
    #: Where cosign fetches such a token when it signs, and with what: in GitHub one lives for five minutes, and a build
    #: may take longer.
    identity_url: dagger.Secret | None = None
    identity_url_token: dagger.Secret | None = None
    transparency_log: bool = True
    sigstore: Sigstore = PUBLIC

    def __post_init__(self) -> None:
        """Raise `InputError` unless it is one way to sign."""
        if bool(self.sigstore.services) != bool(self.sigstore.root):
            raise InputError("--sigstore-services and --sigstore-root: give both to sign with a private Sigstore")
        if bool(self.identity_url) != bool(self.identity_url_token):
            raise InputError("--identity-url and --identity-url-token: give both (GitHub sets both in a job)")
        ways = [way for way in (self.key, self.identity_token, self.identity_url) if way]
        if len(ways) != 1:
            raise InputError(
                "give one of --cosign-key, --identity-token and --identity-url to sign, or --unsigned (in GitHub, a "
                "job needs the permission id-token: write to have an identity)"
            )
        if not self.key and not self.transparency_log:
            raise InputError(
                "--transparency-log=false: the certificate of an identity is valid for ten minutes, and only the log "
                "proves that it was used within them; sign with --cosign-key instead"
            )

    def __str__(self) -> str:
        """Say how, for people."""
        how = "with the given key" if self.key else "with a certificate for the identity token"
        return how + (", with Sigstore's transparency log" if self.transparency_log else ", without transparency log")

    async def check_alive(self, now: float) -> None:
        """Raise `InputError` if a token has ended that was given before the build: nothing is pushed then."""
        if not self.identity_token:
            return
        try:
            ends = _claims(await self.identity_token.plaintext())["exp"]
            ended = f"{dt.datetime.fromtimestamp(ends, dt.UTC):%H:%M:%S} UTC" if ends < now + _SIGNING_TIME else ""
        except (ValueError, KeyError, TypeError, OverflowError):
            return  # cosign and Sigstore say what they think of it
        if ended:
            raise InputError(
                f"nothing was pushed: --identity-token expires at {ended}, too early to sign with it; give a token "
                "that lasts longer than the build, or call again with a new one: the build is in the cache now"
            )

    async def identity(self) -> Identity | None:
        """Return whom the certificate will name; nothing if there is none, or if it is not known yet.

        Raises
        ------
        RegistryError
            If the one who gives identities gives none.
        """
        if self.identity_token:
            return Identity.parse(await self.identity_token.plaintext())
        if not self.identity_url or not self.identity_url_token:
            return None
        url = f"{await self.identity_url.plaintext()}&audience=sigstore"
        token = await self.identity_url_token.plaintext()
        request = urllib.request.Request(url, headers={"Authorization": f"bearer {token}"})  # noqa: S310 # the user's own

        def asked() -> str:
            with urllib.request.urlopen(request, timeout=_ASKING_TIME) as answer:  # noqa: S310 # as above
                return str(json.load(answer)["value"])

        try:
            # It is read and forgotten; cosign asks for its own when it signs.
            return Identity.parse(await anyio.to_thread.run_sync(asked))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"nothing was pushed: --identity-url gives no identity token: {error}") from None

    def given_to(self, cosign: dagger.Container) -> dagger.Container:
        """Return cosign with what it signs with."""
        if self.key:
            cosign = cosign.with_mounted_secret(f"{SIGNING}/cosign.key", self.key, mode=0o444)
            if self.key_password:
                cosign = cosign.with_secret_variable("COSIGN_PASSWORD", self.key_password)
            else:
                cosign = cosign.with_env_variable("COSIGN_PASSWORD", "")  # unset, it would ask a terminal
        if self.identity_token:
            cosign = cosign.with_mounted_secret(f"{SIGNING}/token", self.identity_token, mode=0o444)
        if self.identity_url and self.identity_url_token:
            # Of cosign's provider github-actions (pkg/providers/github), under GitHub's own names.
            cosign = cosign.with_secret_variable("ACTIONS_ID_TOKEN_REQUEST_URL", self.identity_url)
            cosign = cosign.with_secret_variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.identity_url_token)
        if not self.transparency_log:
            cosign = cosign.with_new_file(f"{SIGNING}/services.json", _NO_SERVICES)
            return cosign.with_new_file(f"{SIGNING}/root.json", _NO_ROOT)
        return self.sigstore.known_to(cosign)

    @property
    def options(self) -> list[str]:
        """Of `cosign sign` and `cosign attest`."""
        options = ["--yes"]
        if self.key:
            options.append(f"--key={SIGNING}/cosign.key")
        elif self.identity_token:
            options.append(f"--identity-token={SIGNING}/token")
        else:
            # Without a token it would show a code, and wait for somebody who types it in.
            options += ["--oidc-provider=github-actions", "--fulcio-auth-flow=token"]
        if not self.transparency_log or self.sigstore.services:
            options += [f"--signing-config={SIGNING}/services.json", f"--trusted-root={SIGNING}/root.json"]
        return options
