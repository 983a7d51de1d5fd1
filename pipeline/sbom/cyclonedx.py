"""The component set as CycloneDX 1.6 (cyclonedx.org/docs/1.6/json)."""

from typing import Any

from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.document import DATA_LICENSE, TOOL, kept, party, tool_version, written
from pipeline.sbom.licence import COMMON, expression
from pipeline.sbom.sbom import Sbom

#: The property that says of what kind a component is.
KIND = "pipeline:kind"
#: The property that says from which repository a Hex package is, as rebar3 calls it; none for the public one.
REPOSITORY = "pipeline:repository"
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
    )
    # Trivy and Grype read the distribution out of this one.
    os = kept(
        type="operating-system",
        **{"bom-ref": "operating-system"},
        supplier=_party(system.pretty, system.home),
        name=system.name,
        version=system.version,
        description=system.pretty,
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
            "components": [os, *map(_cyclonedx_component, sbom.components)],
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


def _cyclonedx_component(part: Component) -> dict[str, Any]:
    source_name, source_version = part.source
    properties = {
        KIND: part.kind.value,
        **{f"pipeline:{name}": value for name, value in part.notes},
        "pipeline:hash-of": part.content.of if part.content else "",
        # Advisories of a distribution are about source packages: Trivy reads them here, Grype in the purl.
        "aquasecurity:trivy:SrcName": source_name,
        "aquasecurity:trivy:SrcVersion": source_version,
    }
    # github.com/BSI-Bund/tr-03183-cyclonedx-property-taxonomy
    if part.filename:
        properties |= {
            "bsi:component:filename": part.filename,
            "bsi:component:executable": "executable" if part.executable else "non-executable",
            "bsi:component:archive": "no archive",
            "bsi:component:structured": "structured",
        }
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
        hashes=_hashes(part),
        licenses=_cyclonedx_licenses(part),
        copyright="\n".join(part.copyright),
        cpe=part.cpes[0] if part.cpes else "",
        purl=part.purl,
        externalReferences=[
            *(kept(type="distribution", url=url, hashes=_sha256(part)) for url in [part.download] if url),
            # A page with archives of sources is no repository.
            *(
                {"type": "source-distribution" if "snapshot." in url else "vcs", "url": url}
                for url in [part.vcs]
                if url
            ),
            *({"type": "website", "url": url} for url in part.links if url != part.vcs),
        ],
        properties=[{"name": name, "value": value} for name, value in [*properties.items(), *more] if value],
    )


def _sha256(part: Component) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": part.sha256}] if part.sha256 else []


def _hashes(part: Component) -> list[dict[str, str]]:
    """Return what is known of the files themselves; the archive's checksum stands with its address."""
    if part.content:
        return [{"alg": "SHA-512", "content": part.content.sha512}]
    return _sha256(part)


def _cyclonedx_licenses(part: Component) -> list[dict[str, Any]]:
    """Return the licences: one expression, or several single ones, which alone may be declared and concluded.

    As `id` stand common ones alone: the schema of CycloneDX 1.6 lists what SPDX had in its year, and readers that hold
    to it refuse a document for a later one.
    """
    told = [("declared", part.licenses), ("concluded", part.concluded)]
    single = [(how, entry) for how, entries in told for entry in entries]
    if part.concluded and all(entry.text in COMMON or not entry.spdx for _, entry in single):
        return [
            {"license": {"acknowledgement": how, "id" if entry.spdx else "name": entry.text}} for how, entry in single
        ]
    how, entries = next(((how, entries) for how, entries in told if entries), ("", ()))
    return [{"expression": expression(entries), "acknowledgement": how}] if entries else []
