"""The logins that crane and cosign get, and from where."""

import base64
import json

import dagger
import pytest
from dagger import dag
from recorder import Recorder

from pipeline.errors import InputError
from pipeline.project import logins
from pipeline.project.logins import Login, docker_config
from pipeline.registry import promote
from pipeline.registry.reference import Reference

pytestmark = pytest.mark.anyio

SOURCE, SAME, OTHER = (Reference(host, path) for host, path in (("r.io", "a/x"), ("r.io", "b/x"), ("s.io", "b/x")))


def secret(text: str) -> dagger.Secret:
    return dag.set_secret("made-up", text)


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


async def written(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, given: str | None = None, **places: Login
) -> dict:
    """Return the logins of the configuration that is made; `given` is the user's own."""
    kept = []
    recorder.answer("Secret.plaintext", given or "password")
    monkeypatch.setattr(logins, "dag", type("Dag", (), {"set_secret": staticmethod(lambda _, text: kept.append(text))}))
    await docker_config(places, secret("config") if given else None)
    return json.loads(kept[0])["auths"] if kept else {}


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("ghcr.io", "ghcr.io"),
        ("registry.localhost:5000", "registry.localhost:5000"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("index.docker.io", "https://index.docker.io/v1/"),
        ("docker.io/me/app", "index.docker.io/me/app"),
        ("ghcr.io/me/app", "ghcr.io/me/app"),
    ],
)
async def test_a_login_is_under_the_name_by_which_crane_looks(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, place: str, key: str
) -> None:
    made = await written(recorder, monkeypatch, **{place: Login("robot", secret("p"))})
    assert made == {key: {"auth": basic("robot", "password")}}


async def test_the_users_own_configuration_is_used_without_what_only_his_machine_can(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"auths": {"ghcr.io": {"auth": "b3du"}, "quay.io": {}}, "credsStore": "desktop", "HttpHeaders": {"a": "b"}}
    assert await written(recorder, monkeypatch, json.dumps(own), **{"ghcr.io": Login()}) == {
        "ghcr.io": {"auth": "b3du"}
    }


@pytest.mark.parametrize(
    ("own", "place", "message"),
    [
        (
            {"auths": {"ghcr.io": {}}, "credsStore": "desktop"},
            "ghcr.io",
            "docker-credential-desktop stores the login of ghcr",
        ),
        ({"credHelpers": {"ghcr.io": "gh"}}, "ghcr.io", "docker-credential-gh stores the login of ghcr.io"),
        (
            {"auths": {"https://index.docker.io/v1/": {}}, "credsStore": "pass"},
            "docker.io",
            "docker-credential-pass stores",
        ),
        # Nothing is kept of it, or of this registry: it is asked without.
        ({"auths": {"quay.io": {}}, "credsStore": "desktop"}, "ghcr.io", ""),
        ({"auths": {"ghcr.io": {}}}, "ghcr.io", ""),
        ({}, "ghcr.io", ""),
    ],
)
async def test_a_login_that_a_program_keeps_is_told(recorder: Recorder, own: dict, place: str, message: str) -> None:
    recorder.answer("Secret.plaintext", json.dumps(own))
    if message:
        with pytest.raises(InputError, match=message):
            await docker_config({place: Login()}, secret("config"))
    else:
        assert await docker_config({place: Login()}, secret("config")) is None


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"auths": 3}', '"x"'])
async def test_what_is_no_configuration_is_refused_without_its_text(recorder: Recorder, text: str) -> None:
    recorder.answer("Secret.plaintext", text)
    with pytest.raises(InputError, match=r"^--docker-config: this is not a Docker configuration") as raised:
        await docker_config({"ghcr.io": Login()}, secret("config"))
    assert text not in str(raised.value)


def test_who_promotes_may_be_two_in_one_registry() -> None:
    # Compared by identity: they are asked nothing.
    reader, writer, nobody = Login("r", object()), Login("w", object()), Login()  # type: ignore[arg-type] # as above
    assert promote.logins(SOURCE, reader, OTHER, writer) == {"r.io": reader, "s.io": writer}
    assert promote.logins(SOURCE, reader, OTHER, nobody) == {"r.io": reader, "s.io": nobody}
    assert promote.logins(SOURCE, reader, SAME, nobody) == {"r.io": reader}
    assert promote.logins(SOURCE, reader, SAME, writer) == {"r.io/a/x": reader, "r.io/b/x": writer}
    assert promote.logins(SOURCE, nobody, SAME, writer) == {"r.io/b/x": writer}
    assert promote.logins(SOURCE, reader, SOURCE, writer) == {"r.io/a/x": writer}
