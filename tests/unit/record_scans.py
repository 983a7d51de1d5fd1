"""Record what the real scanners write: `python tests/unit/record_scans.py TRIVY GRYPE TRIVY_DB GRYPE_DB`.

TRIVY and GRYPE are the programs, TRIVY_DB and GRYPE_DB their cache directories with the small databases of the
end-to-end tests (`tests/e2e/databases.py`). The SBOM is that of the unit tests with packages added that the databases
know. The scanners' versions stand in what they write.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.project.images import default_images
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.sbom import Image, Sbom

_DATA = Path(__file__).parent / "data"
_IMAGE = Image("ghcr.io/example/erlmcp", "2.1.0", "sha256:" + "5e" * 32, "2026-02-04T17:25:56Z")
_ADDED = {"ssh": "5.2.6", "ftp": "1.2.3"}


def sbom() -> str:
    """Return the SBOM that is scanned."""
    inventory = json.loads((_DATA / "sbom" / "inventory.json").read_text())
    stdlib = next(app for app in inventory["applications"] if app["name"] == "stdlib")
    inventory["applications"] += [copy.deepcopy(stdlib) | {"name": name, "vsn": vsn} for name, vsn in _ADDED.items()]
    dependency = next(app for app in inventory["applications"] if app["name"] == "jose")
    lock = next(lock for lock in inventory["locks"] if lock["name"] == "jose")
    added = {"name": "tiny_text", "package": "tiny_text", "version": "1.0.2"}
    inventory["locks"].append(lock | added)
    inventory["applications"].append(dependency | {"name": "tiny_text", "vsn": "1.0.2", "hex": {"version": "1.0.2"}})
    text = (_DATA / "sbom" / "syft.json").read_text()
    document = json.loads(cyclonedx(Sbom.parse(_IMAGE, text, json.dumps(inventory), default_images()).shipped()))
    for component in document["components"]:
        if component.get("purl") == "pkg:otp/ftp@1.2.3":
            # As Syft guesses it for an application that it found itself: the known false match. Grype 0.121 falls for
            # it only where it is told to match by CPE (see `_run`); others did so by default.
            component["cpe"] = "cpe:2.3:a:ftp:ftp:1.2.3:*:*:*:*:*:*:*"
    return json.dumps(document)


def main(trivy: str, grype: str, trivy_db: str, grype_db: str) -> None:
    """Run both and write `data/scans/{trivy,grype,grype.cdx}.json`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sbom.cdx.json")
        path.write_text(sbom())
        flags = ["--cache-dir", trivy_db, "--skip-db-update", "--offline-scan", "--format", "json", "--quiet"]
        outputs = {
            "trivy": _run([trivy, "sbom", *flags, "sbom.cdx.json"], folder),
            "grype": _run([grype, "sbom:sbom.cdx.json", "-o", "json", "--quiet"], folder, GRYPE_DB_CACHE_DIR=grype_db),
            "grype.cdx": _run(
                [grype, "sbom:sbom.cdx.json", "-o", "cyclonedx-json", "--quiet"], folder, GRYPE_DB_CACHE_DIR=grype_db
            ),
        }
    for name, output in outputs.items():
        document = json.loads(output)
        # Nothing of the machine, and of the packages that have no finding that they were seen.
        document.get("descriptor", {}).pop("configuration", None)
        for result in document.get("Results", []):
            purls = [package["Identifier"]["PURL"] for package in result.get("Packages", [])]
            result["Packages"] = [{"Identifier": {"PURL": purl}} for purl in purls]
        if name == "grype.cdx":
            parts = [part["purl"] for part in document["components"] if "purl" in part]
            document = {"components": [{"purl": purl} for purl in parts]}
        text = re.sub(re.escape(grype_db.rstrip("/")), "/db", json.dumps(document, indent=1))
        (_DATA / "scans" / f"{name}.json").write_text(text + "\n")


def _run(command: list[str], folder: str, **environment: str) -> str:
    settings = {
        "GRYPE_DB_AUTO_UPDATE": "false",
        # The databases may be older than five days when this is run again.
        "GRYPE_DB_VALIDATE_AGE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
        "GRYPE_MATCH_HEX_USING_CPES": "true",
    }
    done = subprocess.run(
        command, cwd=folder, env=os.environ | settings | environment, check=True, capture_output=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
