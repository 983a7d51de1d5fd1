"""Publish, publish again, verify, promote and a wrong login, with registries that answer as others do."""

import dataclasses
import functools
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from unittest import mock

import anyio
import dagger
import fronts
import pytest
import registry as registries
import sigstores
from conftest import _free_port, _is_free, programs_of, session
from dagger import dag

from pipeline import handover
from pipeline.errors import PolicyError, RegistryError, VerificationError
from pipeline.project.images import default_images, images_in_use
from pipeline.project.logins import Login
from pipeline.registry import content, promote, publish, verify
from pipeline.registry.provenance import Origin
from pipeline.registry.publish import Order, Request
from pipeline.registry.reference import Reference
from pipeline.registry.signing import FINDINGS, GITHUB, PREDICATES, PROVENANCE, Signing, Sigstore
from pipeline.registry.tags import choose_tags
from pipeline.registry.tools import Tools, ask, tools_for
from pipeline.registry.verify import Signer

USER, PASSWORD = "robot", "correct-horse-battery"
# Not a short one: an engine blackens it wherever it stands, in the text of a public key too.
KEY_PASSWORD = "staple-of-the-key"  # noqa: S105 # made up
VERDICT = {"passed": True, "decided": True, "lines": ["PASSED"]}
TAGS = {"1.2.0", "1.2", "1", "latest"}
BUILDER = "https://github.com/example/app/.github/workflows/pipeline.yml@refs/heads/main"


@dataclasses.dataclass(frozen=True)
class Desk:
    """What it takes to publish to a registry, in a session of an engine."""

    engine: dict[str, str]
    folder: Path
    images: Path
    front: fronts.Front

    def run(self, work: Callable[["Desk"], Awaitable[object]]) -> None:
        """Do something in a session."""

        async def connected() -> None:
            async with dagger.connection():
                await work(self)

        with session(self.engine, self.folder):
            anyio.run(connected)

    def place(self, name: str = "greeter") -> Reference:
        """Return a repository."""
        return Reference(f"registry.localhost:{self.front.port}", name)

    async def tools(self, password: str = PASSWORD) -> Tools:
        """Return crane and cosign, logged in."""
        table = images_in_use(self.images.read_text(), {}, "")
        service = dag.host().service([dagger.PortForward(backend=self.front.port, frontend=self.front.port)])
        logins = {self.place().host: Login(USER, dag.set_secret(f"password {password}", password))}
        return await tools_for(table, logins, service)

    def order(self, text: str, signing: Signing | None = None) -> Order:
        """Return what to publish: an image, different for each text; signed with the key if nothing else is said."""
        folder = self.folder / f"layout-{text}"
        digest = fronts.digest_of(folder) if folder.exists() else fronts.layout(folder, text)
        key = dag.set_secret("the key", (self.folder / "right.key").read_text())
        found = {"time": f"{time.time_ns()}", "verdict": VERDICT}
        predicates = {kind: json.dumps(found if kind == FINDINGS else {"of": text}) for kind in PREDICATES}
        predicates[PROVENANCE] = json.dumps({"runDetails": {"builder": {"id": BUILDER}, "metadata": found}})
        signing = signing or Signing(key, dag.set_secret("its password", KEY_PASSWORD), transparency_log=False)
        return Order(self.place(), dag.host().directory(str(folder)), digest, signing, predicates)

    async def publish(
        self, text: str = "one", password: str = PASSWORD, signing: Signing | None = None, **chosen: object
    ) -> str:
        """Publish an image, as 1.2.0 if nothing else is said."""
        chosen = chosen or {"version": "1.2.0"}
        tools, order = await self.tools(password), self.order(text, signing)
        choose = functools.partial(choose_tags, **chosen)
        request = Request(choose, "version" in chosen, Login(), order.signing, Origin())
        # Outside of a module there is none that hands files over.
        with mock.patch.object(
            handover, "file", lambda name, text: dag.directory().with_new_file(name, text).file(name)
        ):
            return await publish.send(tools, request, order)

    def signer(self) -> Signer:
        """Return who must have signed."""
        return Signer(dag.set_secret("public", (self.folder / "right.pub").read_text()), transparency_log=False)

    async def tags(self, name: str = "greeter") -> dict[str, str]:
        """Return what each tag names, but for those that hold signatures."""
        return (await content.look(await self.tools(), self.place(name), command="all")).digests


@pytest.fixture(scope="module")
def desk(engine: dict[str, str], images: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    programs_of(images, folder, "cosign")
    subprocess.run(
        [folder / "cosign", "generate-key-pair", "--output-key-prefix=right"],
        cwd=folder, env={"COSIGN_PASSWORD": KEY_PASSWORD, "HOME": str(folder)}, check=True, capture_output=True,
    )  # fmt: skip
    return Desk(engine, folder, images, fronts.Front(0))


#: Registries, by name: how each behaves.
KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "token service": {"tokens": True},
    "hidden until pushed to": {"tokens": True, "hides": True},
    "throttling": {"throttles": 29},
    "failing once in a blob": {"breaks": 1},
    # Where it is on PATH: github.com/project-zot/zot, which lists what refers to an image itself (OCI 1.1).
    "zot": {"program": "zot"},
}


@pytest.fixture
def served(desk: Desk, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """Serve a registry of a kind."""
    behaviour = {**KINDS.get(request.param, {})}
    zot = behaviour.pop("program", "")
    program = shutil.which("zot") if zot else shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        pytest.skip("needs zot on the PATH (github.com/project-zot/zot)")
    port = _free_port()
    settings = json.loads(registries.settings(f"127.0.0.1:{port}", tmp_path / "storage"))
    if behaviour.get("tokens"):
        behaviour["tokens"] = fronts.Tokens(tmp_path)
        settings["auth"] = behaviour["tokens"].settings()
    if zot:
        address = {"address": "127.0.0.1", "port": f"{port}"}
        settings = {"storage": {"rootDirectory": str(tmp_path / "storage")}, "http": address, "log": {"level": "error"}}
    # Both read JSON; zot goes by the name.
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings))
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
        try:
            while _is_free(port):
                time.sleep(0.1)
            with fronts.serve(fronts.Front(port, passwords={USER: PASSWORD}, **behaviour)) as front:
                yield dataclasses.replace(desk, front=front)
        finally:
            server.terminate()
            server.wait()


@pytest.mark.parametrize("served", KINDS, indirect=True)
def test_a_registry_is_published_to_again_proved_and_promoted_from(served: Desk) -> None:
    async def work(desk: Desk) -> None:
        pinned = await desk.publish()
        digest = pinned.partition("@")[2]
        assert await desk.tags() == dict.fromkeys(TAGS, digest)
        assert await desk.publish() == pinned
        tools, image = await desk.tools(), dataclasses.replace(desk.place(), digest=digest)
        proof = await verify.verify(tools, image, desk.signer())
        # The second one has a verdict of its own, and states nothing else again.
        assert {PREDICATES[kind]: len(found) for kind, found in proof.predicates.items()} == {
            name: 2 if name == "verdict" else 1 for name in PREDICATES.values()
        }
        target = desk.place("live/greeter")
        await promote.promote(tools, image, target, ("1.2.0", "stable"), desk.signer(), move=False, scan=None)
        assert await desk.tags("live/greeter") == {"1.2.0": digest, "stable": digest}
        with pytest.raises(PolicyError, match=f"nothing was pushed: tag 1.2.0 already points to {digest}"):
            await desk.publish("two")
        if desk.front.passwords and desk.front.tokens:
            with pytest.raises(RegistryError, match=r"nothing was pushed: .*refused the login"):
                await desk.publish(password="wrong")  # noqa: S106 # made up
        assert await desk.tags() == dict.fromkeys(TAGS, digest)

    served.run(work)


@pytest.mark.parametrize("served", ["plain", "zot"], indirect=True)
def test_a_workflow_signs_without_a_key_when_it_signs_and_states_nothing_twice(served: Desk) -> None:
    # Less than a publication takes: an identity that was asked for before would have ended.
    own = sigstores.Sigstore(sigstores.claims_of("example/app"), lasts=15, port=served.front.port)
    served.front.sigstore = own
    paths = own.write(served.folder)
    resolved = socket.getaddrinfo

    def resolve(host: str, *rest: object) -> object:
        return resolved("127.0.0.1" if host == own.host else host, *rest)

    async def work(desk: Desk) -> None:
        folder = dag.host().directory(str(desk.folder))
        url = dag.set_secret("identity", f"{own.url}/identity?job=1")
        services, root = (folder.file(path.name) for path in paths)
        of_job = dag.set_secret("job", "of-the-job")
        signing = Signing(identity_url=url, identity_url_token=of_job, sigstore=Sigstore(services, root))
        pinned = await desk.publish(signing=signing)
        made = own.asked.count("POST /api/v2/signingCert")
        assert (made, own.asked.count("GET /identity")) == (1 + len(PREDICATES), made)
        assert await desk.publish(signing=signing) == pinned
        assert own.asked.count("POST /api/v2/signingCert") == made + 1
        # One more was read, and forgotten: by it what is there already is known.
        assert own.asked.count("GET /identity") == made + 2
        tools, image = await desk.tools(), dataclasses.replace(desk.place(), digest=pinned.partition("@")[2])
        who = Signer(identity="^https://github.com/example/app/", issuer=GITHUB, sigstore=Sigstore(root=root))
        proof = await verify.verify(tools, image, who)
        assert {PREDICATES[kind]: len(found) for kind, found in proof.predicates.items()} == {
            name: 2 if name == "verdict" else 1 for name in PREDICATES.values()
        }
        assert f"{BUILDER} (confirmed by the certificate)" in proof.render()
        # The same workflow of another repository signs too, and is not the one that is named.
        own.claims |= sigstores.claims_of("example/other")
        await desk.publish("two", signing=signing, given=["two"])
        other = dataclasses.replace(desk.place(), digest=desk.order("two").digest)
        pattern = dataclasses.replace(who, identity="^https://github.com/example/")
        with pytest.raises(VerificationError, match="no certificate of that builder signed it"):
            await verify.verify(tools, other, pattern)

    with mock.patch.object(socket, "getaddrinfo", resolve):
        served.run(work)


@pytest.mark.parametrize("served", ["plain"], indirect=True)
def test_a_tag_that_the_list_hides_is_not_moved(served: Desk) -> None:
    async def work(desk: Desk) -> None:
        first = (await desk.publish()).partition("@")[2]
        desk.front.unlisted.update(TAGS)
        with pytest.raises(RegistryError, match="its list of tags does not"):
            await desk.publish("two", version="1.3.0")
        with pytest.raises(PolicyError, match=r"nothing was pushed: tag 1\.2\.0 already points to"):
            await desk.publish("two", given=["1.2.0"])
        assert (await desk.publish("two", given=["1.3.0"])).partition("@")[2] != first
        desk.front.unlisted.clear()
        assert {tag for tag, digest in (await desk.tags()).items() if digest == first} == TAGS

    served.run(work)


@pytest.mark.parametrize("served", ["plain"], indirect=True)
def test_of_two_who_publish_one_version_at_once_one_wins_and_the_other_one_says_so(served: Desk) -> None:
    async def work(desk: Desk) -> None:
        ended: dict[str, str | Exception] = {}

        async def one(text: str) -> None:
            try:
                ended[text] = await desk.publish(text)
            except (PolicyError, RegistryError) as error:
                ended[text] = error

        async with anyio.create_task_group() as group:
            group.start_soon(one, "two")
            group.start_soon(one, "three")
        [winner] = [end.partition("@")[2] for end in ended.values() if isinstance(end, str)]
        [error] = [str(end) for end in ended.values() if not isinstance(end, str)]
        assert winner in error
        assert await desk.tags() == dict.fromkeys(TAGS, winner)

    served.run(work)


@pytest.mark.parametrize("served", ["plain"], indirect=True)
def test_a_registry_that_does_not_answer_is_given_up(served: Desk) -> None:
    async def work(desk: Desk) -> None:
        desk.front.silent = True
        tools = await desk.tools()
        began = time.monotonic()
        with pytest.raises(RegistryError, match="no answer within 5 seconds"):
            await ask(tools.crane(), ["ls", desk.place().repository], patience=5)
        assert time.monotonic() - began < 30
        desk.front.silent = False

    served.run(work)


def test_the_table_has_what_this_needs() -> None:
    assert {"crane", "cosign", "git"} <= set(default_images().table)
