"""A real engine, stand-in images on a registry of 127.0.0.1, the fixture's sources."""

import base64
import contextlib
import fcntl
import http
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import bcrypt
import dagger
import files
import mirror as mirrors
import pytest
from dagger import dag
from registry import CACHE, settings

from pipeline import direct, handover
from pipeline.__main__ import traced_to

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
SOCKET = Path("/run/dagger/engine.sock")
NO_ENGINE = (
    "no Dagger engine answers (start Docker or Podman, or set _EXPERIMENTAL_DAGGER_RUNNER_HOST; see docs/tests.md)"
)
#: Variables by which ci/run recognizes a CI's run or a site's settings; the tests run without them, in a CI too.
OF_A_RUN = re.compile(r"(CI|GITHUB_ACTIONS|GITLAB_CI|JENKINS_URL|IMAGE_TAG)$|(ERLMCP|REGISTRY|SIGSTORE|COSIGN)_")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CALL_LIMIT = 900
_PORT = 5065


@dataclass(frozen=True)
class Result:
    """What a call of the module left."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The error as the user reads it: the last one, without the engine's trace id."""
        said = re.split(r"^Error: (?:\w+Error: )?", self.err, flags=re.MULTILINE)[-1]
        return re.sub(r" \[traceparent:[^\]]*\]", "", said).strip()

    def ran(self, words: str) -> bool:
        """Tell whether a command really ran (was not answered by the cache), by how direct mode shows it.

        The log of `dagger call` cannot tell: of a step that the engine evaluates later it may show the call alone.
        """
        assert re.search(r"^ +[\d.]+ s  total; ", self.err, re.MULTILINE), "ran: this is no result of direct mode"
        return any(re.match(r" +[\d.]+ s  ", line) and words in line for line in self.err.splitlines())


@pytest.fixture(scope="session")
def engine() -> dict[str, str]:
    """Return the environment in which an engine answers, or skip."""
    env = {name: value for name, value in os.environ.items() if not OF_A_RUN.match(name)}
    # Of a session of dozens of builds the engine writes its traces for longer than the 10 s after which the CLI, whose
    # exit code is 1 then, stops to wait for it (shutdownServer in engine/client/client.go of Dagger v0.21.8).
    env |= {"DAGGER_NO_NAG": "1", "NO_COLOR": "1", "_EXPERIMENTAL_DAGGER_SHUTDOWN_TIMEOUT": "300s"}
    if not shutil.which("dagger"):
        pytest.skip(f"needs dagger on the PATH: {NO_ENGINE}")
    if "_EXPERIMENTAL_DAGGER_RUNNER_HOST" not in env:
        # A machine may have a command that starts its engine, and does nothing where one runs.
        if shutil.which("dagger-engine-up"):
            try:
                subprocess.run(["dagger-engine-up"], check=True, timeout=120, stdin=subprocess.DEVNULL)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"{NO_ENGINE}: {error}")
        if SOCKET.exists():
            env["_EXPERIMENTAL_DAGGER_RUNNER_HOST"] = f"unix://{SOCKET}"
    try:
        subprocess.run(["dagger", "-s", "core", "version"], env=env, check=True, timeout=180, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(NO_ENGINE)
    return env


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """Serve a registry on 127.0.0.1 whose content stays from run to run, one for all processes of pytest-xdist."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        pytest.fail("docker-registry is not installed (Debian: apt-get install docker-registry mmdebstrap skopeo)")
    (CACHE / "registry").mkdir(parents=True, exist_ok=True)
    with (CACHE / "users").open("a") as users:
        with _alone():
            # Whoever uses it has this lock; who can have it alone was the last one.
            fcntl.flock(users, fcntl.LOCK_SH)
            port = _registry_port(program)
        yield f"127.0.0.1:{port}"
        with _alone(), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.kill(int((CACHE / "pid").read_text()), signal.SIGTERM)
            (CACHE / "pid").unlink()


def _registry_port(program: str) -> int:
    """Return the port of the registry that runs, or start it."""
    with contextlib.suppress(OSError):
        if b"registry.json" in Path("/proc", (CACHE / "pid").read_text(), "cmdline").read_bytes():
            address = json.loads((CACHE / "registry.json").read_text())["http"]["addr"]
            return int(address.rpartition(":")[2])
    # The same port each time where possible: references are part of the engine's keys.
    port = _PORT
    if not _is_free(port):
        port = _free_port()
        warnings.warn(f"port {_PORT} is taken, so the engine's cache has nothing for these tests", stacklevel=2)
    (CACHE / "registry.json").write_text(settings(f"127.0.0.1:{port}", CACHE / "registry"))
    command = [program, "serve", CACHE / "registry.json"]
    nothing = subprocess.DEVNULL
    server = subprocess.Popen(command, stdout=nothing, stderr=nothing, start_new_session=True)
    (CACHE / "pid").write_text(str(server.pid))
    for _ in range(100):
        if not _is_free(port):
            break
        time.sleep(0.1)
    return port


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time do something."""
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def images(engine: dict[str, str], registry: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of stand-in images, made and pushed."""
    folder = tmp_path_factory.mktemp("images")
    entries = []
    with _alone():
        for options in ([], ["--scanners"]):
            part = folder / "part.toml"
            command = [Path(__file__).parent / "standins", "--registry", registry, "--out", part, *options]
            # From nothing on two cores the scanners take three quarters of an hour.
            subprocess.run(command, env=engine, check=True, timeout=4500)
            entries += part.read_text().splitlines()[1:]
    table = folder / "images.toml"
    table.write_text("\n".join(["[images]", *entries, ""]))
    return table


@pytest.fixture(scope="session")
def mirror() -> Iterator[mirrors.Mirror]:
    """Serve the fixture's dependencies."""
    with mirrors.serve() as served:
        yield served


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a copy of the fixture whose dependencies are checkouts: its build needs no network."""
    target = tmp_path / "greeter"
    shutil.copytree(FIXTURES / "greeter", target, symlinks=True)
    shutil.copytree(FIXTURES / "packages", target / "_checkouts")
    return target


@dataclass(frozen=True)
class Module:
    """The module, with the stand-in images."""

    env: dict[str, str]
    images: Path
    #: The distribution of the stand-in images; nothing where a project's erlmcp.toml says it.
    flavor: tuple[str, ...] = ("--flavor=debian",)
    #: Have the layers of the base from its registry, as is done for one on the internet.
    bases: bool = True

    def words(self, source: Path, *words: str) -> list[str]:
        """Return a command line: the module's arguments come before the function's name."""
        # One init does not run on two platforms: those come by URL.
        several = any(word.startswith("--platforms=") for word in words)
        own = files.by_url(self.images) if several else [f"--images={self.images}", *files.given()]
        here = re.search(r'"(127\.0\.0\.1:\d+)/', self.images.read_text())
        if here and self.bases and not any(word.startswith("--registry-service=") for word in words):
            # An engine packs them anew, with other bytes from one export to the next, and other steps in the history.
            own.append(f"--registry-service=tcp://{here[1]}")
        return [*self.flavor, *own, f"--source={source}", *words]

    def __call__(self, source: Path, *words: str) -> Result:
        """Run `dagger call` on a source."""
        done = subprocess.run(
            ["dagger", "--progress=plain", "call", f"--mod={ROOT}", *self.words(source, *words)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=_CALL_LIMIT,
            check=False,
        )
        return Result(done.returncode, _ANSI.sub("", done.stdout), _ANSI.sub("", done.stderr))


@dataclass(frozen=True)
class InProcess(Module):
    """The same in direct mode, in this process: what loading the module takes for each call is left out.

    `test_direct_mode.py` holds it against `dagger call`: the same words, exit codes, files and keys of the cache.
    """

    def __call__(self, source: Path, *words: str) -> Result:
        """Run a command line in a session of its own; its log is that of the CLI."""
        line = self.words(source, *words)
        out, err, umask = io.StringIO(), io.StringIO(), os.umask(0o022)
        listener = socket.create_server(("127.0.0.1", 0))
        with tempfile.TemporaryFile("w+") as log, mock.patch.dict(os.environ, self.env | traced_to(listener)):
            command = ["dagger", "--progress=plain", "session"]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, encoding="utf-8"
            )
            # Of a command line that is refused it is killed.
            with process, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = direct.main(line, process, listener)
                finally:
                    os.umask(umask)
                    handover.work_outside(None)
            log.seek(0)
            said = _ANSI.sub("", log.read()) + err.getvalue()
        return Result(code, out.getvalue(), said)


@pytest.fixture(scope="session")
def module(engine: dict[str, str], images: Path) -> Module:
    """Return the module, ready to call."""
    return Module(engine, images)


@pytest.fixture(scope="session")
def in_process(engine: dict[str, str], images: Path) -> InProcess:
    """Return the module's functions, ready to call in this process."""
    return InProcess(engine, images)


@contextlib.contextmanager
def session(engine: dict[str, str], folder: Path) -> Iterator[None]:
    """Let the module's functions be called from here."""
    cli = shutil.which("dagger") or "dagger"

    def handed_over(folder: Path) -> dagger.Directory:
        return dag.host().directory(str(folder))

    # They write into their working folder, which here is one of this machine.
    with (
        mock.patch.dict(os.environ, engine | {"_EXPERIMENTAL_DAGGER_CLI_BIN": cli}),
        mock.patch.object(handover, "handed_over", handed_over),
        contextlib.chdir(folder),
    ):
        try:
            yield
        except BaseException as error:
            for log in sorted(folder.glob("log*")):
                error.add_note(f"The log of the session ends with:\n{log.read_text(errors='replace')[-4000:]}")
            raise


@dataclass(frozen=True)
class Archive:
    """An OCI archive, read."""

    digest: str
    config: dict
    layers: list[str]


def read_archive(path: Path) -> Archive:
    """Read an OCI archive."""
    with tarfile.open(path) as archive:

        def load(name: str) -> dict:
            return json.load(archive.extractfile(name))

        digest = load("index.json")["manifests"][0]["digest"]
        manifest = load("blobs/" + digest.replace(":", "/"))
        config = load("blobs/" + manifest["config"]["digest"].replace(":", "/"))
    return Archive(digest, config, [layer["digest"] for layer in manifest["layers"]])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Publishing: a registry that asks for a login, and the programs that look at it from outside


@pytest.fixture(scope="session")
def programs(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with programs out of their images: to look at a registry without the module."""
    return programs_of(images, tmp_path_factory.mktemp("programs"), "cosign", "crane", "trivy")


def programs_of(images: Path, folder: Path, *names: str) -> Path:
    """Take programs out of their images into a folder."""
    table = tomllib.loads(images.read_text())["images"]
    for name in names:
        repository, _, digest = table[name].partition("@")
        reference = f"docker://{repository.rpartition(':')[0]}@{digest}"
        image = folder / f"{name}.image"
        subprocess.run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", reference, f"dir:{image}"], check=True)
        for layer in json.loads((image / "manifest.json").read_text())["layers"]:
            with tarfile.open(image / layer["digest"].removeprefix("sha256:")) as archive:
                found = [item for item in archive if item.isreg() and Path(item.name).name == name]
                for item in found:
                    (folder / name).write_bytes(archive.extractfile(item).read())
        (folder / name).chmod(0o755)
    return folder


@dataclass(frozen=True)
class LoginRegistry:
    """A registry on 127.0.0.1 that nobody reads or writes without a login."""

    port: int
    folder: Path
    user: str = "robot"
    password: str = "correct-horse-battery"  # noqa: S105 # made up

    @property
    def storage(self) -> Path:
        """Where its files are."""
        return self.folder / "storage"

    @property
    def basic(self) -> str:
        """User and password, as HTTP and Docker's config.json have them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[bytes, str]:
        """Ask it, as any client does; return the answer and the digest that it names."""
        accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
        headers = {"Authorization": f"Basic {self.basic}", "Accept": accept, **({"Content-Type": kind} if kind else {})}
        url = f"http://127.0.0.1:{self.port}/v2/{path}"
        asked = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 # http, to ourselves
            return answer.read(), answer.headers.get("Docker-Content-Digest", "")

    def tags(self, repository: str) -> dict[str, str]:
        """Return the tags of a repository and their digests; none if there is no such repository."""
        try:
            names = json.loads(self.request("GET", f"{repository}/tags/list")[0])["tags"] or []
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return {}
            raise
        return {name: self.request("HEAD", f"{repository}/manifests/{name}")[1] for name in sorted(names)}


@pytest.fixture(scope="session")
def login_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginRegistry]:
    """Serve an empty registry that asks for a login."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    served = LoginRegistry(_free_port(), tmp_path_factory.mktemp("login-registry"))
    known = bcrypt.hashpw(served.password.encode(), bcrypt.gensalt(4)).decode()
    (served.folder / "htpasswd").write_text(f"{served.user}:{known}\n")
    config = json.loads(settings(f"127.0.0.1:{served.port}", served.storage))
    config["auth"] = {"htpasswd": {"realm": "test", "path": str(served.folder / "htpasswd")}}
    (served.folder / "config.yml").write_text(json.dumps(config))
    with (served.folder / "log").open("w") as log:
        server = subprocess.Popen([program, "serve", served.folder / "config.yml"], stdout=log, stderr=log)
        try:
            for _ in range(100):
                if not _is_free(served.port):
                    break
                time.sleep(0.1)
            yield served
        finally:
            server.terminate()
            server.wait()
