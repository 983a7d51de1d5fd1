"""The layer above the base image: libraries, user, folders, the init and our scripts."""

import dagger

from pipeline.build.release import ELF, elf
from pipeline.errors import guard
from pipeline.handover import script, scripts
from pipeline.image import files, platforms
from pipeline.image.platforms import Platform
from pipeline.project.application import Application
from pipeline.project.project import FILE_TIME, Project, builder

UID = 1000
_ADDED, _NATIVE, _LOADS = "/added", "/native.tar", "/pipeline/loads"
#: Where the entrypoint looks for it.
_FINISH = "/usr/local/share/entrypoint/finish.awk"


def unpacked(project: Project, tar: dagger.File) -> dagger.Directory:
    """Return what is in a tar, keyed by that alone, all of one time."""
    command = f"mkdir /layer && tar -xf /layer.tar -C /layer && find /layer -exec touch -h -d @{FILE_TIME} {{}} +"
    return (
        builder(project)
        .with_user("root")
        .with_mounted_file("/layer.tar", tar)
        .with_exec(["sh", "-c", command, "unpack a layer"])
        .directory("/layer")
    )


async def libraries(
    project: Project, application: Application, erts: dagger.Directory, native: dagger.File, platform: Platform | None
) -> dagger.Directory:
    """Return the files of the layer above the base image, all with the same time.

    The libraries are copied from the builder: those that the release needs and the base image lacks. No package manager
    and no program of the image runs, so it works in the same way for every platform.

    Parameters
    ----------
    project, application
        What is built.
    erts
        The layer of ERTS and OTP.
    native
        The native code of the other layers, as `release.sh` packs it: no other change makes this run again.
    platform
        That of the image, if it is not the engine's own.

    Raises
    ------
    BuildError
        If a library is in neither image, or belongs to no package.
    """
    base = platforms.container(platform, project.runtime).rootfs()
    container = (
        _tools(project)
        .with_mounted_directory("/base", base)
        .with_mounted_directory("/builder", platforms.container(platform, project.builder).rootfs())
        .with_mounted_directory("/layers/erts", erts)
        .with_mounted_file(_NATIVE, native)
        .with_directory(_ADDED, await _own_files(project, base, platform))
        .with_exec(
            [
                *("sh", "/pipeline/root.sh", application.name, str(UID), str(FILE_TIME), _architecture(platform)),
                *(project.runtime, project.builder),
            ]
        )
    )
    return await guard(container.directory(_ADDED).sync(), f"copying libraries into {project.runtime}")


async def _own_files(project: Project, base: dagger.Directory, platform: Platform | None) -> dagger.Directory:
    """Return the files that we add."""
    added = dagger.dag.directory()
    for name in ("entrypoint", "healthcheck"):
        added = added.with_file(f"/usr/local/bin/{name}", script(f"image/resources/{name}.sh"), permissions=0o755)
    added = added.with_file(_FINISH, script("image/resources/finish.awk")).with_file(
        files.INIT, await files.init(project, platform), permissions=0o755
    )
    if bundle := await files.certificates(project, base):
        added = added.with_file(files.CERTIFICATES, bundle, permissions=0o644)
    return added


def _tools(project: Project) -> dagger.Container:
    """Return the builder of the engine's own platform with our scripts."""
    names = ("packages.escript", "root.hrl", "root.sh")
    own = scripts(*(f"image/resources/{name}" for name in names))
    return builder(project).with_user("root").with_directory("/pipeline", own).with_file(ELF, elf(project))


def _architecture(platform: Platform | None) -> str:
    return platform.architecture if platform else "native"


async def loads(
    project: Project, application: Application, image: dagger.Directory, native: dagger.File, platform: Platform | None
) -> dagger.File:
    """Return which libraries each native file of a release loads: lines of two paths, separated by a tab.

    Files are only read, so the check works for every platform. (musl's ldd would miss the emulator's own symbols in
    every native library of OTP.)

    Parameters
    ----------
    project, application
        What is built.
    image
        The root filesystem of the image, without the layers whose native code is in `native`.
    native
        The native code of these layers, as `release.sh` packs it.
    platform
        The platform of the image, if it is not the engine's own.

    Raises
    ------
    BuildError
        If a library that the release needs is not in the image, or is too old.
    """
    command = (
        '[ ! -s "$1" ] || tar -xf "$1" -C /image --strip-components=1; exec escript /pipeline/elf.escript check "$2" '
        '/image "$3" "$4"'
    )
    arguments = (_NATIVE, _architecture(platform), f"/opt/{application.name}", _LOADS)
    container = (
        _tools(project)
        .with_mounted_directory("/image", image)
        .with_mounted_file(_NATIVE, native)
        .with_exec(["sh", "-euc", command, "check the libraries of the image", *arguments])
    )
    return await guard(container.file(_LOADS).sync(), "the check of the image's libraries")
