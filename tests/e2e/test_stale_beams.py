"""Many ways to make a stale beam: an application changes, and one that needs it was compiled before.

Each case is a project of two applications, `two` needs `one`, and a change of it. The pipeline makes the release, then
that of the changed project, with the same engine, which answers from its cache what it can; and once more with
--incremental, where the compiler takes the beams of modules that it made before, in this case or in any other one.
Plain rebar3 makes that of the changed one from nothing. All must have the same files, or all refuse.
"""

import contextlib
import dataclasses
import io
import re
import time
from pathlib import Path

import anyio
import dagger
import pytest
from conftest import session
from dagger import dag
from plain import by_rebar3, tree

from pipeline.build.applications import compiled, separate
from pipeline.build.dependencies import fetched, modules
from pipeline.build.release import assembled
from pipeline.errors import PipelineError
from pipeline.project.application import Application
from pipeline.project.images import images_in_use
from pipeline.project.project import Project, builder
from pipeline.project.reader import read
from pipeline.project.source import filtered

Files = dict[str, str]

CONFIG = """{erl_opts, [no_debug_info, warnings_as_errors]}.
{relx, [{release, {demo, "1.0.0"}, [one, two]}]}.
"""
APP = '{application, %s, [{vsn, "1.0.0"}, {applications, [kernel, stdlib%s]}]}.\n'
ONE = "-module(one).\n-export([value/0]).\nvalue() -> 1.\n"
BEHAVIOUR = "-module(one_behaviour).\n-callback first() -> term().\n"
MORE = "-callback second() -> term().\n"
TWO = """-module(two).
-behaviour(one_behaviour).
-include_lib("one/include/one.hrl").
-include_lib("one/src/one_private.hrl").
-export([first/0, values/0]).
first() -> one:value().
values() -> {?SHOWN, ?PRIVATE, #shown{}}.
"""
BASE: Files = {
    "rebar.config": CONFIG,
    "apps/one/src/one.app.src": APP % ("one", ""),
    "apps/one/src/one.erl": ONE,
    "apps/one/src/one_behaviour.erl": BEHAVIOUR,
    "apps/one/src/one_private.hrl": "-define(PRIVATE, 1).\n",
    "apps/one/include/one.hrl": "-define(SHOWN, 1).\n-record(shown, {a = 1}).\n",
    "apps/two/src/two.app.src": APP % ("two", ", one"),
    "apps/two/src/two.erl": TWO,
}
#: A transform that puts what `one_values:value/0` returns in the place of the atom `transformed`.
TRANSFORM = """-module(one_transform).
-export([parse_transform/2]).
parse_transform(Forms, _) -> [put_in(F) || F <- Forms].
put_in({function, A, transformed, 0, _}) ->
    {function, A, transformed, 0, [{clause, A, [], [], [{integer, A, one_values:value()}]}]};
put_in(F) -> F.
"""
TRANSFORMING: Files = {
    "apps/one/src/one_transform.erl": TRANSFORM,
    "apps/one/src/one_values.erl": "-module(one_values).\n-export([value/0]).\nvalue() -> 1.\n",
}
OTHER_VALUE: Files = {"apps/one/src/one_values.erl": TRANSFORMING["apps/one/src/one_values.erl"].replace("1.", "2.")}
TRANSFORMED = "-module(two_transformed).\n%s-export([transformed/0]).\ntransformed() -> none.\n"
# rebar3 puts `exec` before a hook's command.
SUM = "sh -c 'cd $REBAR_BUILD_DIR/lib && md5sum one/ebin/one.beam >two/ebin/sum'"
HOOKED = f'{{post_hooks, [{{compile, "{SUM}"}}]}}.\n'
TWICE = "two modules of one name"
#: A dependency, which `one` needs, and a module of `two` that includes a header of it.
DEP = """-module(dep).
-behaviour(dep_behaviour).
-include("dep.hrl").
-export([first/0, option/0]).
first() -> ?DEP.
-ifdef(OTHER).
option() -> 2.
-else.
option() -> 1.
-endif.
"""
OPTION = "{erl_opts, [no_debug_info%s]}.\n"
DEPENDENCY: Files = {
    "rebar.config": f"{CONFIG}{{deps, [dep]}}.\n",
    "_checkouts/dep/rebar.config": OPTION % "",
    "_checkouts/dep/src/dep.app.src": APP % ("dep", ""),
    "_checkouts/dep/src/dep.erl": DEP,
    "_checkouts/dep/src/dep_behaviour.erl": BEHAVIOUR.replace("one", "dep"),
    "_checkouts/dep/include/dep.hrl": "-define(DEP, 1).\n",
    "apps/one/src/one.app.src": APP % ("one", ", dep"),
    "apps/two/src/two_dep.erl": '-module(two_dep).\n-include_lib("dep/include/dep.hrl").\n'
    "-export([value/0]).\nvalue() -> ?DEP.\n",
}
#: A module that is begun before its turn, since it has more than 100,000 bytes.
LARGE = '-module(dep_large).\n-include("dep.hrl").\n-export([value/1]).\n{}value(_) -> ?DEP.\n'.format(
    "".join(f'value({number}) -> {{"{number}", <<"the text of {number}, long">>}};\n' for number in range(2500))
)
BASIC = "-module(one_basic).\n-callback first() -> term().\n"


@dataclasses.dataclass(frozen=True)
class Case:
    """A change: what the project has besides before it, what is other after it, and what is not there any more."""

    change: Files
    before: Files = dataclasses.field(default_factory=dict)
    removed: tuple[str, ...] = ()
    #: Whether rebar3 refuses what comes of it.
    refused: bool = False


CASES = {
    "a function's body": Case({"apps/one/src/one.erl": ONE.replace("1.", "2.")}),
    "an export": Case({"apps/one/src/one.erl": ONE.replace("value/0", "value/0, more/0") + "more() -> 2.\n"}),
    "a macro of a header": Case(
        {"apps/one/include/one.hrl": BASE["apps/one/include/one.hrl"].replace("SHOWN, 1", "SHOWN, 2")}
    ),
    "a record's field": Case(
        {"apps/one/include/one.hrl": BASE["apps/one/include/one.hrl"].replace("a = 1", "a = 1, b = 2")}
    ),
    "a header beside the modules": Case({"apps/one/src/one_private.hrl": "-define(PRIVATE, 2).\n"}),
    "a header's type": Case(
        {"apps/one/include/one.hrl": BASE["apps/one/include/one.hrl"] + "-type unused() :: atom().\n"},
        {"rebar.config": CONFIG.replace("no_debug_info", "debug_info")},
    ),
    "a header of the project": Case(
        {"include/all.hrl": "-define(ALL, 2).\n"},
        {
            "include/all.hrl": "-define(ALL, 1).\n",
            "apps/two/src/two_all.erl": '-module(two_all).\n-include("../../../include/all.hrl").\n'
            "-export([all/0]).\nall() -> ?ALL.\n",
        },
    ),
    "a callback more": Case({"apps/one/src/one_behaviour.erl": BEHAVIOUR + MORE}, refused=True),
    "a callback more that is optional": Case(
        {"apps/one/src/one_behaviour.erl": f"{BEHAVIOUR}{MORE}-optional_callbacks([second/0]).\n"}
    ),
    "a behaviour that is none any more": Case({}, removed=("apps/one/src/one_behaviour.erl",), refused=True),
    "a behaviour that asks another one": Case(
        {"apps/one/src/one_basic.erl": BASIC + "-callback third() -> term().\n"},
        {
            "apps/one/src/one_basic.erl": BASIC,
            "apps/one/src/one_behaviour.erl": "-module(one_behaviour).\n-export([behaviour_info/1]).\n"
            "behaviour_info(callbacks) -> one_basic:behaviour_info(callbacks) ++ [];\n"
            "behaviour_info(_) -> undefined.\n",
        },
        refused=True,
    ),
    "a behaviour that computes": Case(
        {"apps/one/src/one.erl": ONE.replace("1.", "2.")},
        {
            "apps/one/src/one_behaviour.erl": "-module(one_behaviour).\n-export([behaviour_info/1]).\n"
            "behaviour_info(callbacks) -> [{first, one:value() - 1}].\n"
        },
        refused=True,
    ),
    "a transform": Case(
        {"apps/one/src/one_transform.erl": TRANSFORM.replace("one_values:value()", "7")},
        {
            **TRANSFORMING,
            "apps/two/src/two_transformed.erl": TRANSFORMED % "-compile({parse_transform, one_transform}).\n",
        },
    ),
    "what a transform calls": Case(
        OTHER_VALUE,
        {
            **TRANSFORMING,
            "apps/two/src/two_transformed.erl": TRANSFORMED % "-compile({parse_transform, one_transform}).\n",
        },
    ),
    "what a transform of a header calls": Case(
        OTHER_VALUE,
        {
            **TRANSFORMING,
            "apps/one/include/put.hrl": "-define(OPTION, parse_transform).\n-compile({?OPTION, one_transform}).\n",
            "apps/two/src/two_transformed.erl": TRANSFORMED % '-include_lib("one/include/put.hrl").\n',
        },
    ),
    "what a transform of an option calls": Case(
        OTHER_VALUE,
        {
            **TRANSFORMING,
            "apps/two/rebar.config": "{erl_opts, [{parse_transform, one_transform}]}.\n",
            "apps/two/src/two_transformed.erl": TRANSFORMED % "",
        },
    ),
    "an option": Case(
        {"rebar.config": CONFIG.replace("[no_debug_info,", "[no_debug_info, {d, 'OTHER'},")},
        {
            "apps/two/src/two_option.erl": "-module(two_option).\n-export([value/0]).\n"
            "-ifdef(OTHER).\nvalue() -> 2.\n-else.\nvalue() -> 1.\n-endif.\n"
        },
    ),
    "what a hook makes of a beam": Case(
        {"apps/one/src/one.erl": ONE.replace("1.", "2.")},
        {
            "apps/two/rebar.config": HOOKED,
        },
    ),
    "what a link leads to": Case(
        {"apps/one/shared/shared.erl": "-module(shared).\n-export([value/0]).\nvalue() -> 2.\n"},
        {
            "apps/one/shared/shared.erl": "-module(shared).\n-export([value/0]).\nvalue() -> 1.\n",
            "apps/two/src/shared.erl": "-> ../../one/shared/shared.erl",
        },
    ),
    "a folder of another application": Case(
        {"apps/one/shared/shared.erl": "-module(shared).\n-export([value/0]).\nvalue() -> 2.\n"},
        {
            "apps/one/shared/shared.erl": "-module(shared).\n-export([value/0]).\nvalue() -> 1.\n",
            "apps/two/rebar.config": '{src_dirs, ["src", "../one/shared"]}.\n',
        },
    ),
    "a source that is generated": Case(
        {"apps/one/src/one_scan.xrl": "Definitions.\nRules.\n[a-z]+ : {token, {word, TokenChars}}.\nErlang code.\n"},
        {"apps/one/src/one_scan.xrl": "Definitions.\nRules.\n[a-c]+ : {token, {word, TokenChars}}.\nErlang code.\n"},
    ),
    "a module that is removed": Case(
        {}, {"apps/one/src/gone.erl": "-module(gone).\n"}, removed=("apps/one/src/gone.erl",)
    ),
    "a module that moves": Case(
        {"apps/two/src/moved.erl": "-module(moved).\n"},
        {"apps/one/src/moved.erl": "-module(moved).\n"},
        removed=("apps/one/src/moved.erl",),
    ),
    "an application that is not needed any more": Case(
        {"apps/two/src/two.app.src": APP % ("two", ""), "apps/two/src/two.erl": "-module(two).\n"}
    ),
    TWICE: Case(
        {"apps/one/src/one.erl": ONE.replace("1.", "2.")},
        {
            "apps/one/src/twice.erl": "-module(twice).\n-export([value/0]).\nvalue() -> 1.\n",
            "apps/one/src/deep/twice.erl": "-module(twice).\n-export([value/0]).\nvalue() -> 2.\n",
        },
    ),
    "a function of a dependency": Case(
        {"_checkouts/dep/src/dep.erl": DEP.replace("option() -> 1", "option() -> 3")}, DEPENDENCY
    ),
    "a macro of a dependency": Case({"_checkouts/dep/include/dep.hrl": "-define(DEP, 2).\n"}, DEPENDENCY),
    "a macro of a large module of a dependency": Case(
        {"_checkouts/dep/include/dep.hrl": "-define(DEP, 2).\n"},
        {**DEPENDENCY, "_checkouts/dep/src/dep_large.erl": LARGE},
    ),
    "an option of a dependency": Case({"_checkouts/dep/rebar.config": OPTION % ", {d, 'OTHER'}"}, DEPENDENCY),
    "an option that the project gives a dependency": Case(
        {"rebar.config": DEPENDENCY["rebar.config"] + "{overrides, [{add, dep, [{erl_opts, [{d, 'OTHER'}]}]}]}.\n"},
        DEPENDENCY,
    ),
    "a callback of a dependency that its module lacks": Case(
        {"_checkouts/dep/src/dep_behaviour.erl": DEPENDENCY["_checkouts/dep/src/dep_behaviour.erl"] + MORE},
        {**DEPENDENCY, "_checkouts/dep/rebar.config": OPTION % ", warnings_as_errors"},
        refused=True,
    ),
    "a transform of a dependency": Case(
        {"_checkouts/dep/src/one_transform.erl": TRANSFORM.replace("one_values:value()", "7")},
        {
            **DEPENDENCY,
            "_checkouts/dep/src/one_transform.erl": TRANSFORM.replace("one_values:value()", "6"),
            "_checkouts/dep/src/two_transformed.erl": TRANSFORMED % "-compile({parse_transform, one_transform}).\n",
        },
    ),
    "a module of a dependency that is removed": Case(
        {},
        {**DEPENDENCY, "_checkouts/dep/src/gone.erl": "-module(gone).\n"},
        removed=("_checkouts/dep/src/gone.erl",),
    ),
}


@dataclasses.dataclass
class Made:
    """What came of a case: the files, or what was said."""

    before: dict[str, str] | str = ""
    after: dict[str, str] | str = ""
    incremental: dict[str, str] | str = ""
    plain: dict[str, str] | str = ""


def written(folder: Path, files: Files) -> Path:
    """Write files, and a link for each text that begins with an arrow."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text.removeprefix("-> "))
        else:
            path.write_text(text)
    return folder


async def beams(container: dagger.Container, release: dagger.Directory, folder: Path) -> dict[str, str]:
    """Return what was compiled of both applications, and what a release has of them and of a dependency."""
    for name in ("one", "two"):
        await container.directory(f"/build/_build/prod/lib/{name}/ebin").export(str(folder / name))
    await release.filter(include=[f"lib/{name}-*/ebin" for name in ("one", "two", "dep")]).export(str(folder))
    return tree(folder)


async def by_us(
    images: dict[str, str], source: dagger.Directory, folder: Path, *, incremental: bool = False
) -> dict[str, str] | str:
    """Make the release as the pipeline does."""
    project = Project(await filtered(source), images, "debian", incremental=incremental)
    try:
        application = await read(project)
        release = await assembled(project, application)
        container = (await compiled(project, application)).container
        return await beams(container, release.directory("/opt/demo"), folder)
    except PipelineError as error:
        return str(error)


@pytest.fixture(scope="module")
def made(engine: dict[str, str], images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Make the releases of every case, in one session."""
    folder = tmp_path_factory.mktemp("stale")
    table = images_in_use(images.read_text(), {})
    found = {name: Made() for name in CASES}

    async def case(number: int, name: str, limit: anyio.CapacityLimiter) -> None:
        async with limit:
            files = {**BASE, **CASES[name].before}
            after = {k: v for k, v in {**files, **CASES[name].change}.items() if k not in CASES[name].removed}
            here = folder / str(number)
            sources = [
                dag.host().directory(str(written(here / path, each)))
                for path, each in (("before", files), ("after", after))
            ]
            found[name].before = await by_us(table, sources[0], here / "made-before")
            found[name].after = await by_us(table, sources[1], here / "made-after")
            await by_us(table, sources[0], here / "remembered", incremental=True)
            found[name].incremental = await by_us(table, sources[1], here / "incremental", incremental=True)
            # With more of them rebar3 has two modules of one name destroy each other, or keeps either.
            flags = "+S 1:1" if name == TWICE else ""
            done = by_rebar3(table["builder-debian"], sources[1], "as", "prod", "release", flags=flags)
            if await done.exit_code():
                found[name].plain = await done.stdout() + await done.stderr()
            else:
                release = done.directory("/build/_build/prod/rel/demo")
                found[name].plain = await beams(done, release, here / "plain")

    async def run() -> None:
        with (folder / "log").open("w") as log:
            async with dagger.connection(dagger.Config(log_output=log)), anyio.create_task_group() as group:
                limit = anyio.CapacityLimiter(3)
                for number, name in enumerate(CASES):
                    group.start_soon(case, number, name, limit)

    with session(engine, folder), contextlib.suppress(KeyboardInterrupt):
        anyio.run(run)
    return found


@pytest.mark.parametrize("name", CASES)
def test_no_beam_is_stale(made: dict[str, Made], name: str) -> None:
    case = made[name]
    assert isinstance(case.before, dict), case.before
    if CASES[name].refused:
        assert isinstance(case.plain, str), "rebar3 compiles it"
        assert isinstance(case.after, str), "we compile it"
        assert isinstance(case.incremental, str), "we compile it with --incremental"
        return
    assert isinstance(case.plain, dict), case.plain
    assert case.after == case.plain
    assert case.after != case.before
    assert case.incremental == case.plain


def compiled_incrementally(
    engine: dict[str, str], images: Path, folder: Path, base: Files, changes: list[Files], *, then: str = "true"
) -> tuple[list[int], list[str]]:
    """Make the release once for each of the changes; return how many modules were kept, and what was said, after each.

    Each time the release must be that of a call that compiles everything. `then` is shell that runs where the modules
    are kept.
    """
    table = images_in_use(images.read_text(), {})
    # A name of its own: the beams of another run are in another volume.
    config = base["rebar.config"].replace("{demo,", f"{{demo_{time.time_ns()},")
    counts, said = [], []

    async def assemble(source: Path, made: Path, *, incremental: bool) -> tuple[Project, Application]:
        files = await filtered(dag.host().directory(str(source)))
        project = Project(files, table, "debian", incremental=incremental)
        application = await read(project)
        release = await assembled(project, application)
        layers = release.directory("/layers").filter(include=["applications/**", "dependencies/**"])
        await layers.export(str(made))
        return project, application

    async def run(number: int, change: Files) -> None:
        source = written(folder / str(number), {**base, "rebar.config": config, **change})
        whole, kept = (folder / f"{name}-{number}" for name in ("whole", "kept"))
        async with dagger.connection(dagger.Config(log_output=io.StringIO())):
            project, application = await assemble(source, kept, incremental=True)
            # The clock is in the key, so that it is looked at now.
            looking = builder(project).with_env_variable("NOW", str(time.time_ns()))
            looking = looking.with_mounted_cache("/kept", modules(project, application))
            command = ["sh", "-euc", f"ls /kept; cd /kept; {then}"]
            counts.append(len((await looking.with_exec(command).stdout()).split()))
            # The engine has what the commands printed; of its log it was seen to lose some of that.
            stages = await separate(project, application, await fetched(project, application)) or {}
            said.append("".join([await stage.stdout() for stage in stages.values()]))
            await assemble(source, whole, incremental=False)
        assert tree(kept) == tree(whole)

    with session(engine, folder):
        for number, change in enumerate(changes):
            anyio.run(run, number, change)
    return counts, said


def test_incremental_compiles_what_changed_and_nothing_else(
    engine: dict[str, str], images: Path, tmp_path: Path
) -> None:
    changed = {"apps/one/src/one.erl": ONE.replace("1.", "2.")}
    header = {"apps/one/include/one.hrl": "-define(SHOWN, 2).\n-record(shown, {a = 1}).\n"}
    changes: list[Files] = [{}, changed, changed, {**changed, **header}]
    counts, _ = compiled_incrementally(engine, images, tmp_path, BASE, changes)
    # one, one_behaviour, two; then one again; then nothing; then two, which includes the header.
    assert counts == [3, 4, 4, 5]


def test_incremental_compiles_of_a_dependency_what_changed_too(
    engine: dict[str, str], images: Path, tmp_path: Path
) -> None:
    base = {**BASE, **DEPENDENCY, "_checkouts/dep/src/dep_large.erl": LARGE}
    option = {"_checkouts/dep/rebar.config": OPTION % ", {d, 'OTHER'}"}
    changed = {"_checkouts/dep/src/dep.erl": DEP.replace("option() -> 1", "option() -> 3")}
    header = {"_checkouts/dep/include/dep.hrl": "-define(DEP, 2).\n"}
    counts, _ = compiled_incrementally(engine, images, tmp_path, base, [{}, changed, header, option, option])
    # Seven modules; then dep; dep, dep_large and two_dep, which include the header; the three of dep; then nothing.
    assert counts == [7, 8, 11, 14, 14]


@pytest.mark.parametrize("hooks", ["", '{post_hooks, [{compile, "echo compiled"}]}.\n'], ids=["plain", "hooks"])
def test_one_application_alone_is_compiled_incrementally_too(
    engine: dict[str, str], images: Path, tmp_path: Path, hooks: str
) -> None:
    base = {
        "rebar.config": CONFIG.replace("[one, two]", "[one]") + hooks,
        "src/one.app.src": APP % ("one", ""),
        "src/one.erl": ONE,
        "src/one_behaviour.erl": BEHAVIOUR,
    }
    changes: list[Files] = [{}, {"src/one.erl": ONE.replace("1.", "2.")}]
    counts, _ = compiled_incrementally(engine, images, tmp_path, base, changes)
    assert counts == [2, 3]


def test_a_beam_that_was_kept_in_part_is_made_again(engine: dict[str, str], images: Path, tmp_path: Path) -> None:
    changed = {"apps/one/src/one.erl": ONE.replace("1.", "2.")}
    spoil = "for each in *; do : >$each; done"
    counts, _ = compiled_incrementally(engine, images, tmp_path, BASE, [{}, changed], then=spoil)
    assert counts == [3, 4]


def test_a_warning_of_a_module_that_is_not_compiled_again_is_shown_again(
    engine: dict[str, str], images: Path, tmp_path: Path
) -> None:
    careless = {"apps/one/src/one_behaviour.erl": f"{BEHAVIOUR}unused() -> none.\n"}
    changed = {"apps/one/src/one.erl": ONE.replace("1.", "2.")}
    base = {**BASE, "rebar.config": CONFIG.replace(", warnings_as_errors", "")}
    counts, said = compiled_incrementally(engine, images, tmp_path, base, [careless, {**careless, **changed}])
    assert counts == [3, 4]
    for text in said:
        assert re.search(r"one_behaviour\.erl.*function unused/0 is unused", text), text
