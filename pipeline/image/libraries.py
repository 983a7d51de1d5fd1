"""What lies over the runtime's base besides the release: libraries, user, folders, the entrypoint and its check."""

import dagger
from dagger import dag

from pipeline.build.release import FILE_TIME
from pipeline.errors import guard
from pipeline.image import platforms
from pipeline.image.platforms import Platform
from pipeline.project.application import Application
from pipeline.project.project import Project, builder
from pipeline.scripts import script

UID = 1000
_SCRIPT = "/pipeline/elf.escript"
#: Where the entrypoint looks for it.
_FINISH = "/usr/local/share/entrypoint/finish.awk"
#: Where the root filesystem of another platform lies while the package manager of the engine's own installs into it.
_OTHER_ROOT = "/other"


async def libraries(project: Project, application: Application, platform: Platform | None) -> dagger.Directory:
    """Return what lies over the runtime's base: libraries, user, folders and our scripts, all of one time."""
    base = platforms.container(platform, project.runtime).rootfs()
    container = dag.container().from_(project.runtime).with_user("root")
    arguments = [application.name, str(UID)]
    root = ""
    if platform:
        root = _OTHER_ROOT
        container = container.with_mounted_directory(root, base)
        arguments += [root, platform.architecture]
    for name in ("entrypoint", "healthcheck"):
        container = container.with_new_file(
            f"{root}/usr/local/bin/{name}", script(f"image/resources/{name}.sh"), permissions=0o755
        )
    container = container.with_new_file(f"{root}{_FINISH}", script("image/resources/finish.awk"))
    installed = container.with_new_file("/pipeline/packages.sh", script("image/resources/packages.sh")).with_exec(
        ["sh", "/pipeline/packages.sh", *arguments]
    )
    links = await guard(installed.file("/pipeline/links").contents(), f"installing libraries into {project.runtime}")
    added = base.diff(installed.directory(root) if root else installed.without_directory("/pipeline").rootfs())
    return _with_one_time(project, added.without_files(links.split()) if links else added)


def _with_one_time(project: Project, directory: dagger.Directory) -> dagger.Directory:
    """Set every time in a directory, also those of links.

    The engine's `with_timestamps` follows a link, from its own root: it fails on those that packages make to
    certificates (`/etc/ssl/certs/x.pem -> /usr/share/…`).
    """
    return (
        dag.container()
        .from_(project.runtime)
        .with_user("root")
        .with_mounted_directory("/added", directory)
        .with_exec(["find", "/added", "-exec", "touch", "-h", "-d", f"@{FILE_TIME}", "{}", "+"])
        .directory("/added")
    )


async def check_libraries(
    project: Project, application: Application, image: dagger.Container, platform: Platform | None
) -> None:
    """Raise `BuildError` if a library that the release needs is not in the image, or is too old.

    Files are read, not run: so it is one check for every platform (and musl's ldd would miss the emulator's own
    symbols in every native library of OTP).
    """
    checked = (
        builder(project)
        .with_new_file(_SCRIPT, script("image/resources/elf.escript"))
        .with_mounted_directory("/image", image.rootfs())
        .with_exec(
            [
                *("escript", _SCRIPT, "libraries"),
                *(platform.architecture if platform else "native", "/image", f"/opt/{application.name}"),
            ]
        )
    )
    await guard(checked.sync(), "checking libraries")
