"""The projects of examples/: each builds and runs as it is, with what its own erlmcp.toml says."""

import dataclasses
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import files
import pytest
from conftest import ROOT, InProcess, Module

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
#: What the health check says of each when it is started.
HEALTHY = {"health": "health: HTTP OK", "nif": "health: Node OK", "umbrella": "health: Node OK"}


def of_itself(in_process: InProcess, name: str) -> InProcess:
    """Return the functions as they are called on an example: with the distribution that it names, if it names one."""
    settings = EXAMPLES / name / "erlmcp.toml"
    named = settings.exists() and "flavor" in settings.read_text()
    return dataclasses.replace(in_process, flavor=()) if named else in_process


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_and_turns_healthy(in_process: InProcess, name: str) -> None:
    result = of_itself(in_process, name)(EXAMPLES / name, "health")
    assert result.code == 0, result.err
    [started] = [line for line in result.out.splitlines() if line.strip().startswith("started: healthy")]
    assert HEALTHY[name] in started


def test_native_code_takes_the_full_builder_of_the_distribution_in_the_file(in_process: InProcess) -> None:
    result = of_itself(in_process, "nif")(EXAMPLES / "nif", "application")
    assert result.code == 0, result.err
    [native] = [line for line in result.out.splitlines() if line.startswith("native code")]
    full = re.search(r'builder-debian-full = "([^"]+)"', in_process.images.read_text())
    assert full
    assert native.endswith(f"built with {full[1]}")
    assert "set in erlmcp.toml: flavor" in result.out


def test_each_application_of_the_umbrella_is_compiled_in_its_own_stage(in_process: InProcess) -> None:
    result = in_process(EXAMPLES / "umbrella", "application")
    assert result.code == 0, result.err
    assert "each application in its own stage" in result.out


def test_the_service_answers_at_its_ports(module: Module) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = module.words(EXAMPLES / "health", "serve", "up", f"--ports={port}:8080")
    command = ["dagger", "--progress=plain", "call", f"--mod={ROOT}", *words]
    with subprocess.Popen(command, env=module.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as call:
        try:
            assert answer(f"http://127.0.0.1:{port}/health", call) == b"ok\n"
        finally:
            call.send_signal(signal.SIGINT)


def test_a_call_overrides_the_file_and_what_is_wrong_in_it_is_refused(module: Module, tmp_path: Path) -> None:
    project = tmp_path / "health"
    shutil.copytree(EXAMPLES / "health", project)
    (project / "erlmcp.toml").write_text('health-url = "http://127.0.0.1:8080/health"\nprofile = "test"\n')
    words = ("build-runtime", "env-variable", "--name=HEALTH_URL")
    assert module(project, *words).out.strip() == "http://127.0.0.1:8080/health"
    other = "http://127.0.0.1:8080/"
    assert module(project, f"--health-url={other}", *words).out.strip() == other
    # With nothing, too: then there is no such variable.
    assert module(project, "--health-url=", *words).out.strip() == "<nil>"
    (project / "erlmcp.toml").write_text('flavour = "debian"\n')
    refused = module(project, "application")
    assert refused.code == 1
    assert refused.message.startswith("erlmcp.toml: flavour: no such setting (did you mean flavor?)")


def test_the_file_alone_is_enough_in_each_session(module: Module, tmp_path: Path) -> None:
    """Of what the first session made of the file, the engine keeps the arguments, and no file that they name."""
    project = tmp_path / "health"
    shutil.copytree(EXAMPLES / "health", project)
    shutil.copy(module.images, project / "images.toml")
    settings = 'flavor = "debian"\nimages = "images.toml"\nhealth-url = "http://127.0.0.1:8080/health"\n'
    for word in files.given():
        name, _, path = word.removeprefix("--").partition("=")
        shutil.copy(path, project / name)
        settings += f'{name} = "{name}"\n'
    (project / "erlmcp.toml").write_text(settings)
    command = ["dagger", "--progress=plain", "call", f"--mod={ROOT}", f"--source={project}", "build-runtime"]
    for variable, value in (("HEALTH_URL", "http://127.0.0.1:8080/health"), ("HELLO_ENV", "production")):
        words = [*command, "env-variable", f"--name={variable}"]
        done = subprocess.run(words, env=module.env, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == value


def test_plain_rebar3_builds_it_too(tmp_path: Path) -> None:
    if not shutil.which("rebar3"):
        pytest.skip("needs rebar3 on the PATH")
    for name in NAMES:
        shutil.copytree(EXAMPLES / name, tmp_path / name)
        done = subprocess.run(
            ["rebar3", "as", "prod", "release"], cwd=tmp_path / name, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode()


def answer(url: str, call: subprocess.Popen[str], limit: float = 600) -> bytes:
    """Return what a service answers, as soon as it does."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        assert call.poll() is None, call.stdout.read() if call.stdout else ""
        try:
            with urllib.request.urlopen(url, timeout=5) as said:  # noqa: S310 # http, to ourselves
                return said.read()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"{url} does not answer")
