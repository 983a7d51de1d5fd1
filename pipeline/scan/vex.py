"""OpenVEX documents (github.com/openvex/spec, 0.2)."""

import dataclasses
import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pipeline.errors import InputError
from pipeline.sbom import purl
from pipeline.sbom.purl import matches, parsed
from pipeline.scan.findings import Finding, rank
from pipeline.table import count

_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
#: Of the statements of one document that match nothing, how many are shown.
_SHOWN = 5
_STATUSES = ("not_affected", "affected", "fixed", "under_investigation")
#: Why a product is not affected.
_JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a VEX document."""

    names: frozenset[str]
    status: str
    #: Products, each with its subcomponents.
    products: tuple[tuple[str, tuple[str, ...]], ...]
    #: One of OpenVEX's reasons for `not_affected`; empty if the document gives none.
    justification: str
    source: str
    time: dt.datetime
    #: The document as the user knows it.
    file: str = ""
    #: Whether it is told if it matches nothing.
    told: bool = True
    #: In the document's own words: why it is not affected, and what to do if it is.
    impact: str = ""
    action: str = ""

    @property
    def reason(self) -> str:
        """Why it has its status, in words."""
        return self.justification.replace("_", " ") or self.impact or self.status


def statement_json(statement: Statement) -> dict[str, Any]:
    """Return a statement as JSON has it, for `statement_of`."""
    return {
        "names": sorted(statement.names, key=rank),
        "status": statement.status,
        "products": [{"id": product, "subcomponents": list(parts)} for product, parts in statement.products],
        "reason": statement.reason,
        "justification": statement.justification,
        "impact": statement.impact,
        "action": statement.action,
        "source": statement.source,
        "time": statement.time.isoformat(),
        "file": statement.file,
    }


def statement_of(raw: Mapping[str, Any]) -> Statement:
    """Return a statement out of JSON."""
    return Statement(
        frozenset(raw["names"]),
        raw["status"],
        tuple((product["id"], tuple(product["subcomponents"])) for product in raw["products"]),
        raw.get("justification", ""),
        raw["source"],
        _zoned(raw["time"]),
        raw["file"],
        # A verdict of before had the reason in words alone.
        impact=raw.get("impact", raw["reason"]),
        action=raw.get("action", ""),
    )


def otp_document(version: str) -> str:
    """Return where Erlang/OTP says which vulnerabilities the versions of one major version have."""
    return f"https://erlang.org/download/vex/otp-{version.partition('.')[0]}.openvex.json"


def read_vex(text: str, name: str, *, told: bool = True) -> tuple[Statement, ...]:
    """Read an OpenVEX document (0.2).

    Parameters
    ----------
    text
        The document.
    name
        Of its file, for messages.
    told
        Whether a statement that matches nothing is told: not of a document that speaks of many releases.

    Raises
    ------
    InputError
        If it is not one.
    """
    try:
        document = json.loads(text)
        if not str(document["@context"]).startswith("https://openvex.dev/ns"):
            raise InputError(f"{name}: its @context is {document['@context']}; give an OpenVEX document")
        statements = [_statement(raw, document, name) for raw in document["statements"]]
        return tuple(dataclasses.replace(statement, file=name, told=told) for statement in statements)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{name}: this file is not an OpenVEX document ({reason})") from None


def _statement(raw: dict[str, Any], document: dict[str, Any], name: str) -> Statement:
    flaw = raw["vulnerability"]
    names = [flaw] if isinstance(flaw, str) else [flaw.get("name") or flaw["@id"], *flaw.get("aliases", ())]
    names += [flaw["@id"]] if "@id" in flaw else []
    status = raw["status"]
    if status not in _STATUSES:
        raise InputError(f"{name}: {names[0]} has the status {status}; use {', '.join(_STATUSES)}")
    justification, impact = raw.get("justification") or "", raw.get("impact_statement") or ""
    if justification and justification not in _JUSTIFICATIONS:
        expected = ", ".join(_JUSTIFICATIONS)
        raise InputError(f"{name}: {names[0]} has the justification {justification}; use one of {expected}")
    if status == "not_affected" and not (justification or impact):
        raise InputError(f"{name}: {names[0]} is not_affected without a justification; add one (OpenVEX 0.2)")
    return Statement(
        frozenset(names),
        status,
        tuple(
            (product, tuple(part for raw_part in raw_product.get("subcomponents", ()) for part in _ids(raw_part)))
            for raw_product in raw.get("products", ())
            for product in _ids(raw_product)
        ),
        justification,
        document.get("@id", name),
        _zoned(raw.get("last_updated") or raw.get("timestamp") or document["timestamp"]),
        impact=impact,
        action=raw.get("action_statement") or "",
    )


def _ids(component: dict[str, Any] | str) -> tuple[str, ...]:
    if isinstance(component, str):
        return (component,)
    others = (*component.get("identifiers", {}).values(), *component.get("hashes", {}).values())
    return tuple(dict.fromkeys(filter(None, (component.get("@id"), *others))))


def speaks_of(statement: Statement, finding: Finding, image: Collection[str]) -> bool:
    """Tell whether a statement is about a finding in an image of these names, as Trivy and Grype do.

    If the product is the package itself, its parts do not matter to them. Trivy also takes a product that is on every
    way from the image to the package, which depends on what it knows of dependencies; Grype does not, nor is it here.
    """
    if not statement.names & finding.names:
        return False
    own, whole = parsed(finding.purls), parsed(image)
    return bool(named(statement, finding.purls)) or any(
        _is(product, image, whole) and (not parts or any(_is(part, finding.purls, own) for part in parts))
        for product, parts in statement.products
    )


def named(statement: Statement, purls: Iterable[str]) -> tuple[str, ...]:
    """Return those of some packages that a statement is about in whatever image."""
    return tuple(
        text for text in purls if any(_is(product, (text,), parsed((text,))) for product, _ in statement.products)
    )


def _is(text: str, names: Collection[str], purls: list[purl.Purl]) -> bool:
    return text in names or matches(text, purls)


def image_names(name: str, tag: str, digest: str, architecture: str = "") -> tuple[str, ...]:
    """Return every name under which a VEX document may speak of an image, as Trivy and Grype write them.

    A package URL covers another if its qualifiers are among the other's: each here has all that a scanner knows at
    once. To Trivy an image has a digest and an architecture, to Grype a digest or a tag.

    Parameters
    ----------
    name
        Without tag and digest.
    tag, digest
        Empty if not known.
    architecture
        As images have it; empty if it is not known, or the image is one of several.
    """
    host, _, path = name.partition("/")
    spellings = [name]
    if host in _DOCKER_HUB:
        long, short = path if "/" in path else f"library/{path}", path.removeprefix("library/")
        spellings = list(dict.fromkeys(f"{hub}/{part}" for part in (long, short) for hub in _DOCKER_HUB[:2]))
    ends = [end for end in (f":{tag}" if tag else "", f"@{digest}" if digest else "") if end]
    plain = [spelling + end for spelling in spellings for end in ends]
    purls = [
        purl.of_image(spelling + end, architecture if end.startswith("@") else "")
        for spelling in spellings
        for end in ends
    ]
    return (*plain, *purls, *([digest.removeprefix("sha256:")] if digest else []))


def unmatched(statements: Iterable[Statement], findings: Sequence[Finding], image: Collection[str]) -> list[str]:
    """Return a line for each document with statements that match no finding, with a hint why."""
    lines = []
    by_file: dict[str, list[Statement]] = {}
    for statement in statements:
        if statement.told:
            by_file.setdefault(statement.file, []).append(statement)
    for file, known in by_file.items():
        lost = [each for each in known if not any(speaks_of(each, finding, image) for finding in findings)]
        shown = [f"{_flaw(each)} of {_about(each)}{_hint(each, findings, image)}" for each in lost[:_SHOWN]]
        more = [f"and {len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else []
        if lost:
            number = f"{len(lost)} of {count(len(known), 'statement')}"
            lines.append(
                f"VEX {file}: {number} {'matches' if len(lost) == 1 else 'match'} no finding: {'; '.join(shown + more)}"
            )
    return lines


def _flaw(statement: Statement) -> str:
    return min(statement.names, key=rank)


def _about(statement: Statement) -> str:
    return (
        ", ".join(
            dict.fromkeys(
                f"{product} ({', '.join(parts)})" if parts else product for product, parts in statement.products
            )
        )
        or "no product"
    )


def _hint(statement: Statement, findings: Sequence[Finding], image: Collection[str]) -> str:
    """Return a hint at what a statement may have meant: another version, or a package that is built from it."""
    whole = parsed(image)
    named = parsed(name for product, parts in statement.products for name in (product, *parts))
    about = [text for finding in findings if statement.names & finding.names for text in finding.purls]
    for text in about:
        if any(part.is_like(own) and not part.covers(own) for own in parsed([text]) for part in named):
            return f" (the finding is of {text}: remove the parts that differ)"
    for own in parsed(about):
        if (own.type, own.upstream) in {(part.type, part.name) for part in named}:
            return f" (the finding is of {own.name}, built from {own.upstream}: write {own.name})"
    if about and any(any(map(part.is_like, whole)) and not any(map(part.covers, whole)) for part in named):
        known = [name for name in image if name.startswith("pkg:")]
        return f" (the image is {', or '.join(known)}: remove the parts that differ)"
    return ""


def _zoned(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)
