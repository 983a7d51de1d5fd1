"""Docker Scout: the only scanner that uses a service, with a login."""

import dataclasses

import dagger
from dagger import dag

from pipeline.errors import InputError
from pipeline.project.images import Images
from pipeline.sbom.containers import IMAGE, OUT


@dataclasses.dataclass(frozen=True, slots=True)
class Scout:
    """A login at Docker Hub, without which Docker Scout does not run."""

    user: str
    token: dagger.Secret


def scout_of(user: str, token: dagger.Secret | None, images: Images) -> Scout | None:
    """Return the login, or nothing if none was given.

    Raises
    ------
    InputError
        If half of it is missing, or the table has no image of Docker Scout.
    """
    if bool(user) != bool(token):
        raise InputError("--scout-user and --scout-token: give both, or neither")
    if not token:
        return None
    images["scout"]  # for its error
    return Scout(user, token)


def scout(images: Images, layout: dagger.Directory, login: Scout) -> dagger.File:
    """Return the SARIF report of Docker Scout, the only scanner that uses a service, with a login.

    Of docs.docker.com/reference/cli/docker/scout/cves and the variables in the README of github.com/docker/scout-cli.
    """
    out = f"{OUT}/scout.sarif"
    return (
        dag.container()
        .from_(images["scout"])
        .with_directory(OUT, dag.directory())
        .with_env_variable("DOCKER_SCOUT_HUB_USER", login.user)
        .with_secret_variable("DOCKER_SCOUT_HUB_PASSWORD", login.token)
        .with_mounted_directory(IMAGE, layout)
        .with_exec(["cves", "--format=sarif", f"--output={out}", f"oci-dir://{IMAGE}"], use_entrypoint=True)
        .file(out)
    )
