"""Find what a distribution fixed in its own package of Erlang/OTP without a new version, by its security tracker.

An Erlang/OTP of a distribution has the version of upstream, and perhaps fixes of later ones. Trivy and Grype know the
distribution's security tracker; they are asked for its package once as it is, and once in a version before every other:
what they report of the second alone has been mended.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from pipeline.sbom import purl
from pipeline.scan.findings import Absence, Cleared, ScannerRun

_BEFORE = "0"
_KIND = "pipeline:package"


def tracked(cyclonedx: str) -> str:
    """Return the query for scanners, as CycloneDX; empty if Erlang/OTP is not a package of the distribution."""
    document = json.loads(cyclonedx)
    package = _package(document)
    system = next((part for part in _components(document) if part.get("type") == "operating-system"), None)
    if not package or not system:
        return ""
    form, name, version = package
    components = [_component(form, name, each, system) for each in dict.fromkeys((version, _BEFORE))]
    return json.dumps({**document, "components": [system, *components], "dependencies": []})


def _component(form: str, name: str, version: str, system: Mapping[str, Any]) -> dict[str, Any]:
    distro = "-".join(filter(None, (system["name"], system.get("version", ""))))
    named = purl.make(form, system["name"], name, version=version, qualifiers={"distro": distro})
    return {
        "type": "library",
        "bom-ref": named,
        "name": name,
        "version": version,
        "purl": named,
        "properties": [
            {"name": "aquasecurity:trivy:SrcName", "value": name},
            {"name": "aquasecurity:trivy:SrcVersion", "value": version},
        ],
    }


def with_mended(run: ScannerRun, answer: ScannerRun, cyclonedx: str) -> ScannerRun:
    """Return a scanner's run over the SBOM, with the findings that its answer clears.

    Parameters
    ----------
    run
        Over the SBOM.
    answer
        Over the question.
    cyclonedx
        The SBOM.
    """
    if answer.failure:
        return dataclasses.replace(
            run, failure=run.failure or f"the query for the distribution's fixes failed: {answer.failure}"
        )
    package = _package(json.loads(cyclonedx))
    if not package:
        return run
    _, name, version = package
    open_ = {flaw for each in answer.sightings if each.version != _BEFORE for flaw in each.names}
    reason = f"the distribution fixed it in its package {name} {version}, according to {answer.scanner}"
    mended = [each.names for each in answer.sightings if each.version == _BEFORE]
    cleared = tuple(Cleared(names, "", Absence.CODE, reason) for names in mended if open_.isdisjoint(names))
    return dataclasses.replace(run, cleared=(*run.cleared, *cleared))


def _package(document: Mapping[str, Any]) -> tuple[str, str, str] | None:
    for part in _components(document):
        parsed = purl.Purl.parse(part.get("purl", ""))
        if parsed and parsed.is_erlang:
            for each in part.get("properties", ()):
                if each["name"] == _KIND:
                    form, name, version = each["value"].split(" ")
                    return form, name, version
    return None


def _components(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return document.get("components") or []
