"""The fourth source: what the Hex registries say about packages, as in `mix hex.audit`: retired, advisories."""

import collections
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagger

from pipeline.build.dependencies import registered
from pipeline.errors import last_words
from pipeline.project.project import Project
from pipeline.sbom.component import Kind
from pipeline.sbom.cyclonedx import KIND, REPOSITORY
from pipeline.scan.eef import Part
from pipeline.scan.findings import (
    RETIRED,
    ScannerRun,
    Severity,
    Sighting,
    Urgency,
    aliases_of,
    known,
    locate,
    rated,
    severity_of,
)
from pipeline.scan.versions import next_of
from pipeline.table import wrapped

#: How its reports and findings call it.
HEX = "hex"
_PUBLIC = "hexpm"
#: How bad a retirement is, by its reason; one of a reason that nobody knows is of a severity that nobody gives.
_REASONS = {"security": Severity.HIGH, **dict.fromkeys(("invalid", "deprecated", "renamed", "other"), Severity.LOW)}
#: How many names, and how much of a registry's words, a line shows.
_SHOWN, _WORDS = 3, 200


@dataclasses.dataclass(frozen=True, slots=True)
class Package:
    """A Hex package of an SBOM."""

    part: Part
    #: As rebar3 calls it.
    repository: str

    @property
    def askable(self) -> bool:
        """Tell whether its name and version are valid in a query."""
        return all(re.fullmatch(r"[!-~]+", text) for text in (self.part.name, self.part.version, self.repository))


async def ask(
    project: Project, hex_config: str, day: str, cyclonedx: str, own: Sequence[str] = ()
) -> tuple[ScannerRun, ...]:
    """Ask the registries of Hex about the packages of an SBOM; nothing if it has none.

    What a registry does not say is no failure of the verdict, and stands in every report.

    Parameters
    ----------
    project
        What the user gave: how the registries are reached.
    hex_config
        What rebar.config says of the repositories; empty if it is not known: then those that the SBOM names.
    day
        On which they are asked: what is known is kept for it.
    cyclonedx
        The SBOM, of what is in the image alone.
    own
        Names of the project's own applications.
    """
    packages = list(_packages(cyclonedx, own))
    if not packages:
        return ()
    wanted = [package for package in packages if package.askable]
    names = [package.repository for package in wanted]
    lines = "".join(f"{package.part.name} {package.part.version} {package.repository}\n" for package in wanted)
    answers: list[Mapping[str, Any]] = [{"unknown": "no registry was asked"}] * len(wanted)
    try:
        if wanted:
            answers = json.loads(await registered(project, hex_config or _repositories(names), lines, day))
        return (heard(packages, answers),)
    except dagger.QueryError as error:
        reason = last_words(error)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"an answer has the wrong form ({error})"
    return (heard(packages, [{"unknown": reason}] * len(wanted)),)


def heard(packages: Sequence[Package], answers: Sequence[Mapping[str, Any]]) -> ScannerRun:
    """Return the answers of the registries as a run.

    Parameters
    ----------
    packages
        All there are.
    answers
        On those that can be asked for, as `pipeline_registry.erl` writes them.
    """
    said = dict(zip([package.part.purl for package in packages if package.askable], answers, strict=True))
    sightings: list[Sighting] = []
    remarks: list[str] = []
    unknown: list[str] = []
    lacking: dict[str, list[str]] = collections.defaultdict(list)
    for package in packages:
        part = package.part
        name = f"{part.name} {part.version}".rstrip()
        answer = said.get(part.purl, {"unknown": "the name or version is not one of Hex"})
        if "unknown" in answer:
            lacking[_plain(answer["unknown"])].append(name)
            continue
        if retired := answer["retired"]:
            told = ": ".join(filter(None, (f"retired ({_plain(retired['reason'])})", _plain(retired["message"]))))
            page = f"https://hex.pm/packages/{part.name}/{part.version}" if package.repository == _PUBLIC else ""
            severity = _REASONS.get(retired["reason"], Severity.UNKNOWN)
            sightings.append(_sighting(part, RETIRED, severity, answer["others"], url=page, title=told))
            remarks.append(f"{name} is {told}")
        for each in answer["advisories"]:
            score = float(each["score"]) if each["score"] else None
            sightings.append(
                _sighting(
                    part,
                    _plain(each["id"]),
                    known(severity_of(each["severity"]), rated(score)),
                    each["others"],
                    aliases=map(_plain, each["aliases"]),
                    url=_plain(each["url"]),
                    title=_plain(each["summary"]),
                    score=score,
                )
            )
    for reason, names in lacking.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        unknown.append(f"not known whether retired: {', '.join(names[:_SHOWN])}{more}: {reason}")
    lines = [tuple(map(wrapped, texts)) for texts in (remarks, unknown)]
    return ScannerRun(HEX, "SBOM", sightings=tuple(sightings), remarks=lines[0], unknown=lines[1])


def _sighting(
    part: Part,
    name: str,
    severity: Severity,
    others: Iterable[str],
    *,
    aliases: Iterable[str] = (),
    url: str = "",
    title: str = "",
    score: float | None = None,
) -> Sighting:
    better = next_of(part.version, others)
    return Sighting(
        HEX,
        name,
        aliases_of(name, aliases),
        part.name,
        part.version,
        part.purl,
        locate(part.name, part.version, part.purl, "", ())[2],
        severity,
        (better,) if better else (),
        url,
        title,
        urgency=Urgency(score=score),
    )


def _packages(cyclonedx: str, own: Sequence[str]) -> Iterator[Package]:
    for each in json.loads(cyclonedx).get("components", ()):
        properties = {raw["name"]: raw["value"] for raw in each.get("properties", ())}
        repository = properties.get(REPOSITORY, _PUBLIC if properties.get(KIND) == Kind.HEX else "")
        part = Part.of(each, own)
        if repository and part and each["name"] not in own:
            yield Package(part, repository)


def _repositories(names: Iterable[str]) -> str:
    """Return a rebar.config that names the organisations among some repositories."""
    organisations = sorted({name for name in names if re.fullmatch(rf"{_PUBLIC}:\w+", name)})
    if not organisations:
        return ""
    known_as = ", ".join(f'#{{name => <<"{name}">>}}' for name in organisations)
    return f"{{hex, [{{repos, [{known_as}]}}]}}.\n"


def _plain(text: str) -> str:
    """Return untrusted text as one line, without control characters."""
    line = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return line if len(line) <= _WORDS else f"{line[: _WORDS - 3].rstrip()}..."
