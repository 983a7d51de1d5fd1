"""The component set as CycloneDX 1.6 (cyclonedx.org/docs/1.6/json)."""

import urllib.parse
from collections.abc import Iterable
from typing import Any

from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.document import NOT_SHIPPED, TOOL, kept, tool_version, written
from pipeline.sbom.licence import License, expression
from pipeline.sbom.sbom import Sbom

#: The property that says of what kind a component is.
KIND = "pipeline:kind"
#: The property that says from which repository a Hex package is, as rebar3 calls it; none for the public one.
REPOSITORY = "pipeline:repository"
#: The property that says, of an index, for which platform the image is that was looked at.
PLATFORM = "pipeline:platform"


def cyclonedx(sbom: Sbom) -> str:
    """Return the component set as CycloneDX 1.6 JSON; what is not in the image has the scope `excluded`."""
    image, system = sbom.image, sbom.system
    base = {"type": "container", "name": image.base, "purl": purl.of_image(image.base)} if image.base else None
    root = kept(
        type="container",
        **{"bom-ref": image.purl},
        name=image.name,
        version=image.version,
        purl=image.purl,
        hashes=[{"alg": "SHA-256", "content": image.digest.removeprefix("sha256:")}],
        pedigree=kept(ancestors=[base] if base else []),
    )
    # Trivy and Grype read the distribution out of this one.
    os = kept(
        type="operating-system",
        **{"bom-ref": "operating-system"},
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
                tools={
                    "components": [{"type": "application", "name": TOOL, "version": tool_version()}],
                },
                component=root,
                properties=[{"name": PLATFORM, "value": image.seen_on}] if image.seen_on else [],
            ),
            "components": [os, *map(_cyclonedx_component, sbom.components)],
            "dependencies": [kept(ref=ref, dependsOn=needs) for ref, needs in edges.items()],
        }
    )


def _cyclonedx_component(part: Component) -> dict[str, Any]:
    source_name, source_version = part.source
    properties = {
        KIND: part.kind.value,
        **{f"pipeline:{name}": value for name, value in part.notes},
        # Advisories of a distribution are about source packages: Trivy reads them here, Grype in the purl.
        "aquasecurity:trivy:SrcName": source_name,
        "aquasecurity:trivy:SrcVersion": source_version,
        "pipeline:state": "" if part.shipped else NOT_SHIPPED,
    }
    # The field holds one; Grype reads the others here.
    more = [("syft:cpe23", cpe) for cpe in part.cpes[1:]]
    return kept(
        type="library" if part.kind is not Kind.OWN else "application",
        **{"bom-ref": part.purl},
        supplier=kept(name=part.supplier),
        name=part.name,
        version=part.version,
        description=part.description,
        scope="required" if part.shipped else "excluded",
        hashes=[{"alg": "SHA-256", "content": part.sha256}] if part.sha256 else [],
        licenses=_cyclonedx_licenses(part.licenses),
        cpe=part.cpes[0] if part.cpes else "",
        purl=part.purl,
        externalReferences=[
            *({"type": "distribution", "url": url} for url in [part.download] if url),
            *({"type": "vcs" if _is_vcs(url) else "website", "url": url} for url in part.links),
        ],
        properties=[{"name": name, "value": value} for name, value in [*properties.items(), *more] if value],
    )


def _is_vcs(url: str) -> bool:
    return urllib.parse.urlsplit(url).hostname in {"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"}


def _cyclonedx_licenses(licenses: Iterable[License]) -> list[dict[str, Any]]:
    given = list(licenses)
    if given and all(entry.spdx for entry in given):
        return [{"expression": expression(given)}]
    return [{"license": {"name": entry.text}} for entry in given]
