"""Orders of versions: that of Erlang/OTP, where a branch has what its base has, and that of Hex packages."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Self

#: Of a normal version: what comes after these numbers is a branch.
_NORMAL = 3
_OTP = re.compile(r"(\d+(?:\.\d+)*)(?:-(.+))?")
#: Before 17.0: R16B03-1.
_OLD = re.compile(r"R(\d+)([A-Z])(\d*)(?:-(\d+))?.*")
_SEMVER = re.compile(r"(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


@dataclasses.dataclass(frozen=True, slots=True)
class _Otp:
    """A version of Erlang/OTP, or of one of its applications (erlang.org/doc/system/versions.html)."""

    #: Of the normal version that it is, or that it branched from.
    base: tuple[object, ...]
    #: Each branch on the way to it: which one of its base (27.3.4.0.1 is of the second), and the number on it.
    branches: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        if text == "0":
            # How a record names the beginning.
            return cls((-1,))
        plain = text.removeprefix("OTP-")
        if old := _OLD.fullmatch(plain):
            return cls((0, int(old[1]), old[2], int(old[3] or 0), int(old[4] or 0)))
        match = _OTP.fullmatch(plain)
        if not match:
            raise ValueError(f"{text} is not a version of Erlang/OTP")
        numbers = [int(part) for part in match[1].split(".")]
        normal = (*numbers, 0, 0)[:_NORMAL]
        branches, zeros = [], 0
        for number in numbers[_NORMAL:]:
            if number:
                branches.append((zeros, number))
            zeros = 0 if number else zeros + 1
        return cls((1, *normal, match[2] is None, *_identifiers(match[2] or "")), tuple(branches))

    def includes(self, other: Self) -> bool:
        if not other.branches:
            return other.base <= self.base
        *way, (branch, number) = other.branches
        mine = self.branches[: len(other.branches)]
        return (
            self.base == other.base
            and len(mine) == len(other.branches)
            and list(mine[:-1]) == way
            and mine[-1][0] == branch
            and mine[-1][1] >= number
        )


def includes(version: str, other: str, scheme: str) -> bool:
    """Tell whether a version has all that another one has: it is that one, or came after it on its own line.

    Parameters
    ----------
    version, other
        The two.
    scheme
        `otp`, whose versions are ordered in part (27.3.4.9 has no order to 27.3.5), or another one, as Hex has it.

    Raises
    ------
    ValueError
        If one of them is no version.
    """
    if scheme == "otp":
        return _Otp.parse(version).includes(_Otp.parse(other))
    return _semver(other) <= _semver(version)


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, by which those of one line are ordered."""
    return tuple(map(int, re.findall(r"\d+", version)))


def next_of(version: str, others: Iterable[str]) -> str:
    """Return the first of some versions of a Hex package that comes after one; nothing if none does.

    One on the way to a version counts for another such one alone; what is no version, for none.
    """
    try:
        mine = _semver(version)
    except ValueError:
        return ""
    later = []
    for other in others:
        match = _SEMVER.fullmatch(other)
        if match and (match[2] is None or "-" in version) and _semver(other) > mine:
            later.append(other)
    return min(later, key=_semver, default="")


def _semver(text: str) -> tuple[object, ...]:
    if text == "0":
        return (-1,)
    match = _SEMVER.fullmatch(text)
    if not match:
        raise ValueError(f"{text} is not a version of a Hex package")
    parts = [int(part) for part in match[1].split(".")]
    # A version comes after what was published on the way to it.
    return (*parts, *[0] * (_NORMAL - len(parts)), match[2] is None, *_identifiers(match[2] or ""))


def _identifiers(text: str) -> list[tuple[bool, int, str]]:
    """Return what `-rc.1` consists of; numbers come before words (semver.org, 11)."""
    parts = re.findall(r"\d+|[A-Za-z-]+[0-9A-Za-z-]*|[0-9A-Za-z-]+", text)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
