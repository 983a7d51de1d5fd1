"""What the recorder of the plan tests expects of an engine's cache, held against an engine."""

import tomllib
import uuid
from pathlib import Path

import anyio
import dagger
from conftest import session
from dagger import dag
from keys import FILES, KEYS

#: A new value each time that it really runs.
_RUN = ["cat", "/proc/sys/kernel/random/uuid"]


def test_a_command_runs_again_where_the_recorder_says_so(engine: dict[str, str], images: Path, tmp_path: Path) -> None:
    image = tomllib.loads(images.read_text())["images"]["runtime-debian"]
    nonce = str(uuid.uuid4())
    for text in ("1", "2"):
        for path, content in zip(FILES, (nonce, nonce + text), strict=True):
            file = tmp_path / text / path
            file.parent.mkdir(parents=True)
            file.write_text(content)

    def base() -> dagger.Container:
        return dag.container().from_(image)

    def copied(source: dagger.Directory) -> dagger.Directory:
        return base().with_directory("/s", source).with_exec(["cp", "-r", "/s", "/o"]).directory("/o")

    async def runs() -> list[bool]:
        found = []
        async with dagger.connection():
            for number, (made, _) in enumerate(KEYS):
                # Each row is a command of its own: an equal outcome of another row would answer it.
                said = [
                    await base()
                    .with_directory("/s", made(dag.host().directory(str(tmp_path / text)), copied))
                    .with_exec([*_RUN], expect=dagger.ReturnType.SUCCESS)
                    .with_env_variable("ROW", str(number))
                    .with_exec(_RUN)
                    .stdout()
                    for text in ("1", "2")
                ]
                found.append(said[0] == said[1])
        return found

    with session(engine, tmp_path):
        found = anyio.run(runs)
    assert found == [same for _, same in KEYS]
