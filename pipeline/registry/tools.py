"""Crane and cosign, with the login of one run."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence

import anyio
import dagger
from dagger import dag

from pipeline.errors import InputError, RegistryError, last_words
from pipeline.handover import script
from pipeline.project.images import Images
from pipeline.project.logins import Login, docker_config, logged_in

#: The host name under which `--registry-service` is known to crane and cosign. Both speak plain HTTP with hosts that
#: end so, and with no other of the engine's network: a registry with a real name is never spoken to without TLS.
SERVICE_HOST = "registry.localhost"

#: What asks for tags and moves them: the entrypoint of `Tools.tags`.
TAGS = "/pipeline/tags.sh"
#: How registries ask for fewer requests, and how many seconds are waited after each such answer.
_THROTTLED, _WAITS = "TOOMANYREQUESTS|429 Too Many Requests", (2, 5, 10, 20)
#: How registries refuse a login; extended regular expressions, for `tags.sh` too. The codes are those of the
#: distribution specification, and Harbor's FORBIDDEN; "permission denied" is about a file.
REFUSED = r"(^|[^A-Z_])(UNAUTHORIZED|DENIED|FORBIDDEN): |401 Unauthorized|403 Forbidden"
#: How they say that a tag, or its repository, is not there. Quay says TAG_EXPIRED of one that was. Harbor has NOT_FOUND
#: also for a project: that one nobody makes by pushing. A bare 404 may be anybody's between here and the registry.
ABSENT = r"(^|[^A-Z_])((NAME_UNKNOWN|MANIFEST_UNKNOWN|TAG_EXPIRED): |NOT_FOUND: (artifact|repository) )"
#: How long a registry may take for one question, and for an image, in seconds.
PATIENCE = 300
LONG = 1800


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """Crane and cosign, as containers that can reach the registries of one run."""

    images: Images
    #: Docker's config.json.
    config: dagger.Secret | None = None
    service: dagger.Service | None = None

    def crane(self) -> dagger.Container:
        """Return crane, with the login alone."""
        return self._container("crane")

    def cosign(self) -> dagger.Container:
        """Return cosign, with the login alone; what signs is given to it where it signs."""
        # It keeps what it knows of Sigstore's keys in its user's home, which its image may not have.
        return self._container("cosign").with_env_variable("TUF_ROOT", "/tmp/sigstore").with_mounted_temp("/tmp")  # noqa: S108 # in a container

    async def tags(self) -> dagger.Container:
        """Return what runs `tags.sh`: crane, in an image that has a shell."""
        image = dag.container().from_(self.images["crane"])
        program = (await image.entrypoint() or ["crane"])[0]
        return (
            self._container("git")
            .with_mounted_file("/usr/local/bin/crane", image.file(program))
            .with_file(TAGS, script("registry/resources/tags.sh"))
            .with_entrypoint(["sh", TAGS])
            .with_env_variable("ABSENT", ABSENT)
            .with_env_variable("REFUSED", REFUSED)
        )

    def _container(self, key: str) -> dagger.Container:
        container = dag.container().from_(self.images[key])
        if self.service:
            container = container.with_service_binding(SERVICE_HOST, self.service)
        return logged_in(container, self.config)


async def tools_for(
    images: Images,
    logins: Mapping[str, Login],
    service: dagger.Service | None = None,
    config: dagger.Secret | None = None,
) -> Tools:
    """Return the tools for some registries.

    Parameters
    ----------
    images
        The table of image references.
    logins
        By host, as in the references, or by repository.
    service
        A registry without a name of its own, reached as `registry.localhost:PORT`.
    config
        The user's own Docker configuration.

    Raises
    ------
    InputError
        If a registry on this machine is named without a service, by which a container reaches it.
    """
    for place in logins:
        check_host(place.partition("/")[0], service)
    return Tools(images, await docker_config(logins, config), service)


def check_host(host: str, service: dagger.Service | None) -> None:
    """Raise `InputError` if a registry cannot be reached under its name from a container of the engine."""
    name, _, port = host.partition(":")
    if service and name != SERVICE_HOST:
        raise InputError(f"{host}: with --registry-service, write the registry as {SERVICE_HOST}:PORT")
    if not service and (name in ("localhost", "127.0.0.1") or name.endswith(".localhost")):
        raise InputError(
            f"{host}: a registry on this machine; make it reachable with --registry-service "
            f"tcp://localhost:{port or 'PORT'}, and write it as {SERVICE_HOST}:{port or 'PORT'}"
        )


async def ask(container: dagger.Container, args: Sequence[str], patience: float = PATIENCE) -> str:
    """Run a tool; the cache never answers for it, since a registry can change at any time.

    A registry that asks for fewer requests (429) is asked again later: crane and cosign themselves do that for some
    requests, and not for the first of a connection.

    Raises
    ------
    RegistryError
        If it takes too long: a connection that broke behind a service would hang for ever.
    """
    for wait in (*_WAITS, 0):
        now = container.with_env_variable("ASKED_AT", str(time.time_ns()))
        try:
            with anyio.fail_after(patience):
                return await now.with_exec([*args], use_entrypoint=True).stdout()
        except TimeoutError:
            break
        except dagger.ExecError as error:
            if not (wait and re.search(_THROTTLED, f"{error.stdout}\n{error.stderr}")):
                raise
        await anyio.sleep(wait)
    raise RegistryError(f"no answer within {patience:.0f} seconds: {' '.join(args[:2])}")


def refusal(error: dagger.QueryError) -> str:
    """Return what a registry's tool said when it failed, and whether that is about the login."""
    return told(last_words(error))


def told(text: str) -> str:
    """Return what a registry said, and whether that is about the login."""
    if re.search(REFUSED, text):
        return f"the registry refused the login, or this user has no permission (see --user, --password): {text}"
    return text
