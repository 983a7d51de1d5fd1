"""Large modules of dependencies are begun before their turn: plain rebar3 makes the same of them, and says the same."""

import dataclasses
import tomllib
from pathlib import Path

import anyio
import dagger
import pytest
from conftest import ROOT, session
from dagger import dag
from plain import by_rebar3, tree

FOLDER = ROOT / "pipeline" / "build" / "resources"
SCRIPTS = ["fetch.sh", "pipeline_source.erl", "pipeline_compiler.erl", "pipeline_early.erl"]
APPLICATION = '{{application, {}, [{{vsn, "1.0"}}, {{applications, [kernel, stdlib{}]}}]}}.\n'
#: Compiled early, with a warning; one whose behaviour is not there yet then; one that a sibling needs; a small one.
MODULES = {
    "big_data": "first(Unused) -> ok.",
    "big_server": "-behaviour(big_behaviour).\nhandle() -> ok.",
    "big_behaviour": "-callback handle() -> ok.",
    "big_transformed": "-compile({parse_transform, ms_transform}).",
}


@dataclasses.dataclass
class Made:
    """What came of compiling the dependencies."""

    said: str = ""
    early: list[str] = dataclasses.field(default_factory=list)
    again: str = ""


def lines(name: str) -> str:
    """Return the text of a module of more than 100,000 bytes."""
    clauses = ";\n".join(f'value({number}) -> {{"{name}", {number}, <<"text {number}">>}}' for number in range(2500))
    return f"-module({name}).\n-compile([export_all, nowarn_export_all]).\n{MODULES[name]}\n{clauses}.\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a project with two dependencies: `first`, which takes a while, and `big`, which needs it."""
    root = tmp_path_factory.mktemp("early") / "demo"
    texts = {
        "rebar.config": "{deps, [first, big]}.\n",
        "src/demo.app.src": APPLICATION.format("demo", ", big"),
        "_checkouts/first/src/first.app.src": APPLICATION.format("first", ""),
        # Below what counts as large.
        "_checkouts/first/src/first.erl": lines("big_data").replace("big_data", "first")[:90_000].rpartition(";")[0]
        + ".\n",
        "_checkouts/big/src/big.app.src": APPLICATION.format("big", ", first"),
        # So that rebar3 compiles `first` first, whatever order it likes.
        "_checkouts/big/include/big.hrl": '-include_lib("first/include/first.hrl").\n',
        "_checkouts/first/include/first.hrl": "-define(FIRST, 1).\n",
        "_checkouts/big/src/big_small.erl": '-module(big_small).\n-include("big.hrl").\n',
        **{f"_checkouts/big/src/{name}.erl": lines(name) for name in MODULES},
    }
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture(scope="module")
def made(
    engine: dict[str, str], images: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Made, Path, Path]:
    """Compile the dependencies by plain rebar3 and by the pipeline's script; return what came of it, and the trees."""
    folder = tmp_path_factory.mktemp("made")
    image = tomllib.loads(images.read_text())["images"]["builder-debian"]
    found, plain, ours = Made(), folder / "plain", folder / "ours"

    async def run() -> None:
        async with dagger.connection(dagger.Config(log_output=(folder / "log").open("w"))):
            source = dag.host().directory(str(project))
            done = by_rebar3(image, source, "as", "prod", "compile", "--deps_only", flags="+S 4:4")
            await done.directory("/build/_build/prod").export(str(plain))
            compiled = (
                dag.container()
                .from_(image)
                .with_workdir("/build")
                .with_directory("/build", source)
                .with_directory("/pipeline", dag.host().directory(str(FOLDER), include=SCRIPTS))
                .with_env_variable("ERL_COMPILER_OPTIONS", "deterministic")
                .with_env_variable("REBAR_OFFLINE", "1")
                .with_env_variable("ERL_FLAGS", "+S 4:4")
                .with_exec(["sh", "/pipeline/fetch.sh", "compile", "prod"])
            )
            found.said = f"{await done.stdout()}\n=====\n{await compiled.stdout()}"
            found.early = [Path(path).name for path in await compiled.directory("/pipeline/early").glob("*/*.beam")]
            await compiled.directory("/fetched/_build/prod").export(str(ours))
            again = compiled.with_exec(["mv", "/fetched/_build", "/build/_build"]).with_exec(["touch", "/mark"])
            again = again.with_exec(["rebar3", "as", "prod", "compile", "--deps_only"])
            found.again = await again.with_exec(
                ["find", "/build/_build", "-name", "*.beam", "-newer", "/mark"]
            ).stdout()

    with session(engine, folder):
        anyio.run(run)
    return found, plain, ours


def test_the_beams_are_those_of_rebar3(made: tuple[Made, Path, Path]) -> None:
    _, plain, ours = made
    beams = [{path: what for path, what in tree(root).items() if path.endswith(".beam")} for root in (plain, ours)]
    assert len(beams[0]) == len(MODULES) + 2
    assert beams[0] == beams[1]


def test_the_large_ones_were_made_early(made: tuple[Made, Path, Path]) -> None:
    # One that a sibling needs is none of those; of a transform is not known what it asks.
    assert set(made[0].early) == {"big_data.beam", "big_server.beam"}


def test_the_compiler_says_what_it_says_in_rebar3(made: tuple[Made, Path, Path]) -> None:
    plain, ours = ({line for line in part.splitlines() if line} for part in made[0].said.split("====="))
    assert any("variable 'Unused' is unused" in line for line in plain)
    assert plain == ours


def test_rebar3_compiles_none_of_them_again(made: tuple[Made, Path, Path]) -> None:
    assert made[0].again == ""
