"""The component set as SPDX 2.3 (spdx.github.io/spdx-spec/v2.3)."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.document import NOT_SHIPPED, TOOL, kept, tool_version, written
from pipeline.sbom.licence import expression
from pipeline.sbom.sbom import Sbom


def spdx(sbom: Sbom) -> str:
    """Return the component set as SPDX 2.3 JSON; what is not in the image says so and is contained in nothing."""
    image, system = sbom.image, sbom.system
    root, os, base = "SPDXRef-Image", "SPDXRef-OperatingSystem", "SPDXRef-Base"
    packages = [
        _spdx_package(
            root,
            image.name,
            image.version,
            "CONTAINER",
            checksum=image.digest.removeprefix("sha256:"),
            refs=[("PACKAGE-MANAGER", "purl", image.purl)],
        ),
        _spdx_package(os, system.name, system.version, "OPERATING_SYSTEM"),
        *map(_spdx_component, sbom.components),
    ]
    edges = [("SPDXRef-DOCUMENT", "DESCRIBES", root), (root, "CONTAINS", os)]
    if image.base:
        refs = [("PACKAGE-MANAGER", "purl", purl.of_image(image.base))]
        packages.append(_spdx_package(base, image.base, "", "CONTAINER", refs=refs))
        edges.append((root, "DESCENDANT_OF", base))
    ids = {part.purl: _spdx_id(part) for part in sbom.components}
    for part in sbom.components:
        if part.shipped:
            edges.append((os if part.kind is Kind.OS else root, "CONTAINS", ids[part.purl]))
        edges += [(ids[part.purl], "DEPENDS_ON", ids[purl]) for purl in part.needs]
    texts: dict[str, set[str]] = {}
    for part in sbom.components:
        for entry in part.licenses:
            if not entry.spdx:
                texts.setdefault(entry.expression, set()).add(entry.text)
    return written(
        kept(
            spdxVersion="SPDX-2.3",
            dataLicense="CC0-1.0",
            SPDXID="SPDXRef-DOCUMENT",
            name=image.name,
            documentNamespace=f"https://spdx.org/spdxdocs/{image.name.rsplit('/', 1)[-1]}-{sbom.uuid}",
            creationInfo=kept(created=image.created, creators=[f"Tool: {TOOL}-{tool_version()}"], comment=image.remark),
            packages=packages,
            hasExtractedLicensingInfos=[
                {"licenseId": ref, "name": ", ".join(sorted(names)), "extractedText": "\n".join(sorted(names))}
                for ref, names in sorted(texts.items())
            ],
            relationships=[
                {"spdxElementId": element, "relationshipType": how, "relatedSpdxElement": related}
                for element, how, related in edges
            ],
        )
    )


def _spdx_id(part: Component) -> str:
    # Names alone may be equal once they are spelled as an identifier must be.
    short = hashlib.sha256(part.purl.encode()).hexdigest()[:8]
    return f"SPDXRef-{part.kind}-{re.sub(r'[^A-Za-z0-9.]+', '-', part.name)}-{short}"


def _spdx_component(part: Component) -> dict[str, Any]:
    source_name, source_version = part.source
    remarks = [f"{name}: {value}" for name, value in part.notes] + ([] if part.shipped else [NOT_SHIPPED])
    return _spdx_package(
        _spdx_id(part),
        part.name,
        part.version,
        "APPLICATION" if part.kind is Kind.OWN else "LIBRARY",
        refs=[
            ("PACKAGE-MANAGER", "purl", part.purl),
            *(("SECURITY", "cpe23Type", cpe) for cpe in part.cpes),
        ],
        checksum=part.sha256,
        download=part.download,
        homepage=part.links[0] if part.links else "",
        license_declared=expression(part.licenses),
        supplier=f"Organization: {part.supplier}" if part.supplier else "",
        description=part.description,
        # Trivy's spelling.
        source=f"built package from: {source_name} {source_version}" if source_name else "",
        comment="; ".join(remarks),
    )


def _spdx_package(
    spdx_id: str,
    name: str,
    version: str,
    purpose: str,
    *,
    refs: Iterable[tuple[str, str, str]] = (),
    checksum: str = "",
    download: str = "",
    homepage: str = "",
    license_declared: str = "",
    supplier: str = "",
    description: str = "",
    source: str = "",
    comment: str = "",
) -> dict[str, Any]:
    return kept(
        SPDXID=spdx_id,
        name=name,
        versionInfo=version,
        supplier=supplier or "NOASSERTION",
        downloadLocation=download or "NOASSERTION",
        # Nobody looked into the files; without this a reader expects a verification code.
        filesAnalyzed=False,
        checksums=[{"algorithm": "SHA256", "checksumValue": checksum}] if checksum else [],
        homepage=homepage,
        sourceInfo=source,
        licenseConcluded="NOASSERTION",
        licenseDeclared=license_declared or "NOASSERTION",
        copyrightText="NOASSERTION",
        description=description,
        comment=comment,
        externalRefs=[
            {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
            for category, kind, locator in refs
        ],
        primaryPackagePurpose=purpose,
    )
