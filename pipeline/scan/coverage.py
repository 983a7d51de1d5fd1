"""Check that a scanner saw the packages that are there, so that "nothing found" means something."""

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping

from pipeline.sbom.purl import Purl
from pipeline.scan.findings import ScannerRun

#: Types of package URL that a package manager's packages have.
SYSTEM = ("deb", "apk")
#: What each can read. Trivy drops `pkg:otp`, and nothing in an image tells either of them of Hex or Erlang/OTP.
_READ = {
    ("trivy", "image"): SYSTEM,
    ("trivy", "SBOM"): (*SYSTEM, "hex"),
    ("grype", "image"): SYSTEM,
    ("grype", "SBOM"): (*SYSTEM, "hex", "otp"),
}


def packages_of(purls: Iterable[str]) -> dict[str, int]:
    """Count packages by the type of their package URLs, without those that have no version, which scanners ignore."""
    return dict(collections.Counter(purl.type for purl in map(Purl.parse, purls) if purl and purl.version))


def purls_of(cyclonedx: str) -> tuple[str, ...]:
    """Return the package URLs of a CycloneDX document."""
    return tuple(part.get("purl", "") for part in json.loads(cyclonedx).get("components") or ())


def covered(run: ScannerRun, expected: Mapping[str, int]) -> ScannerRun:
    """Return a run as failed if it saw no distribution, or fewer packages than there are of a kind that it reads.

    Parameters
    ----------
    run
        What a scanner saw.
    expected
        What is in the image, by type of package URL; nothing if no SBOM could be made.
    """
    if run.failure or (run.scanner, run.target) not in _READ:
        return run
    # Without an SBOM one package of the system must do.
    wanted = expected or {next((kind for kind in SYSTEM if run.packages.get(kind)), SYSTEM[0]): 1}
    lacking = [
        f"{run.packages.get(kind, 0)} of {wanted[kind]} packages of type {kind}"
        for kind in _READ[run.scanner, run.target]
        if run.packages.get(kind, 0) < wanted.get(kind, 0)
    ]
    if not run.system:
        lacking.insert(0, "no operating system")
    return dataclasses.replace(run, failure=f"it saw {', '.join(lacking)} in the {run.target}") if lacking else run
