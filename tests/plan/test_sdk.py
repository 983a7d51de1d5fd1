"""What the pipeline does to the SDK: the id of an object is asked for once in a session."""

from typing import Any

import anyio
import dagger
import pytest
from dagger import dag
from dagger.client import _core
from recorder import Recorder

from pipeline import sdk

pytestmark = pytest.mark.anyio

IMAGE = "base@sha256:" + 64 * "0"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the last field of each query that is sent."""
    fields, real = [], sdk._execute  # noqa: SLF001 # what sends it

    async def execute(context: _core.Context, kind: Any = None) -> Any:  # noqa: ANN401 # as the SDK has it
        fields.append(context.selections[-1].name)
        return await real(context, kind)

    monkeypatch.setattr(sdk, "_execute", execute)
    return fields


def folder(text: str) -> dagger.Directory:
    return dag.directory().with_new_file("a", text)


async def test_what_is_passed_several_times_is_asked_for_its_id_once(recorder: Recorder, asked: list[str]) -> None:
    one = folder("1")
    containers = [dag.container().from_(IMAGE).with_directory(path, one) for path in ("/a", "/b")]
    # An equal one, made anew; one that is other; at the same time, and afterwards.
    containers += [dag.container().with_directory("/c", folder(text)) for text in ("1", "2")]
    async with anyio.create_task_group() as group:
        for container in containers:
            group.start_soon(container.sync)
    assert await folder("1").id() == await one.id() != await folder("2").id()
    assert asked.count("id") == 2
    mounted = {step.call.args["source"] for step in recorder.find("withDirectory")}
    assert len(mounted) == 2


async def test_a_list_is_asked_for_each_time(recorder: Recorder, asked: list[str]) -> None:
    service = dag.container().from_(IMAGE).as_service()
    for number in (5000, 6000):
        recorder.answer("Service.ports", [{"port": number}])
        [port] = await service.ports()
        assert await port.port() == number
    assert asked.count("id") == 2


async def test_a_secret_is_set_each_time(recorder: Recorder, asked: list[str]) -> None:
    # Of two values under one name the one that was set last counts.
    for value in ("right", "wrong", "right"):
        secret = dag.set_secret("login", value)
        await dag.container().from_(IMAGE).with_mounted_secret("/login", secret).sync()
    assert asked.count("id") == 3
    assert recorder.invalid == []


async def test_whoever_waits_for_an_id_that_cannot_be_had_asks_himself(
    recorder: Recorder, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended = sdk._execute, []  # noqa: SLF001 # what sends it

    async def fails_once(context: _core.Context, kind: Any = None) -> Any:  # noqa: ANN401 # as the SDK has it
        await anyio.sleep(0.01)
        if not asked:
            asked.append("refused")
            raise dagger.TransportError("no connection")
        return await real(context, kind)

    async def ask() -> None:
        try:
            ended.append(await folder("1").id())
        except dagger.TransportError as error:
            ended.append(error)

    monkeypatch.setattr(sdk, "_execute", fails_once)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
    assert [isinstance(each, dagger.TransportError) for each in ended].count(True) == 1
    assert {each for each in ended if not isinstance(each, dagger.TransportError)} == {await folder("1").id()}
    assert asked == ["refused", "id"]
    assert recorder.invalid == []
