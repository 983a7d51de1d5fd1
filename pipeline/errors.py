"""The errors that a user reads: one short message each, no traceback."""

import re
import tomllib
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import anyio
import dagger
from dagger.mod._exceptions import FunctionError

from pipeline.output import shortened
from pipeline.steps import named

_T = TypeVar("_T")


class PipelineError(FunctionError):
    """An error that the user can act on; for a `FunctionError` the SDK shows only the message."""


class InputError(PipelineError):
    """A wrong argument or file of the user: the message names it and says what to give instead."""


class BuildError(PipelineError):
    """The user's code does not build or does not start: the message is that of the tool."""


class PolicyError(PipelineError):
    """The checks ran and the policy failed: fix the listed findings, or accept them (docs/policy.md)."""


class ScannerError(PipelineError):
    """A scanner failed, or its database is too old: there is no verdict until that is fixed."""


class RegistryError(PipelineError):
    """A registry or a Sigstore service failed: the message says what was done; call again."""


class VerificationError(PipelineError):
    """An image could not be verified: do not run it, and ask its publisher."""


for _class in (PipelineError, InputError, BuildError, PolicyError, ScannerError, RegistryError, VerificationError):
    # The engine prefixes the message with module and class: "InputError: …" reads better than our module path.
    _class.__module__ = "builtins"


#: How tools mark the line that says what is wrong; a stack may follow.
_TELLING = re.compile(r"^Error: |FATAL|^panic:|^fatal error|\bERROR\b|\[?error\]?:")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)\s+")
_LAST = 4
#: A full disk, in the words of the system, and as a registry (distribution) passes the error number on; and how to tell
#: whose disk: a registry's client says what it requested.
_FULL = re.compile(r"no space left on device|\bErr:28\b", re.IGNORECASE)
_ANSWERED = re.compile(r"\b(GET|HEAD|PUT|POST|PATCH) https?://")
_FULL_HERE = "the disk of the Dagger engine is full: free space there (docs/engines.md has the sizes that it needs)"
_FULL_THERE = "the disk of the registry is full, not that of the Dagger engine: free space there"


def excerpt(error: dagger.QueryError, lines: int = 25) -> str:
    """Return the output of a failed command without colours, progress and warnings; of many errors the first ones.

    If no command failed, but for example the pull of its image, this is the message of the engine.

    Parameters
    ----------
    error
        The failure, as the engine reports it.
    lines
        How many lines to keep; the number of the others is given.
    """
    if not isinstance(error, dagger.ExecError):
        said, whole = "\n".join(str(error).splitlines()[:lines]), str(error)
    else:
        said = shortened(error.stdout, error.stderr, lines) or f"exit code {error.exit_code}, no output"
        whole = error.stdout + error.stderr
    if not _FULL.search(whole):
        return said
    return f"{said}\n{_FULL_THERE if _ANSWERED.search(whole) else _FULL_HERE}"


def last_words(error: dagger.QueryError) -> str:
    """Return the last message of a failed tool as one line, without the stack below it."""
    lines = excerpt(error, lines=400).splitlines()
    owner = [line for line in lines[-1:] if line in {_FULL_HERE, _FULL_THERE}]
    lines = lines[: len(lines) - len(owner)]
    telling = [line for line in lines if _TELLING.search(line)]
    words = [line.removeprefix("Error: ") for line in (telling or lines)[-_LAST:]]
    return _TIME.sub("", " ".join(" ".join([*words, *owner]).split()))


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Return the contents of a TOML file of the user, or raise `InputError` with its name."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: this file is not valid TOML: {error}") from None


#: What to do about certain error messages of tools that do not say it themselves.
_REMEDIES = {
    "'nowarn_deprecated_catch'": (
        "Erlang/OTP 29 warns about each catch, and this code treats warnings as errors. If it is a dependency, add "
        "{overrides, [{add, NAME, [{erl_opts, [nowarn_deprecated_catch]}]}]} to rebar.config, or build with an older "
        "Erlang/OTP: --otp=28 --flavor=debian"
    ),
}


async def guard(step: Awaitable[_T], what: str) -> _T:
    """Await a step; if it fails, say which step it was and what the command or the engine said.

    Raises
    ------
    BuildError
        With that message.
    """
    try:
        with named(what):
            return await step
    except dagger.QueryError as error:
        said = excerpt(error)
        remedies = [remedy for words, remedy in _REMEDIES.items() if words in said]
        raise BuildError("\n".join([f"{what} failed:", said, *remedies])) from None


async def gathered(*steps: Coroutine[Any, Any, _T]) -> list[_T]:
    """Await steps at the same time; return their results in order, or raise the error of the first that failed.

    A task group alone raises an `ExceptionGroup`, which a user reads as "unhandled errors in a TaskGroup".
    The steps that still run when one fails are cancelled.
    """
    results: dict[int, _T] = {}
    failures: list[Exception] = []

    async def one(index: int, step: Coroutine[Any, Any, _T]) -> None:
        try:
            results[index] = await step
        except Exception as error:  # noqa: BLE001 # raised below
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index, step in enumerate(steps):
            group.start_soon(one, index, step)
    if failures:
        for step in steps:
            step.close()  # one that was cancelled before it began
        # An error that the user can act on says more than a query that was cancelled at the same moment.
        raise next((error for error in failures if isinstance(error, PipelineError)), failures[0])
    return [results[index] for index in range(len(steps))]
