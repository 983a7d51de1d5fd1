"""Shorten the output of a failed command: the first errors of a compiler, the last lines of any other tool."""

import dataclasses
import re

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: A character as Erlang writes it where the locale has no place for it.
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
#: The project's root inside our containers; the user knows paths from there.
_ROOT = re.compile(r"(?<![\w./-])/(?:build|source)/(?=[\w.])")
#: What the engine puts before the end of a long output.
_OMITTED = re.compile(r"\A\[omitting (\d+) bytes\]\.\.\.")

#: What rebar3 and relx print while there is no error, as whole lines. Anything else may be the error.
_PROGRESS = re.compile(
    r"===> ("
    r"Verifying dependencies\.\.\.|Analyzing applications\.\.\.|Compiling [^ /]+|Fetching (?!.*(fail|error)).+|"
    r"Upgrading \S+( .*)?|Resolving \S+ files\.\.\.|Updating package registry\.\.\.|Building escript for .+|"
    r"App \S+ is (a checkout dependency and cannot be locked|no longer needed and can be deleted)\.|"
    r"No entry for profile \S+ in config\.|Running hooks? for .+|"
    r"Assembling release .+|Release successfully assembled: .+|rendering \S+ hook to .+"
    r")"
)
#: `FILE:LINE: words`, of Erlang's compiler, a C compiler and many others; rebar3 may write `{LINE,COLUMN}` or `none`.
_LOCATED = re.compile(r"(?P<file>[^\s:][^:]*):(?:(?P<line>\d+(?::\d+)?)|\{(?P<pair>\d+,\d+)\}|none): (?P<words>\S.*)")
_WARNING = re.compile(r"warning: |note: ", re.IGNORECASE)
#: The lines of a picture that rebar3 draws of an error: where it is, the line of code, and what is wrong with it.
_PICTURE = re.compile(r"\s*┌─ (?P<file>.+):")
_CODE = re.compile(r"\s*(?P<line>\d+) │  ")
_ARROW = re.compile(r"(?P<before>\s*│  )(?P<indent>\s*)╰── (?P<words>.*)")
#: What rebar3 was compiling. With `deterministic` the compiler itself knows the file's name alone.
_COMPILING = re.compile(r"===> Compiling (?P<file>\S*/(?P<name>[^/\s]+)) failed")
_MARK = "===> "
#: Of the lines after the errors, how many are kept.
_AFTER = 3


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """A line that was said, with the lines that belong to it."""

    text: str
    error: bool = False
    noise: bool = False


def shortened(stdout: str, stderr: str, lines: int = 25) -> str:
    """Return the relevant part of a command's output: the first errors, or else its end, and how much is omitted.

    Parameters
    ----------
    stdout, stderr
        What it wrote.
    lines
        How many lines to keep.
    """
    out, err = _plain(stdout), _plain(stderr)
    omitted = [
        f"(the engine kept only the end of the output: {found[1]} bytes before it are missing)"
        for text in (stdout, stderr)
        if (found := _OMITTED.match(text))
    ]
    # Some tools say everything twice.
    said = _read(out) + ([] if err in out else _read(err))
    telling = [item for item in said if not item.noise] or said
    errors = list(dict.fromkeys(item.text for item in telling if item.error))
    if sum(len(item.text.splitlines()) for item in telling) <= lines:
        kept = list(dict.fromkeys(item.text for item in telling)) if errors else [item.text for item in telling]
    elif errors:
        kept = _first_errors(telling, errors, lines)
    else:
        every = "\n".join(item.text for item in telling).splitlines()
        kept = [f"({len(every) - lines} lines before these are omitted)", *every[-lines:]]
    return "\n".join([*omitted, *kept])


def _first_errors(telling: list[_Said], errors: list[str], lines: int) -> list[str]:
    """Return the headline, the first errors, how many more there are, and the last general messages."""
    at = next(index for index, item in enumerate(telling) if item.error)
    last = max(index for index, item in enumerate(telling) if item.error)
    before = [item.text for item in telling[max(at - 1, 0) : at]]
    after = [item.text for item in telling[last + 1 :] if item.text.startswith(_MARK)][-_AFTER:]
    shown: list[str] = []
    for error in errors:
        if shown and len("\n".join([*before, *shown, error, *after]).splitlines()) >= lines:
            break
        shown.append("\n".join(error.splitlines()[:lines]))
    left = len(errors) - len(shown)
    return [*before, *shown, *([f"… and {left} more error{'s' * (left > 1)}"] if left else []), *after]


def _plain(text: str) -> str:
    """Return a text without colours and without the paths of our containers."""
    text = _OMITTED.sub("", _ANSI.sub("", text).replace("\r\n", "\n"))
    text = _ESCAPED.sub(lambda found: chr(code) if (code := int(found[1], 16)) < 0x110000 else found[0], text)  # noqa: PLR2004 # the last character of Unicode
    return _ROOT.sub("", text).strip("\n")


def _read(text: str) -> list[_Said]:
    """Take an output apart."""
    result: list[_Said] = []
    rest = text.splitlines()
    paths: dict[str, str] = {}
    while rest:
        line = rest.pop(0).rstrip()
        if picture := _PICTURE.fullmatch(line):
            result.append(_located(_of_picture(picture["file"], rest)))
        elif found := _LOCATED.fullmatch(line):
            number = found["line"] or (found["pair"] or "").replace(",", ":")
            file = paths.get(found["file"], found["file"])
            place = f"{file}:{number}" if number else file
            # What belongs to it is further in: the line of code, an arrow.
            more = []
            while rest and rest[0][:1].isspace() and rest[0].strip():
                more.append(rest.pop(0).rstrip())
            result.append(_located("\n".join([f"{place}: {found['words']}", *more])))
        elif line.strip():
            if compiling := _COMPILING.fullmatch(line):
                paths = {compiling["name"]: compiling["file"]}
            result.append(_Said(line, noise=bool(_PROGRESS.fullmatch(line))))
    return result


def _of_picture(file: str, rest: list[str]) -> str:
    """Return the error that a picture shows as `FILE:LINE:COLUMN: words`; take its lines away."""
    number, words = "", []
    while rest and rest[0].strip():
        line = rest.pop(0).rstrip()
        if arrow := _ARROW.fullmatch(line):
            number += f":{len(arrow['indent']) + 1}"
            words.append(arrow["words"])
        elif words:
            words.append(line)
        elif code := _CODE.match(line):
            number = f":{code['line']}"
    return f"{file}{number}: " + "\n".join(words)


def _located(text: str) -> _Said:
    words = text.split(": ", 1)[1]
    warning = bool(_WARNING.match(words))
    return _Said(text, error=not warning, noise=warning)
