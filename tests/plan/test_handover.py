"""No text of the module, or of the user, stands in the run's log: it is handed over as a file."""

import os
from pathlib import Path

import answers
import pytest
from answers import APPLICATION, project
from dagger import dag
from recorder import Recorder

import pipeline
from pipeline import handover, sdk  # noqa: F401 # sdk for what it does to the SDK
from pipeline.build.release import assembled
from pipeline.image.runtime import runtime
from pipeline.project.reader import read

SCRIPTS = sorted(Path(pipeline.__file__).parent.rglob("resources/*"))
#: Characters that a line of the log may have.
LINE = 300


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_reading(recorder)
    answers.of_images(recorder)
    return recorder


async def test_no_call_has_a_script_or_a_configuration_in_its_arguments(recorder: Recorder) -> None:
    made = project(recorder)
    await read(made)
    await (await runtime(made, APPLICATION, await assembled(made, APPLICATION))).sync()
    texts = [step.call.args["contents"] for step in recorder.find("withNewFile")]
    assert texts
    assert max(map(len, texts)) < LINE
    assert not [text for text in texts if text in APPLICATION.configs.values()]


async def test_a_script_has_the_key_of_its_content_alone(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {path.name: path.read_text() for path in SCRIPTS}

    def edit(name: str) -> None:
        monkeypatch.setattr(handover, "_texts", lambda: {**texts, name: "another"})

    async def keys() -> list[str]:
        await handover.script("build/resources/release.sh").size()
        await handover.scripts("image/resources/elf.escript", "image/resources/root.hrl").digest()
        return [chain.parent.content_key for chain in recorder.plan[-2:]]

    before = await keys()
    edit("fetch.sh")
    assert await keys() == before
    edit("root.hrl")
    assert [new == old for new, old in zip(await keys(), before, strict=True)] == [True, False]


async def test_equal_texts_are_handed_over_once(recorder: Recorder) -> None:
    for text in ("one", "one", "two"):
        await handover.file("a/b", text).size()
    assert len(set(recorder.plan)) == 2
    assert [await handover.file("a/b", text).contents() for text in ("one", "two")] == ["one", "two"]


def test_one_converter_serves_every_step_of_every_query() -> None:
    # dagger.client._core makes one for each; nothing else of the SDK shows whether ours is in place.
    assert dag.container().with_workdir("/x")._ctx.converter is dag.directory()._ctx.converter  # noqa: SLF001


def test_what_is_handed_over_has_one_mode_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        handover.directory({"a/b": "text"})
    finally:
        os.umask(before)
    modes = {path.name[:5]: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"texts": 0o755, "a": 0o755, "b": 0o644}


def test_every_script_has_a_name_of_its_own() -> None:
    names = [path.name for path in SCRIPTS]
    assert sorted(names) == sorted(set(names))
