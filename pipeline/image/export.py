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
from pipeline.errors import BuildError
from pipeline.image.base import bases
from pipeline.image.layout import Image, blob, finished, pack, parse_time, texts_of
from pipeline.image.platforms import parse_platforms
from pipeline.image.runtime import Filled, filled, metadata
from pipeline.project.application import Application
from pipeline.project.project import Project, builder
from pipeline.project.reader import read

#: Paths in the container that unpacks the image.
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
    images = {name: await filled(project, application, release, platform) for name, platform in wanted.items()}
    crane, service = project.images["crane"], project.registry_service
    return images, await bases(crane, project.runtime, wanted, service, project.docker_config)


async def archive(project: Project) -> dagger.File:
    """Return the image of a project as an OCI archive, for each of --platforms."""
    project.refuse_incremental()
    application = await read(project)
    project = await equipped(project, application)
    images, layers = await variants(project, application, await assembled(project, application))
    whole = {name: metadata(image.container, project, application) for name, image in images.items()}
    made, _ = await layout(project, whole, layers)
    folder = handover.working_folder()
    await made.export(str(folder / "layout"))
    (folder / "archive").mkdir()
    pack(folder / "layout", folder / "archive" / "image.tar")
    return await handover.handed_over(folder / "archive").file("image.tar").sync()


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
    layers: dict[str, dagger.File] = {}
    made = []
    for platform, container in images.items():
        packed, given = _packed(project, container), bases.get(platform)
        base = await described(given) if given else None
        if base and base.platform != platform:
            raise BuildError(
                f"{project.runtime}: the registry has it for {base.platform}, not for {platform}; give an image for "
                f"{platform} with --runtime-image"
            )
        image = finished(await described(packed), time, base)
        for layer in image.layers:
            source = given if given and base and layer in base.layers else packed
            layers[layer["digest"]] = source.file(blob(layer["digest"]))
        made.append(image)
    texts, digest = texts_of(made)
    whole = handover.directory(texts)
    for name, file in layers.items():
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


async def described(layout: dagger.Directory) -> Image:
    """Return the manifest and the configuration of the only image in a layout."""
    index = json.loads(await layout.file("index.json").contents())
    [entry] = index["manifests"]
    manifest = json.loads(await layout.file(blob(entry["digest"])).contents())
    config = json.loads(await layout.file(blob(manifest["config"]["digest"])).contents())
    return Image(entry["mediaType"], manifest, config)
