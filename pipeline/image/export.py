"""Export the image as an OCI layout or an archive, with the same bytes from every engine."""

import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import dagger
from dagger import dag

from pipeline import handover
from pipeline.build.dependencies import equipped
from pipeline.build.release import assembled
from pipeline.errors import BuildError, gathered, guard
from pipeline.image.base import bases
from pipeline.image.layout import Image, blob, finished, parse_time, texts_of
from pipeline.image.platforms import parse_platforms
from pipeline.image.runtime import Filled, filled, metadata
from pipeline.project.application import Application
from pipeline.project.project import FILE_TIME, Project, builder
from pipeline.project.reader import read

#: Paths in the containers that unpack and pack the image.
_TAR, _LAYOUT = "/image.tar", "/layout"


@contextlib.asynccontextmanager
async def exported(image: dagger.Container) -> AsyncGenerator[Path]:
    """Export an image to a local OCI archive (layers gzipped) for as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.tar")
        await tarball(image).export(str(path))
        yield path


def tarball(image: dagger.Container) -> dagger.File:
    """Return an image as the engine packs it, in an OCI archive, its layers gzipped."""
    return image.as_tarball(
        forced_compression=dagger.ImageLayerCompression.Gzip,
        media_types=dagger.ImageMediaTypes.OCIMediaTypes,
    )


async def variants(
    project: Project, application: Application, release: dagger.Container
) -> tuple[dict[str, Filled], dict[str, dagger.Directory]]:
    """Return the image for each of --platforms, without metadata, and its base as the registry has it."""
    wanted = parse_platforms(project.platforms, await dag.default_platform())
    images = await gathered(*(filled(project, application, release, platform) for platform in wanted.values()))
    crane, service = project.images["crane"], project.registry_service
    layers = await bases(crane, project.runtime, wanted, service, project.docker_config)
    return dict(zip(wanted, images, strict=True)), layers


async def archive(project: Project) -> dagger.File:
    """Return the image of a project as an OCI archive, for each of --platforms."""
    project.refuse_incremental()
    application = await read(project)
    project = await equipped(project, application)
    images, layers = await variants(project, application, await assembled(project, application))
    whole = {name: metadata(image.container, project, application) for name, image in images.items()}
    made, _ = await layout(project, whole, layers)
    return await guard(_archived(project, made).sync(), "packing the archive")


async def layout(
    project: Project, images: Mapping[str, dagger.Container], bases: Mapping[str, dagger.Directory]
) -> tuple[dagger.Directory, str]:
    """Return images as an OCI image layout, and its digest: the same for the same content, whatever engine built it.

    The layers stay in the engine, each as a file that is keyed by its content. Only the JSON files that describe them
    are read here.

    Parameters
    ----------
    project
        The project: its time of creation goes into the configuration, where the engine writes the time of the build.
    images
        The images by platform; several get an index.
    bases
        The results of `base_layers` by platform. Without one, the base's layers are as the engine packs them: with
        other bytes after a restart of the engine, and so with another digest.
    """
    time = parse_time(project.created)

    async def variant(platform: str, container: dagger.Container) -> tuple[Image, dict[str, dagger.File]]:
        packed, given = _packed(project, container), bases.get(platform)
        base = await described(given) if given else None
        if base and base.platform != platform:
            raise BuildError(
                f"{project.runtime}: the registry has it for {base.platform}, not for {platform}; give an image for "
                f"{platform} with --runtime-image"
            )
        image = finished(await described(packed), time, base)
        layers = {}
        for layer in image.layers:
            source = given if given and base and layer in base.layers else packed
            layers[layer["digest"]] = source.file(blob(layer["digest"]))
        return image, layers

    made = await gathered(*(variant(*each) for each in images.items()))
    texts, digest = texts_of(image for image, _ in made)
    whole = handover.directory(texts)
    for name, file in {name: file for _, layers in made for name, file in layers.items()}.items():
        whole = whole.with_file(blob(name), file)
    return await whole.sync(), digest


def _packed(project: Project, image: dagger.Container) -> dagger.Directory:
    """Return an image as the engine packs it: an OCI image layout, its layers gzipped."""
    return (
        builder(project)
        .with_user("root")
        .with_mounted_file(_TAR, tarball(image))
        .with_exec(["sh", "-c", f"mkdir {_LAYOUT} && tar -xf {_TAR} -C {_LAYOUT}", "unpack the image"])
        .directory(_LAYOUT)
    )


def _archived(project: Project, layout: dagger.Directory) -> dagger.File:
    """Return a layout as an archive whose bytes depend on its content and the builder's tar alone."""
    command = (
        f"find . -type f -exec chmod 644 {{}} + -exec touch -d @{FILE_TIME} {{}} + && "
        f"find * -type f | sh /pipeline/pack.sh {_TAR}"
    )
    return (
        builder(project)
        .with_user("root")
        .with_file("/pipeline/pack.sh", handover.script("build/resources/pack.sh"))
        .with_mounted_directory(_LAYOUT, layout)
        .with_workdir(_LAYOUT)
        .with_exec(["sh", "-c", command, "pack the archive"])
        .file(_TAR)
    )


async def described(layout: dagger.Directory) -> Image:
    """Return the manifest and the configuration of the only image in a layout."""
    index = json.loads(await layout.file("index.json").contents())
    [entry] = index["manifests"]
    manifest = json.loads(await layout.file(blob(entry["digest"])).contents())
    config = json.loads(await layout.file(blob(manifest["config"]["digest"])).contents())
    return Image(entry["mediaType"], manifest, config)
