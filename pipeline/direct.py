"""Direct mode: a client of the engine runs the module's functions in one process, without loading the module.

The functions, their arguments and their help come from the signatures that register the module; what the Dagger API
adds to a container, a directory or a file comes from the SDK. The command line is read as `dagger call` reads it.
"""

import contextlib
import csv
import dataclasses
import difflib
import enum
import functools
import inspect
import itertools
import json
import operator
import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import anyio
import dagger
import graphql
import rich.console
import rich.live
import rich.text
from dagger import dag
from dagger.client._config import ConnectConfig
from dagger.client._session import ConnectParams, SharedConnection
from dagger.client.base import Scalar, Type
from dagger.mod import default_module
from dagger.mod._arguments import Parameter
from dagger.mod._resolver import Function

from pipeline import handover
from pipeline.__main__ import telling
from pipeline.errors import PipelineError, gathered
from pipeline.main import Erlmcp
from pipeline.progress import Collector, Progress

#: The options of `dagger call` itself: options with a value, and switches.
_VALUES = {"-o": "output", "--output": "output", "--progress": ""}
_SWITCHES = {"-j": "json", "--json": "json", "-y": "auto_apply", "--auto-apply": "auto_apply"} | {
    "-h": "help",
    "--help": "help",
}
#: Options that only the CLI itself can handle.
_CLI_ONLY = {
    *("-m", "--mod", "-M", "--no-mod", "--eager-runtime", "--allow-llm", "--lock", "--x-release", "--workdir"),
    *("-i", "--interactive", "--interactive-command", "-w", "--web", "-E", "--no-exit", "--cloud", "--scale-out"),
    *("--dot-output", "--dot-focus-field", "--dot-show-internal"),
}
#: A record of CSV, as the CLI's reader takes it (encoding/csv of Go).
_CSV = re.compile(r'(?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,(?:"(?:[^"]|"")*"|[^",\r\n]*))*')
_TRUE, _FALSE = {"1", "t", "T", "true", "TRUE", "True"}, {"0", "f", "F", "false", "FALSE", "False"}
#: Objects that the command line names by text, and how the engine resolves them.
_ADDRESSED: Mapping[type, Callable[[dagger.Address], Any]] = {
    dagger.Container: lambda address: address.container().sync(),
    dagger.File: lambda address: address.file().sync(),
    dagger.Secret: dagger.Address.secret,
    dagger.Service: lambda address: address.service().start(),
    dagger.Socket: dagger.Address.socket,
    dagger.GitRepository: dagger.Address.git_repository,
    dagger.GitRef: dagger.Address.git_ref,
}
#: What has which colour on a terminal: verdicts and severities, whose words are always there too.
_COLOURS = {
    r"(?m)^PASSED:": "bold green",
    r"(?m)^(Error: )?(\w+Error: )?[A-Z]+( [A-Z]+)+:": "bold red",
    r"\b(CRITICAL|HIGH)\b": "red",
    r"\bMEDIUM\b": "yellow",
}
_PROGRAM = "ci/run --direct"
_WIDTH = 79


class UsageError(Exception):
    """The command line is wrong."""


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """An argument of a function, as the command line has it."""

    python: str
    parameter: Parameter

    @property
    def flag(self) -> str:
        """Its name."""
        return "--" + cli_name(self.parameter.name)

    @property
    def type(self) -> Any:  # noqa: ANN401 # a type, or what stands for one
        """What it takes, if it is given."""
        return _given(self.parameter.resolved_type)

    @property
    def supported(self) -> bool:
        """Whether text can say it."""
        kind = _element(self.type) or self.type
        known = {str, bool, int, dagger.Directory, dagger.PortForward, *_ADDRESSED}
        return kind in known or (inspect.isclass(kind) and issubclass(kind, (enum.Enum, Scalar)))

    @property
    def required(self) -> bool:
        """Whether a call without it is refused."""
        return not self.parameter.is_optional

    def check(self, text: str) -> None:
        """Raise `UsageError` for a text that cannot be what it takes, as far as that can be told without an engine."""
        kind = _element(self.type)
        if kind and not _CSV.fullmatch(text):
            raise self._invalid(
                text,
                "expected values separated by commas; a value with a comma, a quotation mark or a line break needs "
                'quotation marks around it, and each one in it twice: "say ""hello"""',
            )
        for each in csv_of(kind, text) if kind else [text]:
            self._plain(kind or self.type, each)

    async def value(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 # what the function takes
        """Return the value that the texts stand for, in the order they were given; of a single value the last."""
        kind = _element(self.type)
        if not kind:
            return await self._one(self.type, texts[-1])
        return await gathered(*(self._one(kind, each) for text in texts for each in csv_of(kind, text)))

    async def _one(self, kind: Any, text: str) -> Any:  # noqa: ANN401 # as above
        if kind is dagger.Directory:
            return await self._directory(text)
        if kind in _ADDRESSED:
            found = _ADDRESSED[kind](dag.address(text))
            return await self._told(found) if inspect.iscoroutine(found) else found
        return self._plain(kind, text)

    async def _directory(self, text: str) -> dagger.Directory:
        ignored = self.parameter.ignore or []
        found: dagger.Directory = await self._told(dag.address(text).directory(exclude=ignored).sync())
        # As the engine does it, for the same keys (core/modfunc.go): what comes from elsewhere than a folder was not
        # filtered yet, and of an argument with a default path it never is.
        if not ignored or self.parameter.default_path:
            return found
        return dag.directory().with_directory("/", found, exclude=ignored)

    async def _told(self, step: typing.Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 # as above
        try:
            return await step
        except dagger.QueryError as error:
            raise UsageError(f'failed to get value for argument "{self.flag[2:]}": {error}') from None

    def _plain(self, kind: Any, text: str) -> Any:  # noqa: ANN401 # as above
        if kind is bool:
            return text in _TRUE
        if kind is int:
            try:
                return int(text, 0)
            except ValueError:
                raise self._invalid(text, "expected a whole number") from None
        if kind is dagger.PortForward:
            frontend, _, backend = text.partition(":")
            if not (frontend.isdecimal() and backend.isdecimal()):
                raise self._invalid(text, "expected FRONTEND:BACKEND, two ports")
            return dagger.PortForward(frontend=int(frontend), backend=int(backend))
        if inspect.isclass(kind) and issubclass(kind, enum.Enum):
            for member in kind:
                if member.name.lower() == text.lower():
                    return member
            raise self._invalid(text, f"value should be one of {choices(kind)}")
        return kind(text) if inspect.isclass(kind) and issubclass(kind, Scalar) else text

    def _invalid(self, text: str, reason: str) -> UsageError:
        return UsageError(f'invalid argument "{text}" for "{self.flag}" flag: {reason}')


@dataclasses.dataclass
class ApiFunction(Function[Any, Any]):
    """A function of the Dagger API, by its method in the SDK."""

    @functools.cached_property
    def type_hints(self) -> dict[str, Any]:
        """Its types by name."""
        hints = typing.get_type_hints(self.wrapped)
        return {name: _resolved(kind, self.origin or object) for name, kind in hints.items()}


@dataclasses.dataclass(frozen=True)
class Verb:
    """A function that can be called, by its name on the command line."""

    name: str
    function: Function[Any, Any]

    @functools.cached_property
    def options(self) -> dict[str, Option]:
        """Its arguments by flag."""
        every = [Option(python, parameter) for python, parameter in self.function.parameters.items()]
        return {option.flag: option for option in every if option.supported}

    @property
    def supported(self) -> bool:
        """Whether all that it needs can be said on a command line."""
        return all(Option(*each).supported for each in self.function.parameters.items() if not each[1].is_optional)

    @property
    def returns(self) -> Any:  # noqa: ANN401 # a type, or what stands for one
        """What it gives, if it gives anything."""
        return _given(self.function.return_type)

    @functools.cached_property
    def doc(self) -> str:
        """What it is for, in one line."""
        return (inspect.cleandoc(self.function.doc or "-").split("\n\n")[0]).replace("\n", " ")

    @functools.cached_property
    def next(self) -> dict[str, "Verb"]:
        """What can be called on that, by name."""
        kind = self.returns
        if not inspect.isclass(kind):
            return {}
        if own := getattr(kind, "__dagger_object_type__", None):
            functions: Iterator[Function[Any, Any]] = (f for name, f in own.functions.items() if name)
        elif issubclass(kind, Type):
            # `with_` takes a function of Python, and is the SDK's own.
            methods = inspect.getmembers(kind, inspect.isfunction)
            functions = (ApiFunction(m, origin=kind) for name, m in methods if name[0] != "_" and name != "with_")
        else:
            return {}
        verbs = (Verb(cli_name(function.name), function) for function in functions)
        return {verb.name: verb for verb in verbs if verb.supported}


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A call of a function, as it was written."""

    verb: Verb
    texts: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    async def values(self) -> dict[str, Any]:
        """Return its arguments."""
        given = [(self.verb.options[flag], texts) for flag, texts in self.texts.items()]
        found = await gathered(*(option.value(texts) for option, texts in given))
        values = {option.python: value for (option, _), value in zip(given, found, strict=True)}
        for option in self.verb.options.values():
            if option.python not in values and (path := option.parameter.default_path):
                values[option.python] = await _context(path, option.parameter.ignore or [])
        return values


@dataclasses.dataclass(slots=True)
class Call:
    """What the words of a command line say."""

    steps: list[Step]
    output: str = ""
    json: bool = False
    auto_apply: bool = False
    help: bool = False

    @property
    def path(self) -> str:
        """How it is called, without arguments."""
        return " ".join([_PROGRAM, *(step.verb.name for step in self.steps[1:])])


def root() -> Verb:
    """Return the module itself: its arguments are those of its constructor."""
    return Verb("", default_module().get_object(Erlmcp.__name__).get_constructor())


def parse(words: Sequence[str]) -> Call:
    """Read a command line as `dagger call` does, or raise `UsageError`."""
    call = Call([Step(root())])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        verbs = call.steps[-1].verb.next
        if word.startswith("-"):
            _read_option(call, word, rest)
        elif word in verbs:
            call.steps.append(Step(verbs[word]))
        else:
            raise UsageError(f'unknown command "{word}" for "{call.path}"{_near(word, verbs)}')
    if not call.help:
        _check(call)
    return call


def _read_option(call: Call, word: str, rest: list[str]) -> None:
    """Note an option; its value may be the next of the words that are left."""
    step = call.steps[-1]
    flag, separator, text = word.partition("=")
    option = step.verb.options.get(flag)
    switch = (option and option.type is bool) or flag in _SWITCHES
    if flag in _CLI_ONLY:
        raise UsageError(f"{flag}: only the Dagger CLI has this option; call without --direct")
    if telling([word]):
        return
    if not (option or switch or flag in _VALUES):
        raise UsageError(f"unknown flag: {flag}{_place(call, flag)}")
    if not separator and not switch:
        if not rest:
            raise UsageError(f"flag needs an argument: {flag}")
        text = rest.pop(0)
    if switch and (text or "true") not in _TRUE | _FALSE:
        raise UsageError(f'invalid argument "{text}" for "{flag}" flag: expected true or false')
    text = (text or "true") if switch else text
    if option:
        option.check(text)
        step.texts.setdefault(flag, []).append(text)
    elif switch:
        setattr(call, _SWITCHES[flag], text in _TRUE)
    elif _VALUES[flag]:
        setattr(call, _VALUES[flag], text)


def _place(call: Call, flag: str) -> str:
    """Say where an option could be meant, if anywhere."""
    for step, behind in itertools.pairwise(call.steps):
        if flag in step.verb.options:
            return f'; write it before "{behind.verb.name}"'
    for verb in call.steps[0].verb.next.values():
        if flag in verb.options:
            return f'; it is an option of "{verb.name}"'
    return _near(flag, [known for step in call.steps for known in step.verb.options])


def _near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), 1)
    return f'; did you mean "{found[0]}"?' if found else ""


def _check(call: Call) -> None:
    for step in call.steps:
        missing = [flag[2:] for flag, option in step.verb.options.items() if option.required and flag not in step.texts]
        if missing:
            raise UsageError('required flag(s) "{}" not set'.format('", "'.join(missing)))
    last = call.steps[-1].verb
    if any(step.verb.name == "terminal" for step in call.steps):
        raise UsageError("terminal: only the Dagger CLI can open a terminal; call without --direct")
    _check_defaults(call)
    kind = _element(last.returns) or last.returns
    own = getattr(kind, "__dagger_object_type__", None)
    if own or (_element(last.returns) and inspect.isclass(kind) and issubclass(kind, Type)):
        functions = f": call one of its functions ({', '.join(last.next)})" if last.next else ""
        raise UsageError(f"{last.name or 'the module'} has no result to print{functions}")
    if call.output and inspect.isclass(kind) and issubclass(kind, Type) and not hasattr(kind, "export"):
        raise UsageError(f"--output: the result of {last.name} cannot be written to a file")
    if kind is dagger.Changeset and not (call.output or call.auto_apply):
        raise UsageError(
            f"{last.name}: direct mode does not ask before it changes files; give --auto-apply, or chain "
            "export --path=. or as-patch on it"
        )


def _check_defaults(call: Call) -> None:
    """Raise `UsageError` for a default that a `.env` gives to the module: it would not be heard here.

    The engine reads the nearest one above the folder of the call, whose names begin with that of the module, and one
    beside `dagger.json`.
    """
    cwd, module = Path.cwd(), Path(__file__).resolve().parents[1]
    above = next((folder / ".env" for folder in (cwd, *cwd.parents) if (folder / ".env").is_file()), None)
    for file, prefix in ((above, "erlmcp"), (module / ".env", "")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file and file.is_file() else []
        for name in (line.partition("=")[0].removeprefix("export ").strip() for line in lines if "=" in line):
            plain_name = _letters(name)
            if plain_name.startswith(prefix) and (flag := _named(call, plain_name.removeprefix(prefix))):
                raise UsageError(f"{file}: only the module reads the default {name}: give {flag}, or omit --direct")


def _named(call: Call, name: str) -> str:
    """Return the argument that a default is for, by letters alone, if the call does not give it; or nothing."""
    for at, step in enumerate(call.steps):
        for flag in step.verb.options:
            its = _letters(flag)
            if flag not in step.texts and (name == its if not at else name.endswith(_letters(step.verb.name) + its)):
                return flag
    return ""


def _letters(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


# Running --------------------------------------------------------------------------------------------------------------


async def answer(call: Call) -> str:
    """Run what was called; return what goes to standard output."""
    arguments = await gathered(*(step.values() for step in call.steps))
    value: Any = None
    for step, given in zip(call.steps, arguments, strict=True):
        function = step.verb.function.wrapped
        value = function(**given) if step is call.steps[0] else function(value, **given)
        if inspect.iscoroutine(value):
            value = await value
    if isinstance(value, Type):
        await _made(value, call)
        return ""
    if call.steps[-1].verb.returns is NoneType:
        return ""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n" if call.json else plain(value)


def _save(path: str, text: str) -> None:
    file = Path(path).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    _say(f'Saved output to "{file}".')


async def _made(value: Any, call: Call) -> None:  # noqa: ANN401 # an object of the API
    if call.output and hasattr(value, "export"):
        into_folder = {"allow_parent_dir_path": True} if isinstance(value, dagger.File) else {}
        _say(f'Saved to "{await value.export(call.output, **into_folder)}".')
    elif isinstance(value, dagger.Changeset):
        await value.export(".")
    elif hasattr(value, "sync"):
        await value.sync()
    else:
        await value.id()


def choices(kind: type[enum.Enum]) -> str:
    """Return the names of an enumeration as the engine has them."""
    return ",".join(member.name.upper() for member in kind)


def plain(value: object) -> str:
    """Return a value as the CLI prints it: a line for each of a list, and one value as it is.

    Source: `printPlainResult` in cmd/dagger/functions.go of dagger v0.21.8.
    """
    if isinstance(value, list):
        return "".join(f"{plain(each)}\n" for each in value)
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _repository() -> Path:
    """Return the repository that the pipeline lies in, or where it lies if that is in none."""
    here = Path(__file__).resolve().parents[1]
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


async def _context(path: str, ignored: Sequence[str]) -> dagger.Directory:
    """Return what an argument is by default: a path of the repository."""
    top = _repository()
    return await dag.host().directory(str(top / path.strip("/")), exclude=list(ignored)).sync()


@dataclasses.dataclass(frozen=True)
class Session:
    """A session of the Dagger CLI with the engine."""

    process: subprocess.Popen[str]

    def connection(self) -> SharedConnection:
        """Return the connection of the SDK's client, or raise `UsageError` if there is no session."""
        said = self.process.stdout.readline() if self.process.stdout else ""
        if not said:
            raise UsageError(
                f"the Dagger CLI could not start a session with the engine (exit code {self.process.wait()}); "
                "its own message is above"
            )
        # Nothing is sent a second time: the session is of this machine.
        connection = SharedConnection().with_config(ConnectConfig(retry=None))
        return connection.with_params(ConnectParams(**json.loads(said)))

    def end(self) -> None:
        """Let it tell what it still has to tell."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def _told(listener: socket.socket | None) -> Iterator[None]:
    """Tell what the engine does, unless the CLI does, until the session has ended."""
    if not listener:
        yield
        return
    console = rich.console.Console(stderr=True, highlight=False)
    progress, start = Progress(console), time.monotonic()
    collector = Collector(listener, progress)
    shown = rich.live.Live(progress, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    try:
        with shown if sys.stderr.isatty() and console.is_terminal else contextlib.nullcontext():
            yield
    finally:
        collector.stop()
        console.print(f"{time.monotonic() - start:7.1f} s  total; {progress.summary()}")


async def _run(call: Call, session: Session) -> str:
    connection = session.connection()
    known = _schema_file()
    client: Any = connection.session.client
    client.introspection_args = {"descriptions": False}
    if known.exists():
        # The engine takes half a second to describe itself, to each client anew.
        client.schema = graphql.build_schema(known.read_text(encoding="utf-8"), assume_valid=True, no_location=True)
    async with await connection:
        if not known.exists():
            _keep(known, graphql.print_schema(client.schema))
        return await answer(call)


def _schema_file() -> Path:
    """Return where the engine's schema is kept: beside the SDK, for the CLI that is used, whose version it has."""
    cli = os.environ.get("_EXPERIMENTAL_DAGGER_CLI_BIN") or "dagger"
    try:
        status = Path(cli).stat()
    except OSError:
        return Path(os.devnull) / "unknown"
    return Path(sys.prefix) / f"dagger-{status.st_size}-{status.st_mtime_ns}.graphql"


def _keep(file: Path, text: str) -> None:
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as part:
            part.write(text)
        Path(part.name).replace(file)
    except OSError:
        return  # it is asked again next time


def main(words: Sequence[str], process: subprocess.Popen[str] | None, listener: socket.socket | None) -> int:
    """Run a command line in a session that was started; return the exit code."""
    session = Session(process) if process else None
    try:
        call = parse(words)
    except UsageError as error:
        if process:
            process.kill()
        _say(f"Error: {error}\nRun '{_PROGRAM} --help' for usage.")
        return 1
    if call.help or not session:
        if process:
            process.kill()
        sys.stdout.write(render_help(call))
        return 0
    # Files have the same permissions as in the module's container, since these are part of the engine's keys.
    os.umask(0o022)
    # The session stays where it is: paths of the command line are those of the folder of the call.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _told(listener):
        handover.work_outside(Path(folder))
        outcome = _outcome(call, session)
    if outcome.text and call.output:
        try:
            _save(call.output, outcome.text)
        except OSError as error:
            reason = f"--output {call.output}: {error.strerror}; give the path of a file that can be written"
            outcome = dataclasses.replace(outcome, error=reason, code=outcome.code or 1)
    show(outcome.text, sys.stdout)
    if outcome.text and not outcome.text.endswith("\n") and sys.stdout.isatty():
        sys.stdout.write("\n")
    if outcome.error:
        show(f"Error: {outcome.error}\n", sys.stderr)
    return outcome.code


def show(text: str, stream: typing.TextIO) -> None:
    """Write what a function said: in colour on a terminal that has it, and as it is elsewhere."""
    console = rich.console.Console(file=stream, highlight=False, soft_wrap=True)
    # FORCE_COLOR, which many a CI sets, makes a terminal of everything: a file would have its codes.
    if stream.isatty() and console.is_terminal:
        console.print(coloured(text), end="")
    else:
        stream.write(text)


def coloured(text: str) -> rich.text.Text:
    """Return a text whose verdicts and severities have colours."""
    shown = rich.text.Text(text)
    for pattern, style in _COLOURS.items():
        shown.highlight_regex(pattern, style)
    return shown


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: what goes to standard output, or an error and its exit code."""

    text: str = ""
    error: str = ""
    code: int = 0


def _outcome(call: Call, session: Session) -> Outcome:
    """Run what was called, and end the session; exit codes are those of `dagger call`."""
    try:
        return Outcome(anyio.run(_run, call, session))
    except PipelineError as error:
        return Outcome(error=f"{type(error).__name__}: {error}", code=1)
    except dagger.ExecError as error:
        return Outcome(error=_output_of(error), code=error.exit_code)
    except dagger.TransportError as error:
        # The CLI would wait for traces, for as long as an engine that is stopping keeps the connection open.
        session.process.kill()
        reason = str(error).splitlines()[0]
        return Outcome(error=f"the engine no longer answers ({reason}); see its log, and call again", code=1)
    except (UsageError, dagger.DaggerError) as error:
        return Outcome(error=str(error), code=1)
    except KeyboardInterrupt:
        return Outcome(error="canceled", code=130)
    finally:
        session.end()


def _output_of(error: dagger.ExecError) -> str:
    parts = [f"{name}:\n{text}" for name, text in (("Stdout", error.stdout), ("Stderr", error.stderr)) if text]
    return "\n".join([str(error), *parts])


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


# Help -----------------------------------------------------------------------------------------------------------------


def render_help(call: Call) -> str:
    """Return the help of what was called: what it is for, what can be called on it, and its arguments."""
    verb = call.steps[-1].verb
    own = verb.function.doc if verb.name else inspect.getdoc(sys.modules["pipeline"])
    arguments, functions = " [arguments]" if verb.options else "", " <function>" if verb.next else ""
    parts = [own or "", f"USAGE\n  {call.path}{arguments}{functions}"]
    if verb.next:
        parts.append("FUNCTIONS\n" + _columns([(name, each.doc) for name, each in sorted(verb.next.items())]))
    if verb.options:
        every = sorted(verb.options.items(), key=lambda item: (not item[1].required, item[0]))
        parts.append("ARGUMENTS\n" + _columns([(f"    {flag} {_kind(o)}".rstrip(), _about(o)) for flag, o in every]))
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _columns(rows: Sequence[tuple[str, str]]) -> str:
    indent = max(len(name) for name, _ in rows) + 5
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(_WIDTH - indent, 24), break_on_hyphens=False, break_long_words=False) or [""]
        lines += [f"  {name}".ljust(indent) + wrapped[0], *(" " * indent + line for line in wrapped[1:])]
    return "\n".join(line.rstrip() for line in lines)


def _about(option: Option) -> str:
    said = " ".join((option.parameter.doc or "").split())
    default = json.loads(option.parameter.default_value) if option.parameter.default_value else None
    if default:
        # As the CLI writes it: text in quotes, but not the name of a choice.
        text = plain(default)
        if inspect.isclass(option.type) and issubclass(option.type, enum.Enum):
            text = text.upper()
        said += f' (default "{default}")' if option.type is str else f" (default {text})"
    elif _element(option.type) not in {None, str}:
        said += " (default [])"
    return f"{said} [required]".strip() if option.required else said


def _kind(option: Option) -> str:
    kind = _element(option.type)
    if kind is str:
        return "strings"
    names = {str: "string", bool: "", int: "int"}
    one = kind or option.type
    if inspect.isclass(one) and issubclass(one, enum.Enum):
        return choices(one)
    return f"{'[]' if kind else ''}{names.get(one, one.__name__)}"


# Types ----------------------------------------------------------------------------------------------------------------


def cli_name(name: str) -> str:
    """Return a name of Python's as the command line has it."""
    return name.replace("_", "-")


def _given(kind: Any) -> Any:  # noqa: ANN401 # a type, or what stands for one
    """Return a type without None, if it is one of something or None."""
    kinds = [each for each in typing.get_args(kind) if each is not NoneType]
    return kinds[0] if len(kinds) == 1 and NoneType in typing.get_args(kind) else kind


def _element(kind: Any) -> Any:  # noqa: ANN401 # as above
    """Return of what a list is, or nothing if it is none."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is list else None


def _resolved(kind: Any, owner: type) -> Any:  # noqa: ANN401 # as above
    """Return a type of the API itself: not Self, nor what stands for it where types are checked at run time."""
    if kind is typing.Self:
        return owner
    if within := [_resolved(each, owner) for each in typing.get_args(kind)]:
        outer = typing.get_origin(kind)
        return outer[*within] if outer is list else functools.reduce(operator.or_, within)
    checked = inspect.isclass(kind) and kind.__module__.startswith("dagger.client")
    return getattr(dagger, kind.__name__, kind) if checked else kind


def csv_of(kind: Any, text: str) -> list[str]:  # noqa: ANN401 # a type, or what stands for one
    """Return the parts of a list, as CSV parts them; spaces around one count in text alone."""
    parts = next(csv.reader([text]), [])
    return parts if kind is str else [each.strip() for each in parts]
