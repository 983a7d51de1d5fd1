import anyio
import anyio.lowlevel
import dagger
import gql
import pytest
from dagger._exceptions import QueryErrorValue

from pipeline.errors import BuildError, InputError, excerpt, gathered, guard, last_words

REQUEST = gql.GraphQLRequest("{ version }")
PULL = 'failed to resolve image "docker.io/library/erlang:0@sha256:00": not found'


def failed_exec(stdout: str, stderr: str, exit_code: int = 1) -> dagger.QueryError:
    extensions = {"_type": "EXEC_ERROR", "cmd": [], "exitCode": exit_code, "stdout": stdout, "stderr": stderr}
    return dagger.QueryError([QueryErrorValue(f"exit code: {exit_code}", extensions=extensions)], REQUEST)


def failed_pull() -> dagger.QueryError:
    return dagger.QueryError([QueryErrorValue(PULL)], REQUEST)


def test_a_compilers_message_is_kept_and_noise_is_not() -> None:
    out = """\x1b[0;32m===> Verifying dependencies...\x1b[0m
===> Analyzing applications...
===> Compiling greeter_core
src/other.erl:3:1: Warning: function f/0 is unused
===> Compiling apps/greeter_core/src/greeter.erl failed
src/greeter.erl:7:3: syntax error before: 'end'
"""
    assert excerpt(failed_exec(out, out)) == (
        "===> Compiling apps/greeter_core/src/greeter.erl failed\nsrc/greeter.erl:7:3: syntax error before: 'end'"
    )


def test_a_silent_failure_has_its_exit_code() -> None:
    assert excerpt(failed_exec("", "\n", 137)) == "exit code 137, no output"


def test_a_command_that_only_warned_is_shown() -> None:
    assert excerpt(failed_exec("a.erl:1: Warning: odd\n", "")) == "a.erl:1: Warning: odd"


def test_the_users_message_has_no_path_of_ours() -> None:
    assert f"{BuildError.__module__}.{BuildError.__qualname__}" == "builtins.BuildError"


@pytest.mark.parametrize(
    ("said", "whose"),
    [
        ("write /build/x: no space left on device", "the disk of the Dagger engine is full"),
        (
            "cc: fatal error: error writing to /tmp/x.s: No space left on device",
            "the disk of the Dagger engine is full",
        ),
        ("Error: PUT https://h/v2/x: UNKNOWN: unknown error; map[Op:mkdir Err:28]", "the disk of the registry is full"),
        (
            "Error: PATCH https://h/v2/x: unexpected status code 500: no space left on device",
            "the disk of the registry is",
        ),
        ("Error: PUT https://h/v2/x: DENIED: quota exceeded", ""),
    ],
)
def test_a_full_disk_has_an_owner(said: str, whose: str) -> None:
    for told in (excerpt(failed_exec("", said)), last_words(failed_exec("", said))):
        assert (whose in told) if whose else "disk" not in told
        assert "x" in told


def test_of_a_failed_pull_the_engine_speaks() -> None:
    assert excerpt(failed_pull()) == last_words(failed_pull()) == PULL


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("Error: no such key\nmain.go:74: error during command execution: no such key\n", "no such key"),
        (
            "2026-11-24T10:00:00Z\tFATAL\tFatal error\tDB error: corrupt\n  stack\n",
            "FATAL Fatal error DB error: corrupt",
        ),
        ("[0000] ERROR failed to load: bad\n", "[0000] ERROR failed to load: bad"),
        ("panic: out of range\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: out of range"),
        ("one\ntwo\nthree\nfour\nfive\n", "two three four five"),
    ],
)
def test_the_line_that_says_what_is_wrong_is_a_tools_last_word(stderr: str, words: str) -> None:
    assert last_words(failed_exec("", stderr)) == words


@pytest.mark.parametrize("error", [failed_exec("", "boom"), failed_pull()])
def test_a_guarded_step_says_what_was_being_done(error: dagger.QueryError) -> None:
    async def step() -> None:
        raise error

    async def guarded() -> None:
        await guard(step(), "compiling greeter")

    with pytest.raises(BuildError, match=r"^compiling greeter failed:\n(boom|failed to resolve image)"):
        anyio.run(guarded)


def test_what_erlang_29_alone_does_not_compile_has_its_remedy() -> None:
    # The words of erlc 29.1.1.
    said = """===> Compiling _checkouts/chatterbox/src/h2_stream_set.erl failed
src/h2_stream_set.erl:788:5: 'catch ...' is deprecated; please use 'try ... catch ... end' instead.
Compile directive 'nowarn_deprecated_catch' can be used to suppress
warnings in selected modules.
"""

    async def step() -> None:
        raise failed_exec(said, "")

    async def guarded() -> None:
        await guard(step(), "compiling")

    with pytest.raises(BuildError) as raised:
        anyio.run(guarded)
    first, *_, last = str(raised.value).splitlines()
    assert first == "compiling failed:"
    assert "{overrides, [{add, NAME, [{erl_opts, [nowarn_deprecated_catch]}]}]}" in last
    assert "--otp=28 --flavor=debian" in last


@pytest.mark.parametrize("error", [failed_pull(), InputError("rebar.lock: wrong"), KeyError("Results")])
def test_what_fails_at_the_same_time_as_others_is_raised_alone(error: Exception) -> None:
    ended: list[str] = []

    async def fails() -> None:
        await anyio.lowlevel.checkpoint()
        raise error

    async def waits() -> None:
        try:
            await anyio.sleep(60)
        finally:
            ended.append("cancelled")

    async def together() -> None:
        await gathered(waits(), gathered(fails(), waits()))

    with pytest.raises(type(error)) as raised:
        anyio.run(together)
    assert raised.value is error
    assert ended == ["cancelled", "cancelled"]


def test_of_what_fails_at_one_moment_the_users_own_fault_counts() -> None:
    async def fails(error: Exception) -> None:
        raise error

    async def together() -> None:
        await gathered(fails(failed_pull()), fails(InputError("rebar.lock: wrong")))

    with pytest.raises(InputError, match=r"^rebar\.lock: wrong$"):
        anyio.run(together)


def test_results_come_in_order() -> None:
    async def value(number: int) -> int:
        await anyio.sleep(0.01 * (3 - number))
        return number

    async def together() -> list[int]:
        return await gathered(*map(value, range(3)))

    assert anyio.run(together) == [0, 1, 2]
