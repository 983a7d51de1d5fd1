"""Build, boot, measure: on a real engine."""

import dataclasses
import hashlib
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import files
import pytest
from conftest import FIXTURES, ROOT, InProcess, Module, read_archive
from mirror import HEX, ORGANISATION, ORGANISATION_KEY, Mirror, tarball
from registry import republished, with_busybox

HEALTH = "--health-url=http://127.0.0.1:8080/health"


def test_fetches_hex_and_git_dependencies_over_a_mirror(module: Module, mirror: Mirror) -> None:
    libraries = "/layers/dependencies/opt/greeter/lib"
    result = module(FIXTURES / "greeter", *mirror.arguments(), "release", "directory", f"--path={libraries}", "entries")
    assert result.code == 0, result.err
    assert result.out.split() == ["tiny_math-0.3.0/", "tiny_text-1.0.2/"]


def test_a_package_of_a_private_organisation_comes_with_its_key_and_nothing_of_that_lasts(
    module: Module, mirror: Mirror, tmp_path: Path
) -> None:
    source = tmp_path / "greeter"
    shutil.copytree(FIXTURES / "greeter", source)
    config = source / "rebar.config"
    config.write_text(config.read_text() + f'{{hex, [{{repos, [#{{name => <<"hexpm:{ORGANISATION}">>}}]}}]}}.\n')
    env = module.env | {"HEX_KEY": ORGANISATION_KEY}
    private = dataclasses.replace(module, env=env)
    packages = ("deps", "file", "--path=/pipeline/packages", "contents")
    found = private(source, *mirror.arguments(), "--hex-key=env:HEX_KEY", *packages)
    assert found.code == 0, found.err
    archive = hashlib.sha512(tarball(*HEX)[0]).hexdigest()
    assert found.out.split() == ["tiny_text", "1.0.2", f"hexpm:{ORGANISATION}", f"sha512:{archive}"]
    assert ORGANISATION_KEY not in found.err
    kept = private(
        source, *mirror.arguments(), "--hex-key=env:HEX_KEY", "release", "with-exec",
        f"--args=sh,-c,grep -rl {ORGANISATION_KEY} /root /build /pipeline /run || echo none", "stdout",
    )  # fmt: skip
    assert kept.out.strip() == "none", kept.err
    # Without the key rebar3 goes on to the public repository, as it does everywhere.
    public = module(source, *mirror.arguments(), *packages)
    assert public.out.split()[2] == "hexpm", public.err


def test_starts_turns_healthy_and_shows_each_level(module: Module, source: Path) -> None:
    result = module(source, HEALTH, "health")
    assert result.code == 0, result.err
    assert max(map(len, result.out.splitlines())) <= 76
    seen = " ".join(result.out.split())
    assert "health: HTTP OK" in seen
    assert "health: Node OK" in seen
    assert "the node runs but does not answer" in seen
    assert "health: Down" in seen
    assert "the engine started it" in seen


def test_the_size_is_told_by_component(module: Module, source: Path) -> None:
    result = module(source, "size")
    assert result.code == 0, result.err
    rows = {line.split("  ")[0].strip(): line.split() for line in result.out.splitlines()}
    for name in ("base", "libraries", "ERTS and OTP", "dependencies", "applications", "total"):
        assert name in rows
    assert rows["total"][-1] == "ok"
    assert "beam.smp" in result.out


def test_a_second_call_runs_nothing_and_one_line_reruns_one_application(
    in_process: InProcess, source: Path, tmp_path: Path
) -> None:
    archives = [tmp_path / f"{name}.tar" for name in ("first", "second", "third", "fourth", "fifth")]
    stages = (
        *(f"compile {name}" for name in ("the dependencies", "greeter_core", "greeter_web")),
        "assemble the release",
    )

    def build(archive: Path) -> dict[str, bool]:
        result = in_process(source, "image-tarball", "export", f"--path={archive}")
        assert result.code == 0, result.err
        return {stage: result.ran(stage) for stage in stages}

    # New sources in each run, of which an engine that was restarted since has nothing.
    for name in ("core/src/greeter_core_app", "web/src/greeter_web_app"):
        module_file = source / "apps" / f"greeter_{name}.erl"
        module_file.write_text(f"{module_file.read_text()}%% {tmp_path} {time.time()}\n")
    build(archives[0])
    assert not any(build(archives[1]).values())
    code = source / "apps" / "greeter_web" / "src" / "greeter_web.erl"
    code.write_text(code.read_text().replace('"ok"', f'"ok {tmp_path}"'))
    # deps and greeter_core stay, and the release: the module of greeter_web is put into it.
    assert list(build(archives[2]).values()) == [False, False, True, False]
    code = source / "apps" / "greeter_core" / "src" / "greeter.erl"
    code.write_text(code.read_text().replace("{ok, 0}", f'_ = "{tmp_path}",\n    {{ok, 0}}'))
    # greeter_web needs greeter_core, but sees nothing of what it does.
    assert list(build(archives[3]).values()) == [False, True, False, False]
    # relx names each module in the application's file; an engine that had these names before has the release.
    more = f"greeter_{time.time_ns()}"
    (code.parent / f"{more}.erl").write_text(f"-module({more}).\n-export([one/0]).\none() -> 1.\n")
    assert list(build(archives[4]).values()) == [False, True, False, True]
    first, second, third = (read_archive(path) for path in archives[:3])
    assert first.digest == second.digest
    assert first.layers[:-1] == third.layers[:-1]
    assert first.layers[-1] != third.layers[-1]


@pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox on PATH (Debian: apt-get install busybox)")
def test_a_builder_with_busybox_builds_in_the_same_steps_the_same_layers(
    module: Module, source: Path, tmp_path: Path
) -> None:
    table = tomllib.loads(module.images.read_text())["images"]
    layers = []
    for name, option in (
        ("gnu", f"--builder-image={table['builder-debian']}"),
        ("busybox", f"--builder-image={with_busybox(table['builder-debian'], shutil.which('busybox'))}"),
    ):
        archive = tmp_path / f"{name}.tar"
        result = module(source, option, "image-tarball", "export", f"--path={archive}")
        assert result.code == 0, result.err
        assert "in one container" not in result.err
        layers.append(read_archive(archive).layers)
    assert layers[0] == layers[1]


def test_two_builds_from_nothing_give_one_digest(in_process: InProcess, source: Path, tmp_path: Path) -> None:
    table = tomllib.loads(in_process.images.read_text())["images"]
    digests = set()
    for attempt in ("one", "two"):
        # The same content under another digest: nothing of the other build's is in the engine's keys.
        fresh = {key: republished(table[f"{key}-debian"], f"{attempt} {tmp_path}") for key in ("builder", "runtime")}
        result = in_process(
            source,
            *(f"--{key}-image={reference}" for key, reference in fresh.items()),
            "--labels=org.opencontainers.image.base.name=base,org.opencontainers.image.base.digest=base",
            "--created=2026-02-04T17:25:56Z",
            "image-tarball",
            "export",
            f"--path={tmp_path}/{attempt}.tar",
        )
        assert result.code == 0, result.err
        assert result.ran("compile greeter_core")
        archive = read_archive(tmp_path / f"{attempt}.tar")
        archive.config["config"]["Labels"].pop("base", None)
        whole = hashlib.sha256((tmp_path / f"{attempt}.tar").read_bytes()).hexdigest()
        digests.add((whole, archive.digest, tuple(archive.layers)))
    assert len(digests) == 1


def test_what_the_image_says_of_itself(module: Module, source: Path, tmp_path: Path) -> None:
    revision = {"--revision=": "1356e12d", "--created=": "2026-02-04T17:25:56+00:00"}
    words = [key + value for key, value in revision.items()]
    assert module(source, *words, "image-tarball", "export", f"--path={tmp_path}/a.tar").code == 0
    assert module(source, "image-tarball", "export", f"--path={tmp_path}/b.tar").code == 0
    image, plain = read_archive(tmp_path / "a.tar"), read_archive(tmp_path / "b.tar")
    # Revision and time change no layer.
    assert image.layers == plain.layers
    assert image.config["created"] == "2026-02-04T17:25:56Z"
    # What an engine writes there depends on what its cache has from before its last start.
    steps = ["libraries, user, init", "Erlang runtime system and OTP", "dependencies", "applications and configuration"]
    assert [step.get("created_by") for step in image.config["history"]][1:] == steps
    config = image.config["config"]
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["/usr/local/bin/tini", "--", "/usr/local/bin/entrypoint"]
    assert sorted(config["ExposedPorts"]) == ["8080/tcp", "9090/tcp", "9100/tcp"]
    seconds = {key: value // 10**9 for key, value in config["Healthcheck"].items() if key not in ("Test", "Retries")}
    assert seconds == {"Interval": 15, "Timeout": 10, "StartPeriod": 45}
    assert config["Healthcheck"]["Retries"] == 3
    labels = config["Labels"]
    expected = {
        "title": "greeter",
        "description": "Says hello",
        "vendor": "greeter",
        "licenses": "Apache-2.0",
        "source": "https://github.com/banyan-platform/erlmcp",
        "version": "1.2.0",
        "revision": "1356e12d",
        "created": "2026-02-04T17:25:56+00:00",
    }
    assert {key: labels[f"org.opencontainers.image.{key}"] for key in expected} == expected
    assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert not any("cookie" in entry.lower() for entry in config["Env"])


def test_the_root_filesystem_may_be_read_only(module: Module, source: Path, tmp_path: Path) -> None:
    script = tmp_path / "readonly.sh"
    script.write_text(
        """set -eu
for folder in /tmp /var/log/greeter /var/lib/greeter /var/run/greeter; do
    mount -t tmpfs -o mode=1777 tmpfs $folder
done
mount -o remount,ro,bind / 2>/dev/null || { mount --bind / /mnt; mount -o remount,ro,bind /mnt; }
touch /opt/greeter/x 2>/dev/null && { echo "root is writable"; exit 1; }
run() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
setpriv --reuid 1000 --regid 1000 --clear-groups /usr/local/bin/entrypoint foreground >/tmp/node.log 2>&1 &
main=$!
for i in $(seq 50); do run /usr/local/bin/healthcheck && break; sleep 0.3; done
kill -TERM $main; code=0; wait $main || code=$?; echo "stopped with $code"
"""
    )
    result = module(
        source, "build-runtime", "with-user", "--name=root", "with-file", "--path=/readonly.sh", f"--source={script}",
        "with-exec", "--args=sh,/readonly.sh", "--insecure-root-capabilities", "stdout",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "health: Node OK" in result.out
    assert "stopped with 0" in result.out


def test_nothing_but_what_runs_is_in_the_release(module: Module, source: Path) -> None:
    result = module(source, "release", "directory", "--path=/opt/greeter", "glob", "--pattern=**")
    assert result.code == 0, result.err
    files = result.out.split()
    assert not [name for name in files if name.endswith((".erl", ".hrl", ".a", "/src/", "/doc/", "/include/"))]
    assert not [name for name in files if name.rpartition("/")[2] in ("erlc", "dialyzer", "typer", "ct_run")]
    assert [name for name in files if name.startswith("erts-") and name.endswith("/beam.smp")]
    assert "etc/motd.txt" in files


def test_the_shim_fills_in_the_revision(module: Module, source: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(["git", *identity, *words], cwd=source, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "x")
    words = ["--flavor=debian", f"--images={module.images}", *files.given(), "--source=.", "build-runtime"]
    words += ["label", "--name=org.opencontainers.image.revision"]
    command = [ROOT / "ci" / "run", *words]
    done = subprocess.run(command, cwd=source, env=module.env, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == git("rev-parse", "HEAD").strip()
