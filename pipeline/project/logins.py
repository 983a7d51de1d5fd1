"""Registry logins, in the form in which crane and cosign read them: Docker's configuration."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import dagger
from dagger import dag

from pipeline.errors import InputError

_FOLDER = "/login"
#: Docker Hub in references, and in Docker's configuration: `DefaultAuthKey` in pkg/authn/keychain.go of
#: go-containerregistry, with which crane and cosign look.
_HUB = ("docker.io", "index.docker.io")
_HUB_KEY = "https://index.docker.io/v1/"


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """A user and a password for a registry."""

    user: str = ""
    password: dagger.Secret | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` if half of it is missing."""
        if bool(self.user) != bool(self.password):
            raise InputError("--user and --password: give both, or neither if the registry needs no login")


async def docker_config(logins: Mapping[str, Login], given: dagger.Secret | None = None) -> dagger.Secret | None:
    """Return a Docker configuration with logins; nothing if there are none.

    Parameters
    ----------
    logins
        By registry, or by repository where one registry knows several; they win over what is given. One without a
        password says that this registry will be asked.
    given
        The user's own `config.json`. Programs that keep logins for it are on the user's machine alone.

    Raises
    ------
    InputError
        If what is given is no such file, or such a program keeps the login of a registry that will be asked.
    """
    entries = {
        _key(place): {"auth": base64.b64encode(f"{login.user}:{await login.password.plaintext()}".encode()).decode()}
        for place, login in logins.items()
        if login.password
    }
    if given:
        asked = {place for place in logins if _key(place) not in entries}
        entries = _read(await given.plaintext(), asked) | entries
    if not entries:
        return None
    return dag.set_secret(f"login {' '.join(sorted(entries))}", json.dumps({"auths": entries}))


def logged_in(container: dagger.Container, config: dagger.Secret | None) -> dagger.Container:
    """Return a container of crane or cosign with logins."""
    if not config:
        return container
    # Readable for any user: which one runs is the image's choice, and it is alone there.
    container = container.with_mounted_secret(f"{_FOLDER}/config.json", config, mode=0o444)
    return container.with_env_variable("DOCKER_CONFIG", _FOLDER)


def _key(place: str) -> str:
    host, slash, path = place.partition("/")
    if host not in _HUB:
        return place
    return f"index.docker.io/{path}" if slash else _HUB_KEY


def _read(text: str, places: set[str]) -> dict[str, Any]:
    """Return the logins in a Docker configuration."""
    try:
        document = json.loads(text)
        auths, helpers = document.get("auths") or {}, document.get("credHelpers") or {}
        entries = {key: entry for key, entry in auths.items() if entry}
        kept = {**{key: document.get("credsStore") for key in auths if key not in entries}, **helpers}
    except (ValueError, AttributeError):
        raise InputError(
            "--docker-config: this is not a Docker configuration; give a file such as ~/.docker/config.json"
        ) from None
    for place in sorted(places):
        if (helper := kept.get(_key(place.partition("/")[0]))) and _key(place) not in entries:
            raise InputError(
                f"--docker-config: the program docker-credential-{helper} stores the login of {place}, where no "
                "container can read it; give that login with --user and --password (see docs/publish.md)"
            )
    return entries
