"""Accepted findings: `accept.toml`."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pipeline.errors import InputError, parse_toml
from pipeline.sbom.component import Kind
from pipeline.sbom.purl import matches, parsed
from pipeline.scan.findings import Finding

#: An acceptance file of this name in the project's root is taken without being asked for.
ACCEPTANCES = "accept.toml"
_ACCEPTANCE = """[[accept]]
id = "CVE-2026-12345"    # of a secret: rule = "private-key"
package = "name"         # of a secret: path = "/opt/name/key.pem"
reason = "why"
until = 2026-12-31"""
#: What an entry is about: a flaw of a package, or what a rule found in a file.
_SUBJECTS = (("id", "package"), ("rule", "path"))


@dataclasses.dataclass(frozen=True, slots=True)
class Acceptance:
    """An accepted finding, with a reason and the last day on which it counts."""

    #: Of a secret, the rule that found it.
    id: str
    #: Of a secret, the path of its file.
    package: str
    reason: str
    until: dt.date

    def matches(self, finding: Finding) -> bool:
        """Tell whether it applies to a finding."""
        if finding.kind is Kind.SECRET:
            return self.id == finding.id and self.package.lstrip("/") == finding.package.lstrip("/")
        return self.covers(finding.names, finding.package, finding.purls)

    def covers(self, names: Collection[str], package: str, purls: Iterable[str]) -> bool:
        """Tell whether it applies to a vulnerability with these names in a package, named by name or package URL."""
        return self.id in names and (self.package == package or matches(self.package, parsed(purls)))

    @property
    def lost(self) -> str:
        """The message if it matches no finding."""
        return f"acceptance matches no finding: {self.id} of {self.package}; remove it, or correct it"


def acceptance_json(entry: Acceptance) -> dict[str, str]:
    """Return an acceptance as JSON; `acceptance_of` reads it."""
    return {"id": entry.id, "package": entry.package, "reason": entry.reason, "until": entry.until.isoformat()}


def acceptance_of(raw: Mapping[str, str]) -> Acceptance:
    """Read an acceptance from JSON."""
    return Acceptance(raw["id"], raw["package"], raw["reason"], dt.date.fromisoformat(raw["until"]))


def read_acceptances(text: str, name: str) -> tuple[Acceptance, ...]:
    """Read an acceptance file.

    Parameters
    ----------
    text
        TOML: a list of `[[accept]]` with `id` and `package` (a name or a package URL), or `rule` and `path` of a
        secret, and with `reason` and `until` (a date).
    name
        Of the file, for messages.

    Raises
    ------
    InputError
        If it cannot be read, or an entry is not complete.
    """
    raw = parse_toml(text, name)
    entries = raw.pop("accept", [])
    if raw or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        unknown = ", ".join(raw) or "accept"
        raise InputError(f"{name}: unknown key {unknown}; write entries such as\n{_ACCEPTANCE}")
    result = tuple(_acceptance(entry, number, name) for number, entry in enumerate(entries, 1))
    for (flaw, package), times in collections.Counter((entry.id, entry.package) for entry in result).items():
        if times > 1:
            raise InputError(f"{name}: {flaw} of {package} has {times} entries; remove all but one")
    return result


def _acceptance(entry: dict[str, Any], number: int, name: str) -> Acceptance:
    where = f"{name}: entry {number} ({entry.get('id', entry.get('rule', 'without an id'))})"
    subject = _SUBJECTS["rule" in entry or "path" in entry]
    for key in entry:
        if key not in (*subject, "reason", "until"):
            raise InputError(f"{where}: unknown key {key}; an entry has {', '.join(subject)}, reason and until")
    for key in (*subject, "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise InputError(f"{where}: {key} must be a non-empty string; write entries such as\n{_ACCEPTANCE}")
    until = entry.get("until")
    # A date with a time is a date too, as Python sees it.
    if not isinstance(until, dt.date) or isinstance(until, dt.datetime):
        raise InputError(f"{where}: until must be a date without quotes; write entries such as\n{_ACCEPTANCE}")
    flaw, place = (entry[key].strip() for key in subject)
    return Acceptance(flaw, place, " ".join(entry["reason"].split()), until)
