"""Compare with an earlier image: findings that it also has were not caused by the change."""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Self

import dagger

from pipeline.errors import InputError
from pipeline.sbom.purl import Purl, parsed
from pipeline.scan.acceptance import Acceptance, acceptance_of
from pipeline.scan.findings import SUPPRESSED, Finding, is_same_flaw


@dataclasses.dataclass(frozen=True, slots=True)
class Baseline:
    """The findings and packages of an earlier image."""

    #: Name and digest of it.
    image: str
    #: By type, namespace, name and version of their package URLs.
    packages: frozenset[tuple[str, ...]]
    #: As `findings.json` has them.
    findings: tuple[Mapping[str, Any], ...] = ()
    #: What somebody answered for there.
    accepted: tuple[Acceptance, ...] = ()

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Read a verdict.

        Parameters
        ----------
        text
            `findings.json`, of the reports or as it was attested.
        name
            Of the file, for messages.

        Raises
        ------
        InputError
            If it is none, or one that does not say which packages the image has.
        """
        try:
            document = json.loads(text)
            packages = document["packages"]
            image = document["image"]
            return cls(
                f"{image['name']}@{image['digest']}",
                frozenset(map(_bare, parsed(packages))),
                tuple(document["findings"]),
                tuple(acceptance_of(raw) for raw in document["policy"]["accept"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"{name}: this file is not a verdict to compare with ({reason}); give the findings.json of a build or "
                "of `published verified findings`, from this version of the pipeline or a later one"
            ) from None

    def before(self, finding: Finding, today: dt.date) -> str:
        """Say that the image had a finding, or the package that it is of in the same version; nothing if it had not.

        An advisory that was published since on a package that did not change is nothing that a change brought. What
        somebody answered for in that image is new if the answer is gone, unless its time has come.
        """
        known = [raw for raw in self.findings if _same(raw, finding)]
        if any(raw["status"] in SUPPRESSED for raw in known) and not self._expired(finding, today):
            return ""
        if known or any(_bare(purl) in self.packages for purl in parsed(finding.purls)):
            return f"also in {self.image}"
        return ""

    def _expired(self, finding: Finding, today: dt.date) -> bool:
        return any(entry.until < today and entry.matches(finding) for entry in self.accepted)


async def read_baseline(file: dagger.File | None) -> Baseline | None:
    """Read the file of `--baseline`, if it is given."""
    return Baseline.parse(await file.contents(), f"--baseline {await file.name()}") if file else None


def _same(raw: Mapping[str, Any], finding: Finding) -> bool:
    """Tell whether it is the same vulnerability in the same package, in any version."""
    package = raw["package"]
    if (package["kind"], package["name"]) != (finding.kind.value, finding.package):
        return False
    return is_same_flaw((raw["id"], {raw["id"], *raw["aliases"]}), (finding.id, finding.names))


def _bare(purl: Purl) -> tuple[str, ...]:
    """Return the parts of a package URL that identify a package in a version, whoever wrote it."""
    normal = purl.normal()
    return (normal.type, normal.namespace.lower(), normal.name.lower(), normal.version)
