"""Registries as others run them, in front of one on 127.0.0.1: with a token service, hidden, late, slow, failing."""

import base64
import contextlib
import datetime as dt
import hashlib
import http.client
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import sigstores
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

_HOP = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


class Tokens:
    """A token service: what it signs, a registry (distribution) with `settings` takes."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        made = made.serial_number(1).not_valid_before(now - dt.timedelta(days=1))
        made = made.not_valid_after(now + dt.timedelta(days=1))
        self._certificate = made.sign(self._key, hashes.SHA256())
        self._bundle = folder / "tokens.pem"
        self._bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def settings(self) -> dict[str, object]:
        """Return what a registry must know of it; the front writes where it really is."""
        common = {"realm": "http://token.invalid/token", "service": "registry", "issuer": "tokens"}
        return {"token": {**common, "rootcertbundle": str(self._bundle)}}

    def token(self, user: str, access: list[dict[str, object]]) -> str:
        """Return a token for a user."""
        now = int(time.time())
        certificate = base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()
        head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        body = {"iss": "tokens", "sub": user, "aud": "registry", "exp": now + 300, "nbf": now - 5, "iat": now}
        text = ".".join(map(_encoded, (head, {**body, "jti": f"{now}", "access": access})))
        return f"{text}.{_plain(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _encoded(part: object) -> str:
    return _plain(json.dumps(part).encode())


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Front:
    """How a registry behaves that another one stands behind."""

    #: Port of that one.
    behind: int
    tokens: Tokens | None = None
    #: Who is known, by name.
    passwords: dict[str, str] = field(default_factory=dict)
    #: Whether a repository is refused to its own users until somebody asks for a token to push to it, as Quay does.
    hides: bool = False
    #: Tags that its list leaves out.
    unlisted: set[str] = field(default_factory=set)
    #: Of so many requests one is told to come again later.
    throttles: int = 0
    #: How many uploads of a blob break off in the middle.
    breaks: int = 0
    #: Whether it takes questions and answers none.
    silent: bool = False
    #: Whose services are at the same address.
    sigstore: sigstores.Sigstore | None = None
    port: int = 0
    requests: int = 0
    made: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def serve(front: Front) -> Iterator[Front]:
    """Serve a front while the context lasts."""

    class Handler(_Handler):
        behaviour = front

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        front.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield front
        finally:
            server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Front
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests' output is theirs."""

    def do_GET(self) -> None:
        """Answer any request."""
        front = self.behaviour
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if not self._breaks() else None
        if body is None:
            return
        path, _, query = self.path.partition("?")
        with front.lock:
            front.requests += 1
            throttled = front.throttles and front.requests % front.throttles == 0
        while front.silent:
            time.sleep(0.1)
        if front.sigstore and (said := front.sigstore.answer(self.command, self.path, self.headers, body)):
            sigstores.send(self, *said)
        elif path == "/token" and front.tokens:
            self._token(urllib.parse.parse_qs(query))
        elif throttled:
            self._answer(HTTPStatus.TOO_MANY_REQUESTS, _error("TOOMANYREQUESTS", "slow down"), {"Retry-After": "1"})
        elif front.hides and path.startswith("/v2/") and len(path) > len("/v2/") and not self._is_made(path):
            self._answer(HTTPStatus.UNAUTHORIZED, _error("UNAUTHORIZED", "access is not authorized"), self._challenge())
        else:
            self._forward(body)

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 # the base class's names

    def _breaks(self) -> bool:
        front = self.behaviour
        size = int(self.headers.get("Content-Length") or 0)
        if self.command != "PATCH" or (size and size < 10_000):
            return False
        with front.lock:
            if front.breaks == 0:
                return False
            front.breaks -= 1
        self.rfile.read(1000)
        self.close_connection = True
        self.connection.close()
        return True

    def _is_made(self, path: str) -> bool:
        return any(path.startswith(f"/v2/{name}/") for name in self.behaviour.made)

    def _user(self) -> str | None:
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        if kind.lower() != "basic":
            return None
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user if self.behaviour.passwords.get(user) == password else None

    def _token(self, asked: dict[str, list[str]]) -> None:
        user = self._user()
        if not user:
            # As GHCR does, with this status.
            self._answer(HTTPStatus.FORBIDDEN, _error("DENIED", "requested access to the resource is denied"))
            return
        access = []
        for scope in (part for each in asked.get("scope", []) for part in each.split(" ")):
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
            if "push" in actions:
                self.behaviour.made.add(name)
        token = self.behaviour.tokens.token(user, access)
        self._answer(HTTPStatus.OK, json.dumps({"token": token}).encode())

    def _challenge(self) -> dict[str, str]:
        host = self.headers["Host"]
        return {"WWW-Authenticate": f'Bearer realm="http://{host}/token",service="registry"'}

    def _forward(self, body: bytes) -> None:
        front = self.behaviour
        connection = http.client.HTTPConnection("127.0.0.1", front.behind, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        connection.request(self.command, self.path, body, {**headers, "Host": self.headers["Host"]})
        answer = connection.getresponse()
        data = answer.read()
        told = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        here = f"http://{self.headers['Host']}"
        told = {name: value.replace("http://token.invalid", here) for name, value in told.items()}
        if self.path.partition("?")[0].endswith("/tags/list") and answer.status == HTTPStatus.OK:
            listed = json.loads(data)
            listed["tags"] = [tag for tag in listed["tags"] or [] if tag not in front.unlisted]
            data = json.dumps(listed).encode()
        length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        self._answer(answer.status, data, told, length)
        connection.close()

    def _answer(self, status: int, data: bytes, headers: dict[str, str] | None = None, length: str = "") -> None:
        self.send_response(status)
        given = {"Content-Type": "application/json"} | (headers or {})
        for name, value in given.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def layout(folder: Path, text: str) -> str:
    """Write an OCI image layout of an image with one file; return its digest. Texts differ, so do images."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob(hashlib.shake_256(text.encode()).digest(100_000), "layer.v1.tar")
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = blob(json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode(), "config.v1+json")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
    described = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    return str(described["digest"])


def digest_of(folder: Path) -> str:
    """Return the digest of the image in a layout."""
    return str(json.loads((folder / "index.json").read_text())["manifests"][0]["digest"])
