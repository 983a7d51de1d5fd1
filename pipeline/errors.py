"""What can go wrong, as the user reads it: one short message, no traceback."""

import re
import tomllib
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import anyio
import dagger
from dagger.mod._exceptions import FunctionError

from pipeline.output import shortened

_T = TypeVar("_T")


class PipelineError(FunctionError):
    """Something the user can act on; the SDK shows the message alone for a `FunctionError`."""


class InputError(PipelineError):
    """An argument or a file of the user is wrong: the message names it and says what to give instead."""


class BuildError(PipelineError):
    """The user's code does not build or does not boot: the message is the tool's own; mend what it names."""


class PolicyError(PipelineError):
    """The work was done and the result is not good enough: mend what is listed, or accept it (docs/policy.md)."""


class ScannerError(PipelineError):
    """A scanner did not do its work, or its database is too old: nothing is known, good or bad; mend that first."""


class RegistryError(PipelineError):
    """A registry, or a service of Sigstore, did not do what was asked: see what was done, and call it again."""


class VerificationError(PipelineError):
    """An image is not proved to be what it should be: do not run it; ask who published it."""


for _class in (PipelineError, InputError, BuildError, PolicyError, ScannerError, RegistryError, VerificationError):
    # The engine prefixes the message with module and class: "InputError: …" reads better than our module path.
    _class.__module__ = "builtins"


#: How a tool marks the line that says what is wrong; below it may stand a stack.
_TELLING = re.compile(r"^Error: |FATAL|^panic:|^fatal error|\bERROR\b|\[?error\]?:")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)\s+")
_LAST = 4
#: Of a full disk, in the words of the system, and as a registry (distribution) hands on its number; and whose it is: a
#: registry's client says what it asked.
_FULL = re.compile(r"no space left on device|\bErr:28\b", re.IGNORECASE)
_ANSWERED = re.compile(r"\b(GET|HEAD|PUT|POST|PATCH) https?://")
_FULL_HERE = "the engine's disk is full: make room there, or see the sizes in docs/engines.md"
_FULL_THERE = "the registry's disk is full, not the engine's"


def excerpt(error: dagger.QueryError, lines: int = 25) -> str:
    """Return what a failed command said, without colours, progress and warnings; of a compiler's errors the first.

    What failed may be no command, but the pull of its image: then it is what the engine says.

    Parameters
    ----------
    error
        The failure, as the engine reports it.
    lines
        How many lines to keep; what is left out is counted.
    """
    if not isinstance(error, dagger.ExecError):
        said, whole = "\n".join(str(error).splitlines()[:lines]), str(error)
    else:
        said = shortened(error.stdout, error.stderr, lines) or f"exit code {error.exit_code}, without a word"
        whole = error.stdout + error.stderr
    if not _FULL.search(whole):
        return said
    return f"{said}\n{_FULL_THERE if _ANSWERED.search(whole) else _FULL_HERE}"


def last_words(error: dagger.QueryError) -> str:
    """Return what a failed tool said in the end, as one line: what is wrong, not the stack below it."""
    lines = excerpt(error, lines=400).splitlines()
    owner = [line for line in lines[-1:] if line in {_FULL_HERE, _FULL_THERE}]
    lines = lines[: len(lines) - len(owner)]
    telling = [line for line in lines if _TELLING.search(line)]
    words = [line.removeprefix("Error: ") for line in (telling or lines)[-_LAST:]]
    return _TIME.sub("", " ".join(" ".join([*words, *owner]).split()))


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Return what a TOML file of the user holds, or raise `InputError` with its name."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not TOML: {error}") from None


#: What to do about a tool's words that say only what it does not like.
_REMEDIES = {
    "'nowarn_deprecated_catch'": (
        "Erlang/OTP 29 warns of each catch, and this code takes warnings for errors. If it is a dependency's, add to "
        "rebar.config {overrides, [{add, NAME, [{erl_opts, [nowarn_deprecated_catch]}]}]}, or build with an older one: "
        "--otp=28 --flavor=debian"
    ),
}


async def guard(step: Awaitable[_T], what: str) -> _T:
    """Await a step; if it fails, say what was being done, and what the command, or else the engine, said.

    Raises
    ------
    BuildError
        With those words.
    """
    try:
        return await step
    except dagger.QueryError as error:
        said = excerpt(error)
        remedies = [remedy for words, remedy in _REMEDIES.items() if words in said]
        raise BuildError("\n".join([f"{what} failed:", said, *remedies])) from None


async def gathered(*steps: Coroutine[Any, Any, _T]) -> list[_T]:
    """Await steps at the same time; return their results in order, or raise what the first one raised, alone.

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
        # What the user can act on says more than a query that broke off at the same moment.
        raise next((error for error in failures if isinstance(error, PipelineError)), failures[0])
    return [results[index] for index in range(len(steps))]
