"""The database of `eef`, made of facts: tests/fixtures/records, in the formats of the publishers.

The facts are those of 3 August 2026, of each record on Erlang/OTP and of those on the Hex packages of erlmcp (and on
two others): names, packages, versions, functions, scores. `cves.json` is what the Erlang Ecosystem Foundation publishes
as CVE records, `osv.json` what OSV has under Hex.
"""

import datetime as dt
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).resolve().parent.parent / "fixtures" / "records"


#: A record on an application that hardly any release has: a database has one at least.
_ELSEWHERE = "CVE-2026-59250"


def database(fetched: dt.datetime, cves: list[dict[str, Any]] | None = None) -> str:
    """Return the database as the function `advisories` writes it, with these facts in place of the CVE records'."""
    return json.dumps(
        {
            "fetched": fetched.isoformat(),
            "cves": [cve(facts) for facts in (read("cves") if cves is None else cves)],
            "osv": [osv(facts) for facts in read("osv")],
        }
    )


def write(folder: Path, fetched: dt.datetime, names: Collection[str]) -> Path:
    """Write it into a folder, for `--eef-db`, with the CVE records of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    cves = [each for each in read("cves") if each["id"] in {*names, _ELSEWHERE}]
    (folder / "eef.json").write_text(database(fetched, cves))
    return folder


def read(name: str) -> list[dict[str, Any]]:
    """Return the facts."""
    return json.loads((RECORDS / f"{name}.json").read_text())  # type: ignore[no-any-return] # a list


def cve(facts: dict[str, Any]) -> dict[str, Any]:
    """Return a CVE record (5.2)."""
    page = f"https://github.com/erlang/otp/security/advisories/{facts['ghsa']}"
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.2",
        "cveMetadata": {"cveId": facts["id"], "state": facts.get("state", "PUBLISHED")},
        "containers": {
            "cna": {
                "affected": [_affected(each) for each in facts["affected"]],
                "metrics": [{"cvssV4_0": {"baseScore": facts["score"], "baseSeverity": facts["severity"]}}],
                "references": [{"url": page}] if facts["ghsa"] else [],
            }
        },
    }


def _affected(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "packageURL": facts["package"],
        "defaultStatus": facts["default"],
        "programRoutines": [{"name": name} for name in facts["functions"]],
        "versions": [
            {
                "status": "affected",
                "versionType": span["scheme"],
                "version": span["from"],
                **({"lessThan": span["before"]} if span["before"] else {}),
                **({"changes": [{"at": at, "status": "unaffected"} for at in span["fixed"]]} if span["fixed"] else {}),
            }
            for span in facts["ranges"]
        ],
    }


def osv(facts: dict[str, Any]) -> dict[str, Any]:
    """Return an OSV record."""
    return {
        "schema_version": "1.7.3",
        "id": facts["id"],
        "aliases": facts["aliases"],
        "affected": [
            {
                "package": {"ecosystem": "Hex", "name": facts["package"]},
                "ranges": [
                    {"type": "SEMVER", "events": [{kind: version} for kind, version in events]}
                    for events in facts["ranges"]
                ],
            },
            # The other side of the same record: revisions of the repository.
            {"ranges": [{"type": "GIT", "repo": "https://example.org/x", "events": [{"introduced": "0" * 40}]}]},
        ],
        **({"database_specific": {"severity": facts["severity"]}} if facts["severity"] else {}),
    }
