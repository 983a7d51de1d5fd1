"""How complete the fields of the SBOM are, and why values are missing."""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping

from pipeline.image.labels import VENDOR
from pipeline.report.markdown import cell, markdown_table
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.sbom import Sbom

_NTIA, _CISA, _BSI = "NTIA 2021", "CISA 2026", "BSI TR-03183-2"
_AUTHORS = "its authors name no licence in its .app.src or at Hex"
_UNNAMED = "its .app, its package and its licence files name no maintainer, repository or owner"
_TEXTLESS = "it has no licence file with the complete text of a licence on SPDX's list"
_SILENT = "it has no licence file that names the copyright holder"
_REVIEWLESS = "its copyright file is not machine-readable, or is invalid, and the SBOM's own table does not have it"
#: What a project does about its own.
_OURS = "the project: "


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of a component."""

    name: str
    #: Documents that ask for it.
    asked: tuple[str, ...]
    have: int
    total: int
    #: By the reason, the names of the components that have it not.
    missing: Mapping[str, tuple[str, ...]]

    @property
    def score(self) -> float:
        """Of ten; ten only if nothing is missing."""
        return math.floor(100 * self.have / self.total) / 10 if self.total else 0.0


def fields(sbom: Sbom) -> list[Field]:
    """Return how complete each field is for the components in the image."""
    parts = sbom.shipped().components
    return [
        _field("supplier", (_NTIA, _CISA, _BSI), parts, lambda part: part.supplier, _supplier),
        _field("version", (_NTIA, _CISA, _BSI), parts, lambda part: part.has_version, _version),
        _field("package URL", (_NTIA, _CISA, _BSI), parts, lambda part: part.purl, lambda _: "this program"),
        _field("dependencies", (_NTIA, _CISA, _BSI), parts, lambda part: part.has_origin, _origin),
        _field("hash of its files in the image", (_CISA, _BSI), parts, _is_hashed, _hash),
        _field("declared licence", (_CISA, _BSI), parts, lambda part: part.licenses, _declared),
        _field("concluded licence", (_CISA, _BSI), parts, lambda part: part.concluded, _concluded),
        _field("source repository", (_BSI,), parts, lambda part: part.vcs, _sources),
        _field("copyright", (), parts, lambda part: part.copyright, _copyright),
    ]


def completeness(sbom: Sbom) -> list[str]:
    """Return the fields as a section of a report, in Markdown."""
    rows = []
    for field in fields(sbom):
        lacking = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in field.missing.items())
        number = f"{field.score:.1f} ({field.have} of {field.total})"
        rows.append((field.name, cell(", ".join(field.asked)), number, cell(lacking)))
    image = sbom.image
    about = [
        *([f"The SBOM has no author: give --labels {VENDOR}=NAME."] if not image.source.supplier else []),
        *(["The SBOM has no creation time: give --created."] if not image.created else []),
    ]
    return [
        "## Completeness of the SBOM",
        "",
        "Each field has a score of up to ten. Values that are missing at their source are not made up here.",
        *about,
        "",
        *markdown_table(("field", "required by", "score", "missing, and why"), rows),
    ]


def _field(
    name: str,
    asked: tuple[str, ...],
    parts: tuple[Component, ...],
    has: Callable[[Component], object],
    why: Callable[[Component], str],
) -> Field:
    missing: dict[str, list[str]] = collections.defaultdict(list)
    for part in parts:
        if not has(part):
            missing[why(part)].append(part.name)
    lacking = sum(map(len, missing.values()))
    found = {reason: tuple(sorted(names)) for reason, names in sorted(missing.items())}
    return Field(name, asked, len(parts) - lacking, len(parts), found)


def _is_hashed(part: Component) -> bool:
    return bool(part.content or part.sha256)


def _supplier(part: Component) -> str:
    if part.kind is Kind.OWN:
        return f"{_OURS}give --labels {VENDOR}=NAME, or a link to the repository in the .app.src"
    return _UNNAMED


def _version(part: Component) -> str:
    if part.kind is Kind.OWN:
        return f"{_OURS}its .app.src has no vsn"
    return "its .app has no version or 0.0.0: use a release from Hex or a tag"


def _origin(_: Component) -> str:
    return "it is neither in the lock nor in a package database"


def _hash(part: Component) -> str:
    return "none of its files is in the image" if part.kind is Kind.OS else "its files were not read"


def _declared(part: Component) -> str:
    if part.kind is Kind.OS:
        return "neither the distribution's package database nor a copyright file in the image names a licence"
    return f"{_OURS}its .app.src names no licence" if part.kind is Kind.OWN else _AUTHORS


def _concluded(part: Component) -> str:
    if part.kind is Kind.OS:
        return _REVIEWLESS
    if part.kind is Kind.OTP:
        return "the licence file of Erlang/OTP does not cover all of its files"
    return f"{_OURS}{_TEXTLESS}" if part.kind is Kind.OWN else _TEXTLESS


def _sources(part: Component) -> str:
    if part.kind is Kind.OWN:
        return f"{_OURS}its .app.src has no link to a repository"
    return "none of its links leads to a repository"


def _copyright(part: Component) -> str:
    if part.kind is Kind.OS:
        return "the copyright files of the distribution are not read"
    if part.kind is Kind.OTP:
        return "Erlang/OTP ships no licence file with its compiled files"
    return f"{_OURS}{_SILENT}" if part.kind is Kind.OWN else _SILENT
