"""Which files of the user's repository the pipeline takes: an allow-list, then the user's `.dockerignore`."""

import posixpath

import dagger

from pipeline.errors import InputError

#: What a build of a rebar3 release can need; everything else is never uploaded.
#: Patterns are read in order, the last that matches decides (Dagger's `Ignore`).
SOURCE_IGNORE = (
    "**",
    "!.dockerignore",
    "!accept.toml",
    "!erlmcp.toml",
    "!rebar.config",
    "!rebar.config.script",
    "!rebar.lock",
    "!sys.config*",
    "!vm.args*",
    "!_checkouts/**",
    "!apps/**",
    "!c_src/**",
    "!config/**",
    "!include/**",
    "!lib/**",
    "!priv/**",
    "!rel/**",
    "!src/**",
    "!vex/**",
    # Built, tested, documented or left behind there: never part of a release.
    "**/.git",
    "**/.rebar3",
    "**/_build",
    "**/erl_crash.dump",
    "**/rebar3.crashdump",
    "**/*.md",
    "_checkouts/*/doc",
    "_checkouts/*/test",
    "apps/*.*",
    "apps/*/doc",
    "apps/*/docs",
    "apps/*/ebin",
    "apps/*/log",
    "apps/*/test",
    "lib/*/doc",
    "lib/*/ebin",
    "lib/*/test",
    # Where the old context had real keys and passwords.
    "**/.env",
    "**/.env.*",
    "config/**/*.env",
    "config/**/*.key",
    "config/**/*.pem",
)


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
    """Return the source without what its `.dockerignore` excludes."""
    if ".dockerignore" not in await source.entries():
        return source
    patterns = parse_dockerignore(await source.file(".dockerignore").contents())
    # The engine's own reading of an empty list would be the same; an extra node is not needed.
    return source.filter(exclude=patterns) if patterns else source
