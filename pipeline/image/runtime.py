"""The runtime image: four layers by rate of change, then metadata that changes no layer."""

import dataclasses

import dagger

from pipeline.build.dependencies import equipped
from pipeline.build.release import FILE_TIME, assembled
from pipeline.errors import InputError
from pipeline.image import platforms
from pipeline.image.distribution import check_distributions
from pipeline.image.files import INIT
from pipeline.image.labels import labels
from pipeline.image.libraries import UID, check_libraries, libraries, stripped
from pipeline.image.platforms import Platform
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.project.reader import read

#: The layers of ours, lowest first, as `layers.sh` names them.
LAYERS = ("erts", "dependencies", "applications")
PORTS = (8080, 9090, 9100)


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """The image of a project for the engine's own platform, and what it was made of."""

    application: Application
    release: dagger.Container
    image: dagger.Container


async def built(project: Project) -> Built:
    """Read a project, assemble its release and make the image for the engine's own platform."""
    application = await read(project)
    project = await equipped(project, application)
    release = await assembled(project, application)
    return Built(application, release, await runtime(project, application, release))


async def runtime(
    project: Project, application: Application, release: dagger.Container, platform: Platform | None = None
) -> dagger.Container:
    """Return the image of a release, for the engine's platform or another; `filled` says what can be wrong with it."""
    return metadata(await filled(project, application, release, platform), project, application)


async def filled(
    project: Project, application: Application, release: dagger.Container, platform: Platform | None = None
) -> dagger.Container:
    """Return the image of a release without its metadata: what looks at its files alone has no other key.

    Raises
    ------
    InputError
        If builder and runtime differ, a label is none, or the release cannot be had for that platform.
    BuildError
        If a library that the release needs is not there.
    """
    if platform:
        await platforms.check_pulls(platform, project.runtime)
        release = await platforms.release_for(platform, project, release)
    else:
        release = stripped(project, release)
    await check_distributions(project, platform)
    await check_health_url(project, platforms.container(platform, project.runtime).rootfs())
    added = await libraries(project, application, release, platform)
    image = platforms.container(platform, project.runtime).with_directory("/", added)
    for layer in LAYERS:
        image = image.with_directory("/", release.directory(f"/layers/{layer}").with_timestamps(FILE_TIME))
    await check_libraries(project, application, image.rootfs(), platform)
    return image


async def check_health_url(project: Project, base: dagger.Directory) -> None:
    """Raise `InputError` if the health check of the image could not ask: only busybox, which Alpine has, speaks TLS."""
    if project.health_url.startswith("https://") and not await base.exists("bin/busybox"):
        raise InputError(
            f"--health-url {project.health_url}: the health check of an image upon {project.runtime} speaks no TLS "
            "(busybox does, and is not in it); give a URL that begins with http://, or --flavor=alpine"
        )


def metadata(image: dagger.Container, project: Project, application: Application) -> dagger.Container:
    """Set everything of an image that is no file: nothing here makes or changes a layer."""
    name = application.name
    upper = name.upper().replace("-", "_")
    home = f"/opt/{name}"
    variables = {
        "RELEASE_NAME": name,
        f"{upper}_ENV": "production",
        f"{upper}_VERSION": application.version,
        "HOME": home,
        "LANG": "C.UTF-8",
        # Our command NAME before the start script of that name.
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
