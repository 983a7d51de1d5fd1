"""The component set as CycloneDX 1.6 (cyclonedx.org/docs/1.6/json)."""

from collections.abc import Mapping
from typing import Any

from pipeline.sbom import purl
from pipeline.sbom.component import Component, Content, Kind
from pipeline.sbom.document import DATA_LICENSE, TOOL, kept, party, tool_version, written
from pipeline.sbom.licence import COMMON, expression
from pipeline.sbom.sbom import Image, Sbom

#: Identifiers that the schema of CycloneDX 1.6 lists, which has what SPDX had in its year: readers that hold to it
#: refuse a document for a later one.
_LISTED = frozenset(COMMON) | {
    *("Artistic-1.0-Perl", "Artistic-2.0", "BSD-4-Clause", "BSD-4-Clause-UC", "Beerware", "CC-BY-3.0", "CC-BY-4.0"),
    *("FSFAP", "FSFUL", "FSFULLR", "GFDL-1.2-no-invariants-or-later", "GFDL-1.2-or-later"),
    *("GFDL-1.3-no-invariants-only", "GFDL-1.3-no-invariants-or-later", "GFDL-1.3-or-later", "GPL-1.0-only"),
    *("GPL-1.0-or-later", "LGPL-2.0-only", "LGPL-2.0-or-later", "Latex2e", "MPL-1.1", "OLDAP-2.8", "RSA-MD"),
    *("Sleepycat", "TCL", "Unicode-DFS-2016", "X11", "bzip2-1.0.6", "curl", "Artistic-dist", "CMU-Mach"),
    *("GFDL-1.2-only", "GFDL-1.3-only", "Inner-Net-2.0", "Kazlib", "MS-PL", "SMAIL-GPL", "SunPro"),
    *("X11-distribute-modifications-variant", "libselinux-1.0"),
}
#: The property that says of what kind a component is.
KIND = "pipeline:kind"
#: The property that says from which repository a Hex package is, as rebar3 calls it; none for the public one.
REPOSITORY = "pipeline:repository"
#: The properties that say from what a licence was concluded, and what is declared where there is no field for both.
CONCLUDED_BY, DECLARED = "pipeline:license-concluded-from", "pipeline:license-declared"
#: The property of the document that names what is locked in rebar.lock and not in the image, by its purl.
NOT_IN_IMAGE = "pipeline:locked-not-in-image"
#: The property that says, of an index, for which platform the image is that was looked at.
PLATFORM = "pipeline:platform"


def cyclonedx(sbom: Sbom) -> str:
    """Return the component set as CycloneDX 1.6 JSON; what is locked and not in the image is named in a property alone.

    As components with the scope `excluded` they would be taken for parts of the image: Dependency-Track and GitHub do
    not look at the scope.
    """
    image, system, lacking = sbom.image, sbom.system, sbom.lacking()
    sbom = sbom.shipped()
    maker = _party(image.source.supplier, image.source.contact)
    base = {"type": "container", "name": image.base, "purl": purl.of_image(image.base)} if image.base else None
    root = kept(
        type="container",
        **{"bom-ref": image.purl},
        supplier=maker,
        name=image.title,
        version=image.version,
        licenses=_cyclonedx_licenses(sbom.own),
        copyright="\n".join(sbom.own.copyright),
        purl=image.purl,
        hashes=[{"alg": "SHA-256", "content": image.digest.removeprefix("sha256:")}],
        pedigree=kept(ancestors=[base] if base else []),
        externalReferences=_references(image, sbom.own, image.content),
        properties=_properties(_licensing(sbom.own) | _file(image.filename, executable=True, archive=True)),
    )
    # Trivy and Grype read the distribution out of this one.
    os = kept(
        type="operating-system",
        **{"bom-ref": "operating-system"},
        supplier=_party(system.pretty, system.home),
        name=system.name,
        version=system.version,
        description=system.pretty,
        cpe=system.cpe,
        hashes=_sha512(system.content),
        licenses=_cyclonedx_licenses(sbom.base),
        externalReferences=_in_image(image, system.content),
        properties=_properties(
            _licensing(sbom.base) | _file(system.filename, executable=False) | _hash_of(system.content)
        ),
    )
    edges = {
        image.purl: ["operating-system", *sbom.tops()],
        "operating-system": [part.purl for part in sbom.components if part.kind is Kind.OS],
        **{part.purl: list(part.needs) for part in sbom.components},
    }
    return written(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{sbom.uuid}",
            "version": 1,
            "metadata": kept(
                timestamp=image.created,
                lifecycles=[{"phase": "build"}],
                authors=[kept(name=party(image.source.supplier)[1])] if maker else [],
                manufacturer=maker,
                supplier=maker,
                licenses=[{"license": {"id": DATA_LICENSE}}],
                tools={"components": [{"type": "application", "name": TOOL, "version": tool_version()}]},
                component=root,
                properties=[
                    *({"name": NOT_IN_IMAGE, "value": purl} for purl in lacking),
                    *([{"name": PLATFORM, "value": image.seen_on}] if image.seen_on else []),
                ],
            ),
            "components": [os, *(_cyclonedx_component(image, part) for part in sbom.components)],
            "dependencies": [kept(ref=ref, dependsOn=needs) for ref, needs in edges.items()],
            "compositions": _compositions(sbom, list(edges)),
        }
    )


def _compositions(sbom: Sbom, refs: list[str]) -> list[dict[str, Any]]:
    """Say where what a component has and needs is known to its end: but for what only Syft found."""
    unknown = [part.purl for part in sbom.components if not part.has_origin]
    known = [ref for ref in refs if ref not in set(unknown)]
    return [
        # Of the whole document.
        {"aggregate": "incomplete" if unknown else "complete"},
        {"aggregate": "complete", "dependencies": known},
        *([{"aggregate": "unknown", "dependencies": unknown}] if unknown else []),
    ]


def _party(name: str, contact: str) -> dict[str, Any]:
    """Return an organisation, or whoever it is, with an address."""
    _, name = party(name)
    if not name:
        return {}
    mail = [{"name": name, "email": contact}] if "@" in contact else []
    return kept(name=name, url=[contact] if contact and not mail else [], contact=mail)


def _cyclonedx_component(image: Image, part: Component) -> dict[str, Any]:
    source_name, source_version = part.source
    properties = {
        KIND: part.kind.value,
        **{f"pipeline:{name}": value for name, value in part.notes},
        **_hash_of(part.content),
        **_licensing(part),
        # Advisories of a distribution are about source packages: Trivy reads them here, Grype in the purl.
        "aquasecurity:trivy:SrcName": source_name,
        "aquasecurity:trivy:SrcVersion": source_version,
    }
    properties |= _file(part.filename, executable=part.executable)
    # The field holds one; Grype reads the others here.
    more = [("syft:cpe23", cpe) for cpe in part.cpes[1:]]
    return kept(
        type="library" if part.kind is not Kind.OWN else "application",
        **{"bom-ref": part.purl},
        supplier=_party(part.supplier, part.contact),
        name=part.name,
        version=part.version,
        description=part.description,
        scope="required",
        # The archive's own stand with its address.
        hashes=_sha512(part.content) or _hashes(("SHA-256", part.sha256)),
        licenses=_cyclonedx_licenses(part),
        copyright="\n".join(part.copyright),
        cpe=part.cpes[0] if part.cpes else "",
        purl=part.purl,
        externalReferences=_references(image, part, part.content),
        properties=[*_properties(properties), *({"name": name, "value": value} for name, value in more)],
    )


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _file(filename: str, *, executable: bool, archive: bool = False) -> dict[str, str]:
    """Return what BSI asks of a file (github.com/BSI-Bund/tr-03183-cyclonedx-property-taxonomy)."""
    if not filename:
        return {}
    return {
        "bsi:component:filename": filename,
        "bsi:component:executable": "executable" if executable else "non-executable",
        "bsi:component:archive": "archive" if archive else "no archive",
        "bsi:component:structured": "structured",
    }


def _hash_of(content: Content | None) -> dict[str, str]:
    return {"pipeline:hash-of": content.of} if content else {}


def _references(image: Image, part: Component, content: Content | None) -> list[dict[str, Any]]:
    """Return where a component is to be had, where its sources are, and its pages.

    It is distributed in the image, and perhaps it was made of an archive that is distributed elsewhere.
    """
    archive = _hashes(("SHA-256", part.sha256), ("SHA-512", part.sha512))
    return [
        *(kept(type="distribution", url=url, hashes=archive) for url in [part.download] if url),
        *_in_image(image, content),
        # A page with archives of sources is no repository.
        *({"type": "source-distribution" if "snapshot." in url else "vcs", "url": url} for url in [part.vcs] if url),
        *({"type": "website", "url": url} for url in part.links if url != part.vcs),
    ]


def _in_image(image: Image, content: Content | None) -> list[dict[str, Any]]:
    if not content:
        return []
    place = {"type": "distribution", "url": image.place(content.path), "hashes": _sha512(content)}
    return [{**place, "comment": f"in the image; SHA-512 of {content.of}"}]


def _hashes(*sums: tuple[str, str]) -> list[dict[str, str]]:
    return [{"alg": name, "content": value} for name, value in sums if value]


def _sha512(content: Content | None) -> list[dict[str, str]]:
    return _hashes(("SHA-512", content.sha512)) if content else []


def _cyclonedx_licenses(part: Component) -> list[dict[str, Any]]:
    """Return the licences: several single ones, declared and concluded, or one expression.

    CycloneDX 1.6 has an expression only alone. Then it is what was concluded; what is declared stands in a property.
    """
    if _are_single(part):
        return [
            {"license": {"acknowledgement": how, "id" if entry.text in _LISTED else "name": entry.text}}
            for how, entries in (("declared", part.licenses), ("concluded", part.concluded))
            for entry in entries
        ]
    how, entries = ("concluded", part.concluded) if part.concluded else ("declared", part.licenses)
    return [{"expression": expression(entries), "acknowledgement": how}] if entries else []


def _are_single(part: Component) -> bool:
    """Tell whether every licence can be written as one: something was concluded, and none is a choice."""
    entries = (*part.licenses, *part.concluded)
    return bool(part.concluded) and all(entry.text in _LISTED or entry.is_name for entry in entries)


def _licensing(part: Component) -> dict[str, str]:
    """Return what has no field: how a licence was found, and what is declared beside it."""
    shown = not part.concluded or _are_single(part)
    return {CONCLUDED_BY: part.concluded_by, DECLARED: "" if shown else expression(part.licenses)}
