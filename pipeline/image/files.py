"""Two files of the image that are neither from the builder nor from the base: the init and the CA certificates."""

import urllib.parse
from collections.abc import Iterable

import dagger

from pipeline.build.dependencies import MIRROR_HOST
from pipeline.build.release import ELF, elf
from pipeline.errors import BuildError, InputError, guard
from pipeline.handover import script
from pipeline.image.platforms import Platform, architecture
from pipeline.project.project import Project, builder

#: The init, process 1: it reaps the processes that a killed health check leaves behind.
INIT = "/usr/local/bin/tini"
#: The bundle of certificates, where Erlang and OpenSSL look for it on Alpine and on Debian.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_FETCH = "/pipeline/fetch.escript"
_OUT = "/pipeline/fetched"


def check_init(project: Project, platforms: Iterable[str]) -> None:
    """Raise `InputError` if one init is given for several platforms."""
    names = sorted(platforms)
    if project.init and len(names) > 1:
        raise InputError(
            f"--init: one program cannot run on {' and '.join(names)}; give a program for each as init-ARCHITECTURE "
            "under [files] in a file for --images, or build one platform at a time"
        )


async def init(project: Project, platform: Platform | None) -> dagger.File:
    """Return the init for a platform: that of --init, or else that of the table.

    Raises
    ------
    InputError
        If it is not a static program of that platform, or the table has none.
    BuildError
        If that of the table cannot be downloaded.
    """
    name = await architecture(platform)
    given = project.init or await _fetched(project, f"init-{name}", "--init")
    checked = (
        builder(project)
        .with_user("root")
        .with_file(ELF, elf(project))
        .with_mounted_file(_OUT, given)
        .with_exec(["escript", ELF, "static", platform.architecture if platform else "native", _OUT])
    )
    what = "--init" if project.init else f"init-{name} of --images"
    try:
        await guard(checked.sync(), f"{what}: the check of the program")
    except BuildError as error:
        raise InputError(f"{error}\n{what}: give a static program for linux/{name}, such as tini-static") from None
    return given


async def certificates(project: Project, base: dagger.Directory) -> dagger.File | None:
    """Return the CA certificates that the image gets: those of --certificates, or the table's if the base has none.

    Raises
    ------
    InputError
        If the table has none.
    BuildError
        If those of the table cannot be downloaded.
    """
    if project.certificates:
        if "-----BEGIN CERTIFICATE-----" not in await project.certificates.contents():
            raise InputError("--certificates: the file has no certificate in it; give a file of CA certificates in PEM")
        return project.certificates
    if await base.exists(CERTIFICATES.removeprefix("/")):
        return None
    return await _fetched(project, "certificates", "--certificates")


async def _fetched(project: Project, key: str, argument: str) -> dagger.File:
    """Return a file of the table.

    A command downloads it instead of `dag.http`, which asks the server in each session, even with a checksum, and fails
    without the network.
    """
    file = project.images.file(key)
    container = builder(project).with_user("root").with_file(_FETCH, script("image/resources/fetch.escript"))
    if project.mirror and urllib.parse.urlsplit(file.url).hostname == MIRROR_HOST:
        container = container.with_service_binding(MIRROR_HOST, project.mirror)
    fetched = container.with_exec(["escript", _FETCH, file.url, file.sha256, _OUT]).file(_OUT)
    try:
        return await guard(fetched.sync(), f"{key}: the download of {file.url}")
    except BuildError as error:
        raise BuildError(
            f"{error}\ngive the file with {argument}, or another URL as {key} under [files] in a file for --images"
        ) from None
