"""Every command of the documents, as their text has it, in a checkout of the fixture with the pipeline laid over it.

The commands of a document run in its order and in one checkout, as in the shell of a reader; what one exports holds for
those after it. Only values of a site are others: the registry, the address of the module, the engine.
"""

import base64
import contextlib
import datetime as dt
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import databases
import documents
import files
import pytest
from conftest import FIXTURES, ROOT, programs_of
from documents import DOCUMENTS, Script
from registry import settings
from test_three_places import ACCEPTED, GIT, OVERLAY, VEX

LIMIT = 900
USERS = {"me": "staple", "robot": "battery"}
#: Programs of a reader's machine that know a password: what the documents ask of them.
ASKED = {
    "gh": '#!/bin/sh\n[ "$*" = "auth token" ] && echo staple\n',
    "docker-credential-desktop": '#!/bin/sh\nread -r _\necho \'{"Username": "me", "Secret": "staple"}\'\n',
}
#: A project whose policy holds: what is told here is that the commands do what the documents say.
SETTINGS = """flavor = "debian"
images = "site.toml"
init = "files/init"
certificates = "files/certificates"
repository = "{repository}"

[policy]
fail-on = "CRITICAL"
"""
#: A service and a terminal stay until somebody ends them.
STAYS, TERMINAL = re.compile(r"\bup\b"), re.compile(r"\bterminal$")


@dataclass
class Desk:
    """A reader's machine: what the documents' values stand for, and the environment of the commands."""

    source: Path
    folder: Path
    port: int
    #: The address of the registry with the stand-in images.
    images: str
    env: dict[str, str]
    #: The checkout of each document.
    places: dict[str, Path] = field(default_factory=dict)
    exported: dict[str, list[str]] = field(default_factory=dict)

    @property
    def signer(self) -> dict[str, str]:
        """The variables that publish.md sets, for a page that takes them for granted."""
        key = (self.folder / "given" / "cosign.key").read_text()
        login = {"REGISTRY_USER": "me", "REGISTRY_PASSWORD": USERS["me"]}
        return login | {"COSIGN_KEY": key, "COSIGN_PASSWORD": "secret"}

    @property
    def service(self) -> str:
        """The argument by which a container of the engine reaches the registry of this site."""
        return f"--registry-service=tcp://127.0.0.1:{self.port}"

    def place(self, document: str) -> Path:
        """Return the checkout in which the commands of a document run."""
        if document not in self.places:
            folder = self.folder / document.replace("/", "-").removesuffix(".md")
            subprocess.run(["git", "clone", "--quiet", self.source, folder], check=True)
            shutil.copytree(self.folder / "given", folder, dirs_exist_ok=True)
            # What a reader has there besides, and what the commands write, is no change of the project.
            ignored = [path.name for path in (self.folder / "given").iterdir()]
            (folder / ".git" / "info" / "exclude").write_text("\n".join([*ignored, "main.json", "images.toml", ""]))
            self.places[document] = folder
        return self.places[document]

    def site(self, line: str) -> str:
        """Return a command with the values of this site."""
        # Of a container of the engine; a program here has another name for it.
        here = "127.0.0.1" if re.match("trivy|grype|cosign", line) else "registry.localhost"
        for name, value in {
            "ghcr.io/banyan-platform/erlmcp": f"{here}:{self.port}/app",
            "ghcr.io/me/app": f"{here}:{self.port}/app",
            "registry.example.org/app": f"{here}:{self.port}/production",
            "--mod=github.com/banyan-platform/erlmcp": f"--mod={ROOT}",
            "unix:///run/dagger/engine.sock": self.env["_EXPERIMENTAL_DAGGER_RUNNER_HOST"],
            'ERLMCP_ARGUMENTS="': f'ERLMCP_ARGUMENTS="{self.service} ',
        }.items():
            line = line.replace(name, value)
        return line

    def command(self, script: Script, line: str) -> list[str]:
        """Return how a shell runs a line, after what was exported before it."""
        before = self.exported.setdefault(script.document, [])
        if line.startswith("export "):
            before.append(self.site(line))
        return ["bash", "-e", "-o", "pipefail", "-c", "\n".join([*before, self.site(line)])]

    def environment(self, document: str) -> dict[str, str]:
        """Return the environment of a document's commands: some ask the registry, one that of the site's images."""
        if document == "docs/air-gapped.md":
            return self.env | {"ERLMCP_ARGUMENTS": f"--registry-service=tcp://{self.images}"} | self.signer
        if document == "docs/policy.md":
            return self.env | {"ERLMCP_ARGUMENTS": self.service} | self.signer
        return self.env | ({"ERLMCP_ARGUMENTS": self.service} if document == "docs/publish.md" else {})


@pytest.fixture(scope="module")
def registry_of_the_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a registry that two users may write; return its port."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = [f"{user}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}\n" for user, word in USERS.items()]
    (folder / "htpasswd").write_text("".join(lines))
    config = json.loads(settings(f"127.0.0.1:{port}", folder / "storage"))
    config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    with subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stderr=subprocess.DEVNULL) as server:
        yield port
        server.terminate()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an SSH agent; return its socket."""
    path = tmp_path_factory.mktemp("agent") / "socket"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as server:
        yield str(path)
        server.terminate()


@pytest.fixture(scope="module")
def desk(
    engine: dict[str, str],
    images: Path,
    registry_of_the_reader: int,
    agent: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Desk:
    """Return a repository with the fixture and the pipeline in it, and what a reader has besides."""
    port, folder = registry_of_the_reader, tmp_path_factory.mktemp("documents")
    source, home, programs = folder / "source", folder / "home", folder / "programs"
    shutil.copytree(FIXTURES / "greeter", source, symlinks=True)
    shutil.copytree(FIXTURES / "packages", source / "_checkouts")
    for name in OVERLAY:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    shutil.copy(images, source / "site.toml")
    (source / "files").mkdir()
    for argument in files.given():
        name, _, path = argument.removeprefix("--").partition("=")
        shutil.copy(path, source / "files" / name)
    databases.make(source / "db", dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    (source / "erlmcp.toml").write_text(SETTINGS.format(repository=f"registry.localhost:{port}/app"))
    # What belongs to a machine.
    lines = [f"ERLMCP_{name}DB=./db/{name.lower()}" for name in ("TRIVY", "GRYPE", "EEF")]
    (source / ".env").write_text("\n".join([*lines, ""]))
    subprocess.run([*GIT, "init", "--quiet", "--initial-branch=main"], cwd=source, check=True)
    subprocess.run([*GIT, "add", "--all", "--force"], cwd=source, check=True)
    subprocess.run([*GIT, "commit", "--quiet", "--message=x"], cwd=source, check=True)

    programs_of(images, _made(programs), "cosign", "trivy", "grype")
    for name, text in ASKED.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    logins = {f"{host}:{port}": {"auth": _basic("me")} for host in ("registry.localhost", "127.0.0.1")}
    (_made(home / ".docker") / "config.json").write_text(json.dumps({"auths": logins}))
    (_made(home / ".ssh") / "known_hosts").write_text("")
    # What git does not see, and a reader has: keys of his, and what he wrote down of a site.
    given = _made(folder / "given")
    env = engine | {
        "HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "DAGGER": shutil.which("dagger") or "dagger",
        "SSH_AUTH_SOCK": agent,
        "HEX_KEY": "abc",
        "PRODUCTION_PASSWORD": USERS["robot"],
        # For a site that keeps its signatures to itself.
        "ERLMCP_PUBLISH": "--transparency-log=false",
        "ERLMCP_VERIFIED": "--transparency-log=false",
        **{f"TRIVY_{name}": "true" for name in ("SKIP_DB_UPDATE", "SKIP_JAVA_DB_UPDATE", "OFFLINE_SCAN", "INSECURE")},
        "TRIVY_CACHE_DIR": "db/trivy",
        "GRYPE_DB_CACHE_DIR": "db/grype",
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
        "GRYPE_REGISTRY_INSECURE_USE_HTTP": "true",
    }
    env.setdefault("_EXPERIMENTAL_DAGGER_RUNNER_HOST", "unix:///run/dagger/engine.sock")
    keys = ["cosign", "generate-key-pair", "--output-key-prefix=cosign"]
    subprocess.run(keys, cwd=given, env=env | {"COSIGN_PASSWORD": "secret"}, check=True, capture_output=True)
    (given / "gitconfig").write_text("")
    (given / "accept.toml").write_text(ACCEPTED)
    (_made(given / "vex") / "erlmcp.openvex.json").write_text(VEX)
    table = tomllib.loads(images.read_text())["images"]
    return Desk(source, folder, port, table["runtime-debian"].partition("/")[0], env)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _basic(user: str) -> str:
    return base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()


def run(desk: Desk, script: Script) -> None:
    """Run the commands of a script: one that stays until it answers, one with a terminal until it shows a prompt."""
    folder, env = desk.place(script.document), desk.environment(script.document)
    for line in script.run:
        command = desk.command(script, line)
        if TERMINAL.search(line):
            in_terminal(command, folder, env)
        elif STAYS.search(line):
            until_it_answers(command, folder, env)
        else:
            done = subprocess.run(
                command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            (folder.parent / "last").write_text(done.stdout)
            if " assess publish --version" in line:
                # As a CI keeps it for those who promote.
                (folder / "image.txt").write_text(done.stdout)


def until_it_answers(command: list[str], folder: Path, env: dict[str, str], port: int = 8080) -> None:
    """Start a service, wait until its port answers, and end it."""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is in use"
    log = folder.parent / "service.log"
    with log.open("w") as out:
        service = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True)
        try:
            for _ in range(LIMIT):
                assert service.poll() is None, log.read_text()
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
                    client.settimeout(5)
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if client.recv(1):
                        return
                time.sleep(1)
            raise AssertionError(log.read_text())
        finally:
            os.killpg(service.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGKILL)


def in_terminal(command: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run a command in a pseudo-terminal, type a command of the shell in it, and leave it when that has answered."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execvpe(command[0], command, env | {"TERM": "xterm"})  # noqa: S606 # no shell of ours in between
    said, typed = "", 0
    try:
        for _ in range(LIMIT):
            # Whoever types too early is not heard.
            if said.rstrip().endswith(("#", "$", "\u276f")) and time.monotonic() - typed > 5:
                typed = time.monotonic()
                os.write(terminal, b"echo $((6 * 7))answers\n")
            if "42answers" in said:
                return
            if select.select([terminal], [], [], 1)[0]:
                try:
                    said += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(terminal, 65536).decode(errors="replace"))
                except OSError:
                    break
        raise AssertionError(said)
    finally:
        with contextlib.suppress(ProcessLookupError, OSError):
            os.write(terminal, b"exit\n")
            os.kill(pid, signal.SIGTERM)
        os.close(terminal)
        os.waitpid(pid, 0)


def _once(scripts: Iterable[Script]) -> Iterator[Script]:
    """Yield those with a command that no document had before; what one writes, others of its document may need."""
    seen: set[tuple[str, str]] = set()
    for script in scripts:
        commands = {(script.document if "--path=" in line or ">" in line else "", line) for line in script.run}
        if commands - seen:
            yield script
        seen |= commands


#: The page on publishing comes first: others look at what it published.
ORDER = sorted(DOCUMENTS, key=lambda path: path.name != "publish.md")
SCRIPTS = list(_once(script for document in ORDER for script in documents.scripts(document)))


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_reader_gets_what_the_text_promises(desk: Desk, script: Script) -> None:
    if script.document == "docs/policy.md" and "erlmcp:main" in script.lines[0]:
        # What the CI of main has done.
        run(desk, Script(script.document, 0, ("ci/run assess publish --branch=main --version=3.0.0",)))
    run(desk, script)
