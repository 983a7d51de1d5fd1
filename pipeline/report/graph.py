"""The dependency graph, from the project's own applications through packages to Erlang/OTP."""

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.sbom.component import Component, Kind
from pipeline.sbom.purl import parsed
from pipeline.sbom.sbom import Sbom

#: The columns of the graph, from what needs to what is needed.
COLUMNS = ("Own applications", "Packages", "Erlang/OTP")
#: Where each kind stands. A package of the system is in none: it hangs on the system, not on an application.
_COLUMN = {Kind.OWN: 0, Kind.HEX: 1, Kind.GIT: 1, Kind.OTHER: 1, Kind.OTP: 2}


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """Components in columns, and who needs whom."""

    #: As `COLUMNS`, each from its top.
    columns: tuple[tuple[Component, ...], ...]
    #: By purl, what a component needs; not what it needs through another one.
    needs: Mapping[str, tuple[str, ...]]


def graph(sbom: Sbom) -> Graph:
    """Return the graph of what is in the image, with the applications of Erlang/OTP and not the whole."""
    parts = {part.purl: part for part in sbom.components if part.shipped and part.kind in _COLUMN and not _whole(part)}
    every = {purl: tuple(need for need in part.needs if need in parts) for purl, part in parts.items()}
    needed = {need for purls in every.values() for need in purls}
    starts = sorted(
        (part for part in parts.values() if part.kind is not Kind.OTHER),
        key=lambda part: (_column(part), part.purl in needed, part.name),
    )
    # What is of no package, such as the init of the image, is there if somebody needs it.
    order = ordered([part.purl for part in starts], every)
    columns = tuple(tuple(parts[purl] for purl in order if _column(parts[purl]) == at) for at in range(len(COLUMNS)))
    return Graph(columns, reduced({purl: every[purl] for purl in order}))


def _whole(part: Component) -> bool:
    return any(purl.is_erlang for purl in parsed([part.purl]))


def _column(part: Component) -> int:
    return _COLUMN[Kind.OTP if "embedded-in" in dict(part.notes) else part.kind]


def ordered(starts: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what can be reached, each before what it needs, and what belongs together beside one another.

    In a circle that cannot be: what was reached first is first there.
    """
    done: dict[str, None] = {}
    reached: set[str] = set()
    stack = [(start, False) for start in starts]
    while stack:
        purl, left = stack.pop()
        if left:
            done[purl] = None
        elif purl not in reached:
            reached.add(purl)
            stack += [(purl, True), *((need, False) for need in needs[purl])]
    return list(done)[::-1]


def reduced(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the needs without those that follow from others; in a circle all of them stay."""
    below = {purl: set(ordered([purl], needs)) - {purl} for purl in needs}

    def follows(need: str, purl: str, other: str) -> bool:
        return need in below[other] and other not in below[need] and purl not in below[other]

    return {
        purl: tuple(need for need in direct if not any(follows(need, purl, other) for other in direct))
        for purl, direct in needs.items()
    }
