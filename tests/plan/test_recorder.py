"""The recorder against the real SDK: what it records, refuses and computes."""

import base64
import os
import pathlib
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

import anyio
import dagger
import pytest
from dagger import dag
from keys import FILES as KEYED
from keys import KEYS, Made
from recorder import Chain, Recorder, exec_error, pull_error

pytestmark = pytest.mark.anyio

IMAGE = "base@sha256:" + 64 * "0"


def post(query: str, token: str = "recorder") -> bytes:  # noqa: S107 # no secret
    request = urllib.request.Request(  # to ourselves
        f"http://127.0.0.1:{os.environ['DAGGER_SESSION_PORT']}/query",
        data=b'{"query": "%s"}' % query.encode(),
        headers={"Authorization": "Basic " + base64.b64encode(f"{token}:".encode()).decode()},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 # the same
        return bytes(answer.read())


def write(path: str, text: str) -> None:
    pathlib.Path(path).parent.mkdir(parents=True)
    pathlib.Path(path).write_text(text)


def base() -> dagger.Container:
    return dag.container().from_(IMAGE)


async def test_a_leaf_is_recorded_with_the_calls_that_make_it(recorder: Recorder) -> None:
    recorder.answer("Container.stdout", "hello")
    assert await base().with_exec(["echo"], expect=dagger.ReturnType.ANY).stdout() == "hello"
    (chain,) = recorder.plan
    assert [step.call.field for step in chain.steps()] == ["container", "from", "withExec", "stdout"]
    assert chain.calls("withExec")[0].args == {"args": ["echo"], "expect": "ANY"}
    assert chain.images() == [IMAGE]


async def test_an_invalid_query_is_refused_and_fails_the_test(recorder: Recorder) -> None:
    assert b"Cannot query field 'nope'" in await anyio.to_thread.run_sync(post, "{container{nope}}")
    assert "Cannot query field 'nope'" in recorder.invalid[0]
    with pytest.raises(AssertionError, match="nope"):
        await recorder.__aexit__(None, None, None)
    recorder.invalid.clear()


async def test_a_query_without_the_token_is_refused(recorder: Recorder) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        await anyio.to_thread.run_sync(post, "{version}", "another")
    assert recorder.plan == []


async def test_an_object_among_the_arguments_is_its_recipe(recorder: Recorder) -> None:
    made = dag.container().from_("tool@sha256:1").with_exec(["make"]).directory("/out")
    await base().with_directory("/in", made).with_files("/f", [made.file("a"), made.file("b")]).sync()
    (chain,) = recorder.plan
    assert chain.images() == [IMAGE, "tool@sha256:1"]
    assert [step.call.args["path"] for step in chain.find("file")] == ["a", "b"]
    assert [step.call.args["args"] for step in recorder.execs()] == [["make"]]
    assert chain.find("withDirectory", path="/in") != []
    assert chain.find("withDirectory", path="/out") == []


async def test_what_sync_returns_is_the_object_itself(recorder: Recorder) -> None:
    recorder.answer("Container.stdout", "")
    synced = await base().with_exec(["one"]).sync()
    await synced.with_exec(["two"]).stdout()
    assert [call.args["args"] for call in recorder.plan[1].calls("withExec")] == [["one"], ["two"]]
    assert recorder.plan[1].calls("sync") == []


async def test_an_id_of_no_object_or_another_type_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(dagger.QueryError, match="no object has the id"):
        await dag.load_directory_from_id(dagger.DirectoryID("nothing")).entries()
    wrong = dagger.DirectoryID(await base().id())
    with pytest.raises(dagger.QueryError, match="that of a Container, not of a Directory"):
        await dag.load_directory_from_id(wrong).entries()
    assert recorder.plan == []


async def test_equal_recipes_have_equal_keys(recorder: Recorder) -> None:
    for word in ("a", "a", "b"):
        await base().with_directory("/d", dag.directory().with_new_file("f", word)).sync()
    first, second, third = recorder.plan
    assert first == second
    assert first.key == second.key != third.key


async def test_secrets_are_found_where_they_go_and_their_text_nowhere(recorder: Recorder) -> None:
    secret = dag.set_secret("token", "plain text")
    await base().with_secret_variable("TOKEN", secret).with_exec(["use"]).sync()
    assert [step.call.field for step in recorder.secrets()] == ["withSecretVariable"]
    assert "setSecret" in recorder.text()
    assert "plain text" not in recorder.text()


async def test_the_last_rule_that_fits_counts(recorder: Recorder) -> None:
    recorder.answer("Container.stdout", "any")
    recorder.answer("Container.stdout", lambda chain: chain.images()[0], when=lambda chain: bool(chain.images()))
    assert await dag.container().stdout() == "any"
    assert await base().stdout() == IMAGE


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("Container.stdout", lambda: base().with_exec(["x"]).stdout()),
        ("Container.exitCode", lambda: base().with_exec(["x"]).exit_code()),
        ("Container.envVariable", lambda: base().env_variable("HEALTH_URL")),
        ("Container.labels", lambda: base().labels()),
        ("Container.imageRef", lambda: base().image_ref()),
        ("Directory.entries", lambda: base().rootfs().entries()),
        ("Directory.glob", lambda: base().rootfs().glob("**")),
        ("File.contents", lambda: base().file("/etc/os-release").contents()),
        ("File.size", lambda: base().file("/etc/os-release").size()),
        ("Service.ports", lambda: base().as_service().ports()),
    ],
)
async def test_what_nobody_said_is_an_error_and_fails_the_test(
    recorder: Recorder, name: str, ask: Callable[[], Awaitable[object]]
) -> None:
    with pytest.raises(dagger.QueryError, match=f"nobody said what {name} is of"):
        await ask()
    assert name in recorder.invalid[0]
    recorder.invalid.clear()


@pytest.mark.usefixtures("recorder")
async def test_what_follows_from_the_query_needs_no_answer() -> None:
    assert (await base().publish("registry/name:tag")).startswith("registry/name:tag@sha256:")
    assert await base().as_tarball().export("there") == "there"
    assert await dag.default_platform() == "linux/amd64"


async def test_a_failed_pull_is_no_failed_command(recorder: Recorder) -> None:
    recorder.answer("Container.from", pull_error(IMAGE))
    with pytest.raises(dagger.QueryError, match=f'failed to resolve image "{IMAGE}"') as caught:
        await base().with_exec(["x"]).sync()
    assert not isinstance(caught.value, dagger.ExecError)
    # Nor can a test say otherwise.
    with pytest.raises(AssertionError):
        recorder.answer("Container.from", exec_error(1))
    with pytest.raises(AssertionError):
        recorder.answer("Container.withExec", pull_error(IMAGE))


async def test_what_a_module_made_is_read_from_its_working_directory(recorder: Recorder) -> None:
    write("made/d/f", "text")
    made = dag.current_module().workdir("made")
    assert await made.glob("**") == ["d/", "d/f"]
    assert await made.file("d/f").contents() == "text"
    assert await dag.current_module().workdir_file("made/d/f").contents() == "text"
    assert recorder.invalid == []


async def test_objects_in_a_list_have_the_given_fields(recorder: Recorder) -> None:
    recorder.answer("Container.labels", [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}])
    labels = await base().labels()
    assert [(await label.name(), await label.value()) for label in labels] == [("a", "1"), ("b", "2")]


async def test_a_failing_exec_is_the_error_of_what_needs_it_and_of_nothing_else(recorder: Recorder) -> None:
    def compiles(chain: Chain) -> bool:
        return bool(chain.call.args["args"] == ["compile"])

    recorder.answer("Container.withExec", exec_error(2, stderr="syntax error"), when=compiles)
    failing = base().with_exec(["compile"]).directory("/out")
    await failing.id()  # lazy, as with an engine
    with pytest.raises(dagger.ExecError) as caught:
        await base().with_directory("/in", failing).sync()
    assert (caught.value.exit_code, caught.value.stderr) == (2, "syntax error")
    await base().with_exec(["other"]).sync()


async def test_files_of_an_exec_can_be_given(recorder: Recorder) -> None:
    recorder.answer("Container.directory", {"a.json": "{}", "d/b.txt": "b"})
    out = base().with_exec(["make"]).directory("/out")
    assert await out.glob("**/*.txt") == ["d/b.txt"]
    assert await out.file("a.json").contents() == "{}"


async def test_what_runs_at_the_same_time_is_seen(recorder: Recorder) -> None:
    recorder.answer("Container.stdout", "", latency=0.05)
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(base().with_exec([str(number)]).stdout)
    await base().with_exec(["later"]).stdout()
    assert recorder.max_in_flight == 3
    assert recorder.in_flight(lambda chain: bool(chain.find("withExec", args=["later"]))) == 1


FILES = {".dockerignore": "x", "a/b.txt": "hi", "a/q.erl": "1", "c/d/e.txt": "é", "z": "1"}


@pytest.mark.parametrize(
    ("made", "files"),
    [
        (lambda d: d, [".dockerignore", "a/", "a/b.txt", "a/q.erl", "c/", "c/d/", "c/d/e.txt", "z"]),
        (lambda d: d.filter(include=["a"]), ["a/", "a/b.txt", "a/q.erl"]),
        (lambda d: d.filter(include=["/a"]), []),
        (lambda d: d.filter(include=["**/*.txt"]), ["a/", "a/b.txt", "c/", "c/d/", "c/d/e.txt"]),
        (lambda d: d.filter(include=["*.txt"]), []),
        (lambda d: d.filter(include=["c"], exclude=["c/d"]), ["c/"]),
        (lambda d: d.filter(exclude=["**", "!a/b.txt"]), ["a/", "a/b.txt"]),
        (lambda d: d.directory("c/d"), ["e.txt"]),
        (lambda d: d.without_file("a/*").filter(include=["a"]), ["a/"]),
        (lambda d: d.without_directory("a").without_directory("c").without_file("nope"), [".dockerignore", "z"]),
        (lambda d: dag.directory().with_directory("n", d, include=["a/*.erl"]), ["n/", "n/a/", "n/a/q.erl"]),
        (lambda d: dag.directory().with_new_directory("n").with_file("n", d.file("z")), ["n/", "n/z"]),
        (lambda d: dag.directory().with_files("n", [d.file("z"), d.file("a/b.txt")]), ["n/", "n/b.txt", "n/z"]),
    ],
)
async def test_recipes_of_files_are_computed_as_an_engine_does(
    recorder: Recorder, made: Callable[[dagger.Directory], dagger.Directory], files: list[str]
) -> None:
    assert await made(recorder.host_directory(FILES)).glob("**") == files


async def test_files_are_read(recorder: Recorder) -> None:
    source = recorder.host_directory(FILES)
    assert await source.entries() == [".dockerignore", "a/", "c/", "z"]
    assert await source.file("c/d/e.txt").contents() == "é"
    assert await source.file("c/d/e.txt").size() == 2
    assert [await source.exists(path) for path in ("a/b.txt", "a", "nope")] == [True, True, False]
    with pytest.raises(dagger.QueryError, match="stat nope: no such file or directory"):
        await source.file("nope").contents()
    with pytest.raises(dagger.QueryError, match="a is a directory, not a file"):
        await source.file("a").contents()
    with pytest.raises(dagger.QueryError, match="z is a file, not a directory"):
        await source.directory("z").entries()


def exec_out(source: dagger.Directory) -> dagger.Directory:
    return base().with_directory("/s", source).with_exec(["copy"]).directory("/o")


# The same table is held against an engine: tests/e2e/test_cache_keys.py.
@pytest.mark.parametrize(("made", "same"), KEYS)
async def test_a_key_follows_content_where_the_engine_does(recorder: Recorder, made: Made, same: bool) -> None:  # noqa: FBT001 # a table
    first_file, second_file = KEYED
    recorder.answer("Container.directory", dict.fromkeys(KEYED, "1"))
    for text in ("1", "2"):
        source = recorder.host_directory({first_file: "1", second_file: text})
        await base().with_directory("/s", made(source, exec_out)).sync()
    first, second = recorder.plan
    assert first.key != second.key
    assert (first.content_key == second.content_key) is same


async def test_a_volatile_variable_changes_no_key(recorder: Recorder) -> None:
    for run in ("1", "2"):
        await base().with_volatile_variable("RUN", run).with_exec(["x"]).sync()
    first, second = recorder.plan
    assert first.content_key == second.content_key


def test_the_schema_has_no_prose() -> None:
    text = pathlib.Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8")
    assert '"""' not in text
    assert "#" not in text
