"""The component set as SPDX 2.3 (spdx.github.io/spdx-spec/v2.3)."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.image.layout import parse_time
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.document import DATA_LICENSE, NOT_SHIPPED, TOOL, kept, party, tool_version, written
from pipeline.sbom.licence import expression
from pipeline.sbom.sbom import Sbom


def spdx(sbom: Sbom) -> str:
    """Return the component set as SPDX 2.3 JSON; what is locked and not in the image is named in a comment alone."""
    image, system, lacking = sbom.image, sbom.system, sbom.lacking()
    sbom = sbom.shipped()
    root, os, base = "SPDXRef-Image", "SPDXRef-OperatingSystem", "SPDXRef-Base"
    packages = [
        _spdx_package(
            root,
            image.title,
            image.version,
            "CONTAINER",
            supplier=_party(image.source.supplier),
            license_declared=expression(sbom.own.licenses),
            license_concluded=expression(sbom.own.concluded),
            license_comments=license_comment(sbom.own),
            copyright_text="\n".join(sbom.own.copyright),
            checksums={"SHA256": image.digest.removeprefix("sha256:"), "SHA512": image.sha512},
            filename=image.filename,
            source=sbom.own.vcs,
            refs=[("PACKAGE-MANAGER", "purl", image.purl)],
        ),
        _spdx_package(
            os,
            system.name,
            system.version,
            "OPERATING_SYSTEM",
            supplier=_party(system.pretty),
            license_concluded=expression(sbom.base.concluded),
            license_comments=license_comment(sbom.base),
            checksums={"SHA512": system.content.sha512 if system.content else ""},
            filename=system.filename,
            comment=f"SHA512: of {system.content.of}" if system.content else "",
            refs=[("SECURITY", "cpe23Type", system.cpe)] if system.cpe else [],
        ),
        *map(_spdx_component, sbom.components),
    ]
    edges = [("SPDXRef-DOCUMENT", "DESCRIBES", root), (root, "CONTAINS", os)]
    if image.base:
        name, _, digest = image.base.partition("@")
        packages.append(
            _spdx_package(
                base,
                name,
                digest or name.rpartition(":")[2],
                "CONTAINER",
                refs=[("PACKAGE-MANAGER", "purl", purl.of_image(image.base))],
                # Whose part of the registry it is in: in SPDX a supplier distributes.
                supplier=_party(name.rpartition("/")[0]),
                checksums={"SHA256": digest.removeprefix("sha256:")},
            )
        )
        edges.append((root, "DESCENDANT_OF", base))
    ids = {part.purl: _spdx_id(part) for part in sbom.components}
    edges += [(root, "DEPENDS_ON", element) for element in (os, *(ids[purl] for purl in sbom.tops()))]
    for part in sbom.components:
        edges.append((os if part.kind is Kind.OS else root, "CONTAINS", ids[part.purl]))
        edges += [(ids[part.purl], "DEPENDS_ON", ids[purl]) for purl in part.needs]
    texts: dict[str, set[str]] = {}
    for part in sbom.components:
        for entry in (*part.licenses, *part.concluded):
            for ref, text in entry.defined:
                texts.setdefault(ref, set()).add(text)
    return written(
        kept(
            spdxVersion="SPDX-2.3",
            dataLicense=DATA_LICENSE,
            SPDXID="SPDXRef-DOCUMENT",
            name=image.title,
            documentNamespace=f"https://spdx.org/spdxdocs/{image.title}-{sbom.uuid}",
            creationInfo=kept(
                # It must have one.
                created=image.created or parse_time(""),
                creators=[*filter(None, [_party(image.source.supplier)]), f"Tool: {TOOL}-{tool_version()}"],
                comment="" if image.created else "the time is not known: --created was not given",
            ),
            comment="; ".join(filter(None, (image.remark, f"{NOT_SHIPPED}: {', '.join(lacking)}" if lacking else ""))),
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


def comment_of(part: Component) -> str:
    """Return what has no field of its own."""
    remarks = [f"{name}: {value}" for name, value in part.notes]
    if part.content:
        remarks.append(f"SHA512: of {part.content.of}")
    return "; ".join(remarks)


def license_comment(part: Component) -> str:
    """Return from what a licence was concluded."""
    return f"concluded from {part.concluded_by}" if part.concluded_by else ""


def _spdx_component(part: Component) -> dict[str, Any]:
    source_name, source_version = part.source
    return _spdx_package(
        _spdx_id(part),
        part.name,
        part.version,
        "APPLICATION" if part.kind is Kind.OWN else "LIBRARY",
        refs=[
            ("PACKAGE-MANAGER", "purl", part.purl),
            *(("SECURITY", "cpe23Type", cpe) for cpe in part.cpes),
        ],
        checksums={"SHA256": part.sha256, "SHA512": part.content.sha512 if part.content else ""},
        download=part.download,
        homepage=part.links[0] if part.links else "",
        license_declared=expression(part.licenses),
        license_concluded=expression(part.concluded),
        license_comments=license_comment(part),
        copyright_text="\n".join(part.copyright),
        supplier=_party(part.supplier),
        description=part.description,
        # Trivy's spelling.
        source=f"built package from: {source_name} {source_version}" if source_name else part.vcs,
        filename=part.filename,
        comment="; ".join(filter(None, (comment_of(part), f"sources: {part.vcs}" if source_name and part.vcs else ""))),
    )


def _party(supplier: str) -> str:
    is_person, name = party(supplier)
    return f"{'Person' if is_person else 'Organization'}: {name}" if name else ""


def _spdx_package(
    spdx_id: str,
    name: str,
    version: str,
    purpose: str,
    *,
    refs: Iterable[tuple[str, str, str]] = (),
    checksums: Mapping[str, str] | None = None,
    download: str = "",
    homepage: str = "",
    license_declared: str = "",
    license_concluded: str = "",
    license_comments: str = "",
    copyright_text: str = "",
    supplier: str = "",
    description: str = "",
    source: str = "",
    filename: str = "",
    comment: str = "",
) -> dict[str, Any]:
    return kept(
        SPDXID=spdx_id,
        name=name,
        versionInfo=version,
        packageFileName=filename,
        supplier=supplier or "NOASSERTION",
        downloadLocation=download or "NOASSERTION",
        # Nobody looked into the files; without this a reader expects a verification code.
        filesAnalyzed=False,
        checksums=[{"algorithm": name, "checksumValue": value} for name, value in (checksums or {}).items() if value],
        homepage=homepage,
        sourceInfo=source,
        licenseConcluded=license_concluded or "NOASSERTION",
        licenseDeclared=license_declared or "NOASSERTION",
        licenseComments=license_comments,
        copyrightText=copyright_text or "NOASSERTION",
        description=description,
        comment=comment,
        externalRefs=[
            {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
            for category, kind, locator in refs
        ],
        primaryPackagePurpose=purpose,
    )
