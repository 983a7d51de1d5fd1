"""The runtime image: four layers, sorted by how often they change, and metadata, which changes no layer."""

import dataclasses

import dagger

from pipeline.build.dependencies import equipped
from pipeline.build.release import assembled, packed
from pipeline.errors import InputError
from pipeline.image import platforms
from pipeline.image.distribution import check_distributions
from pipeline.image.files import INIT
from pipeline.image.labels import labels
from pipeline.image.libraries import UID, libraries, loads, unpacked
from pipeline.image.platforms import Platform
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.project.reader import read

#: Of Erlang's distribution, in clusters; 8080 and 9090 are the application's.
DISTRIBUTION_PORT = 9100
PORTS = (8080, 9090, DISTRIBUTION_PORT)


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """The image of a project for the engine's own platform, and what it was made of."""

    application: Application
    release: dagger.Container
    image: dagger.Container


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """The files of an image, and what `loads` says of them."""

    container: dagger.Container
    loads: dagger.File


async def built(project: Project) -> Built:
    """Read a project, assemble its release and make the image for the engine's own platform."""
    application = await read(project)
    project = await equipped(project, application)
    release = await assembled(project, application)
    return Built(application, release, await runtime(project, application, release))


async def runtime(
    project: Project, application: Application, release: dagger.Container, platform: Platform | None = None
) -> dagger.Container:
    """Return the image of a release, for the engine's platform or another; raises the errors of `filled`."""
    return metadata((await filled(project, application, release, platform)).container, project, application)


async def filled(
    project: Project, application: Application, release: dagger.Container, platform: Platform | None = None
) -> Filled:
    """Return the image of a release without its metadata, so that metadata changes no key of checks on its files.

    After a change of an application the layers below that of the applications, and what is made of native code, have
    the keys that they had: each is made of a tar, which is keyed by its content.

    Raises
    ------
    InputError
        If builder and runtime differ, or the release cannot be made for that platform.
    BuildError
        If a library that the release needs is missing.
    """
    if platform:
        await platforms.check_pulls(platform, project.runtime)
        tar = await platforms.erts_for(platform, project, release)
    else:
        tar = packed(release, "erts")
    await check_distributions(project, platform)
    await check_health_url(project, platforms.container(platform, project.runtime).rootfs())
    erts, native = unpacked(project, tar), packed(release, "native")
    added = await libraries(project, application, erts, native, platform)
    image = platforms.container(platform, project.runtime).with_directory("/", added).with_directory("/", erts)
    loaded = await loads(project, application, image.rootfs(), native, platform)
    for layer in (unpacked(project, packed(release, "dependencies")), release.directory("/layers/applications")):
        image = image.with_directory("/", layer)
    return Filled(image, loaded)


async def check_health_url(project: Project, base: dagger.Directory) -> None:
    """Raise `InputError` for an https URL if the image has no busybox, without which the health check has no TLS."""
    if project.health_url.startswith("https://") and not await base.exists("bin/busybox"):
        raise InputError(
            f"--health-url {project.health_url}: the health check needs busybox for https, and {project.runtime} has "
            "none; give a URL that begins with http://, or --flavor=alpine"
        )


def metadata(image: dagger.Container, project: Project, application: Application) -> dagger.Container:
    """Set the metadata of an image; no layer is made or changed here."""
    name = application.name
    upper = name.upper().replace("-", "_")
    home = f"/opt/{name}"
    variables = {
        "RELEASE_NAME": name,
        f"{upper}_ENV": "production",
        f"{upper}_VERSION": application.version,
        "HOME": home,
        "LANG": "C.UTF-8",
        # Our command NAME comes before the release's start script of that name.
        "PATH": f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{home}/bin",
        "ERL_CRASH_DUMP": f"/var/log/{name}/erl_crash.dump",
        "ERL_MAX_PORTS": "65536",
        "ERL_MAX_ETS_TABLES": "50000",
        "ERL_AFLAGS": "+MBacul 0",
    }
    if project.health_url:
        variables["HEALTH_URL"] = project.health_url
    for key, value in variables.items():
        image = image.with_env_variable(key, value)
    for port in PORTS:
        image = image.with_exposed_port(port, experimental_skip_healthcheck=True)
    image = (
        image.with_user(f"{UID}:{UID}")
        .with_workdir(home)
        .with_entrypoint([INIT, "--", "/usr/local/bin/entrypoint"])
        .with_default_args(["foreground"])
        .with_docker_healthcheck(
            ["/usr/local/bin/healthcheck"], interval="15s", timeout="10s", start_period="45s", retries=3
        )
    )
    for key, value in labels(project, application).items():
        image = image.with_label(key, value)
    return image
