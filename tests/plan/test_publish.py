"""What publishing asks the engine for: its order, where secrets go, what it says when a step fails."""

import base64
import contextlib
import dataclasses
import functools
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import answers
import dagger
import pytest
from answers import words
from dagger import dag
from recorder import Chain, Recorder, exec_error

from pipeline.errors import InputError, PolicyError, RegistryError, VerificationError
from pipeline.project.images import default_images
from pipeline.project.logins import Login
from pipeline.project.project import Project
from pipeline.registry.content import Content, look, read_content
from pipeline.registry.promote import promote
from pipeline.registry.provenance import UNNAMED_BUILDER, Origin, provenance_of
from pipeline.registry.publish import (
    Action,
    Order,
    Request,
    carry_out,
    check_arrived,
    lacking,
    origin_of,
    publish_actions,
    render_dry_run,
    standing_of,
    tag_actions,
)
from pipeline.registry.reference import Reference
from pipeline.registry.rescan import compare, rescan
from pipeline.registry.signing import (
    CYCLONEDX,
    FINDINGS,
    GITHUB,
    OPTIONAL,
    PREDICATES,
    PROVENANCE,
    SIGNATURE,
    SPDX,
    Signing,
    Sigstore,
)
from pipeline.registry.tags import check_moves, choose_tags
from pipeline.registry.tools import Tools, ask, told, tools_for
from pipeline.registry.verify import Signer, verify

pytestmark = pytest.mark.anyio

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
REPOSITORY = Reference("ghcr.io", "banyan-platform/erlmcp")
IMAGE = dataclasses.replace(REPOSITORY, digest=DIGEST)
PRODUCTION = Reference("ghcr.io", "banyan-platform/production")
PINNED = f"{REPOSITORY}@{DIGEST}"
PASSWORD, KEY, KEY_PASSWORD, TOKEN = "registry-password", "private-key", "key-password", "oidc-token"
VERDICT = {"passed": True, "decided": True, "lines": ["PASSED: no finding of HIGH or worse"]}
FOUND = {
    "time": "2026-02-04T00:00:00Z",
    "verdict": VERDICT,
    "findings": [],
    "scanners": [],
    "acceptances": {"unmatched": [], "expired": []},
    "vex": {"unmatched": []},
}


def secret(text: str) -> dagger.Secret:
    return dag.set_secret(f"made-up {text[:3]}", text)


async def tools(service: dagger.Service | None = None) -> Tools:
    host = "registry.localhost:5000" if service else REPOSITORY.host
    return await tools_for(default_images(), {host: Login("robot", secret(PASSWORD))}, service)


def key_signing() -> Signing:
    return Signing(secret(KEY), secret(KEY_PASSWORD), transparency_log=False)


def signer() -> Signer:
    return Signer(secret(answers.PUBLIC), transparency_log=False)


def order(recorder: Recorder, signing: Signing | None) -> Order:
    layout = recorder.host_directory({"index.json": "{}"})
    return Order(REPOSITORY, layout, DIGEST, signing, dict.fromkeys(PREDICATES, "{}"))


def knows_password(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)


def commands(recorder: Recorder) -> list[str]:
    """Return what was run, in order: the tool's subcommand, and what tells it from others."""
    found = []
    for chain in recorder.plan:
        if chain.call.field == "stdout":
            run, tool = words(chain.parent), answers.tool_run(chain.parent)
            kind = next((word for word in run if word.startswith("--type=")), "")
            found.append(" ".join(filter(None, [tool, kind.removeprefix("--type="), *run[5:6] * (tool == "put")])))
    return found


def mounts(chain: Chain, field: str) -> set[str]:
    return {call.args.get("path") or call.args["name"] for call in chain.calls(field)}


def envelope(kind: str, digest: str = DIGEST, predicate: object = None) -> str:
    statement = {
        "predicateType": kind,
        "subject": [{"name": "x", "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicate": predicate or (FOUND if kind == FINDINGS else {}),
    }
    return json.dumps({"payload": base64.b64encode(json.dumps(statement).encode()).decode()}) + "\n"


def claims(*kinds: str, digest: str = DIGEST) -> str:
    return "\n" + json.dumps(
        [{"critical": {"type": kind, "image": {"docker-manifest-digest": digest}}} for kind in kinds]
    )


def trusting(recorder: Recorder, signed: str = claims(SIGNATURE, *PREDICATES), **envelopes: str) -> None:
    """Answer as cosign does of an image that is signed and attested; `envelopes` by name of the predicate."""

    def said(chain: Chain) -> str:
        run = words(chain.parent)
        if run[0] in {"digest", "public-key"}:
            return answers.PUBLIC if run[0] == "public-key" else DIGEST
        if run[0] == "verify":
            return signed
        if run[0] == "verify-attestation":
            kind = next(word for word in run if word.startswith("--type=")).removeprefix("--type=")
            return envelopes.get(PREDICATES[kind], envelope(kind))
        if run[0] == "tree":
            return f"└── 🔗 {SIGNATURE} artifacts via OCI referrer: {REPOSITORY}@{OTHER}\n   └── 🍒 {DIGEST}\n"
        if answers.tool_run(chain.parent) in {"look", "put"}:
            return answers.asked(there, *run[2:3], *run[4:])
        return ""

    there: dict[str, str] = {}
    recorder.answer("Container.stdout", said)


async def all_steps(ready: Tools, wanted: Order) -> list[Action]:
    """Return how an image is published where nothing is yet."""
    moves = await tag_actions(ready, wanted.repository, wanted.digest, ("3.0.0", "latest"), {})
    return [*publish_actions(ready, wanted), *moves]


async def test_an_image_of_an_index_is_attested_by_its_own_digest(recorder: Recorder) -> None:
    knows_password(recorder)
    child = "sha256:" + "c1" * 32
    given = dataclasses.replace(
        order(recorder, key_signing()), of_images={child: dict.fromkeys((SPDX, CYCLONEDX), "{}")}
    )
    actions = publish_actions(await tools(), given)
    attested = [action.args[-1] for action in actions if action.args[0] == "attest"]
    assert attested == [REPOSITORY.at(child)] * 2 + [REPOSITORY.at(DIGEST)] * len(PREDICATES)
    assert [action.name for action in actions if child in action.name] == [
        f"attest {PREDICATES[kind]} of {child} ({kind}, 2 bytes)" for kind in (SPDX, CYCLONEDX)
    ]


async def test_tags_move_last(recorder: Recorder) -> None:
    knows_password(recorder)
    await carry_out(await all_steps(await tools(), order(recorder, key_signing())))
    assert commands(recorder) == [
        "public-key",
        "push",
        "sign",
        *(f"attest {kind}" for kind in PREDICATES),
        "put 3.0.0",
        "put latest",
    ]
    assert recorder.max_in_flight == 1


async def test_everything_but_tags_goes_by_digest(recorder: Recorder) -> None:
    knows_password(recorder)
    await carry_out(await all_steps(await tools(), order(recorder, key_signing())))
    execs = recorder.execs()
    assert {words(chain)[-1] for chain in execs if words(chain)[0] in ("push", "sign", "attest")} == {PINNED}
    assert {tuple(words(chain)[3:5]) for chain in execs if answers.tool_run(chain) == "put"} == {
        (REPOSITORY.repository, DIGEST)
    }


async def test_the_key_reaches_cosign_alone(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    ready = await tools()
    await carry_out(await all_steps(ready, order(recorder, key_signing())))
    await verify(ready, IMAGE, signer())
    images = default_images()
    signing = {"sign", "attest", "public-key"}
    for chain in recorder.execs():
        has_key = "/signing/cosign.key" in mounts(chain, "withMountedSecret")
        assert has_key == (words(chain)[0] in signing)
        assert has_key == ("COSIGN_PASSWORD" in mounts(chain, "withSecretVariable"))
        tool = "cosign" if has_key or "verify" in words(chain)[0] else "crane" if words(chain)[0] == "push" else "git"
        assert chain.images()[0] == images[tool]


async def test_an_identity_token_is_a_file_of_the_container_that_signs(recorder: Recorder) -> None:
    knows_password(recorder)
    await carry_out(await all_steps(await tools(), order(recorder, Signing(identity_token=secret(TOKEN)))))
    for chain in recorder.execs():
        has_token = "/signing/token" in mounts(chain, "withMountedSecret")
        assert has_token == (words(chain)[0] in {"sign", "attest"})
        assert has_token == ("--identity-token=/signing/token" in words(chain))


async def test_cosign_fetches_an_identity_itself_where_it_signs_and_asks_no_terminal(recorder: Recorder) -> None:
    knows_password(recorder)
    signing = Signing(identity_url=secret("https://url"), identity_url_token=secret(TOKEN))
    await carry_out(await all_steps(await tools(), order(recorder, signing)))
    names = {"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}
    for chain in recorder.execs():
        signs = words(chain)[0] in {"sign", "attest"}
        assert names <= mounts(chain, "withSecretVariable") if signs else not mounts(chain, "withSecretVariable")
        assert signs == ({"--oidc-provider=github-actions", "--fulcio-auth-flow=token"} <= set(words(chain)))


def token(payload: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    ("text", "alive"),
    [
        (token({"exp": 1_000_000 + 600}), True),
        (token({"exp": 1_000_000 + 60}), False),
        (token({"exp": 1_000_000 - 60}), False),
        # What that is, cosign says.
        (token({}), True),
        (token([]), True),
        (token({"exp": "soon"}), True),
        ("no-token-at-all", True),
        ("a.b.c", True),
    ],
)
async def test_a_token_that_has_ended_pushes_nothing(recorder: Recorder, text: str, alive: bool) -> None:  # noqa: FBT001
    recorder.answer("Secret.plaintext", text)
    signing = Signing(identity_token=secret(TOKEN))
    if alive:
        await signing.check_alive(1_000_000)
    else:
        with pytest.raises(InputError, match=r"^nothing was pushed: --identity-token expires at \d\d:\d\d:\d\d UTC"):
            await signing.check_alive(1_000_000)


async def test_no_secret_is_in_the_plan(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    ready = await tools()
    await carry_out(await all_steps(ready, order(recorder, key_signing())))
    await promote(ready, IMAGE, PRODUCTION, ("1",), signer(), move=False, scan=None)
    text = recorder.text()
    login = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
    for plain in (PASSWORD, KEY, KEY_PASSWORD, login):
        assert plain not in text
    assert {step.call.field for step in recorder.secrets()} == {"withMountedSecret", "withSecretVariable"}


async def test_what_a_registry_says_is_never_an_old_answer(recorder: Recorder) -> None:
    knows_password(recorder)
    ready = await tools()
    await look(ready, REPOSITORY)
    await look(ready, REPOSITORY)
    first, second = recorder.execs()
    assert words(first) == words(second)
    assert first.content_key != second.content_key


async def test_a_service_is_bound_by_the_one_name_that_means_plain_http(recorder: Recorder) -> None:
    knows_password(recorder)
    service = dag.host().service([dagger.PortForward(backend=5000)])
    await look(await tools(service), Reference("registry.localhost:5000", "erlmcp"))
    (chain,) = recorder.execs()
    assert [call.args["alias"] for call in chain.calls("withServiceBinding")] == ["registry.localhost"]
    assert not any("insecure" in word or "http" in word for word in words(chain))


@pytest.mark.parametrize(
    ("host", "bound", "message"),
    [
        ("localhost:5000", False, "a registry on this machine; make it reachable with --registry-service tcp://loc"),
        ("127.0.0.1:5000", False, "registry.localhost:5000"),
        ("registry.localhost:5000", False, "make it reachable with --registry-service tcp://localhost:5000"),
        ("ghcr.io", True, "with --registry-service, write the registry as registry.localhost:PORT"),
    ],
)
@pytest.mark.usefixtures("recorder")
async def test_a_host_that_leads_nowhere_is_refused(host: str, bound: bool, message: str) -> None:  # noqa: FBT001 # a table
    service = dag.host().service([dagger.PortForward(backend=5000)]) if bound else None
    with pytest.raises(InputError) as raised:
        await tools_for(default_images(), {host: Login()}, service)
    assert message in str(raised.value)


async def test_without_a_login_there_is_no_secret(recorder: Recorder) -> None:
    knows_password(recorder)
    await look(await tools_for(default_images(), {"ghcr.io": Login()}), REPOSITORY)
    assert not recorder.secrets()


@pytest.mark.usefixtures("recorder")
async def test_half_of_what_is_needed_is_refused() -> None:
    with pytest.raises(InputError, match="--user and --password: give both"):
        Login("robot")
    for two in ({}, {"key": secret(KEY), "identity_token": secret(TOKEN)}):
        with pytest.raises(InputError, match="one of --cosign-key, --identity-token and --identity-url"):
            Signing(**two)
    with pytest.raises(InputError, match="--identity-url and --identity-url-token: give both"):
        Signing(identity_url=secret("https://url"))
    with pytest.raises(InputError, match="--transparency-log=false: the certificate"):
        Signing(identity_token=secret(TOKEN), transparency_log=False)
    for wrong in ({}, {"identity": "me"}, {"issuer": "it"}, {"key": signer().key, "identity": "me", "issuer": "it"}):
        with pytest.raises(InputError, match="the required signer is missing"):
            Signer(**wrong)
    with pytest.raises(InputError, match="--identity can only be verified with the log"):
        Signer(identity="me", issuer="it", transparency_log=False)


def test_an_identity_can_be_a_pattern() -> None:
    assert Signer(identity="a@b", issuer="i").options[0] == "--certificate-identity=a@b"
    assert Signer(identity="^a@", issuer="i").options[0] == "--certificate-identity-regexp=^a@"


async def test_a_step_that_fails_says_what_was_done_and_what_was_not(recorder: Recorder) -> None:
    knows_password(recorder)
    answers.failing(
        recorder, "sign", "WARNING: x\nError: the log does not answer\nerror during command execution: again"
    )
    with pytest.raises(RegistryError) as raised:
        await carry_out(await all_steps(await tools(), order(recorder, key_signing())))
    lines = str(raised.value).splitlines()
    assert lines[0] == "failed to sign it with the given key, without transparency log: the log does not answer"
    assert [line for line in lines if line.startswith("done:")] == [
        "done:     read --cosign-key",
        f"done:     push {PINNED}",
    ]
    assert lines[-2] == "not done: tag latest"
    assert not any(answers.tool_run(chain) == "put" for chain in recorder.execs())


async def test_a_key_that_cannot_be_read_pushes_nothing(recorder: Recorder) -> None:
    knows_password(recorder)
    answers.failing(recorder, "public-key", "Error: reading key: decryption failed")
    with pytest.raises(RegistryError, match="failed to read --cosign-key: reading key: decryption failed"):
        await carry_out(await all_steps(await tools(), order(recorder, key_signing())))
    assert commands(recorder) == ["public-key"]


def failing_asked(recorder: Recorder, **failures: str) -> None:
    """Let a registry say these words of tags, and of its list under the name `list`."""

    def said(chain: Chain) -> str:
        _, _, command, _, *tags = words(chain.parent)
        asked = [*(["list"] if command != "look" else []), *tags]
        unknown = "GET https://r/v2/p/manifests/x: MANIFEST_UNKNOWN: manifest unknown"
        return "\n".join(f"failed\t{tag if tag != 'list' else ''}\t{failures.get(tag, unknown)}" for tag in asked)

    knows_password(recorder)
    recorder.answer("Container.stdout", said, when=lambda chain: answers.tool_run(chain.parent) in {"look", "list"})


async def test_a_refused_login_is_named(recorder: Recorder) -> None:
    failing_asked(recorder, latest="GET https://ghcr.io/v2/x: UNAUTHORIZED: authentication required")
    with pytest.raises(RegistryError, match=r"^cannot read ghcr.io/\S+:latest: the registry refused the login"):
        await look(await tools(), REPOSITORY, ["latest"])


@pytest.mark.parametrize(
    "said",
    [
        # distribution/distribution registry/handlers/tags.go and manifests.go, and so GHCR and zot.
        "GET https://h/v2/p/tags/list?n=1000: NAME_UNKNOWN: repository name not known to registry; map[name:p]",
        "GET https://h/v2/p/manifests/1.2.0: MANIFEST_UNKNOWN: manifest unknown; map[Tag:1.2.0]",
        # goharbor/harbor src/controller/artifact/controller.go; as crane tells it: plexsystems/sinker issue 35.
        "GET https://h/v2/p/demo/manifests/1.2.0: NOT_FOUND: artifact p/demo:1.2.0 not found",
        "reading tags for h/p/demo: GET https://h/v2/p/demo/tags/list?n=1000: NOT_FOUND: repository p/demo not found",
        # quay/quay endpoints/v2/errors.py: of a tag that was deleted.
        "GET https://quay.io/v2/p/demo/manifests/1.2.0: TAG_EXPIRED: Tag has expired; map[]",
        # Artifactory: jetstack/version-checker issue 318.
        "GET https://h/v2/p/manifests/1.2.0: MANIFEST_UNKNOWN: The named manifest is not known to the registry.",
    ],
)
async def test_what_a_registry_says_is_not_there_is_not_there(recorder: Recorder, said: str) -> None:
    failing_asked(recorder, **{"list": said, "1.2.0": said})
    found = await look(await tools(), REPOSITORY, ["1.2.0"], command="list")
    assert (found.listed, found.digests) == ((), {})


@pytest.mark.parametrize(
    "said",
    [
        # Of something between here and the registry, or of a registry without lists.
        "GET https://h/v2/p/tags/list?n=1000: unexpected status code 404 Not Found: <html>",
        "GET https://h/v2/p/manifests/1.2.0: unexpected status code 404 Not Found: 404 page not found",
        "GET https://h/v2/p/tags/list?n=1000: UNSUPPORTED: The operation is unsupported.",
        # Harbor: a project is not made by pushing to it (src/pkg/project/dao/dao.go).
        "GET https://h/v2/p/demo/tags/list: NOT_FOUND: project p not found",
        # quay/quay endpoints/v2/errors.py (Unauthorized): of a repository that is not there, too.
        "GET https://quay.io/v2/p/demo/manifests/1: UNAUTHORIZED: access to the requested resource is not authorized",
        # Docker Hub: distribution/distribution issue 1737.
        "GET https://index.docker.io/v2/p/x/tags/list: UNAUTHORIZED: authentication required; [map[Action:pull]]",
        # GHCR's token service: oras-project/oras issue 1128 has the status, getwud/wud issue 478 the word.
        "GET https://ghcr.io/token?scope=repository%3Ap%2Fx%3Apull&service=ghcr.io: DENIED: denied",
        "GET https://h/v2/p/manifests/1.2.0: TOOMANYREQUESTS: rate exceeded",
        "GET https://h/v2/p/manifests/1.2.0: unexpected status code 503 Service Unavailable",
        'Get "https://h/v2/": dial tcp: lookup h: no such host',
    ],
)
async def test_any_other_answer_says_nothing_of_what_is_there(recorder: Recorder, said: str) -> None:
    failing_asked(recorder, **{"1.2.0": said})
    with pytest.raises(RegistryError, match=r"^cannot read \S+:1\.2\.0: "):
        await look(await tools(), REPOSITORY, ["1.2.0"])
    failing_asked(recorder, list=said)
    with pytest.raises(RegistryError, match=r"^cannot read the list of tags of ghcr\.io/\S+: "):
        await look(await tools(), REPOSITORY, command="list")


@pytest.mark.parametrize(
    ("said", "login"),
    [
        ("GET https://ghcr.io/v2/x: UNAUTHORIZED: authentication required", True),
        ("GET https://ghcr.io/token?scope=x: DENIED: denied", True),
        ("GET https://h/service/token: unexpected status code 401 Unauthorized", True),
        ("PUT https://h/v2/x: FORBIDDEN: forbidden", True),
        ("open /signing/cosign.key: permission denied", False),
        ("reading key: access denied by the keyring", False),
    ],
)
def test_a_file_that_cannot_be_read_is_no_refused_login(said: str, login: bool) -> None:  # noqa: FBT001 # a table
    assert ("refused the login" in told(said)) is login


def request(*, floating: bool, dry_run: bool = False, **chosen: object) -> Request:
    choose = functools.partial(choose_tags, **chosen)
    return Request(choose, floating, Login(), None, Origin(), dry_run=dry_run)


async def test_a_list_that_lacks_a_tag_that_is_there_does_not_tell_the_highest_version(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD, {"latest": OTHER})
    late = f"there\tlatest\t{OTHER}"
    recorder.answer("Container.stdout", late, when=lambda chain: answers.tool_run(chain.parent) == "list")
    with pytest.raises(RegistryError, match=r"^nothing was pushed: \S+ has latest, but its list of tags does not"):
        await standing_of(await tools(), REPOSITORY, request(floating=True, version="3.0.0"))
    # Who names the tags needs no list.
    found = await standing_of(await tools(), REPOSITORY, request(floating=False, given=["3.0.0", "latest"]))
    assert found.digests == {"latest": OTHER}


async def test_a_dry_run_lets_no_registry_make_a_repository(recorder: Recorder) -> None:
    knows_password(recorder)
    for dry_run in (True, False):
        await standing_of(await tools(), REPOSITORY, request(floating=False, dry_run=dry_run, given=["1"]))
    made = ["CREATE" in mounts(chain, "withEnvVariable") for chain in recorder.execs()]
    assert made == [False, True]


async def test_a_tag_moves_only_from_what_it_was(recorder: Recorder) -> None:
    knows_password(recorder)
    steps = await tag_actions(await tools(), REPOSITORY, DIGEST, ("3.0.0", "latest"), {"latest": OTHER})
    assert [step.args[3:] for step in steps] == [["3.0.0", "", "5"], ["latest", OTHER, ""]]


async def test_what_somebody_else_moved_meanwhile_is_told(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD, {"3.0.0": DIGEST, "latest": OTHER})
    await check_arrived(await tools(), REPOSITORY, DIGEST, ("3.0.0",))
    with pytest.raises(RegistryError, match=f"another run moved tags at the same time: latest points to {OTHER}$"):
        await check_arrived(await tools(), REPOSITORY, DIGEST, ("3.0.0", "latest"))


async def test_a_tool_that_does_not_answer_is_given_up(recorder: Recorder) -> None:
    knows_password(recorder)
    recorder.answer("Container.stdout", "late", latency=5)
    with pytest.raises(RegistryError, match=r"^no answer within 0 seconds: push /image$"):
        await ask((await tools()).crane(), ["push", "/image", PINNED], patience=0.2)


async def test_unsigned_is_pushed_and_tagged_alone(recorder: Recorder) -> None:
    knows_password(recorder)
    steps = await all_steps(await tools(), order(recorder, None))
    assert [step.name for step in steps] == [f"push {PINNED}", "tag 3.0.0", "tag latest"]


async def test_a_dry_run_says_the_steps_and_does_none(recorder: Recorder) -> None:
    knows_password(recorder)
    steps = await all_steps(await tools(), order(recorder, key_signing()))
    content = Content(DIGEST, {"linux/amd64": 41_800_000}, {OTHER: 123})
    text = render_dry_run(steps, content, {"latest": OTHER, "3.0.0": DIGEST})
    assert text.startswith("dry run: nothing was pushed")
    assert [f"would {step.name}" for step in steps] == [line for line in text.splitlines() if line.startswith("would")]
    assert f"latest now points to {OTHER}" in text
    assert "3.0.0 now points" not in text
    assert "linux/amd64: 41.8 MB" in text
    assert not recorder.execs()


@pytest.mark.parametrize(
    ("standing", "move", "refused"),
    [
        ({}, False, ""),
        ({"3.0.0": DIGEST}, False, ""),
        ({"3.0.0": OTHER}, False, f"tag 3.0.0 already points to {OTHER}"),
        ({"3.0.0": OTHER}, True, ""),
        ({"3.0": OTHER, "3": OTHER, "latest": OTHER, "main": OTHER}, False, ""),
        ({"3.0.0-rc.1": OTHER}, False, "tag 3.0.0-rc.1 already points to"),
    ],
)
def test_a_version_keeps_its_image(standing: dict[str, str], move: bool, refused: str) -> None:  # noqa: FBT001 # a table
    if not refused:
        check_moves(standing, DIGEST, move=move)
        return
    with pytest.raises(PolicyError) as raised:
        check_moves(standing, DIGEST, move=move)
    assert refused in str(raised.value)
    assert "nothing was pushed" in str(raised.value)


async def test_a_tag_is_looked_up_whatever_the_reference_named(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD, {"3.0.0": OTHER})
    assert (await look(await tools(), IMAGE, ["3.0.0", "new"])).digests == {"3.0.0": OTHER}
    assert words(recorder.execs()[0])[3] == REPOSITORY.repository


async def test_an_index_has_the_sizes_of_its_platforms() -> None:
    def image(name: str, *, variant: str = "", layer: int) -> dict[str, str]:
        manifest = {
            "config": {"digest": f"config {name}", "size": 10},
            "layers": [{"digest": "shared", "size": 100}, {"digest": f"layer {name}", "size": layer}],
        }
        config = {"os": "linux", "architecture": name, **({"variant": variant} if variant else {})}
        return {name: json.dumps(manifest), f"config {name}": json.dumps(config)}

    texts = {
        DIGEST: json.dumps({"manifests": [{"digest": "amd64"}, {"digest": "arm64"}]}),
        **image("amd64", layer=1),
        **image("arm64", variant="v8", layer=2),
    }

    async def read(kind: str, name: str) -> str:
        assert kind == ("blob" if name.startswith("config") else "manifest")
        return texts[name]

    content = await read_content(DIGEST, read)
    assert content.sizes == {"linux/amd64": 111, "linux/arm64/v8": 112}
    assert content.blobs == {
        "config amd64": 10,
        "shared": 100,
        "layer amd64": 1,
        "config arm64": 10,
        "layer arm64": 2,
    }


async def test_a_proof_says_who_what_and_from_where(recorder: Recorder) -> None:
    knows_password(recorder)
    source = {"name": "source", "uri": "git+https://example.org/erlmcp@abc"}
    made = {"buildDefinition": {"resolvedDependencies": [source]}, "runDetails": {"builder": {"id": "https://ci"}}}
    trusting(recorder, provenance=envelope(PROVENANCE, predicate=made))
    text = (await verify(await tools(), IMAGE, signer())).render()
    for said in (PINNED, "the given key", "https://example.org/erlmcp@abc", "https://ci", "PASSED", *PREDICATES):
        assert said in text


async def test_of_an_index_the_image_is_named_that_was_looked_at(recorder: Recorder) -> None:
    knows_password(recorder)
    about = {"metadata": {"properties": [{"name": "pipeline:platform", "value": "linux/amd64"}]}}
    for predicate, named in ((about, True), ({"metadata": {}}, False)):
        trusting(recorder, CycloneDX=envelope(CYCLONEDX, predicate=predicate))
        text = (await verify(await tools(), IMAGE, signer())).render()
        assert ("scanned              linux/amd64, one image of this index\n" in text) is named


async def test_a_tag_is_looked_up_once_and_proved_by_digest(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    recorder.answer("Container.stdout", DIGEST + "\n", when=lambda chain: words(chain.parent)[0] == "digest")
    await verify(await tools(), dataclasses.replace(REPOSITORY, tag="latest"), signer())
    assert {words(chain)[-1] for chain in recorder.execs() if words(chain)[0].startswith("verify")} == {PINNED}


@pytest.mark.parametrize(
    ("signed", "envelopes", "message"),
    [
        # cosign is content with any signed statement about the image, so with attestations alone.
        (
            claims(*PREDICATES),
            {},
            "not signed by the given key, without transparency log; there are only attestations",
        ),
        (claims(SIGNATURE, digest=OTHER), {}, "not signed by"),
        ("", {}, "not signed by"),
        (claims(SIGNATURE), {"SPDX": ""}, "the attestation of SPDX is about another image"),
        (
            claims(SIGNATURE),
            {"verdict": envelope(FINDINGS, OTHER)},
            "the attestation of verdict is about another image",
        ),
        (claims(SIGNATURE), {"provenance": envelope(SPDX)}, "the attestation of provenance is about another image"),
    ],
)
async def test_what_is_not_proved_is_refused(
    recorder: Recorder, signed: str, envelopes: dict[str, str], message: str
) -> None:
    knows_password(recorder)
    trusting(recorder, signed, **envelopes)
    with pytest.raises(VerificationError) as raised:
        await verify(await tools(), IMAGE, signer())
    assert message in str(raised.value)


@pytest.mark.parametrize("word", ["verify", "verify-attestation"])
async def test_cosign_that_refuses_is_believed(recorder: Recorder, word: str) -> None:
    knows_password(recorder)
    trusting(recorder)
    answers.failing(recorder, word, "Error: no matching signatures")
    with pytest.raises(VerificationError, match="cannot be verified: no matching signatures"):
        await verify(await tools(), IMAGE, signer())


OTHERS = "Error: none of the attestations matched the predicate type: x, found: y"


@pytest.mark.parametrize(
    ("kind", "stderr", "refused"),
    [
        *((kind, OTHERS, kind not in OPTIONAL) for kind in PREDICATES),
        *((kind, "Error: no matching attestations: crypto/rsa: verification error", True) for kind in PREDICATES),
    ],
)
async def test_vex_and_the_short_result_alone_may_be_missing(
    recorder: Recorder,
    kind: str,
    stderr: str,
    refused: bool,  # noqa: FBT001 # a table
) -> None:
    """An image about which there was nothing to say has none, nor has one that was published before."""
    knows_password(recorder)
    trusting(recorder)
    failed = exec_error(stderr=stderr)
    recorder.answer("Container.withExec", failed, when=lambda chain: f"--type={kind}" in words(chain))
    if refused:
        with pytest.raises(VerificationError, match=f"the attestation of {PREDICATES[kind]} "):
            await verify(await tools(), IMAGE, signer())
    else:
        text = (await verify(await tools(), IMAGE, signer())).render()
        assert "attested verdict" in text
        assert f"attested {PREDICATES[kind]}" not in text


async def test_promotion_copies_what_it_verified_and_tags_last(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    scanned = []

    async def scan(sbom: str, _: Mapping[str, Any]) -> str:
        scanned.append(json.loads(sbom))
        return json.dumps(FOUND)

    await promote(await tools(), IMAGE, PRODUCTION, ("3.0.0",), signer(), move=False, scan=scan)
    verified = ["verify", *(f"verify-attestation {kind}" for kind in PREDICATES)]
    assert commands(recorder) == ["look", *verified, "tree", "copy", "copy", *verified, "put 3.0.0", "look"]
    assert len(scanned) == 1
    copied = [words(chain)[1:] for chain in recorder.execs() if words(chain)[0] == "copy"]
    assert copied == [[REPOSITORY.at(digest), PRODUCTION.at(digest)] for digest in (DIGEST, OTHER)]


async def test_promotion_within_a_repository_copies_nothing(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    await promote(await tools(), IMAGE, REPOSITORY, ("stable",), signer(), move=False, scan=None)
    assert "copy" not in commands(recorder)
    assert commands(recorder)[-2:] == ["put stable", "look"]


async def test_what_would_not_pass_today_is_not_promoted(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)

    async def scan(*_: object) -> str:
        return json.dumps({**FOUND, "verdict": {"passed": False, "lines": ["POLICY FAILED: 1 finding"]}})

    with pytest.raises(PolicyError, match=r"nothing was promoted(?s:.*)POLICY FAILED: 1 finding"):
        await promote(await tools(), IMAGE, PRODUCTION, ("3.0.0",), signer(), move=False, scan=scan)
    assert not {"copy", "put 3.0.0"} & set(commands(recorder))


async def test_what_is_not_proved_is_not_promoted(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder, claims(*PREDICATES))
    with pytest.raises(VerificationError):
        await promote(await tools(), IMAGE, PRODUCTION, ("3.0.0",), signer(), move=False, scan=None)
    assert not {"copy", "put 3.0.0"} & set(commands(recorder))


async def test_promotion_wants_a_digest(recorder: Recorder) -> None:
    knows_password(recorder)
    tagged = dataclasses.replace(REPOSITORY, tag="latest")
    with pytest.raises(InputError, match="promote needs the digest of the image"):
        await promote(await tools(), tagged, PRODUCTION, ("1",), signer(), move=False, scan=None)
    assert not recorder.execs()


def finding(
    name: str,
    status: str,
    package: str = "ssh",
    *,
    aliases: tuple[str, ...] = (),
    version: str = "1",
    kind: str = "otp",
) -> dict:
    return {
        "id": name,
        "aliases": list(aliases),
        "package": {"name": package, "version": version, "kind": kind},
        "severity": "HIGH",
        "fixed": ["2"],
        "status": status,
    }


@pytest.mark.parametrize(
    ("then", "now", "title", "alarming"),
    [
        ([], [], "0 new", False),
        ([], [finding("CVE-1", "breaking")], "1 new since 2026-02-04T00:00:00Z, 1 of them", True),
        ([], [finding("CVE-1", "tolerated")], "1 new since 2026-02-04T00:00:00Z, 0 of them", False),
        ([finding("CVE-1", "breaking")], [finding("CVE-1", "breaking")], "0 new", False),
        ([finding("GHSA-1", "breaking")], [finding("CVE-1", "breaking", aliases=("GHSA-1",))], "0 new", False),
        ([finding("CVE-1", "breaking")], [finding("CVE-1", "breaking", "ssl")], "1 new", True),
        # An acceptance that ended, a severity that rose.
        ([finding("CVE-1", "accepted")], [finding("CVE-1", "breaking")], "1 new", True),
        ([finding("CVE-1", "breaking")], [], "0 new", False),
        # Of two versions one is accepted.
        (
            [finding("CVE-1", "breaking"), finding("CVE-1", "accepted", version="2")],
            [finding("CVE-1", "breaking"), finding("CVE-1", "accepted", version="2")],
            "0 new",
            False,
        ),
        (
            [finding("CVE-1", "breaking"), finding("CVE-1", "accepted", version="2")],
            [finding("CVE-1", "breaking"), finding("CVE-1", "breaking", version="2")],
            "1 new",
            True,
        ),
        ([finding("CVE-1", "breaking")], [finding("CVE-1", "breaking", kind="hex")], "1 new", True),
        # One advisory speaks of two flaws: that one was known says nothing of the other.
        (
            [finding("CVE-1", "breaking", aliases=("GHSA-1",)), finding("CVE-2", "accepted", aliases=("GHSA-1",))],
            [finding("CVE-1", "breaking", aliases=("GHSA-1",)), finding("CVE-2", "breaking", aliases=("GHSA-1",))],
            "1 new",
            True,
        ),
    ],
)
def test_a_rescan_tells_what_is_new(then: list[dict], now: list[dict], title: str, alarming: bool) -> None:  # noqa: FBT001 # a table
    text, alarm = compare({**FOUND, "findings": then}, {**FOUND, "findings": now})
    assert text.startswith(title)
    assert alarm is alarming


def test_a_rescan_tells_what_matches_nothing() -> None:
    lost = {"id": "CVE-1", "package": "ssh", "reason": "r", "until": "2026-12-31"}
    matching = {"acceptances": {"unmatched": [lost], "expired": []}, "vex": {"unmatched": ["VEX a: 1 of 1"]}}
    text, _ = compare(FOUND, {**FOUND, **matching})
    assert "acceptance matches no finding: CVE-1 of ssh; remove it, or correct it\nVEX a: 1 of 1\n" in text


def test_a_rescan_by_half_the_scanners_is_no_good_news() -> None:
    # A scanner crashed, or its database is too old.
    verdict = {"passed": False, "decided": False, "lines": ["SCANNER FAILED: grype (SBOM): it crashed"]}
    _, alarm = compare(FOUND, {**FOUND, "verdict": verdict})
    assert alarm


async def test_provenance_has_digests_and_no_password(recorder: Recorder) -> None:
    recorder.answer("Container.imageRef", f"localhost/debian:trixie@{OTHER}")
    images = default_images().override({"runtime-debian": "localhost/debian:trixie"})
    made = Project(
        source=recorder.host_directory({"rebar.config": ""}),
        images=images,
        flavor="debian",
        release="erlmcp",
        hex_mirror="https://robot:password@hex.example.org/repo",
        rebar_config=dag.directory().with_new_file("rebar.config", "{deps, []}.").file("rebar.config"),
        image_table=dag.directory().with_new_file("images.toml", "").file("images.toml"),
        apps=("core", "web"),
        cookie_from_environment=True,
        platforms=("linux/amd64",),
        revision="1356e12d" * 5,
    )
    provenance = await provenance_of(made, Origin("https://ci", "7"), source="https://example.org/erlmcp")
    assert dict(provenance.parameters) == {
        "flavor": "debian",
        "profile": "prod",
        "release": "erlmcp",
        "apps": ["core", "web"],
        "cookie_from_environment": True,
        "platforms": ["linux/amd64"],
        "hex_mirror": "https://hex.example.org/repo",
        "rebar_config": {"digest": await made.rebar_config.digest()},
        "image_table": {"digest": await made.image_table.digest()},
    }
    assert provenance.images == {"builder": images["builder-debian"], "runtime": f"localhost/debian:trixie@{OTHER}"}
    assert set(provenance.tools) == {"syft", "trivy", "grype", "crane", "cosign"}
    assert provenance.content == await made.source.digest()


async def test_a_rescan_reads_the_attested_sbom_without_what_is_not_shipped(recorder: Recorder) -> None:
    knows_password(recorder)
    parts = [{"name": "shipped", "scope": "required"}, {"name": "locked", "scope": "excluded"}]
    trusting(recorder, CycloneDX=envelope(CYCLONEDX, predicate={"components": parts}))
    read = []

    async def scan(sbom: str, _: Mapping[str, Any]) -> str:
        read.append(json.loads(sbom))
        return json.dumps(FOUND)

    text = await rescan(await tools(), IMAGE, signer(), scan)
    assert [part["name"] for part in read[0]["components"]] == ["shipped"]
    assert "0 new" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx", "--key: this is a private key"),
        ("ssh-ed25519 AAAA", "--key: this is not a public key"),
        ("", "--key: this is not a public key"),
    ],
)
async def test_what_is_no_public_key_verifies_nothing(recorder: Recorder, text: str, message: str) -> None:
    ready = await tools_for(default_images(), {})
    recorder.answer("Secret.plaintext", text)
    with pytest.raises(InputError, match=message) as raised:
        await verify(ready, IMAGE, Signer(secret("key"), transparency_log=False))
    assert "AAAA" not in str(raised.value)
    assert not recorder.execs()


async def test_what_is_stated_already_is_not_stated_twice(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder, verdict=envelope(FINDINGS, predicate={"time": "yesterday"}))
    ready, wanted = await tools(), order(recorder, key_signing())
    left = await lacking(ready, wanted)
    assert left.signed
    # The same is stated of everything else.
    assert list(left.predicates) == [FINDINGS]
    assert [step.args[0] for step in publish_actions(ready, left)] == ["public-key", "push", "attest"]


def workflow(name: str) -> str:
    return f"https://github.com/banyan-platform/erlmcp/.github/workflows/{name}.yml@refs/heads/main"


def of_a_workflow() -> str:
    """Return a token of a job in pipeline.yml."""
    return token({"iss": GITHUB, "job_workflow_ref": workflow("pipeline").removeprefix("https://github.com/")})


async def test_what_the_same_identity_has_stated_is_not_stated_twice(recorder: Recorder) -> None:
    trusting(recorder)
    recorder.answer("Secret.plaintext", of_a_workflow())
    ready, wanted = await tools(), order(recorder, Signing(identity_token=secret(TOKEN)))
    left = await lacking(ready, wanted)
    # What was found is of this time.
    assert (left.signed, list(left.predicates)) == (True, [FINDINGS])
    for chain in recorder.execs():
        if words(chain)[0].startswith("verify"):
            named = {f"--certificate-identity={workflow('pipeline')}", f"--certificate-oidc-issuer={GITHUB}"}
            assert named <= set(words(chain))
    # Whose certificate is known only once it is there states all anew.
    recorder.answer("Secret.plaintext", token({"iss": "https://ci.example.org", "sub": "it"}))
    assert await lacking(ready, wanted) is wanted


@contextlib.contextmanager
def identities(status: int, body: object) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve what gives identities, as GitHub does; give its URL, and what was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/token?job=1", asked
        finally:
            server.shutdown()


def asking(recorder: Recorder, url: str) -> Signing:
    made = Signing(identity_url=secret("url"), identity_url_token=secret(TOKEN))

    def plain(chain: Chain) -> str:
        [given] = chain.calls("setSecret")
        return url if given.args["name"] == "made-up url" else TOKEN

    recorder.answer("Secret.plaintext", plain)
    return made


async def test_the_provenance_names_the_builder_that_the_certificate_names(recorder: Recorder) -> None:
    with identities(200, {"count": 1, "value": of_a_workflow()}) as (url, asked):
        signing = asking(recorder, url)
        given = dataclasses.replace(request(floating=False), signing=signing, origin=Origin(workflow("image"), "run"))
        assert await origin_of(given) == Origin(workflow("pipeline"), "run")
    assert asked == [("/token?job=1&audience=sigstore", f"bearer {TOKEN}")]
    assert TOKEN not in recorder.text()
    # A person builds nothing, and a key names nobody.
    recorder.answer("Secret.plaintext", token({"iss": "https://accounts.example.org", "email": "jane@example.org"}))
    for other in (Signing(identity_token=secret(TOKEN)), key_signing(), None):
        assert await origin_of(dataclasses.replace(given, signing=other)) == given.origin


@pytest.mark.parametrize(("status", "body"), [(403, {}), (200, {}), (200, [])])
async def test_who_gives_no_identity_is_told_before_anything_is_pushed(
    recorder: Recorder, status: int, body: object
) -> None:
    with identities(status, body) as (url, _):
        signing = asking(recorder, url)
        with pytest.raises(RegistryError, match=r"^nothing was pushed: --identity-url gives no identity token: "):
            await signing.identity()


@pytest.mark.parametrize("issuer", [GITHUB, "https://gitlab.com"])
@pytest.mark.parametrize("identity", ["^https://github.com/banyan-platform/", workflow("pipeline")])
async def test_the_builder_is_held_against_the_certificate(recorder: Recorder, identity: str, issuer: str) -> None:
    knows_password(recorder)
    who = Signer(identity=identity, issuer=issuer)
    builder = ""

    def said(chain: Chain) -> str:
        run = words(chain.parent)
        if run[0] == "verify":
            return claims(SIGNATURE, *PREDICATES)
        # One certificate is there, of pipeline.yml; so cosign fails where another one is asked for.
        kind = next(word for word in run if word.startswith("--type=")).removeprefix("--type=")
        made = {"runDetails": {"builder": {"id": builder}}}
        return envelope(kind, predicate=made if kind == PROVENANCE else None)

    def of_another(chain: Chain) -> bool:
        return f"--certificate-identity={workflow('image')}" in words(chain)

    recorder.answer("Container.stdout", said)
    recorder.answer("Container.withExec", exec_error(stderr="Error: no matching attestations"), when=of_another)
    for builder, shown in (  # noqa: B007 # `said` reads it
        (workflow("pipeline"), f"{workflow('pipeline')} (confirmed by the certificate)"),
        ("", "not stated"),
        (UNNAMED_BUILDER, "not stated"),
    ):
        assert f" {shown}\n" in (await verify(await tools(), IMAGE, who)).render()
    # Nor is a pattern the name of a builder: every certificate would do.
    for builder in (workflow("image"), "^https://.*"):
        if issuer == GITHUB:
            with pytest.raises(VerificationError, match=r" as the builder, but no certificate of that builder signed"):
                await verify(await tools(), IMAGE, who)
        else:
            assert f"{builder} (not confirmed by the certificate)" in (await verify(await tools(), IMAGE, who)).render()


async def test_a_sigstore_of_ones_own_is_known_by_its_files(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    own = Sigstore(*(dag.directory().with_new_file(name, "{}").file(name) for name in ("services", "root")))
    signing = Signing(identity_token=secret(TOKEN), sigstore=own)
    ready = await tools()
    await carry_out(publish_actions(ready, order(recorder, signing)))
    await verify(ready, IMAGE, Signer(identity="me", issuer="it", sigstore=own))
    services, root = "/signing/services.json", "/signing/root.json"
    for chain in recorder.execs():
        signs, proves = words(chain)[0] in {"sign", "attest"}, words(chain)[0].startswith("verify")
        assert (
            (services in mounts(chain, "withMountedFile")) == signs == (f"--signing-config={services}" in words(chain))
        )
        assert (f"--trusted-root={root}" in words(chain)) == (signs or proves)
        assert not (signs or proves) or root in mounts(chain, "withMountedFile")
    with pytest.raises(InputError, match=r"--sigstore-services and --sigstore-root: .*give both"):
        Signing(identity_token=secret(TOKEN), sigstore=Sigstore(root=own.root))


async def test_of_a_new_image_everything_is_stated(recorder: Recorder) -> None:
    knows_password(recorder)
    answers.failing(recorder, "digest", "Error: MANIFEST_UNKNOWN: manifest unknown")
    ready, wanted = await tools(), order(recorder, key_signing())
    assert await lacking(ready, wanted) is wanted


async def test_what_another_key_has_signed_counts_for_nothing(recorder: Recorder) -> None:
    knows_password(recorder)
    trusting(recorder)
    for word in ("verify", "verify-attestation"):
        answers.failing(recorder, word, "Error: no matching signatures: invalid signature")
    ready, wanted = await tools(), order(recorder, key_signing())
    left = await lacking(ready, wanted)
    assert (left.signed, left.predicates) == (False, wanted.predicates)


async def test_of_several_statements_the_newest_counts_in_whatever_order_they_come(recorder: Recorder) -> None:
    knows_password(recorder)
    boms = [{"metadata": {"timestamp": f"2026-0{month}-01T00:00:00Z"}, "n": n} for month, n in ((2, 1), (3, 2), (3, 3))]
    verdicts = [{**FOUND, "time": f"2026-0{month}-01T00:00:00Z"} for month in (1, 4, 2)]
    proofs = []
    for turn in (1, -1):
        trusting(
            recorder,
            CycloneDX="".join(envelope(CYCLONEDX, predicate=bom) for bom in boms[::turn]),
            verdict="".join(envelope(FINDINGS, predicate=each) for each in verdicts[::turn]),
        )
        proofs.append(await verify(await tools(), IMAGE, signer()))
    for proof in proofs:
        assert proof.newest(CYCLONEDX)["n"] == 3
        assert proof.verdict["time"].startswith("2026-04")


@pytest.mark.parametrize(
    ("stderr", "asked"),
    [
        ("Error: GET http://registry.localhost:5000/v2/: TOOMANYREQUESTS: slow down", 3),
        ("Error: PUT …: unexpected status code 429 Too Many Requests", 3),
        ("Error: MANIFEST_UNKNOWN: manifest unknown; sha256:4290", 1),
    ],
)
async def test_a_registry_that_wants_fewer_requests_is_asked_again_later(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, stderr: str, asked: int
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("pipeline.registry.tools.anyio.sleep", sleep)
    recorder.answer("Container.withExec", exec_error(stderr=stderr), when=lambda _: len(waited) < 2)
    recorder.answer("Container.stdout", "there")
    question = ask(dag.container().from_("crane").with_entrypoint(["crane"]), ["digest", "x"])
    if asked > 1:
        assert await question == "there"
    else:
        with pytest.raises(dagger.ExecError):
            await question
    assert len(waited) == asked - 1
    assert waited == sorted(waited)
