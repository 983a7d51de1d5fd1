"""Two engines that share nothing give one digest: one as it is used, one with an empty state and no network."""

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import dagger
import files
import pytest
from conftest import Module, read_archive, session
from dagger import dag
from engines import Engine, apart
from registry import CACHE

from pipeline.build.release import assembled
from pipeline.image.export import layout, variants
from pipeline.image.runtime import metadata
from pipeline.project.images import images_in_use
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.project.source import SOURCE_IGNORE, filtered

CREATED = "2026-02-03T04:05:06Z"


@pytest.fixture
def engine_apart(registry: str, tmp_path: Path) -> Iterator[Engine]:
    """Start an engine that reaches a registry of the stand-ins alone."""
    folder = tmp_path / "engine"
    folder.mkdir()
    with apart(folder, {"gc": {"enabled": False}}, {registry: CACHE / "registry"}) as engine:
        yield engine


def test_the_digest_is_that_of_an_engine_with_an_empty_state_and_no_network(
    module: Module, source: Path, programs: Path, engine_apart: Engine, tmp_path: Path
) -> None:
    table = images_in_use(module.images.read_text(), {})
    registry, _, base = table["runtime-debian"].partition("/")
    expected = {}
    for architecture in files.PACKAGES:
        given = (f"--init={init(architecture)}", f"--certificates={files.folder() / 'certificates'}")
        words = (f"--platforms=linux/{architecture}", f"--created={CREATED}")
        archive = tmp_path / f"{architecture}.tar"
        result = module(source, *given, *words, "image-tarball", "export", f"--path={archive}")
        assert result.code == 0, result.err
        expected[architecture] = read_archive(archive).digest
        # What the module has crane do; an engine without a network does not lead to a service of this machine.
        command = [programs / "crane", "pull", "--insecure", "--format=oci", f"--platform=linux/{architecture}"]
        subprocess.run([*command, f"{registry}/{base}", tmp_path / f"base-{architecture}"], check=True)
    assert "dial" in engine_apart.query('{ http(url: "http://deb.debian.org/") { size } }').stderr
    other = shutil.copytree(source, tmp_path / "elsewhere" / "of-another-name", symlinks=True)

    async def built() -> dict[str, str]:
        digests = {}
        async with dagger.connection():
            project = Project(
                await filtered(dag.host().directory(str(other), exclude=list(SOURCE_IGNORE))),
                table,
                "debian",
                certificates=dag.host().file(str(files.folder() / "certificates")),
                created=CREATED,
            )
            for architecture in files.PACKAGES:
                name = f"linux/{architecture}"
                given = dag.host().file(str(init(architecture)))
                wanted = dataclasses.replace(project, init=given, platforms=(name,))
                application = await read(wanted)
                made, _ = await variants(wanted, application, await assembled(wanted, application))
                images = {platform: metadata(image.container, wanted, application) for platform, image in made.items()}
                layers = {name: dag.host().directory(str(tmp_path / f"base-{architecture}"))}
                _, digests[architecture] = await layout(wanted, images, layers)
        return digests

    with session({**module.env, "_EXPERIMENTAL_DAGGER_RUNNER_HOST": engine_apart.address}, tmp_path):
        assert anyio.run(built) == expected


def init(architecture: str) -> Path:
    """Return the init for one platform."""
    return files.folder() / f"init-{architecture}"
