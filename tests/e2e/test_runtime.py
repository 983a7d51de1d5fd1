"""What lies over the base image: libraries of the builder with their packages, the init; one image either way."""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import anyio
import dagger
import files
import pytest
from conftest import read_archive, session
from dagger import dag
from registry import own_architecture
from test_two_platforms import add_native_library, copy_source, elf

from pipeline.build.release import assembled
from pipeline.image.base import bases
from pipeline.image.export import layout
from pipeline.image.platforms import Platform
from pipeline.image.runtime import runtime
from pipeline.project.images import images_in_use
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.project.source import filtered

OWN = own_architecture()
#: A health check is killed while the node hangs; what it had started is nobody's child then.
KILLED = """
entrypoint foreground >/tmp/log 2>&1 &
main=$!
until healthcheck; do sleep 0.3; done >/dev/null
node=
for comm in /proc/[0-9]*/comm; do
    [ "$(cat "$comm" 2>/dev/null)" != beam.smp ] || { node=${comm%/comm} node=${node#/proc/}; }
done
kill -STOP "$node"
for _ in 1 2 3; do
    healthcheck >/dev/null &
    sleep 1
    kill -KILL $!
    wait $! 2>/dev/null
done
# Its own children end when their time is over.
sleep 9
kill -CONT "$node"
echo "zombies: $(cat /proc/[0-9]*/stat | sed 's/^.*) //' | grep -c '^Z 1 ')"
kill -TERM $main
wait $main
echo "stopped with $?"
"""


@dataclass
class Made:
    """What was found in one session."""

    natively: Path
    by_copying: Path
    with_library: Path
    syft: dict
    trivy: dict
    under_tini: str
    under_sleep: str
    #: Natively and by copying, with the base's layers from the registry.
    digests: list[str]


def layer_files(image: Path) -> list[str]:
    """Return the paths of regular files right above the base."""
    layer = read_archive(image).layers[1]
    with tarfile.open(image) as archive:
        data = gzip.decompress(archive.extractfile("blobs/" + layer.replace(":", "/")).read())
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        return ["/" + member.name.removeprefix("./") for member in files if member.isreg()]


async def archive(image: dagger.Container, path: Path) -> dagger.File:
    """Export an image, and return it for others to read."""
    made = image.as_tarball(
        forced_compression=dagger.ImageLayerCompression.GZIP, media_types=dagger.ImageMediaTypes.OCI
    )
    await made.export(str(path))
    return made


@pytest.fixture(scope="module")
def made(engine: dict[str, str], images: Path, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Build, scan and run in one session."""
    folder = tmp_path_factory.mktemp("runtime")
    plain, native = copy_source(folder / "plain"), copy_source(folder / "native")
    # libodbc itself needs libltdl.
    add_native_library(native, elf(needed="libodbc.so.2"))
    init, certificates = (argument.partition("=")[2] for argument in files.given())
    table = images_in_use(images.read_text(), {})
    found = {}

    async def project(source: Path) -> Project:
        return Project(
            await filtered(dag.host().directory(str(source))),
            table,
            "debian",
            init=dag.host().file(init),
            certificates=dag.host().file(certificates),
        )

    async def run() -> None:
        with (folder / "log").open("w") as log:
            async with dagger.connection(dagger.Config(log_output=log)):
                given = await project(plain)
                application = await read(given)
                release = await assembled(given, application)
                image = await runtime(given, application, release)
                await archive(image, folder / "natively.tar")
                other = await runtime(given, application, release, Platform(f"linux/{OWN}", OWN))
                await archive(other, folder / "copied.tar")
                port = int(registry.rpartition(":")[2])
                service = await dag.host().service([dagger.PortForward(backend=port, frontend=port)]).start()
                layers = await bases(table["crane"], given.runtime, {f"linux/{OWN}": None}, service)
                assert layers
                for each in (image, other):
                    _, digest = await layout(given, {f"linux/{OWN}": each}, layers)
                    found.setdefault("digests", []).append(digest)
                script = image.with_new_file("/killed.sh", KILLED)
                tini = ["/usr/local/bin/tini", "--", "sh", "/killed.sh"]
                found["under_tini"] = await script.with_exec(tini, no_init=True).stdout()
                sleeping = ["sh", "-c", "sh /killed.sh >/tmp/said & exec sleep 25"]
                found["under_sleep"] = await script.with_exec(sleeping, no_init=True).file("/tmp/said").contents()  # noqa: S108 # the container's
                given = await project(native)
                application = await read(given)
                image = await runtime(given, application, await assembled(given, application))
                tarball = await archive(image, folder / "library.tar")
                for name, command in (
                    ("syft", ["scan", "oci-archive:/image.tar", "-o", "syft-json"]),
                    (
                        "trivy",
                        [
                            *("image", "--input=/image.tar", "--format=json", "--list-all-pkgs", "--scanners=license"),
                            *("--offline-scan", "--quiet"),
                        ],
                    ),
                ):
                    scanner = dag.container().from_(table[name]).with_mounted_file("/image.tar", tarball)
                    found[name] = json.loads(await scanner.with_exec(command, use_entrypoint=True).stdout())

    with session(engine, folder):
        anyio.run(run)
    return Made(folder / "natively.tar", folder / "copied.tar", folder / "library.tar", **found)


def test_one_image_whether_made_natively_or_by_copying(made: Made) -> None:
    natively, copied = read_archive(made.natively), read_archive(made.by_copying)
    assert len(natively.layers) >= 5
    # As it is published, and as the engine exports it: base and history may be otherwise in each after a restart.
    assert len(set(made.digests)) == 1
    assert natively.layers[1:] == copied.layers[1:]
    for image in (natively, copied):
        image.config.pop("created")
        image.config["history"] = len(image.config["history"])
        image.config["rootfs"]["diff_ids"][0] = ""
    assert natively.config == copied.config


def test_a_library_of_the_builder_comes_with_its_package_to_the_end(made: Made) -> None:
    libraries = read_archive(made.with_library).layers[1]
    assert libraries != read_archive(made.natively).layers[1]
    artifacts = {each["name"]: each for each in made.syft["artifacts"]}
    packages = {
        each["Name"]: each for result in made.trivy["Results"] for each in result.get("Packages", []) if "Name" in each
    }
    # The last is what the emulator opens by itself.
    for name, source in (("libodbc2", "unixodbc"), ("libltdl7", "libtool"), ("libsctp1", "lksctp-tools")):
        assert artifacts[name]["metadata"]["source"] == source
        assert f"/deb/debian/{name}@" in artifacts[name]["purl"].replace("pkg:", "/")
        assert artifacts[name]["licenses"]
        assert packages[name]["SrcName"] == source
        assert artifacts[name]["version"].endswith(
            packages[name]["Version"].rpartition(":")[2] + "-" + packages[name]["Release"]
        )
    # No library is of nobody.
    owned = {file["path"] for each in made.syft["artifacts"] for file in each["metadata"].get("files", [])}
    assert {path for path in layer_files(made.with_library) if path.startswith("/usr/lib/")} <= owned
    # What the base has is not there twice, and the image has no more of the builder.
    assert len([each for each in made.syft["artifacts"] if each["name"] == "libc6"]) == 1
    assert not {"erlang-base", "git", "libidn2-0", "tini"} & set(artifacts)


def test_a_health_check_that_is_killed_leaves_no_zombie(made: Made) -> None:
    assert made.under_tini == "zombies: 0\nstopped with 0\n"
    # The test would see them: this is a process 1 that reaps nothing.
    count = int(made.under_sleep.splitlines()[0].removeprefix("zombies: "))
    assert count > 0
