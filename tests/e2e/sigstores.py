"""A Sigstore of a test's own: what gives identities, the authority (as Fulcio answers), and the log (as Rekor answers).

Certificates, their timestamps and the log's proofs are real and are checked by real programs (cosign, gh); services are
few lines that take every token which has not ended. Each entry of the log is the only one of its tree.
"""

import base64
import datetime as dt
import hashlib
import http.server
import json
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

GITHUB = "https://token.actions.githubusercontent.com"
START = "2020-01-01T00:00:00Z"
_SHA256 = ec.ECDSA(hashes.SHA256())
_TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
#: Of github.com/sigstore/fulcio, docs/oid-info.md: what a certificate says of a job, by the last number.
_FULCIO = "1.3.6.1.4.1.57264.1"


def claims_of(repository: str, workflow: str = "pipeline.yml") -> dict[str, object]:
    """Return what GitHub says of a job on main."""
    owner = repository.partition("/")[0]
    return {
        "iss": GITHUB,
        "aud": "sigstore",
        "sub": f"repo:{repository}:ref:refs/heads/main",
        "repository": repository,
        "repository_owner": owner,
        "ref": "refs/heads/main",
        "sha": "1356e12d" + "0" * 32,
        "event_name": "push",
        "run_id": "7",
        "run_attempt": "1",
        "runner_environment": "github-hosted",
        "job_workflow_ref": f"{repository}/.github/workflows/{workflow}@refs/heads/main",
        "workflow_ref": f"{repository}/.github/workflows/image.yml@refs/heads/main",
    }


def token(claims: Mapping[str, object]) -> str:
    """Return a token that nobody signed."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_public(key)).digest()


def _plain(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Sigstore:
    """The keys, and what was asked."""

    #: What a token for a job says.
    claims: dict[str, object]
    #: For how many seconds a token is good.
    lasts: float = 300
    #: Whether the log is known by the text of its id in place of the id, as policy-controller 0.13.1 has it of a
    #: TrustRoot (ConvertTransparencyLogInstance of pkg/apis/config/sigstore_keys.go, and still so in August 2026).
    named_by_text: bool = False
    #: Under which name and port its users reach it.
    port: int = 0
    host: str = "registry.localhost"
    asked: list[str] = field(default_factory=list)
    _authority: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    _witness: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    _log: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    _root: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        """Make the authority's own certificate."""
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sigstore.example.org"),
                x509.NameAttribute(NameOID.COMMON_NAME, "sigstore"),
            ]
        )
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._authority.public_key())
        made = (
            made.serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage(signs_certificates=True), critical=True)
        made = made.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._authority.public_key()), critical=False
        )
        self._root = made.sign(self._authority, hashes.SHA256())

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    @property
    def _log_id(self) -> bytes:
        return _id(self._log).hex().encode() if self.named_by_text else _id(self._log)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write what cosign must know of it: where it is (signing config), and by what its work is known."""
        service = {"url": self.url, "majorApiVersion": 1, "validFor": {"start": START}, "operator": "test"}
        services = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service],
            "rekorTlogUrls": [service],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {},
        }
        paths = folder / "services.json", folder / "root.json"
        for path, document in zip(paths, (services, self.root()), strict=True):
            path.write_text(json.dumps(document) + "\n")
        return paths

    def root(self) -> dict[str, object]:
        """Return by what its work is known."""
        valid = {"validFor": {"start": START}}
        chain = {"certificates": [{"rawBytes": _plain(self._root.public_bytes(serialization.Encoding.DER))}]}
        subject = {"organization": "sigstore.example.org", "commonName": "sigstore"}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": [{"subject": subject, "uri": self.url, "certChain": chain, **valid}],
            "tlogs": [self._described(self._log, self._log_id)],
            "ctlogs": [self._described(self._witness, _id(self._witness))],
        }

    def trust_root(self, name: str) -> dict[str, object]:
        """Return by what its work is known, as policy-controller takes it."""

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
            form = serialization.PublicFormat.SubjectPublicKeyInfo
            pem = key.public_key().public_bytes(serialization.Encoding.PEM, form)
            return {"baseURL": self.url, "hashAlgorithm": "sha-256", "publicKey": _plain(pem)}

        authority = {
            "subject": {"organization": "sigstore.example.org", "commonName": "sigstore"},
            "uri": self.url,
            "certChain": _plain(self._root.public_bytes(serialization.Encoding.PEM)),
        }
        keys = {"certificateAuthorities": [authority], "ctLogs": [log(self._witness)], "tLogs": [log(self._log)]}
        kind = {"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot"}
        return {**kind, "metadata": {"name": name}, "spec": {"sigstoreKeys": keys}}

    def _described(self, key: ec.EllipticCurvePrivateKey, name: bytes) -> dict[str, object]:
        details = {"rawBytes": _plain(_public(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        return {
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {**details, "validFor": {"start": START}},
            "logId": {"keyId": _plain(name)},
        }

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, object] | None:
        """Answer a request, if it is one to Sigstore or to what gives identities."""
        kinds = {
            "/identity": self._identity,
            "/api/v2/signingCert": self._certificate,
            "/api/v1/log/entries": self._entry,
        }
        place = path.partition("?")[0]
        if place not in kinds:
            return None
        self.asked.append(f"{method} {place}")
        return kinds[place](headers.get("Authorization") or "", body)

    def _identity(self, authorization: str, _: bytes) -> tuple[int, object]:
        if authorization != "bearer of-the-job":
            return 403, {}
        return 200, {"value": token({**self.claims, "iat": time.time(), "exp": time.time() + self.lasts})}

    def _certificate(self, authorization: str, body: bytes) -> tuple[int, object]:
        payload = authorization.removeprefix("Bearer ").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["exp"] < time.time():
            return 400, {"code": 3, "message": "There was an error processing the identity token: token is expired"}
        asked = json.loads(body)["publicKeyRequest"]["publicKey"]["content"]
        leaf = self._issued(claims, serialization.load_pem_public_key(asked.encode()))
        chain = [each.public_bytes(serialization.Encoding.PEM).decode() for each in (leaf, self._root)]
        return 200, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _issued(self, claims: Mapping[str, object], key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self._root.subject).public_key(key)
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - dt.timedelta(seconds=5)).not_valid_after(now + dt.timedelta(minutes=10))
        made = made.add_extension(_usage(signs_certificates=False), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.public_key())
        made = made.add_extension(own, critical=False)
        here = "https://github.com"
        name = x509.UniformResourceIdentifier(f"{here}/{claims['job_workflow_ref']}")
        made = made.add_extension(x509.SubjectAlternativeName([name]), critical=True)
        repository = f"{here}/{claims['repository']}"
        said = {
            8: claims["iss"],
            9: name.value,
            11: claims["runner_environment"],
            12: repository,
            13: claims["sha"],
            14: claims["ref"],
            16: f"{here}/{claims['repository_owner']}",
            18: f"{here}/{claims['workflow_ref']}",
            20: claims["event_name"],
            21: f"{repository}/actions/runs/{claims['run_id']}/attempts/{claims['run_attempt']}",
        }
        for number, text in said.items():
            value = x509.UnrecognizedExtension(ObjectIdentifier(f"{_FULCIO}.{number}"), _der(0x0C, str(text).encode()))
            made = made.add_extension(value, critical=False)
        witnessed = self._witnessed(made.sign(self._authority, hashes.SHA256()).tbs_certificate_bytes)
        return made.add_extension(x509.UnrecognizedExtension(_TIMESTAMPS, witnessed), critical=False).sign(
            self._authority, hashes.SHA256()
        )

    def _witnessed(self, certificate: bytes) -> bytes:
        """Return the timestamp of a log of certificates (RFC 6962, 3.2) as its extension has it."""
        milliseconds = int(time.time() * 1000)
        body = struct.pack(">BBQH", 0, 0, milliseconds, 1) + _id(self._authority)
        body += len(certificate).to_bytes(3, "big") + certificate + b"\0\0"
        signature = self._witness.sign(body, _SHA256)
        timestamp = (
            b"\0" + _id(self._witness) + struct.pack(">QHBBH", milliseconds, 0, 4, 3, len(signature)) + signature
        )
        listed = struct.pack(">H", len(timestamp)) + timestamp
        return _der(0x04, struct.pack(">H", len(listed)) + listed)

    def _entry(self, _: str, body: bytes) -> tuple[int, object]:
        """Answer as github.com/sigstore/rekor does to an entry of the type dsse, version 0.0.1."""
        asked = json.loads(body)
        content = asked["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        entry = {
            "apiVersion": "0.0.1",
            "kind": asked["kind"],
            "spec": {
                "envelopeHash": _hash(content["envelope"].encode()),
                "payloadHash": _hash(base64.b64decode(envelope["payload"])),
                "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}],
            },
        }
        canonical = _canonical(entry)
        leaf = hashlib.sha256(b"\0" + canonical).digest()
        note = f"{self.host} - 1\n1\n{_plain(leaf)}\n"
        signed = _plain(_id(self._log)[:4] + self._log.sign(note.encode(), _SHA256))
        promise = {
            "body": _plain(canonical),
            "integratedTime": int(time.time()),
            "logID": self._log_id.hex(),
            # Over all trees, of which each has one.
            "logIndex": len(self.asked),
        }
        proof = {
            "checkpoint": f"{note}\n\u2014 {self.host} {signed}\n",
            "hashes": [],
            "logIndex": 0,
            "rootHash": leaf.hex(),
            "treeSize": 1,
        }
        kept = {"inclusionProof": proof, "signedEntryTimestamp": _plain(self._log.sign(_canonical(promise), _SHA256))}
        return 201, {leaf.hex(): {**promise, "verification": kept}}


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    others = dict.fromkeys((*names, "decipher_only"), False)
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **others,
    )


def _der(tag: int, data: bytes) -> bytes:
    size = len(data)
    head = (
        bytes([size])
        if size < 128
        else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    )
    return bytes([tag]) + head + data


def _hash(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@contextmanager
def serve(sigstore: Sigstore) -> Iterator[Sigstore]:
    """Serve it on 127.0.0.1, for programs outside of an engine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            send(self, *(sigstore.answer(self.command, self.path, self.headers, body) or (404, {})))

        do_GET = do_POST  # noqa: N815 # the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests' output is theirs."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sigstore.host, sigstore.port = "127.0.0.1", server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield sigstore
        finally:
            server.shutdown()


def send(handler: http.server.BaseHTTPRequestHandler, status: int, document: object) -> None:
    """Send an answer; one that something was made is known by its name, as Rekor's is."""
    text = json.dumps(document).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text)))
    if status == 201 and isinstance(document, dict):
        handler.send_header("ETag", next(iter(document)))
        handler.send_header("Location", f"/api/v1/log/entries/{next(iter(document))}")
    handler.end_headers()
    handler.wfile.write(text)
