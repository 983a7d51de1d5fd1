"""A Hex repository and git repositories on 127.0.0.1, made of `tests/fixtures/packages`, the same bytes every time.

Formats: https://github.com/hexpm/specifications (registry v2, package tarball); git's dumb HTTP protocol.
"""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import os
import shutil
import struct
import subprocess
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PACKAGES = Path(__file__).parent.parent / "fixtures" / "packages"
#: Those that the fixtures do not depend on.
MORE_PACKAGES = PACKAGES.with_name("more_packages")
HEX = ("tiny_text", "1.0.2")
#: A package that needs the other one, which no lock of the fixtures has.
HEX_NEEDS = ("tiny_word", "2.0.0")
GIT = ("tiny_math", "v0.3.0")
#: A private repository, which nobody reads without its key.
ORGANISATION = "acme"
ORGANISATION_KEY = "0b7e41c95d2fa386"
#: Whoever wants a repository below git/guarded must have this.
GIT_TOKEN = "51c0ffee7a9b3d24"  # noqa: S105 # made up
#: What `tests/unit/record_registry.py` let hex_core make.
REGISTRY = PACKAGES.with_name("registry")
_TIME = "2026-01-01T00:00:00 +0000"


@dataclass(frozen=True)
class Mirror:
    """Where the mirror is: below `root` on disk, at `port` of 127.0.0.1."""

    root: Path
    port: int
    key: rsa.RSAPrivateKey
    host: str = "mirror"

    @property
    def hex_url(self) -> str:
        """URL of the Hex repository as the pipeline's containers see it."""
        return f"http://{self.host}:{self.port}/hex"

    @property
    def public_key(self) -> Path:
        """The repository's key."""
        return self.root / "hex" / "public_key"

    @property
    def git_config(self) -> Path:
        """A git configuration that sends https://git.example.org here, and has the token for what is guarded."""
        path = self.root / "gitconfig"
        here = f"http://{self.host}:{self.port}/git/"
        path.write_text(
            f'[url "{here}"]\n\tinsteadOf = https://git.example.org/\n'
            f'[http "{here}guarded/"]\n\textraHeader = Authorization: Bearer {GIT_TOKEN}\n'
        )
        return path

    def publish(self, name: str, key: rsa.RSAPrivateKey | None = None) -> None:
        """Let the registry say of a package what is recorded, signed with its key or another one."""
        package = (REGISTRY / f"{name}.pb").read_bytes()
        (self.root / "hex" / "packages" / name).write_bytes(signed(package, key or self.key))

    def arguments(self) -> list[str]:
        """Return the module's arguments that make the dependencies come from here."""
        return [
            f"--mirror=tcp://127.0.0.1:{self.port}",
            f"--hex-mirror={self.hex_url}",
            f"--hex-mirror-key={self.public_key}",
            f"--git-config=file:{self.git_config}",
        ]


@contextlib.contextmanager
def serve(port: int = 0, host: str = "127.0.0.1") -> Iterator[Mirror]:
    """Make the repositories and serve them while the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        key = make_hex(root / "hex")
        make_git(root / "git" / "tiny" / f"{GIT[0]}.git")
        handler = functools.partial(_Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer((host, port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Mirror(root, server.server_address[1], key)
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: the tests' output is theirs."""

    def do_GET(self) -> None:  # the base class's name
        """Serve a file, that of a private repository to who has its key; what is broken has none."""
        if self.path.startswith("/broken/"):
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if f"/repos/{ORGANISATION}/" in self.path and self.headers.get("Authorization") != ORGANISATION_KEY:
            self.send_error(HTTPStatus.UNAUTHORIZED)
            return
        if "/git/guarded/" in self.path and self.headers.get("Authorization") != f"Bearer {GIT_TOKEN}":
            self.send_error(HTTPStatus.UNAUTHORIZED)
            return
        super().do_GET()

    def end_headers(self) -> None:
        """Send an ETag, without which rebar3 takes no package."""
        self.send_header("ETag", f'"{hashlib.sha256(self.path.encode()).hexdigest()}"')
        super().end_headers()


def make_git(path: Path) -> str:
    """Make a bare repository with one commit and its tag; return the commit."""
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(PACKAGES / GIT[0], work, dirs_exist_ok=True)
        return make_repository(path, Path(work), tag=GIT[1])


def make_repository(path: Path, work: Path, *, tag: str, more: int = 0) -> str:
    """Make a bare repository of a folder: one commit with a tag, and empty ones after it; return the last commit."""
    env = os.environ | {
        "GIT_AUTHOR_DATE": _TIME,
        "GIT_COMMITTER_DATE": _TIME,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "test", f"GIT_{role}_EMAIL": "test@example.org"}

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=work, env=env, check=True, capture_output=True, text=True).stdout

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "tiny_math 0.3.0")
    git("tag", tag)
    for number in range(more):
        git("commit", "-q", "--allow-empty", "-m", f"{number}")
    commit = git("rev-parse", "HEAD").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    git("clone", "-q", "--bare", ".", str(path))
    subprocess.run(["git", "update-server-info"], cwd=path, check=True)
    return commit


def tarball(name: str, version: str, needs: str = "") -> tuple[bytes, str, str]:
    """Return a Hex package, its inner and its outer checksum (hexadecimal, upper case); `needs` names another one."""
    source = (PACKAGES if needs == "" else MORE_PACKAGES) / name
    files = sorted(path for path in source.rglob("*") if path.is_file())
    contents = io.BytesIO()
    with tarfile.open(fileobj=contents, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in files:
            _add(archive, str(path.relative_to(source)), path.read_bytes())
    packed = _stored_gzip(contents.getvalue())
    names = ",".join(f'<<"{path.relative_to(source)}">>' for path in files)
    metadata = "".join(
        f"{{{key},{value}}}.\n"
        for key, value in {
            '<<"app">>': f'<<"{name}">>',
            '<<"build_tools">>': '[<<"rebar3">>]',
            '<<"description">>': '<<"A package of the tests">>',
            '<<"files">>': f"[{names}]",
            '<<"licenses">>': '[<<"Apache-2.0">>]',
            '<<"links">>': "[]",
            '<<"name">>': f'<<"{name}">>',
            '<<"requirements">>': _requirement(needs) if needs else "[]",
            '<<"version">>': f'<<"{version}">>',
        }.items()
    ).encode()
    inner = hashlib.sha256(b"3" + metadata + packed).hexdigest().upper()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for part, data in {
            "VERSION": b"3",
            "CHECKSUM": inner.encode(),
            "metadata.config": metadata,
            "contents.tar.gz": packed,
        }.items():
            _add(archive, part, data)
    return whole.getvalue(), inner, hashlib.sha256(whole.getvalue()).hexdigest().upper()


def _requirement(name: str) -> str:
    return (
        f'[{{<<"{name}">>,[{{<<"app">>,<<"{name}">>}},{{<<"optional">>,false}},{{<<"requirement">>,<<"~> 1.0">>}}]}}]'
    )


def make_key() -> rsa.RSAPrivateKey:
    """Make a key as registries sign with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_hex(root: Path) -> rsa.RSAPrivateKey:
    """Make a Hex repository with its key, and that of an organisation in it; return the key."""
    key = make_key()
    make_registry(root, key, "hexpm")
    make_registry(root / "repos" / ORGANISATION, key, ORGANISATION)
    (root / "public_key").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return key


def signed(package: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Return what a registry says of a package as it gives it away."""
    message = _bytes(1, package) + _bytes(2, key.sign(package, padding.PKCS1v15(), hashes.SHA512()))
    return gzip.compress(message, mtime=0)


def make_registry(root: Path, key: rsa.RSAPrivateKey, repository: str) -> None:
    """Make the files of a Hex repository: its packages, and what the repository says of them."""
    (root / "tarballs").mkdir(parents=True)
    (root / "packages").mkdir()
    for (name, version), needs in ((HEX, ""), (HEX_NEEDS, HEX[0])):
        data, inner, outer = tarball(name, version, needs)
        (root / "tarballs" / f"{name}-{version}.tar").write_bytes(data)
        release = _text(1, version) + _bytes(2, bytes.fromhex(inner))
        if needs:
            release += _bytes(3, _text(1, needs) + _text(2, "~> 1.0"))
        release += _bytes(5, bytes.fromhex(outer))
        package = _bytes(1, release) + _text(2, name) + _text(3, repository)
        (root / "packages" / name).write_bytes(signed(package, key))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _stored_gzip(data: bytes) -> bytes:
    """Return a gzip file without compression: rebar.lock holds its hash, which no Python or zlib may change."""
    assert len(data) <= 0xFFFF, "one stored block holds no more"
    block = b"\x01" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block + struct.pack("<II", zlib.crc32(data), len(data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bytes(field: int, value: bytes) -> bytes:
    """Encode a length-delimited field of a protocol buffer."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
