"""The distribution of builder and runtime, which must be the same release, or the image does not start."""

import dagger

from pipeline.errors import InputError, guard
from pipeline.image import platforms
from pipeline.image.platforms import Platform
from pipeline.project.project import Project


async def distribution(container: dagger.Container) -> tuple[str, str]:
    """Return the distribution and its release, such as `("alpine", "3.22")` or `("debian", "13")`."""
    text = await guard(container.file("/etc/os-release").contents(), "reading /etc/os-release")
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    version = fields.get("VERSION_ID", "").strip('"')
    # Alpine's libraries are the same throughout 3.22.x.
    return fields.get("ID", "?").strip('"'), ".".join(version.split(".")[:2])


async def check_distributions(project: Project, platform: Platform | None = None) -> None:
    """Raise `InputError` unless builder and runtime are of one distribution release.

    A release with ERTS runs on the libraries that it was linked with: glibc on musl does not start at all, and
    Alpine's next release has another libcrypto.
    """
    builder = await distribution(platforms.container(platform, project.builder))
    runtime = await distribution(platforms.container(platform, project.runtime))
    for argument, image, (name, version) in (
        ("--builder-image", project.builder, builder),
        ("--runtime-image", project.runtime, runtime),
    ):
        if not version:
            raise InputError(
                f"{image}: /etc/os-release has no VERSION_ID ({name}; Debian testing and sid have none); give an image "
                f"of a released version with {argument}"
            )
    if builder != runtime:
        raise InputError(
            f"builder and runtime differ: {project.builder} is {' '.join(builder)}, {project.runtime} is "
            f"{' '.join(runtime)}; give images of the same distribution release with --builder-image and "
            "--runtime-image"
        )
