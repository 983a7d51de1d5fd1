"""ci/ on real programs: each setting of engine.json on an engine with it, the definitions against the laptop's run."""

import json
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT

CI = ROOT / "ci"

# The engine's network and everything that it writes beside its state stay in namespaces of its own. The mirror is a
# registry in there; its only image cannot come from anywhere else.
START = """
ip link set lo up
mount --make-rprivate /
for folder in /run/dagger /run/containers /etc/dagger /var/lib/cni; do
    mkdir -p $folder
    mount -t tmpfs tmpfs $folder
done
cp resolv.conf /etc/dagger/resolv.conf
mount --bind /etc/dagger/resolv.conf /etc/resolv.conf
cp engine.json /etc/dagger/engine.json
docker-registry serve registry.yml &
exec dagger-engine --root "$PWD/state" --addr "unix://$PWD/engine.sock" \\
    --network-name citest --network-cidr 10.213.0.0/16
"""
MIRROR = "127.0.0.1:5999"


@dataclass(frozen=True)
class Engine:
    """An engine that runs with ci/engine.json."""

    folder: Path

    def query(self, text: str) -> subprocess.CompletedProcess[str]:
        env = dict(os.environ) | {
            "_EXPERIMENTAL_DAGGER_RUNNER_HOST": f"unix://{self.folder}/engine.sock",
            "DAGGER_NO_NAG": "1",
        }
        return subprocess.run(
            ["dagger", "-s", "query", "-M"],
            input=text,
            env=env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    @property
    def log(self) -> str:
        return (self.folder / "engine.log").read_text()


def fill(folder: Path, images: Path) -> None:
    """Put the runtime's stand-in into the mirror as Docker Hub's library/probe."""
    config = json.loads((folder / "registry.yml").read_text())
    config["http"]["addr"] = "127.0.0.1:5998"
    (folder / "fill.yml").write_text(json.dumps(config))
    name, _, digest = tomllib.loads(images.read_text())["images"]["runtime-debian"].partition("@")
    source = f"{name.rpartition(':')[0]}@{digest}"  # skopeo takes one of tag and digest
    with subprocess.Popen(["docker-registry", "serve", folder / "fill.yml"], stderr=subprocess.DEVNULL) as server:
        try:
            time.sleep(1)
            subprocess.run(
                [
                    *("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"),
                    *(f"docker://{source}", "docker://127.0.0.1:5998/library/probe:1"),
                ],
                check=True,
            )
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def engine_of_ci(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Start an engine with ci/engine.json, the mirror's address apart: that one answers no test."""
    missing = [name for name in ("dagger-engine", "unshare", "docker-registry", "skopeo") if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"starting an engine needs root and {', '.join(missing) or 'nothing else'}")
    folder = tmp_path_factory.mktemp("engine")
    config = json.loads((CI / "engine.json").read_text())
    config["registries"]["docker.io"]["mirrors"] = [MIRROR]
    config["registries"][MIRROR] = {"http": True}
    (folder / "engine.json").write_text(json.dumps(config))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    storage = folder / "registry"
    (folder / "registry.yml").write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "error"},
                "storage": {"filesystem": {"rootdirectory": str(storage)}},
                "http": {"addr": MIRROR},
            }
        )
    )
    fill(folder, images)
    with (folder / "engine.log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-euc", START],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            for _ in range(60):
                if process.poll() is not None or (folder / "engine.sock").exists():
                    break
                time.sleep(0.5)
            assert process.poll() is None, (folder / "engine.log").read_text()
            yield Engine(folder)
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


def test_the_garbage_collector_keeps_what_engine_json_says(engine_of_ci: Engine) -> None:
    done = engine_of_ci.query("{ engine { localCache { reservedSpace maxUsedSpace minFreeSpace } } }")
    assert done.returncode == 0, done.stderr
    disk = shutil.disk_usage(engine_of_ci.folder).total

    def share(percent: int) -> int:
        # The engine rounds up to whole GiB and counts each as a GB.
        return (disk * percent // 100 // 2**30 + 1) * 10**9

    gc = json.loads((CI / "engine.json").read_text())["gc"]
    assert gc == {"reservedSpace": "20GB", "maxUsedSpace": "80%", "minFreeSpace": "10%"}
    assert json.loads(done.stdout)["engine"]["localCache"] == {
        "reservedSpace": 20 * 2**30,
        "maxUsedSpace": share(80),
        "minFreeSpace": share(10),
    }


def test_images_of_docker_hub_come_from_the_mirror(engine_of_ci: Engine) -> None:
    done = engine_of_ci.query('{ container { from(address: "docker.io/library/probe:1") { imageRef } } }')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["container"]["from"]["imageRef"].startswith("docker.io/library/probe:1@sha256:")


def test_no_container_gets_the_capabilities_of_root(engine_of_ci: Engine) -> None:
    query = """{ container { from(address: "docker.io/library/probe:1") {
        withExec(args: ["sh", "-c", "grep CapEff /proc/self/status"], insecureRootCapabilities: %s) { stdout } } } }"""
    plain = engine_of_ci.query(query % "false")
    assert plain.returncode == 0, plain.stderr
    assert "CapEff" in plain.stdout
    asked = engine_of_ci.query(query % "true")
    assert asked.returncode != 0
    assert "insecure" in asked.stderr


def test_the_log_of_a_session_holds_warnings_and_worse_alone(engine_of_ci: Engine) -> None:
    # Before it has read its configuration it says more; by default it writes a line for each request.
    before = engine_of_ci.log
    assert engine_of_ci.query("{ version }").returncode == 0
    assert "level=info" in before
    assert not {"level=info", "level=debug"} & set(engine_of_ci.log.removeprefix(before).split())
