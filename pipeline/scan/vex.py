"""OpenVEX documents (github.com/openvex/spec, 0.2)."""

import dataclasses
import datetime as dt
import json
from collections.abc import Collection
from typing import Any

from pipeline.errors import InputError
from pipeline.sbom.purl import matches, parsed
from pipeline.scan.findings import Finding

_STATUSES = ("not_affected", "affected", "fixed", "under_investigation")


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a VEX document."""

    names: frozenset[str]
    status: str
    #: Products, each with its subcomponents.
    products: tuple[tuple[str, tuple[str, ...]], ...]
    reason: str
    source: str
    time: dt.datetime


def read_vex(text: str, name: str) -> tuple[Statement, ...]:
    """Read an OpenVEX document (0.2).

    Parameters
    ----------
    text
        The document.
    name
        Of its file, for messages.

    Raises
    ------
    InputError
        If it is not one.
    """
    try:
        document = json.loads(text)
        if not str(document["@context"]).startswith("https://openvex.dev/ns"):
            raise InputError(f"{name}: its @context is {document['@context']}; expected an OpenVEX document")
        return tuple(_statement(raw, document, name) for raw in document["statements"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{name}: not an OpenVEX document ({reason})") from None


def _statement(raw: dict[str, Any], document: dict[str, Any], name: str) -> Statement:
    flaw = raw["vulnerability"]
    names = [flaw] if isinstance(flaw, str) else [flaw["name"], *flaw.get("aliases", ())]
    status = raw["status"]
    if status not in _STATUSES:
        raise InputError(f"{name}: {names[0]} has the status {status}; expected one of {', '.join(_STATUSES)}")
    reason = raw.get("justification") or raw.get("impact_statement") or ""
    if status == "not_affected" and not reason:
        raise InputError(f"{name}: {names[0]} is not_affected without a reason; add a justification (OpenVEX 0.2)")
    return Statement(
        frozenset(names),
        status,
        tuple(
            (product, tuple(part for raw_part in raw_product.get("subcomponents", ()) for part in _ids(raw_part)))
            for raw_product in raw.get("products", ())
            for product in _ids(raw_product)
        ),
        reason.replace("_", " ") if "justification" in raw else reason or status,
        document.get("@id", name),
        _zoned(raw.get("last_updated") or raw.get("timestamp") or document["timestamp"]),
    )


def _ids(component: dict[str, Any] | str) -> tuple[str, ...]:
    if isinstance(component, str):
        return (component,)
    return tuple(dict.fromkeys(filter(None, (component.get("@id"), component.get("identifiers", {}).get("purl")))))


def speaks_of(statement: Statement, finding: Finding, image: Collection[str]) -> bool:
    """Tell whether a statement is about a finding in an image of these names."""
    if not statement.names & finding.names:
        return False
    own, whole = parsed(finding.purls), parsed(image)
    return any(
        any(matches(part, own) for part in parts)
        if parts and (product in image or matches(product, whole))
        else not parts and (product in image or matches(product, whole) or matches(product, own))
        for product, parts in statement.products
    )


def _zoned(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)
