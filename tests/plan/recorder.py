"""A stand-in for the engine's API that runs nothing: it checks each query, answers it, and keeps the plan.

The real SDK talks to it over HTTP, as it talks to an engine:

    async with Recorder() as recorder:
        recorder.answer("Container.stdout", "hello", when=lambda chain: bool(chain.find("withExec")))
        await dag.container().from_("alpine@sha256:…").with_exec(["echo", "hello"]).stdout()
    assert recorder.plan[0].images() == ["alpine@sha256:…"]

What a query asks for is a `Chain`: the calls that make an object, with the chains of the objects among their
arguments. `Chain.key` is the recipe; `Chain.content_key` follows the engine's cache (see `_keyed_by_content`).
"""

import asyncio
import base64
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import posixpath
import re
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, Self
from unittest import mock

import dagger
import graphql
from dagger import dag

_TOKEN = "recorder"  # noqa: S105 # no secret: both ends are here
_BASIC = "Basic " + base64.b64encode(f"{_TOKEN}:".encode()).decode()
_MISSING = object()

#: Files by path, each its text and permissions; a directory is None.
Tree = dict[str, tuple[str, int] | None]

#: What an engine says of itself.
_ENGINE = {"defaultPlatform": "linux/amd64", "version": "v0.21.8"}
#: Calls of a chain that a message shows.
_SHOWN = 4
#: Calls that take files from the disk of the module, or of a client that is none.
_UPLOADS = {
    *(("CurrentModule", "workdir"), ("CurrentModule", "workdirFile")),
    *(("Host", "directory"), ("Host", "file")),
}
#: Calls of the engine that change no key.
_KEYLESS = {"withVolatileVariable"}
#: Calls that the engine keys by the whole recipe of what they are called on, whatever its content.
_BY_RECIPE = {"withoutFile", "withoutFiles"}


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A call of a field of the API: GraphQL's names; objects among the arguments are chains."""

    type: str
    field: str
    args: Mapping[str, Any]

    def objects(self) -> list["Chain"]:
        """Return the objects among the arguments."""
        values = [item for value in self.args.values() for item in (value if isinstance(value, list) else [value])]
        return [value for value in values if isinstance(value, Chain)]

    def __str__(self) -> str:
        """Return it as `field(name='value', …)`."""
        return f"{self.field}({', '.join(f'{name}={value!r}' for name, value in self.args.items())})"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """An object, or a leaf, by the calls that make it; equal to another of the same recipe."""

    parent: "Chain | None"
    call: Call
    #: Of what the last call returns.
    type: str
    #: Digest of the whole recipe, arguments included.
    key: str
    #: Digest of what the engine's cache looks at: where that is content, another recipe for it has the same.
    content_key: str
    #: The files of a Directory, or the one of a File, where known.
    tree: Tree | None = None
    #: Where the files come from: `host` (uploaded), `api` (made by API calls), `exec` (answered by a test).
    origin: str = "api"

    def __eq__(self, other: object) -> bool:
        """Compare recipes."""
        return isinstance(other, Chain) and self.key == other.key

    def __hash__(self) -> int:
        """Hash the recipe."""
        return hash(self.key)

    def __repr__(self) -> str:
        """Return the last call only: an argument may be long."""
        return f"<{self.type} {self.call.field} {self.key[:8]}>"

    def __str__(self) -> str:
        """Return the calls, a line each."""
        return "\n  .".join(str(step.call) for step in self.steps())

    def steps(self) -> list["Chain"]:
        """Return the chain up to its first call, up to its second, …, and itself."""
        steps = [self]
        while parent := steps[-1].parent:
            steps.append(parent)
        return steps[::-1]

    def walk(self, seen: set[str] | None = None) -> Iterator["Chain"]:
        """Yield every step of it and of its arguments, what is needed first, each recipe once."""
        seen = set() if seen is None else seen
        for step in self.steps():
            if step.key not in seen:
                seen.add(step.key)
                for needed in step.call.objects():
                    yield from needed.walk(seen)
                yield step

    def calls(self, field: str) -> list[Call]:
        """Return the calls of a field in the chain itself, in order."""
        return [step.call for step in self.steps() if step.call.field == field]

    def find(self, field: str, **args: object) -> list["Chain"]:
        """Return every step that calls a field with at least these arguments, here and in all that it needs."""
        return _find(self.walk(), field, args)

    def images(self) -> list[str]:
        """Return the addresses of the images that it starts from, here and in all that it needs."""
        return [step.call.args["address"] for step in self.find("from")]


@dataclasses.dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    value: Any
    when: Callable[[Chain], bool]
    latency: float


class Recorder:
    """The server, the rules by which it answers, and what it was asked; use it as an async context manager."""

    def __init__(self) -> None:
        """Start with no rules and an empty plan."""
        self._rules: list[_Rule] = []
        self._objects: dict[str, Chain] = {}
        self._items: dict[str, Mapping[str, Any]] = {}
        self._leaves: list[tuple[Chain, float, float]] = []
        self._stack = contextlib.AsyncExitStack()
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        #: Queries that are not valid or that nobody answers, with the reason; any fails the test at the end.
        self.invalid: list[str] = []

    async def __aenter__(self) -> Self:
        """Start the server and connect the SDK to it."""
        server = await self._stack.enter_async_context(await asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._stack.push_async_callback(self._hang_up)  # before the server's end, which waits for connections
        port = server.sockets[0].getsockname()[1]
        environment = {"DAGGER_SESSION_PORT": str(port), "DAGGER_SESSION_TOKEN": _TOKEN}
        self._stack.enter_context(mock.patch.dict(os.environ, environment))
        await self._stack.enter_async_context(dagger.connection(dagger.Config(retry=None)))
        self._leaves.clear()  # the SDK asked for the version
        return self

    async def __aexit__(self, *error: object) -> None:
        """Disconnect, stop, and fail if a query was not valid."""
        await self._stack.aclose()
        if error == (None, None, None):
            assert not self.invalid, "\n".join(self.invalid)

    # What a test says

    def answer(
        self,
        name: str,
        value: object = _MISSING,
        *,
        when: Callable[[Chain], bool] = lambda _: True,
        latency: float = 0.0,
    ) -> None:
        """Say how a field is answered; of the rules that fit, the last given counts.

        Parameters
        ----------
        name
            `Type.field`, as GraphQL spells them.
        value
            For a leaf its value; for a Directory or a File the files in it, `{path: text}`; for a list of objects
            a list of `{field: value}`. A function is called with the chain. An exception on a leaf is its error; on a
            call that returns an object it is the error of every leaf that needs that call, as a failing exec's is.
        when
            Whether the rule fits a chain that ends in this call.
        latency
            Seconds that a leaf takes.
        """
        if isinstance(value, graphql.GraphQLError):
            # The engine has one kind of error for a command that ran and failed, another for all else.
            assert (name == "Container.withExec") == (
                value.extensions is not None and "exitCode" in value.extensions
            ), name
        self._rules.append(_Rule(name, value, when, latency))

    def host_directory(self, files: Mapping[str, str]) -> dagger.Directory:
        """Return a Directory with these files, as if a client had uploaded it."""
        chain = _chain(None, Call("Query", "host directory", {"files": dict(files)}), "Directory", _tree_of(files))
        return dag.load_directory_from_id(dagger.DirectoryID(self._id(chain)))

    # What a test asks

    @property
    def plan(self) -> list[Chain]:
        """Every leaf that was asked for, in order."""
        return [chain for chain, _, _ in self._leaves]

    def walk(self) -> Iterator[Chain]:
        """Yield every step that any leaf needs, each recipe once."""
        seen: set[str] = set()
        for chain in self.plan:
            yield from chain.walk(seen)

    def find(self, field: str, **args: object) -> list[Chain]:
        """Return every step that calls a field with at least these arguments."""
        return _find(self.walk(), field, args)

    def execs(self) -> list[Chain]:
        """Return every exec."""
        return self.find("withExec")

    def secrets(self) -> list[Chain]:
        """Return every step that is given a Secret."""
        return [step for step in self.walk() if any(needed.type == "Secret" for needed in step.call.objects())]

    def text(self) -> str:
        """Return every call with its arguments, a line each; of `setSecret`'s plaintext only a digest."""
        return "\n".join(f"{step.call.type}.{step.call}" for step in self.walk())

    @property
    def max_in_flight(self) -> int:
        """How many leaves were being answered at one time, at most."""
        return self.in_flight(lambda _: True)

    def in_flight(self, which: Callable[[Chain], bool]) -> int:
        """Return how many leaves of a kind were being answered at one time, at most."""
        spans = [(start, end) for chain, start, end in self._leaves if which(chain)]
        return max((sum(start <= at < end for start, end in spans) for at, _ in spans), default=0)

    # The server

    async def _hang_up(self) -> None:
        for writer in self._connections:
            writer.close()
        await asyncio.gather(*filter(None, self._connections.values()))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                pairs = (line.split(": ", 1) for line in head.splitlines()[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, answer = "401 Unauthorized", b"{}"
                if headers.get("authorization") == _BASIC:
                    status, answer = "200 OK", await self._answer(json.loads(body))
                kind = "content-type: application/json"
                writer.write(f"HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()

    async def _answer(self, request: Mapping[str, Any]) -> bytes:
        query: str = request["query"]
        if "__schema" in query:
            return _introspection(query)
        try:
            document = graphql.parse(query)
            errors = graphql.validate(_schema(), document)
        except graphql.GraphQLSyntaxError as error:
            errors = [error]
        if errors:
            self.invalid += [f"{error.message} in {query}" for error in errors]
            return json.dumps({"errors": [error.formatted for error in errors]}).encode()
        result = graphql.execute(
            _schema(),
            document,
            variable_values=request.get("variables"),
            field_resolver=self._resolve,
            type_resolver=lambda chain, *_: chain.type,
        )
        result = result if isinstance(result, graphql.ExecutionResult) else await result
        return json.dumps(result.formatted).encode()

    async def _resolve(self, source: Chain | None, info: graphql.GraphQLResolveInfo, /, **args: object) -> object:
        """Answer one field: an object is the chain that makes it."""
        name, returned = info.field_name, graphql.get_named_type(info.return_type)
        kinds = info.parent_type.fields[name].args
        written = {argument.name.value for node in info.field_nodes for argument in node.arguments or ()}
        given = {key: self._argument(args[key], kinds[key].type) for key in args if key in written}
        if info.parent_type.name == "Query" and (name == "node" or name.startswith("load")):
            return _loaded(given["id"], returned)
        if name == "setSecret":
            given["plaintext"] = "sha256:" + _digest(given["plaintext"])
        if name == "id":
            return self._id(source) if source else "Query"
        call = Call(info.parent_type.name, name, given)
        if graphql.is_leaf_type(returned):
            return await self._leaf(_chain(source, call, returned.name), info.return_type)
        chain = _chain(source, call, returned.name)
        rule = self._rule(chain)
        value = _value(rule, chain)
        if value is None and not graphql.is_non_null_type(info.return_type):
            return None
        if graphql.is_list_type(graphql.get_nullable_type(info.return_type)):
            if value is _MISSING:
                self._unanswered(chain)
            return self._list(source, call, returned.name, value)
        if isinstance(value, Mapping):
            return dataclasses.replace(chain, tree=_tree_of(value), origin="exec")
        return chain

    def _list(self, source: Chain | None, call: Call, kind: str, items: list[Mapping[str, Any]]) -> list[Chain]:
        chains = []
        for index, item in enumerate(items):
            chain = _chain(source, Call(call.type, call.field, {**call.args, "#": index}), kind)
            self._items[chain.key] = item
            chains.append(chain)
        return chains

    async def _leaf(self, chain: Chain, kind: graphql.GraphQLOutputType) -> object:
        """Record a leaf and answer it."""
        start, at = time.monotonic(), len(self._leaves)
        self._leaves.append((chain, start, start))
        rule = self._rule(chain)
        await asyncio.sleep(rule.latency if rule else 0)
        self._leaves[at] = (chain, start, time.monotonic())
        for step in chain.walk():
            # An error of something that is needed is an error here.
            if step is not chain and isinstance(error := _value(self._rule(step), step), Exception):
                raise error
        value = _value(rule, chain)
        if isinstance(value, Exception):
            raise value
        return self._default(chain, kind) if value is _MISSING else value

    def _default(self, chain: Chain, kind: graphql.GraphQLOutputType) -> object:
        """Answer a leaf that no rule is for, from what is known of it; nothing else has a value."""
        parent, call = chain.parent, chain.call
        if parent and call.field in self._items.get(parent.key, {}):
            return self._items[parent.key][call.field]
        if parent and parent.tree is not None and (found := _read(parent.tree, call)) is not None:
            return found
        if graphql.get_named_type(kind).name == "ID":  # sync, start, stop: the object itself
            return self._id(parent) if parent else "Query"
        known = {
            "digest": f"sha256:{parent.content_key if parent else ''}",
            "export": call.args.get("path", ""),
            "publish": f"{call.args.get('address')}@sha256:{parent.content_key if parent else ''}",
        }
        if call.field in known:
            return known[call.field]
        if call.type == "Query" and call.field in _ENGINE:
            return _ENGINE[call.field]
        return self._unanswered(chain)

    def _unanswered(self, chain: Chain) -> NoReturn:
        """Fail the query and the test: an engine would have found out what a test did not say."""
        made = "\n  .".join(textwrap.shorten(str(step.call), 200) for step in chain.steps()[-_SHOWN:])
        said = f"nobody said what {chain.call.type}.{chain.call.field} is of …\n  .{made}"
        self.invalid.append(said)
        raise graphql.GraphQLError(said)

    def _rule(self, chain: Chain) -> _Rule | None:
        name = f"{chain.call.type}.{chain.call.field}"
        return next((rule for rule in reversed(self._rules) if rule.name == name and rule.when(chain)), None)

    def _id(self, chain: Chain) -> str:
        """Return an id for an object: its type and recipe."""
        name = f"{chain.type}@{chain.key}"
        self._objects[name] = chain
        return name

    def _argument(self, value: object, kind: graphql.GraphQLInputType) -> Any:  # noqa: ANN401 # JSON or chains
        """Return an argument's value, with the chain of each object for its id."""
        if value is None or not graphql.get_named_type(kind).name.endswith("ID"):
            return value
        if isinstance(value, list):
            return [self._argument(item, kind) for item in value]
        if value not in self._objects:
            raise graphql.GraphQLError(f"no object has the id {value!r}")
        return self._objects[str(value)]


def exec_error(exit_code: int = 1, stdout: str = "", stderr: str = "") -> Exception:
    """Return the error of a command that failed, to be the value of a rule for `Container.withExec`."""
    extensions = {"_type": "EXEC_ERROR", "cmd": [], "exitCode": exit_code, "stdout": stdout, "stderr": stderr}
    return graphql.GraphQLError(f"exit code: {exit_code}", extensions=extensions)


def pull_error(reference: str, reason: str = "not found") -> Exception:
    """Return the error of an image that cannot be pulled, to be the value of a rule for `Container.from`."""
    return graphql.GraphQLError(f'failed to resolve image "{reference}": {reason}')


@functools.cache
def _schema() -> graphql.GraphQLSchema:
    return graphql.build_schema(pathlib.Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))


@functools.cache
def _introspection(query: str) -> bytes:
    """Answer the SDK's question for the schema; it is the same each time, and slow."""
    return json.dumps(graphql.graphql_sync(_schema(), query).formatted).encode()


def _loaded(chain: Chain, wanted: graphql.GraphQLNamedType) -> Chain:
    if graphql.is_object_type(wanted) and wanted.name != chain.type:
        raise graphql.GraphQLError(f"the id is that of a {chain.type}, not of a {wanted.name}")
    return chain


def _value(rule: _Rule | None, chain: Chain) -> Any:  # noqa: ANN401 # the test's own
    value = rule.value if rule else _MISSING
    return value(chain) if callable(value) else value


def _find(steps: Iterator[Chain], field: str, args: Mapping[str, object]) -> list[Chain]:
    return [
        step
        for step in steps
        if step.call.field == field and all(step.call.args.get(key) == value for key, value in args.items())
    ]


def _chain(parent: Chain | None, call: Call, kind: str, uploaded: Tree | None = None) -> Chain:
    """Return the chain of what one more call on an object returns."""
    key = _digest([parent and parent.key, call.type, call.field, call.args], lambda chain: chain.key)
    if (call.type, call.field) in _UPLOADS:
        uploaded = _on_disk(pathlib.Path(call.args["path"]))
    if uploaded is not None:
        return Chain(parent, call, kind, key, _digest(uploaded), uploaded, "host")
    origin = _origin(parent, call, kind)
    tree = _apply(parent.tree if parent else None, call)
    if tree is not None and _keyed_by_content(call, origin):
        content_key = _digest(tree)
    elif parent and call.field in _KEYLESS:
        content_key = parent.content_key
    else:
        before = parent and (parent.key if call.field in _BY_RECIPE else parent.content_key)
        content_key = _digest([before, call.type, call.field, call.args], lambda chain: chain.content_key)
    return Chain(parent, call, kind, key, content_key, tree, origin)


def _origin(parent: Chain | None, call: Call, kind: str) -> str:
    """Return where the files of what a call returns come from (`Chain.origin`)."""
    if parent and parent.origin == "host" and call.field in {"directory", "filter"}:
        return "host"
    if call.type == "CurrentModule":
        # The working directory of a module is uploaded as a user's is.
        return "host"
    sources = {needed.origin for needed in [*call.objects(), *([parent] if parent else [])]}
    return "exec" if "exec" in sources or kind not in {"Directory", "File"} else "api"


def _keyed_by_content(call: Call, origin: str) -> bool:
    """Tell whether the engine looks at the content of what a call returns, not at how it came to be.

    Seen on engine v0.21.8: it does for `filter` and `directory` of an uploaded directory, and again of the outcome,
    and for `file` of any directory. It does not for `withDirectory(include:)`, `withoutDirectory`, `withTimestamps`, a
    `filter` after one of them, nor for a directory that an exec made: their keys are the recipe, over the keys of what
    they are made of. tests/e2e/test_cache_keys.py holds this against an engine.
    """
    return origin == "host" or (call.field == "file" and call.type == "Directory")


def _digest(value: object, of_object: Callable[[Chain], str] = str) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=of_object).encode()).hexdigest()


# What a Directory holds, for recipes made of files alone


def _apply(tree: Tree | None, call: Call) -> Tree | None:
    """Return the files after a call, or None if only an engine knows."""
    args, at = call.args, _clean(call.args.get("path", ""))
    if call.type == "Query" and call.field == "directory":
        return {}
    if call.type == "Query" and call.field == "file":
        return {args["name"]: (args["contents"], args.get("permissions", 0o644))}
    if (
        tree is None
        or (args.get("gitignore") and _has_gitignore(tree))
        or any(needed.tree is None for needed in call.objects())
    ):
        return None
    match call.field:
        case "withTimestamps" | "chown":
            return tree
        case "withNewFile":
            return _tree({**tree, at: (args["contents"], args.get("permissions", 0o644))})
        case "withNewDirectory":
            return _tree({**tree, at: None})
        case "withFile" | "withFiles":
            is_directory = args["path"].endswith("/") or tree.get(at, "") is None
            into = at + "/" if call.field == "withFiles" or is_directory else ""
            files = [(name, file) for needed in call.objects() for name, file in (needed.tree or {}).items()]
            return _tree({**tree, **{_clean(into + name) if into else at: file for name, file in files}})
        case "withDirectory":
            added = _filter(args["source"].tree, args.get("include"), args.get("exclude"))
            return _tree({**tree, at: None, **{_clean(f"{at}/{path}"): file for path, file in added.items()}})
        case "withName":
            return {args["name"]: file for file in tree.values()}
        case "filter":
            return _filter(tree, args.get("include"), args.get("exclude"))
        case "directory":
            _look_in(tree, at)
            return {path[len(at) :].strip("/"): file for path, file in tree.items() if at in _above(path) or not at}
        case "file":
            if (file := _look(tree, at)) is None:
                raise graphql.GraphQLError(f"path {at} is a directory, not a file")
            return {posixpath.basename(at): file}
        case "withoutFile" | "withoutFiles" | "withoutDirectory":
            # Here `**` crosses no directory: the engine globs as a shell does.
            gone = [_pattern(path.replace("**", "*")) for path in args.get("paths", [at])]
            return {path: file for path, file in tree.items() if not _any_match(gone, path)}
    return None


def _has_gitignore(tree: Tree) -> bool:
    """Tell whether git's own rules have a say, which only an engine knows."""
    return any(posixpath.basename(path) == ".gitignore" for path in tree)


def _on_disk(path: pathlib.Path) -> Tree:
    """Return what a module made in its working directory, of which a test has one of its own."""
    if path.is_file():
        return _tree_of({path.name: path.read_bytes().decode(errors="replace")})
    files = [file for file in path.rglob("*") if file.is_file()]
    return _tree_of({str(file.relative_to(path)): file.read_bytes().decode(errors="replace") for file in files})


def _read(tree: Tree, call: Call) -> object:
    """Return the value of a leaf of a Directory or File with these files, or None if it is not known here."""
    names = {
        path: path if file else f"{path}/" for path, file in sorted(tree.items(), key=lambda item: item[0].split("/"))
    }
    match call.type, call.field:
        case "Directory", "entries":
            at = _clean(call.args.get("path", ""))
            _look_in(tree, at)
            return [
                posixpath.basename(path) + names[path][len(path) :] for path in names if posixpath.dirname(path) == at
            ]
        case "Directory", "glob":
            pattern = _pattern(call.args["pattern"])
            return [name for path, name in names.items() if pattern.fullmatch(path)]
        case "Directory", "exists":
            return _clean(call.args["path"]) in {"", *tree}
        case "File", "contents":
            return next(file[0] for file in tree.values() if file)
        case "File", "size":
            return next(len(file[0].encode()) for file in tree.values() if file)
        case "File", "name":
            return next(iter(tree))
    return None


def _tree(files: Mapping[str, tuple[str, int] | None]) -> Tree:
    """Return the files with the directories that they lie in."""
    return {**{above: None for path in files for above in _above(path)}, **{p: f for p, f in files.items() if p}}


def _tree_of(texts: Mapping[str, str]) -> Tree:
    return _tree({_clean(path): (text, 0o644) for path, text in texts.items()})


def _filter(tree: Tree, include: Iterable[str] | None, exclude: Iterable[str] | None) -> Tree:
    """Choose as `.dockerignore` patterns do: a directory that is only on the way counts if something is in it."""
    chosen = {
        path: file
        for path, file in tree.items()
        if (not include or _chosen(include, path)) and not _chosen(exclude or [], path)
    }
    return _tree(chosen)


def _chosen(patterns: Iterable[str], path: str) -> bool:
    """Tell whether the last pattern that matches a path, or a directory above it, is not a `!pattern`."""
    chosen = False
    for pattern in patterns:
        glob = pattern.removeprefix("!")
        # Paths have no leading slash, so a pattern with one matches nothing.
        if not glob.startswith("/") and _any_match([_pattern(glob)], path):
            chosen = not pattern.startswith("!")
    return chosen


def _any_match(patterns: list[re.Pattern[str]], path: str) -> bool:
    return any(pattern.fullmatch(part) for pattern in patterns for part in (path, *_above(path)))


@functools.cache
def _pattern(glob: str) -> re.Pattern[str]:
    """Return what a glob matches: `**` crosses directories, `*` and `?` do not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", _clean(glob))
    return re.compile("".join(words.get(part, part if part[:1] == "[" else re.escape(part)) for part in parts))


def _look(tree: Tree, path: str) -> tuple[str, int] | None:
    if path and path not in tree:
        raise graphql.GraphQLError(f"stat {path}: no such file or directory")
    return tree.get(path)


def _look_in(tree: Tree, path: str) -> None:
    if _look(tree, path):
        raise graphql.GraphQLError(f"path {path} is a file, not a directory")


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path).strip("/")


def _above(path: str) -> list[str]:
    """Return the directories above a path."""
    return [path[: match.start()] for match in re.finditer("/", path)]
