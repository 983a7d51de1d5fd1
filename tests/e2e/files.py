"""The init and the certificates of the tests' images: Debian's tini-static, given by argument, or served by URL."""

import functools
import hashlib
import http.server
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

from registry import CACHE, own_architecture

#: tini_0.19.0-1_ARCHITECTURE.deb of Debian bookworm.
PACKAGES = {
    "amd64": "de5c1090fdb767c6c826b23e1248f4644546697ac4a5bc50b3823901881d4607",
    "arm64": "f433248723d58edeb91a3bd357aef0170b1dbab2417421407983b23503ce5a4f",
}
_URL = "http://deb.debian.org/debian/pool/main/t/tini/tini_0.19.0-1_{}.deb"
_PREFERRED_PORT = 5066


@functools.cache
def folder() -> Path:
    """Return the folder with init-amd64, init-arm64 and certificates."""
    cache = CACHE / "files"
    cache.mkdir(parents=True, exist_ok=True)
    for architecture, sha256 in PACKAGES.items():
        target = cache / f"init-{architecture}"
        if target.exists():
            continue
        with tempfile.TemporaryDirectory() as name:
            package = Path(name, "tini.deb")
            with urllib.request.urlopen(_URL.format(architecture), timeout=60) as answer:  # noqa: S310 # http
                package.write_bytes(answer.read())
            assert hashlib.sha256(package.read_bytes()).hexdigest() == sha256
            subprocess.run(["dpkg-deb", "--extract", package, name], check=True)
            target.write_bytes(Path(name, "usr/bin/tini-static").read_bytes())
    (cache / "certificates").write_text("-----BEGIN CERTIFICATE-----\nbWFkZSB1cA==\n-----END CERTIFICATE-----\n")
    return cache


def given() -> list[str]:
    """Return the module's arguments that hand them over, for this machine's platform."""
    return [f"--init={folder() / f'init-{own_architecture()}'}", f"--certificates={folder() / 'certificates'}"]


def by_url(images: Path) -> list[str]:
    """Return the module's arguments that have them fetched from here, for both platforms, with a table of images."""
    lines = ["[files]"]
    for name in (*(f"init-{architecture}" for architecture in PACKAGES), "certificates"):
        sha256 = hashlib.sha256((folder() / name).read_bytes()).hexdigest()
        lines.append(f'{name} = "http://mirror:{_served()}/{name}#sha256={sha256}"')
    table = images.with_name("images-and-files.toml")
    table.write_text("\n".join([images.read_text(), *lines, ""]))
    return [f"--images={table}", f"--mirror=tcp://127.0.0.1:{_served()}"]


@functools.cache
def _served() -> int:
    """Serve the folder for as long as the tests run; return the port, the same each time where possible."""
    handler = functools.partial(_Quiet, directory=str(folder()))
    for port in (_PREFERRED_PORT, 0):
        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]
    raise AssertionError("no port")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: the tests' output is theirs."""
