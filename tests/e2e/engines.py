"""An engine of its own, with an empty state and without a network: registries beside it are all that it reaches."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import registry

# The engine's network and everything that it writes beside its state stay in namespaces of its own.
_START = """
ip link set lo up
mount --make-rprivate /
for folder in /run/dagger /run/containers /etc/dagger /var/lib/cni; do
    mkdir -p $folder
    mount -t tmpfs tmpfs $folder
done
cp resolv.conf /etc/dagger/resolv.conf
mount --bind /etc/dagger/resolv.conf /etc/resolv.conf
cp engine.json /etc/dagger/engine.json
for config in registries/*.yml; do docker-registry serve $config & done
exec dagger-engine --root "$PWD/state" --addr "unix://$PWD/engine.sock" \\
    --network-name citest --network-cidr 10.213.0.0/16
"""


@dataclass(frozen=True)
class Engine:
    """An engine that runs, and where its log is."""

    folder: Path

    @property
    def address(self) -> str:
        """What `_EXPERIMENTAL_DAGGER_RUNNER_HOST` says to reach it."""
        return f"unix://{self.folder}/engine.sock"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "engine.log").read_text()

    def query(self, text: str) -> subprocess.CompletedProcess[str]:
        """Send it one query."""
        env = dict(os.environ) | {"_EXPERIMENTAL_DAGGER_RUNNER_HOST": self.address, "DAGGER_NO_NAG": "1"}
        command = ["dagger", "-s", "query", "-M"]
        return subprocess.run(command, input=text, env=env, capture_output=True, text=True, timeout=180, check=False)


@contextmanager
def apart(folder: Path, settings: Mapping[str, object], registries: Mapping[str, Path]) -> Iterator[Engine]:
    """Start an engine, or skip; its state is gone afterwards.

    Parameters
    ----------
    folder
        An empty one, for its files.
    settings
        Of `engine.json`.
    registries
        What each that it reaches stores, by the registry's address (127.0.0.1:PORT; over plain HTTP).
    """
    missing = [name for name in ("dagger-engine", "unshare", "docker-registry") if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"needs root to start an engine{''.join(f', and {name} on the PATH' for name in missing)}")
    plain = {address: {"http": True} for address in registries}
    known = {"registries": {**settings.get("registries", {}), **plain}}
    (folder / "engine.json").write_text(json.dumps({**settings, **known}))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (folder / "registries").mkdir()
    for number, (address, storage) in enumerate(registries.items()):
        (folder / "registries" / f"{number}.yml").write_text(registry.settings(address, storage))
    with (folder / "engine.log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-euc", _START],
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
            shutil.rmtree(folder / "state", ignore_errors=True)
