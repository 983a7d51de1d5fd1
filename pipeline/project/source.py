"""The files of the user's repository that the pipeline uses: those of git, without those in `.dockerignore`."""

import hashlib
import posixpath
import re
import struct
from collections.abc import Collection, Iterable

import dagger

from pipeline.errors import InputError
from pipeline.handover import working_folder

#: Never part of a build: what version control, rebar3 and editors keep beside the sources (Dagger's `Ignore`).
SOURCE_IGNORE = (
    "**/.git",
    # The index lists tracked files, which .gitignore does not exclude.
    "!.git/index",
    "**/.hg",
    "**/.svn",
    "**/_build",
    "**/.rebar3",
    "**/erl_crash.dump",
    "**/rebar3.crashdump",
    "**/.idea",
    "**/.vscode",
    "**/.DS_Store",
    "**/*.swp",
    "**/*~",
)
#: What the pipeline itself reads of a project: its settings, and what was accepted or does not apply.
OWN_FILES = ("erlmcp.toml", "accept.toml", "vex")
#: Names of files that often contain keys or passwords; they are listed, not excluded.
SECRETS = ("**/.env", "**/.env.*", "**/*.key", "**/*.pem", "**/*.p12", "**/.netrc", "**/.erlang.cookie")


def parse_dockerignore(text: str) -> list[str]:
    """Return the patterns of a `.dockerignore`, as Docker reads the file.

    Parameters
    ----------
    text
        The file's text.

    Raises
    ------
    InputError
        If a line is no pattern, with its number.

    Notes
    -----
    The reading of lines (comments, trimming, cleaning, a leading slash, `!`) is that of
    `github.com/moby/patternmatcher/ignorefile`; the matching is the engine's, which uses that library.
    """
    patterns = []
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if raw.startswith("#"):
            continue
        pattern = raw.strip()
        if not pattern:
            continue
        invert = pattern.startswith("!")
        if invert:
            pattern = pattern[1:].strip()
        if not pattern or (reason := _pattern_fault(pattern)):
            what = reason if pattern else "there is nothing after the exclamation mark"
            raise InputError(
                f".dockerignore:{number}: {raw.strip()!r} is not a valid pattern: {what}; correct or remove the line"
            )
        pattern = posixpath.normpath(pattern)
        # Go's filepath.Clean keeps one leading slash, Python's normpath may keep two.
        pattern = "/" + pattern.lstrip("/") if pattern.startswith("/") else pattern
        if len(pattern) > 1:
            pattern = pattern.removeprefix("/")
        patterns.append(f"!{pattern}" if invert else pattern)
    return patterns


def _pattern_fault(pattern: str) -> str:
    """Say what Go's `filepath.Match` would refuse in a pattern (`ErrBadPattern`), or nothing."""
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 1
            if index == len(pattern):
                return "it ends with a backslash"
        elif char == "[":
            end = _class_end(pattern, index + 1)
            if end < 0:
                return "a [ has no closing ]"
            index = end
        index += 1
    return ""


def _class_end(pattern: str, index: int) -> int:
    """Return where the character class that begins before `index` ends, or -1."""
    if pattern[index : index + 1] == "^":
        index += 1
    first = True
    while index < len(pattern):
        if pattern[index] == "]":
            return -1 if first else index
        if pattern[index] == "\\":
            index += 1
        index += 1
        first = False
    return -1


async def filtered(source: dagger.Directory) -> dagger.Directory:
    """Return the source as git sees it, without what its `.dockerignore` excludes.

    Where there is the index of a checkout, what its `.gitignore` files name stays out unless it is tracked; elsewhere
    (an archive, a folder of a greater repository) nothing says what is tracked, and all is taken.
    """
    names = set(await source.glob("**"))
    ignored = await _ignored(source, names) if ".git/index" in names else []
    patterns = []
    if ".dockerignore" in names:
        patterns = parse_dockerignore(await source.file(".dockerignore").contents())
    # The last pattern that matches decides, so no exclamation mark brings back what git ignores.
    return source.filter(exclude=[*patterns, *patterns_of([".git/"]), *ignored])


async def _ignored(source: dagger.Directory, names: Collection[str]) -> list[str]:
    """Return the patterns of what git ignores and does not track."""
    index = working_folder() / "index"
    await source.file(".git/index").export(str(index))
    tracked = tracked_paths(index.read_bytes())
    if tracked is None:
        return []
    others = untracked(names, tracked)
    files = {path for path in others if not path.endswith("/")}
    # Folders without a file are none of git's: a fresh clone would not have them.
    found = files | {f"{parent}/" for path in files for parent in _parents(path)}
    if files:
        # Of these alone, since the engine copies what it filters; it reads each .gitignore above them, copied or not
        # (dagger v0.21.8, util/layercopy/filter.go).
        found &= {*await source.filter(include=patterns_of(files), gitignore=True).glob("**")}
    return patterns_of(others - found)


def untracked(names: Iterable[str], tracked: Collection[str]) -> set[str]:
    """Return what git does not track of the paths of a checkout, those of folders with a slash at the end.

    Parameters
    ----------
    names
        All paths of the checkout.
    tracked
        Paths of files; those of repositories within this one, which have rules of their own, with a slash at the end.
    """
    kept = {above for path in tracked for above in [path, *(f"{parent}/" for parent in _parents(path.rstrip("/")))]}
    kept.add(".git/")
    within = {".git/", *(path for path in tracked if path.endswith("/"))}
    return {
        path
        for path in names
        if path not in kept and not any(f"{parent}/" in within for parent in _parents(path.rstrip("/")))
    }


def patterns_of(paths: Collection[str]) -> list[str]:
    """Return the patterns that match paths and what lies in them; a path in one of the others needs none of its own.

    A folder needs two: whether a pattern matched a folder is not noted if one before it matched already
    (`MatchesUsingParentResults` of github.com/moby/patternmatcher).
    """
    whole = {path for path in paths if path.endswith("/")}
    names = sorted(path for path in paths if not any(f"{parent}/" in whole for parent in _parents(path.rstrip("/"))))
    patterns = []
    for name in (re.sub(r"([\\*?\[\]!])", r"\\\1", name) for name in names):
        patterns += [name[:-1], f"{name}**"] if name.endswith("/") else [name]
    return patterns


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def tracked_paths(index: bytes) -> set[str] | None:
    """Return the paths in a git index (`untracked`), or nothing if it is not a whole one of version 2 to 4.

    Source: Documentation/gitformat-index.adoc of git.
    """
    signature, version, count = struct.unpack_from(">4sLL", index)
    if signature != b"DIRC" or version not in _INDEX_VERSIONS:
        return None
    digest = _digest_size(index)
    paths: set[str] = set()
    at, previous = 12, b""
    for _ in range(count):
        start = at
        (mode,) = struct.unpack_from(">L", index, at + 24)
        (flags,) = struct.unpack_from(">H", index, at + 40 + digest)
        at += 42 + digest + (2 if flags & 0x4000 else 0)
        if version == _PREFIXED:
            at, cut = _varint(index, at)
            previous = previous[: len(previous) - cut]
        end = index.index(b"\0", at)
        name = (previous if version == _PREFIXED else b"") + index[at:end]
        previous = name
        # Entries are padded to eight bytes, but for those of version 4.
        at = end + 1 if version == _PREFIXED else start + (end - start + 8) // 8 * 8
        if mode == _FOLDER:
            # A sparse checkout: what is in it is not said.
            return None
        paths.add(name.decode(errors="surrogateescape") + ("/" if mode == _REPOSITORY else ""))
    # A part of a split index leaves the rest to another file.
    return None if index[at : at + 4] == b"link" else paths


def _digest_size(index: bytes) -> int:
    """Return how many bytes an object's name has: the index ends with a checksum of the same kind.

    With index.skipHash the checksum is zeros, as many as an object's name has bytes.
    """
    size = hashlib.sha256().digest_size
    if index[-size:] in {hashlib.sha256(index[:-size]).digest(), bytes(size)}:
        return size
    return hashlib.sha1(usedforsecurity=False).digest_size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read an offset as pack files encode it; return the place behind it and the number."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return at + 1, value


_INDEX_VERSIONS = (2, 3, 4)
#: The version whose names have a part of the name before them.
_PREFIXED = 4
_FOLDER = 0o040000
#: A submodule, or a repository that somebody added.
_REPOSITORY = 0o160000


async def path_of(file: dagger.File, source: dagger.Directory) -> str:
    """Return the path of a file that was given as an argument, if it is one of the project's; or nothing."""
    given = await file.contents()
    # Of several that are the same, the one that is least deep is the project's own.
    paths = sorted(await source.glob(f"**/{await file.name()}"), key=lambda path: (path.count("/"), path))
    for path in paths:
        if not path.endswith("/") and await source.file(path).contents() == given:
            return path
    return ""


async def secrets(source: dagger.Directory) -> list[str]:
    """Return the paths whose names say that they may hold keys or passwords, without those of dependencies."""
    found = {path for pattern in SECRETS for path in await source.glob(pattern)}
    return sorted(path for path in found if not path.startswith("_checkouts/"))
