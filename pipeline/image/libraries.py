"""What lies over the runtime's base besides the release: libraries, user, folders, the init and our scripts."""

import dagger

from pipeline.build.release import FILE_TIME
from pipeline.errors import guard
from pipeline.handover import script, scripts
from pipeline.image import files, platforms
from pipeline.image.platforms import Platform
from pipeline.project.application import Application
from pipeline.project.project import Project, builder

UID = 1000
_BASE, _BUILDER, _ADDED = "/base", "/builder", "/added"
_TAKEN = "/pipeline/taken"
_LOADS = "/pipeline/loads"
#: Where the entrypoint looks for it.
_FINISH = "/usr/local/share/entrypoint/finish.awk"


async def libraries(
    project: Project, application: Application, release: dagger.Container, platform: Platform | None
) -> dagger.Directory:
    """Return what lies over the runtime's base, all of one time.

    The libraries are the builder's: what the release's programs and libraries need and the base has not. No package
    manager runs, and nothing of the image; so it is one way for every platform.

    Raises
    ------
    BuildError
        If a library is in neither, or of no package.
    """
    base = platforms.container(platform, project.runtime).rootfs()
    container = (
        _tools(project)
        .with_mounted_directory(_BASE, base)
        .with_mounted_directory(_BUILDER, platforms.container(platform, project.builder).rootfs())
        .with_mounted_directory("/layers", release.directory("/layers"))
        .with_directory(_ADDED, await _own_files(project, base, platform))
        .with_exec(
            [
                *("escript", "/pipeline/elf.escript", "libraries", _architecture(platform)),
                *(_BASE, _BUILDER, "/layers", _ADDED, _TAKEN, project.runtime, project.builder),
            ]
        )
        .with_exec(
            ["escript", "/pipeline/packages.escript", _BASE, _BUILDER, _ADDED, _TAKEN, project.builder],
        )
        .with_exec(["sh", "/pipeline/root.sh", application.name, str(UID), _BASE, _ADDED, str(FILE_TIME)])
    )
    return await guard(container.directory(_ADDED).sync(), f"taking libraries for {project.runtime}")


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
    names = ("elf.escript", "packages.escript", "root.hrl", "root.sh")
    own = scripts(*(f"image/resources/{name}" for name in names))
    return builder(project).with_user("root").with_directory("/pipeline", own)


def _architecture(platform: Platform | None) -> str:
    return platform.architecture if platform else "native"


def stripped(project: Project, release: dagger.Container) -> dagger.Container:
    """Return the container of a release whose `/layers` have native code without what nothing loads."""
    return release.with_directory(
        "/layers",
        _tools(project)
        .with_directory("/layers", release.directory("/layers"))
        .with_exec(["escript", "/pipeline/elf.escript", "strip", "/layers"])
        .directory("/layers"),
    )


async def check_libraries(
    project: Project, application: Application, image: dagger.Directory, platform: Platform | None
) -> None:
    """Raise `BuildError` if a library that the release needs is not in the image, or is too old."""
    await guard(loads(project, application, image, platform).sync(), "checking libraries")


def loads(
    project: Project, application: Application, image: dagger.Directory, platform: Platform | None
) -> dagger.File:
    """Return what each native file of a release loads: a line for each, with both paths and a tab between.

    Files are read, not run: so it is one check for every platform (and musl's ldd would miss the emulator's own
    symbols in every native library of OTP).
    """
    command = [
        *("escript", "/pipeline/elf.escript", "check", _architecture(platform)),
        *("/image", f"/opt/{application.name}", _LOADS),
    ]
    return _tools(project).with_mounted_directory("/image", image).with_exec(command).file(_LOADS)
