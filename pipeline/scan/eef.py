"""The third source: records of the Erlang Ecosystem Foundation and of OSV on Hex, matched with the SBOM here.

Neither Trivy nor Grype reads the first, which alone names the applications of Erlang/OTP; of the second they know what
GitHub has too.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from pipeline.errors import InputError
from pipeline.sbom.purl import Purl
from pipeline.scan.databases import EEF_SOURCE, Database, Databases, eef_database, reason_of, time_of
from pipeline.scan.findings import ERLANG, Absence, Cleared, ScannerRun, Sighting, Urgency, aliases_of, locate
from pipeline.scan.records import AFFECTED, UNAFFECTED, Affected, Record, of_cve, of_osv
from pipeline.scan.versions import includes, numbers

#: How its reports and findings call it.
EEF = "eef"
#: A function of Erlang: `module:function/arity`.
_ERLANG = re.compile(r"\S+:\S+/\d+")
#: How many names a line shows.
_SHOWN = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A component of the SBOM."""

    name: str
    version: str
    purl: str
    parsed: Purl

    @classmethod
    def of(cls, raw: Mapping[str, Any], own: Sequence[str]) -> Self | None:
        """Read a component of CycloneDX, with the name that findings use; None if it has no package URL."""
        purl = Purl.parse(raw.get("purl", ""))
        return (
            cls(*locate(raw["name"], raw.get("version", ""), raw["purl"], "", own)[:2], raw["purl"], purl)
            if purl
            else None
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Records:
    """All records."""

    known: tuple[Record, ...]
    database: Database

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read a database.

        Parameters
        ----------
        text
            JSON: `fetched` (a time), `cves` (CVE records) and `osv` (OSV records).
        source
            Where it is from, for messages.

        Raises
        ------
        InputError
            If it is not one, has nothing in it, or a record cannot be read: it could be the one that counts.
        """
        name = "the file"
        try:
            document = json.loads(text)
            known: list[Record | None] = []
            for raw in document["cves"]:
                name = raw["cveMetadata"]["cveId"]
                known.append(of_cve(raw))
            for raw in document["osv"]:
                name = raw["id"]
                known.append(of_osv(raw))
            name = "the file"
            fetched = time_of(document["fetched"])
            content = json.dumps([document["cves"], document["osv"]], sort_keys=True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{source}: {name} cannot be read ({reason_of(error)}); write it again with the function advisories"
            ) from None
        if not document["cves"] or not document["osv"]:
            empty = "cves" if not document["cves"] else "osv"
            raise InputError(f"{source}: it has no records under {empty}; write it again with the function advisories")
        digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
        return cls(tuple(_rated(list(filter(None, known)))), Database(EEF, fetched, source, digest))


async def known(databases: Databases) -> Records:
    """Return all records.

    Raises
    ------
    InputError
        If they cannot be fetched, or read.
    """
    return Records.parse(await eef_database(databases), "--eef-db" if databases.eef else EEF_SOURCE)


def _rated(known: Sequence[Record]) -> Iterable[Record]:
    """Give a record without a severity that of another record on the same vulnerability; OSV's have only a vector."""
    rated = {record.id: record for record in known if record.severity}
    for record in known:
        twin = next((rated[name] for name in record.aliases if name in rated), None)
        better = twin if twin and not record.severity else record
        yield dataclasses.replace(record, severity=better.severity, score=better.score)


def look(records: Records, cyclonedx: str, own: Sequence[str] = ()) -> ScannerRun:
    """Match the records with the components of an SBOM; an SBOM without Erlang is a failed scan.

    Parameters
    ----------
    records
        All that are known.
    cyclonedx
        The SBOM, of what is in the image alone.
    own
        Names of the project's own applications.
    """
    parts = [part for each in json.loads(cyclonedx).get("components", ()) if (part := Part.of(each, own))]
    if not any(part.parsed.normal().type == "otp" for part in parts):
        return ScannerRun(EEF, "SBOM", failure="the SBOM has no application of Erlang/OTP")
    sightings: list[Sighting] = []
    cleared: list[Cleared] = []
    try:
        for record in records.known:
            found = list(_sightings(record, parts))
            sightings += found
            cleared += _cleared(record, parts)
        version = next((part.version for part in parts if part.name == ERLANG), "")
        told = [*([warning(records, version)] if version else []), *_undecided(records, parts)]
    except ValueError as error:
        return ScannerRun(EEF, "SBOM", failure=f"{error}: records cannot be matched to it")
    return ScannerRun(
        EEF,
        "SBOM",
        sightings=tuple(sightings),
        database=records.database,
        cleared=tuple(cleared),
        remarks=tuple(filter(None, told)),
    )


def _sightings(record: Record, parts: Iterable[Part]) -> Iterable[Sighting]:
    found = [
        (part, each) for part in parts for each in record.affected if each.covers(part.parsed) and _has(each, part)
    ]
    applications = [each for _, each in found if each.is_application]
    for part, each in found:
        # What is in an application is not in the whole without it; of the whole it is known which release mends it.
        if each in record.whole and record.applications and not applications:
            continue
        yield Sighting(
            scanner=EEF,
            id=record.id,
            aliases=aliases_of(record.id, record.aliases),
            package=part.name,
            version=part.version,
            purl=part.purl,
            kind=locate(part.name, part.version, part.purl, "", ())[2],
            severity=record.severity,
            fixed=each.fixed(part.version),
            url=record.url,
            title=record.title,
            # Of C, and of other languages, a record has the bare name.
            functions=tuple(name for name in each.functions if _ERLANG.fullmatch(name)),
            urgency=Urgency(score=record.score),
        )


def _undecided(records: Records, parts: Iterable[Part]) -> Iterable[str]:
    """Yield the components for which only revisions are published, or that have no version.

    Of two revisions none is known to be the later one.
    """
    for part in parts:
        names = [
            record.id
            for record in records.known
            for each in record.affected
            if (each.by_revision or not part.version) and not part.parsed.is_erlang and each.covers(part.parsed)
        ]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield (
                f"not known whether {part.name} {part.version[:12] or 'of an unknown version'} is affected by:\n"
                f"  {', '.join(names[:_SHOWN])}{more}"
            )


def _has(each: Affected, part: Part) -> bool:
    return bool(part.version) and each.status_of(part.version) == AFFECTED


def _cleared(record: Record, parts: Sequence[Part]) -> Iterable[Cleared]:
    """Return what a record clears, though a scanner may report it by the version of Erlang/OTP as a whole."""
    if not record.applications or not record.whole:
        return
    there = [(part, each) for each in record.applications for part in parts if each.covers(part.parsed)]
    sound = [(part, each) for part, each in there if each.status_of(part.version) == UNAFFECTED]
    for part, _ in sound:
        reason = f"{part.name} {part.version} is not affected according to {EEF}"
        yield Cleared(record.names, part.name, Absence.CODE, reason)
    # Only a release that has Erlang of its own has no other applications than those of the SBOM.
    if len(sound) < len(there) or not any(part.name == ERLANG for part in parts):
        return
    names = ", ".join(dict.fromkeys(each.package.name for each in record.applications))
    reason = (
        f"according to {EEF} it is in {names}, whose version in the image is not affected"
        if there
        else f"according to {EEF} it is in {names}, which is not in the image"
    )
    yield Cleared(record.names, ERLANG, Absence.CODE if there else Absence.COMPONENT, reason)


def published(records: Iterable[Record], version: str) -> list[Record]:
    """Return the records on a version of Erlang/OTP as a whole, the worst first."""
    about = [record for record in records if any(each.status_of(version) == AFFECTED for each in record.whole)]
    return sorted(about, key=lambda record: (-record.severity, -(record.score or 0), record.id))


def sound(records: Sequence[Record], version: str) -> str:
    """Return the first later version of Erlang/OTP of the same release line without advisories, if there is one."""
    later = {at for record in records for each in record.whole for span in each.ranges for at in span.fixes()}
    own = [at for at in later if includes(at, version, "otp") and numbers(at)[0] == numbers(version)[0]]
    return next((at for at in sorted(own, key=numbers) if not published(records, at)), "")


def warning(records: Records, version: str) -> str:
    """Return a warning on the advisories for a version of Erlang/OTP, with the version that has none; or nothing."""
    found = published(records.known, version)
    if not found:
        return ""
    better = sound(records.known, version)
    number = f"{len(found)} {'advisory' if len(found) == 1 else 'advisories'}"
    # A terminal has 80 columns, and a report a line.
    return (
        f"Erlang/OTP {version} has {number} (worst {found[0].severity.name}); "
        f"{f'{better} has none' if better else 'every later version has some'}"
    )
