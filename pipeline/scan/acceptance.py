"""Findings that somebody answers for: `accept.toml`."""

import collections
import dataclasses
import datetime as dt
from typing import Any

from pipeline.errors import InputError, parse_toml
from pipeline.sbom.purl import matches, parsed
from pipeline.scan.findings import Finding

#: An acceptance file of this name in the project's root is taken without being asked for.
ACCEPTANCES = "accept.toml"
_ACCEPTANCE = """[[accept]]
id = "CVE-2026-12345"
package = "name"
reason = "why"
until = 2026-12-31"""


@dataclasses.dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that somebody answers for until a day (inclusive)."""

    id: str
    package: str
    reason: str
    until: dt.date

    def matches(self, finding: Finding) -> bool:
        """Tell whether it is meant for a finding."""
        return self.id in finding.names and (
            self.package == finding.package or matches(self.package, parsed(finding.purls))
        )


def read_acceptances(text: str, name: str) -> tuple[Acceptance, ...]:
    """Read an acceptance file.

    Parameters
    ----------
    text
        TOML: a list of `[[accept]]` with `id`, `package` (a name or a package URL), `reason` and `until` (a date).
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
        raise InputError(f"{name}: {unknown} is not known here; expected entries such as\n{_ACCEPTANCE}")
    result = tuple(_acceptance(entry, number, name) for number, entry in enumerate(entries, 1))
    for (flaw, package), times in collections.Counter((entry.id, entry.package) for entry in result).items():
        if times > 1:
            raise InputError(f"{name}: {flaw} of {package} is there {times} times; keep one entry")
    return result


def _acceptance(entry: dict[str, Any], number: int, name: str) -> Acceptance:
    where = f"{name}: entry {number} ({entry.get('id', 'without an id')})"
    for key in entry:
        if key not in Acceptance.__dataclass_fields__:
            raise InputError(f"{where}: {key} is not known; expected id, package, reason and until")
    for key in ("id", "package", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise InputError(f"{where}: needs a text for {key}; expected such as\n{_ACCEPTANCE}")
    until = entry.get("until")
    # A date with a time is a date too, as Python sees it.
    if not isinstance(until, dt.date) or isinstance(until, dt.datetime):
        raise InputError(f"{where}: needs a date for until, without quotes; expected such as\n{_ACCEPTANCE}")
    return Acceptance(entry["id"].strip(), entry["package"].strip(), " ".join(entry["reason"].split()), until)
