"""Show what the engine does while it does it: each command that runs, its time, and how many the cache answered.

The Dagger CLI forwards the engine's OpenTelemetry traces; this module receives them.
"""

import base64
import contextlib
import dataclasses
import functools
import gzip
import http.server
import re
import socket
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import rich.console
import rich.live
import rich.text
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pipeline.table import count

#: API calls that are shown, and what is written before their arguments.
_TOLD = {"Container.withExec": "", "Container.from": "pull "}
#: The engine evaluates a call later than it is made; the span of the evaluation links to that of the call.
_LATER = "resume "
#: Other spans that take long enough to be shown.
_NAMED = {"starting engine": "start the engine", "filesync": "upload"}
#: How a script says what it is shown as, if its first argument is that in parentheses or whatever it is: `$1` and so on
#: stand for its arguments.
_SHOWN = re.compile(r"^(?:#|%%) Shown as(?: \((.+)\))?: (.+)$", re.MULTILINE)
_ARGUMENT = re.compile(r"\$(\d)")
_LEAST = 0.5
_WIDTH = 90
_NANO = 1e9


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Something that runs."""

    name: str
    start: float


class Progress:
    """What runs and what has run, shown on a console."""

    def __init__(self, console: rich.console.Console) -> None:
        """Start with nothing shown."""
        self._console = console
        self._names: dict[bytes, tuple[str, str]] = {}
        self._running: dict[bytes, Step] = {}
        self._ran: set[bytes] = set()
        self._digests: dict[str, bool] = {}
        self._lock = threading.Lock()

    def take(self, request: bytes) -> None:
        """Take a request with traces."""
        with self._lock:
            for resource in ExportTraceServiceRequest.FromString(request).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._span(span)

    def _span(self, span: Span) -> None:
        said = {each.key: each.value for each in span.attributes}
        if span.name in _TOLD:
            words = list(_strings(base64.b64decode(said["dagger.io/dag.call"].string_value)))
            digest = said["dagger.io/dag.digest"].string_value
            self._names[span.span_id] = (_TOLD[span.name] + short(words), digest)
            if "dagger.io/dag.cached" in said:
                self._digests.setdefault(digest, False)
            elif span.end_time_unix_nano and "dagger.io/dag.pending" not in said:
                self._step(span, *self._names[span.span_id])
        elif span.name in _NAMED:
            self._step(span, _NAMED[span.name])
        elif span.name.startswith(_LATER):
            for link in span.links:
                if link.span_id in self._names:
                    self._step(span, *self._names[link.span_id])

    def _step(self, span: Span, name: str, digest: str = "") -> None:
        start = span.start_time_unix_nano / _NANO
        if not span.end_time_unix_nano:
            self._running[span.span_id] = Step(name, start)
            return
        self._running.pop(span.span_id, None)
        if span.span_id in self._ran:
            return
        self._ran.add(span.span_id)
        if digest:
            self._digests[digest] = True
        seconds = span.end_time_unix_nano / _NANO - start
        failed = span.status.code == Status.STATUS_CODE_ERROR
        if digest or failed or seconds >= _LEAST:
            self._console.print(_line(name, seconds, failed=failed), soft_wrap=True)

    def summary(self) -> str:
        """Return how many steps ran and how many the cache answered."""
        with self._lock:
            ran = sum(self._digests.values())
            return f"{count(len(self._digests), 'step')}: {ran} ran, {len(self._digests) - ran} from the cache"

    def __rich_console__(
        self, console: rich.console.Console, options: rich.console.ConsoleOptions
    ) -> rich.console.RenderResult:
        """Show what runs at the moment."""
        del console, options
        now = time.time()
        with self._lock:
            steps = sorted(self._running.values(), key=lambda step: step.start)
        for step in steps:
            if now - step.start >= _LEAST:
                yield _line(step.name, now - step.start, style="bold")


def _line(name: str, seconds: float, *, failed: bool = False, style: str = "") -> rich.text.Text:
    return rich.text.Text(f"{seconds:7.1f} s  {name}{'  failed' if failed else ''}", style="red" if failed else style)


def short(words: list[str]) -> str:
    """Return a command as one short line; for a script of ours what its head says that it does."""
    if words[:1] in (["sh"], ["escript"]) and words[1:] and not words[1].startswith("-"):
        name = PurePosixPath(words[1])
        if said := _said(name.name, words[2:3]):
            return textwrap.shorten(
                _ARGUMENT.sub(functools.partial(_argument, words[2:]), said), _WIDTH, placeholder=" …"
            )
        words = [name.stem, *words[2:]]
    # Commands of ours without a file of their own say it as the shell's $0.
    elif words[:1] == ["sh"] and (named := _named(*words[1:])):
        return named
    text = " ".join(PurePosixPath(word).name if at == 0 else word for at, word in enumerate(words) if word)
    return textwrap.shorten(text, _WIDTH, placeholder=" …") or "…"


def _named(option: str = "", _command: str = "", name: str = "sh", *_: str) -> str:
    """Return the $0 of `sh -c COMMAND NAME`, if it is a name; a shell's own says nothing."""
    return name if option.endswith("c") and name != "sh" else ""


def _argument(arguments: list[str], found: re.Match[str]) -> str:
    return dict(enumerate(arguments, 1)).get(int(found[1]), "")


def _said(script: str, first: list[str]) -> str:
    """Return how a script of ours is shown, as it stands there: by its first argument, or for all; or nothing."""
    texts = _shown(script)
    return texts.get(" ".join(first)) or texts.get("", "")


@functools.cache
def _shown(script: str) -> dict[str, str]:
    for room in Path(__file__).parent.iterdir():
        if (path := room / "resources" / script).is_file():
            return dict(_SHOWN.findall(path.read_text(encoding="utf-8")))
    return {}


def _strings(call: bytes) -> Iterator[str]:
    """Yield the texts among the arguments of a call as the engine traces it.

    Source: dagql/call/callpbv1/call.proto of dagger v0.21.8: `Call.args`, `Argument.value`, a `Literal` of which is a
    string or a list.
    """
    for argument in _fields(call, 4):
        for value in _fields(argument, 2):
            listed = (each for texts in _fields(value, 8) for each in _fields(texts, 1))
            for literal in (value, *listed):
                yield from (text.decode(errors="replace") for text in _fields(literal, 7))


def _fields(message: bytes, number: int) -> Iterator[bytes]:
    """Yield what a message of Protocol Buffers has as a field that is text, bytes or a message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(message, at)
                if tag >> 3 == number:
                    yield message[at : at + length]
                at += length
            case 5:
                at += 4
            case _:
                return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        value |= (message[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not message[at - 1] & 0x80:
            break
    return value, at


class Collector:
    """Takes what the CLI passes on, at the address that it was told, until it is stopped."""

    def __init__(self, listener: socket.socket, progress: Progress) -> None:
        """Answer whoever connects from now on; who came before has waited."""

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                # What is told is no part of the work.
                with contextlib.suppress(DecodeError, KeyError, ValueError):
                    progress.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
