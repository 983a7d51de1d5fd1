"""The image out of the engine: as an OCI layout or an archive, the same bytes whatever engine built it."""

import contextlib
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import dagger
from dagger import dag

from pipeline.build.dependencies import equipped
from pipeline.build.release import assembled
from pipeline.handover import handed_over, working_folder
from pipeline.image.base import bases
from pipeline.image.layout import add_image, add_index, pack, parse_time, read_base
from pipeline.image.platforms import parse_platforms
from pipeline.image.runtime import runtime
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.project.reader import read


@contextlib.asynccontextmanager
async def exported(image: dagger.Container) -> AsyncGenerator[Path]:
    """Export an image to a local OCI archive (layers gzipped) for as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.tar")
        await image.as_tarball(
            forced_compression=dagger.ImageLayerCompression.Gzip,
            media_types=dagger.ImageMediaTypes.OCIMediaTypes,
        ).export(str(path))
        yield path


async def variants(
    project: Project, application: Application, release: dagger.Container
) -> tuple[dict[str, dagger.Container], dict[str, dagger.Directory]]:
    """Return the image for each platform that was asked for, and its base as the registry has it."""
    wanted = parse_platforms(project.platforms, await dag.default_platform())
    images = {name: await runtime(project, application, release, platform) for name, platform in wanted.items()}
    crane, service = project.images["crane"], project.registry_service
    return images, await bases(crane, project.runtime, wanted, service, project.docker_config)


async def archive(project: Project) -> dagger.File:
    """Return the image of a project as an OCI archive, for each platform that was asked for."""
    application = await read(project)
    project = await equipped(project, application)
    images, layers = await variants(project, application, await assembled(project, application))
    return await tarball(images, project.created, layers)


async def tarball(
    images: dagger.Container | Mapping[str, dagger.Container],
    created: str,
    bases: Mapping[str, dagger.Directory] | None = None,
) -> dagger.File:
    """Return what `layout` returns as one file, an OCI archive."""
    folder = working_folder()
    await write(images, created, bases, folder / "layout")
    (folder / "archive").mkdir()
    pack(folder / "layout", folder / "archive" / "image.tar")
    return await handed_over(folder / "archive").file("image.tar").sync()


async def layout(
    images: dagger.Container | Mapping[str, dagger.Container],
    created: str,
    bases: Mapping[str, dagger.Directory] | None = None,
) -> tuple[dagger.Directory, str]:
    """Return an image as an OCI image layout, and its digest: the same for the same content, whatever engine built it.

    Parameters
    ----------
    images
        The image, or one for each platform by its name: several come under one index.
    created
        The time to write into the configuration, RFC 3339; the engine writes the time of the build.
    bases
        By platform, what `base_layers` gave. Without it the base's layers are as the engine packs them: with
        other bytes after it was restarted, and so with another digest.
    """
    folder = working_folder() / "layout"
    digest = await write(images, created, bases, folder)
    return await handed_over(folder).sync(), digest


async def write(
    images: dagger.Container | Mapping[str, dagger.Container],
    created: str,
    bases: Mapping[str, dagger.Directory] | None,
    folder: Path,
) -> str:
    """Write what `layout` returns into a folder of this machine; return the image's digest."""
    time = parse_time(created)
    descriptors = []
    for platform, image in ({"": images} if isinstance(images, dagger.Container) else images).items():
        with tempfile.TemporaryDirectory() as temporary:
            base = None
            if bases and platform in bases:
                await bases[platform].export(temporary)
                base = read_base(Path(temporary), platform)
            async with exported(image) as archive:
                descriptors.append(add_image(archive, folder, time, base))
    return add_index(folder, descriptors)
