"""What GitHub's dependency graph is told: the Hex and git dependencies of the image, from its SBOM."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pipeline.report.report import rfc3339
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.document import HOME, TOOL, kept, tool_version, written
from pipeline.sbom.sbom import Sbom

#: The file that names a dependency: the lock, or for what is in no lock the configuration.
_LOCK, _CONFIG = "rebar.lock", "rebar.config"


def dependency_snapshot(sbom: Sbom, time: dt.datetime) -> str:
    """Return a snapshot for GitHub's dependency submission API, without the commit and the job.

    Those only the CI knows: `ci/tell dependencies` adds them and submits it.

    Parameters
    ----------
    sbom
        Of the image.
    time
        Of the scan, with a zone.

    Notes
    -----
    Source: https://docs.github.com/rest/dependency-graph/dependency-submission. What is locked and not in the image
    has the scope `development`. Of a dependency that is in no lock it is not known whether the project asks for it
    itself, so it has no relationship.
    """
    parts = {part.purl: part for part in sbom.components if part.kind in {Kind.HEX, Kind.GIT}}
    manifests: dict[str, dict[str, Any]] = {}
    for purl, part in parts.items():
        path = _CONFIG if part.direct is None else _LOCK
        manifest = manifests.setdefault(path, {"name": path, "file": {"source_location": path}, "resolved": {}})
        manifest["resolved"][purl] = _dependency(part, parts)
    return written(
        {
            "version": 0,
            "detector": {"name": TOOL, "version": tool_version(), "url": HOME},
            "scanned": rfc3339(time),
            "manifests": manifests,
        }
    )


def _dependency(part: Component, parts: Mapping[str, Component]) -> dict[str, Any]:
    return kept(
        package_url=part.purl,
        relationship="" if part.direct is None else "direct" if part.direct else "indirect",
        scope="runtime" if part.shipped else "development",
        dependencies=[purl for purl in part.needs if purl in parts],
    )
