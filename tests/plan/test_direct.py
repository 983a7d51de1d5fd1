"""Direct mode held against the module, function by function: what is registered, and what the engine is asked for."""

import collections
import datetime as dt
import json
import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import answers
import pytest
from answers import FILES, NOW
from dagger.client.base import Type
from dagger.mod import default_module
from dagger.mod._converter import dagger_type_structure
from recorder import Chain, Recorder
from test_main import PASSING, REPOSITORY, of_a_published_image

from pipeline import direct, handover, main
from pipeline.main import Assessment, Erlmcp, Published, Verified

pytestmark = pytest.mark.anyio

#: Of a file that is given.
VEX = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex", "author": "a", "statements": []}
OBJECTS = (Erlmcp, Assessment, Published, Verified)


class Fixed(dt.datetime):
    """A clock that stands: the time of a report is part of what is asked."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
        return NOW.astimezone(tz)


@pytest.fixture
async def recorder(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    answers.of_a_build(recorder)
    answers.of_checks(recorder)
    recorder.answer("Address.directory", {**FILES, **PASSING})
    recorder.answer("Address.file", lambda chain: {Path(chain.parent.call.args["value"]).name: json.dumps(VEX)})
    monkeypatch.setattr(main.dt, "datetime", Fixed)
    # A registry is asked anew each time.
    monkeypatch.setattr("pipeline.registry.tools.time.time_ns", lambda: 0)
    return recorder


# What is registered ---------------------------------------------------------------------------------------------------


def registered(module: Chain) -> dict[str, dict[str, Any]]:
    """Return what the engine is told of each object: its functions, with their texts and arguments."""
    found: dict[str, dict[str, Any]] = {}
    for call in module.calls("withObject"):
        kind = call.args["object"]
        [name] = [call.args["name"] for call in kind.calls("withObject")]
        made = [call.args["function"] for field in ("withConstructor", "withFunction") for call in kind.calls(field)]
        found[name] = dict(map(function, made))
    return found


def function(chain: Chain) -> tuple[str, Any]:
    [name] = [call.args["name"] for call in chain.calls("function")]
    about = "".join(call.args["description"] for call in chain.calls("withDescription"))
    return name, (about, {call.args["name"]: argument(call.args) for call in chain.calls("withArg")})


def argument(args: dict[str, Any]) -> tuple[str, bool]:
    optional = any(call.args["optional"] for call in args["typeDef"].calls("withOptional"))
    return args.get("description", ""), optional or any(args.get(key) for key in ("defaultValue", "defaultPath"))


async def test_what_can_be_called_is_what_the_engine_is_told_of(recorder: Recorder) -> None:
    module = default_module()
    module._main_name = "Erlmcp"  # noqa: SLF001 # the engine says it, in the environment
    module._main = module.get_object("Erlmcp")  # noqa: SLF001 # as above
    told = registered(recorder._objects[await module._typedefs()])  # noqa: SLF001 # what registers it
    assert set(told) == {each.__name__ for each in OBJECTS}
    verbs = {"Erlmcp": direct.root()}
    for name in ("assess", "published"):
        verb = verbs["Erlmcp"].next[name]
        verbs[verb.returns.__name__] = verb
    verbs["Verified"] = verbs["Published"].next["verified"]
    for name, functions in told.items():
        assert set(verbs[name].next) == {direct.cli_name(each) for each in functions if each}
        for each, (about, arguments) in functions.items():
            verb = verbs[name].next[direct.cli_name(each)] if each else verbs["Erlmcp"]
            assert not each or verb.doc == about
            options = {option.parameter.name: option for option in verb.options.values()}
            assert {key: (o.parameter.doc or "", not o.required) for key, o in options.items()} == arguments


# What is asked for ----------------------------------------------------------------------------------------------------


async def by_the_module(words: list[str]) -> str:
    """Do what the CLI, the engine and the SDK's module do together: each object but the last goes by its state."""
    call, kind, state, result = direct.parse(words), "Erlmcp", {}, ""
    for at, step in enumerate(call.steps):
        own = step.verb.function
        given = {own.parameters[name].name: await told(value) for name, value in (await step.values()).items()}
        result = await default_module().get_result(kind, state, own.name if at else "", given)
        kind, state = getattr(step.verb.returns, "__name__", ""), result
    return result


async def told(value: Any) -> Any:  # noqa: ANN401 # JSON
    if isinstance(value, list):
        return [await told(each) for each in value]
    return await value.id() if isinstance(value, Type) else value.name if hasattr(value, "name") else value


def asked(recorder: Recorder) -> tuple[collections.Counter[str], set[str]]:
    """Return how often each thing was asked for, and what runs for it, as the engine's cache keys it; forget them."""
    questions = collections.Counter(f"{chain.call.type}.{chain.call.field}" for chain in recorder.plan)
    commands = {chain.content_key for chain in recorder.execs()}
    recorder._leaves.clear()  # noqa: SLF001 # a new run
    return questions, commands


BASE = ["--source=SOURCE", "--flavor=debian", f"--repository={REPOSITORY}", "--created=2026-01-02T03:04:05Z"]
PUBLISHED = ["published", f"--reference={REPOSITORY}:1.2.0", "--user=robot", "--password=env:PASSWORD"]
VERIFIED = [*PUBLISHED, "verified", "--key=file:cosign.pub"]
CALLS = [
    ["application"],
    ["images"],
    ["advisories"],
    ["outdated"],
    ["deps"],
    ["compile"],
    ["release"],
    ["build-runtime"],
    ["serve"],
    ["image-tarball"],
    ["health"],
    ["size"],
    ["sbom"],
    ["scan"],
    ["assess", "--fail-on=critical", "verdict"],
    ["assess", "--vex=a.json,b.json", "--grace-days=3", "--only-fixed", "reports"],
    ["assess", "publish", "--version=1.2.0", "--unsigned", "--user=robot", "--password=env:PASSWORD"],
    [*PUBLISHED, "digest"],
    [*PUBLISHED, "refs"],
    [*PUBLISHED, "sizes"],
    [*VERIFIED, "summary"],
    [*VERIFIED, "findings"],
    [*VERIFIED, "promote", "--tags=stable"],
    [*VERIFIED, "rescan"],
]


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
async def test_the_engine_is_asked_for_the_same(recorder: Recorder, tmp_path: Path, words: list[str]) -> None:
    of_registries(recorder, published=words[0] == "published")
    words = [*BASE, *words]
    returned = direct.parse(words).steps[-1].verb.returns
    is_object = isinstance(returned, type) and issubclass(returned, Type)
    by_module = await outcome(by_the_module(words))
    if is_object:
        # Of an object the module gives an id, which the CLI syncs: what is left of it runs then.
        await dagger_type_structure(by_module, returned).sync()
    questions, commands = asked(recorder)
    of_registries(recorder, published="published" in words)
    handover.work_outside(tmp_path)
    try:
        found = await outcome(direct.answer(direct.parse(words)))
    finally:
        handover.work_outside(None)
    now = asked(recorder)
    assert not found.startswith("QueryError"), found
    if not is_object:
        assert found == by_module
    assert now == (questions, commands)
    assert questions


def of_registries(recorder: Recorder, *, published: bool) -> None:
    """Let a registry have what is published, or take everything; it forgets what it took before."""
    if published:
        of_a_published_image(recorder)
    else:
        answers.of_a_registry(recorder, "registry-password")
    recorder.answer("Secret.plaintext", secret)


def secret(chain: Chain) -> str:
    """Return a secret by its address, or by the name that it was made with."""
    named = [
        call.args.get("value") or call.args["name"] for field in ("address", "setSecret") for call in chain.calls(field)
    ]
    return answers.PUBLIC if named[0] in {"file:cosign.pub", "public key"} else "registry-password"


async def outcome(step: Awaitable[object]) -> str:
    """Return what a call says, or its refusal."""
    try:
        said = await step
    except Exception as error:  # noqa: BLE001 # compared
        return f"{type(error).__name__}: {error}"
    # How long something took is another time.
    return re.sub(r"\d+\.\d", "0.0", said if isinstance(said, str) else direct.plain(said))


def test_every_function_is_compared() -> None:
    compared = {direct.parse([*BASE, *words]).path for words in CALLS}
    every = {
        f"{call.path} {name}"
        for call in (direct.parse([*words, "--help"]) for words in ([], ["assess"], PUBLISHED, VERIFIED))
        for name in call.steps[-1].verb.next
    }
    chained = {direct.parse([*words, "--help"]).path for words in (["assess"], PUBLISHED, VERIFIED)}
    # It gives changes, which nobody looks at here.
    assert every - chained - compared == {"ci/run --direct refresh-images"}
