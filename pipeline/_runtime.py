"""The runtime image: four layers by rate of change, then metadata that changes no layer."""

import re

import dagger
from dagger import dag

from pipeline import _platforms
from pipeline._platforms import Platform
from pipeline.build.release import FILE_TIME
from pipeline.errors import InputError, guard
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.scripts import script

UID = 1000
#: The layers of ours, lowest first, as `layers.sh` names them.
LAYERS = ("erts", "dependencies", "applications")
PORTS = (8080, 9090, 9100)

_TITLE = "org.opencontainers.image"


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
    builder = await distribution(_platforms.container(platform, project.builder))
    runtime = await distribution(_platforms.container(platform, project.runtime))
    if builder != runtime:
        raise InputError(
            f"builder and runtime differ: {project.builder} is {' '.join(builder)}, {project.runtime} is "
            f"{' '.join(runtime)}; choose images of one distribution release with --builder-image and --runtime-image"
        )


async def libraries(project: Project, application: Application, platform: Platform | None) -> dagger.Directory:
    """Return what lies over the runtime's base: libraries, user, folders and our two scripts, all of one time."""
    base = _platforms.container(platform, project.runtime).rootfs()
    container = dag.container().from_(project.runtime).with_user("root")
    arguments = [application.name, str(UID)]
    root = ""
    if platform:
        root = _OTHER_ROOT
        container = container.with_mounted_directory(root, base)
        arguments += [root, platform.architecture]
    for name in ("entrypoint", "healthcheck"):
        container = container.with_new_file(
            f"{root}/usr/local/bin/{name}", script(f"resources/{name}.sh"), permissions=0o755
        )
    installed = container.with_new_file("/pipeline/packages.sh", script("resources/packages.sh")).with_exec(
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


#: Where the root filesystem of another platform lies while the package manager of the engine's own installs into it.
_OTHER_ROOT = "/other"


async def runtime(
    project: Project, application: Application, release: dagger.Container, platform: Platform | None = None
) -> dagger.Container:
    """Return the image of a release, for the engine's platform or another.

    Raises
    ------
    InputError
        If builder and runtime differ, a label is none, or the release cannot be had for that platform.
    BuildError
        If a library that the release needs is not there.
    """
    if platform:
        await _platforms.check_pulls(platform, project.runtime)
        release = await _platforms.release_for(platform, project, release)
    await check_distributions(project, platform)
    added = await libraries(project, application, platform)
    image = _platforms.container(platform, project.runtime).with_directory("/", added)
    for layer in LAYERS:
        image = image.with_directory("/", release.directory(f"/layers/{layer}").with_timestamps(FILE_TIME))
    await _platforms.check_libraries(project, application, image, platform)
    return metadata(image, project, application)


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
        "PATH": f"{home}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
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
        .with_entrypoint(["tini", "--", "/usr/local/bin/entrypoint"])
        .with_default_args(["foreground"])
        .with_docker_healthcheck(
            ["/usr/local/bin/healthcheck"], interval="15s", timeout="10s", start_period="45s", retries=3
        )
    )
    for key, value in labels(project, application).items():
        image = image.with_label(key, value)
    return image


def labels(project: Project, application: Application) -> dict[str, str]:
    """Return the labels: the OCI set from the application's own `.app.src`, then what the user set.

    Raises
    ------
    InputError
        If one of `--labels` is not `KEY=VALUE`.
    """
    reference, _, digest = project.runtime.partition("@")
    source = next((url for key, url in application.links.items() if "git" in (key + url).lower()), "")
    known = {
        "maintainer": f"{application.name} contributors",
        "stage": "runtime",
        f"{_TITLE}.title": application.name,
        f"{_TITLE}.description": application.description,
        f"{_TITLE}.vendor": application.name,
        f"{_TITLE}.licenses": " AND ".join(application.licenses),
        f"{_TITLE}.source": source,
        f"{_TITLE}.version": application.version,
        f"{_TITLE}.revision": project.revision,
        f"{_TITLE}.created": project.created,
        f"{_TITLE}.base.name": reference,
        f"{_TITLE}.base.digest": digest,
    }
    for label in project.labels:
        key, equals, value = label.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9][a-z0-9._/-]*", key, re.IGNORECASE):
            raise InputError(f"--labels {label}: expected KEY=VALUE, such as org.opencontainers.image.vendor=Example")
        known[key] = value
    # An empty label says less than none.
    return {key: value for key, value in known.items() if value}
