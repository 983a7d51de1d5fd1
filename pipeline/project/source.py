"""Which files of the user's repository the pipeline takes: those of git, less what `.dockerignore` excludes."""

import posixpath

import dagger

from pipeline.errors import InputError

#: Never part of a build: what version control, rebar3 and editors keep beside the sources (Dagger's `Ignore`).
SOURCE_IGNORE = (
    "**/.git",
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
#: Names of files that often hold keys or passwords: they are told of, not dropped.
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
            what = reason if pattern else "nothing after the exclamation mark"
            raise InputError(
                f".dockerignore:{number}: {raw.strip()!r} is no pattern: {what}; correct or remove the line"
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
                return "it ends in a backslash"
        elif char == "[":
            end = _class_end(pattern, index + 1)
            if end < 0:
                return "a [ without its ]"
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
    """Return the source as git sees it, without what its `.gitignore` files and its `.dockerignore` exclude."""
    seen = source.filter(gitignore=True)
    if ".dockerignore" not in await source.entries():
        return seen
    patterns = parse_dockerignore(await source.file(".dockerignore").contents())
    # The engine's own reading of an empty list would be the same; an extra node is not needed.
    return seen.filter(exclude=patterns) if patterns else seen


async def secrets(source: dagger.Directory) -> list[str]:
    """Return the paths whose names say that they may hold keys or passwords."""
    return sorted({path for pattern in SECRETS for path in await source.glob(pattern)})
