"""Find cookies and faults in a `vm.args`, reading it as the emulator reads an arguments file."""

import dataclasses
import itertools
import re
from collections.abc import Iterator

_SPACE = " \t\n\r\f\v"
#: The cookie that each start is given.
COOKIE = "${RELX_COOKIE}"
#: A variable and its default, which may hold variables of its own.
_VARIABLE = re.compile(r"\$\{([^}:]*)(?::-((?:\$\{[^}\n]*\}|[^}\n])*))?\}")
#: A release's name is the name of a user, a folder, a command and of environment variables, and the head of a node's.
_RELEASE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """A word of an arguments file: its text without quotes, its line, and where it stands in the file."""

    text: str
    line: int
    start: int
    end: int


def words(text: str) -> list[Word]:
    """Read an arguments file as `erlexec` does.

    White space and `#`, which begins a comment even right behind a word, end a word; `%%` begins none. Quotes hold
    everything but themselves, also line breaks; outside of them a backslash takes the next character. What is in
    `${…}` is one piece: it is replaced before the emulator reads the file.
    """
    return list(_words(text))


def _words(text: str) -> Iterator[Word]:
    at, line = 0, 1
    while at < len(text):
        char = text[at]
        if char == "#":
            at = _line_end(text, at)
        elif char in _SPACE:
            line += char == "\n"
            at += 1
        else:
            word, end = _word(text, at)
            yield Word(word, line, at, end)
            line += text.count("\n", at, end)
            at = end


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _word(text: str, at: int) -> tuple[str, int]:
    """Return the word that begins at a place, and where it ends."""
    read = ""
    quote = ""
    while at < len(text):
        char = text[at]
        if variable := _VARIABLE.match(text, at):
            read += variable[0]
            at = variable.end()
            continue
        if quote:
            read += char if char != quote else ""
            quote = quote if char != quote else ""
        elif char in _SPACE or char == "#":
            break
        elif char in "\"'":
            quote = char
        elif char == "\\":
            at += 1
            read += text[at : at + 1]
        else:
            read += char
        at += 1
    return read, min(at, len(text))


def literal_cookies(text: str) -> list[tuple[int, Word]]:
    """Return the cookies that are written down in a `vm.args`, and would be in the image: line number and place.

    A variable alone is none, whatever its quotes; a default of one is.
    """
    known = words(text)
    found = []
    for option, value in itertools.pairwise(known):
        if option.text == "-setcookie" and not _is_option(value) and _VARIABLE.sub(_default, value.text):
            found.append((value.line, value))
    return found


def _default(variable: re.Match[str]) -> str:
    """Return what a variable leaves in the image: the text of its default."""
    return _VARIABLE.sub(_default, variable[2] or "")


def _is_option(word: Word) -> bool:
    return word.text.startswith(("-", "+"))


def without_cookies(text: str) -> str:
    """Return a `vm.args` with every literal cookie replaced by `${RELX_COOKIE}`, and nothing else changed."""
    for _, word in reversed(literal_cookies(text)):
        text = text[: word.start] + COOKIE + text[word.end :]
    return text


def problems(text: str) -> list[tuple[int, str]]:
    """Return what keeps every node from starting with a `vm.args`: line number, and a sentence that says what to do.

    Only what holds whatever the variables are.
    """
    known = words(text)
    found: list[tuple[int, str]] = []
    first: dict[str, int] = {}
    for index, word in enumerate(known):
        if word.text == "-extra":
            break
        if word.text == "-detached":
            found.append((word.line, "-detached would end the container when it starts; remove it"))
        if word.text not in _ONCE:
            continue
        kind, example = _ONCE[word.text]
        values = known[index + 1 : index + 3]
        if not values or _is_option(values[0]):
            found.append((word.line, f"{word.text} has no value; write {word.text} {example}"))
        elif kind in first:
            found.append((word.line, f"{word.text}: line {first[kind]} already has a {kind}; remove one of them"))
        elif len(values) > 1 and not any(value.text.startswith(("-", "+", "${")) for value in values):
            hint = "; a comment begins with #" if values[1].text.startswith("%") else ""
            found.append((word.line, f"{word.text} takes one value, but {values[1].text} is a second one{hint}"))
        first.setdefault(kind, word.line)
    return found


#: Options that a node takes once, with one value: what it is, and an example.
_ONCE = {
    "-name": ("name", "demo@127.0.0.1"),
    "-sname": ("name", "demo"),
    "-setcookie": ("cookie", COOKIE),
}


def release_name_problem(name: str) -> str:
    """Return why a release cannot have a name and what to do, or an empty text if it can."""
    if _RELEASE_NAME.fullmatch(name):
        return ""
    return (
        f"release {name}: this name cannot be the name of a user, a folder, a command and a node; rename the release "
        "with ASCII letters, digits, _ and -, beginning with a letter"
    )
