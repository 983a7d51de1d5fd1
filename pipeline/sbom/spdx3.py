"""The component set as SPDX 3.0.1 (spdx.github.io/spdx-spec/v3.0.1): a graph of elements."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.image.layout import parse_time
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Content, Kind
from pipeline.sbom.document import DATA_LICENSE, NOT_SHIPPED, TOOL, kept, party, tool_version, written
from pipeline.sbom.licence import License, expression
from pipeline.sbom.sbom import Image, Sbom
from pipeline.sbom.spdx import comment_of, license_comment

_CREATION = "_:creation"


class _Graph:
    """Elements by their identifier, each once."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.elements: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, key: str, **fields: object) -> str:
        """Add an element; return its identifier. Of equal kind and key it is one."""
        name = f"{self.namespace}{kind.rpartition('_')[2]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        given = {"type": kind, "spdxId": name, "creationInfo": _CREATION}
        self.elements.setdefault(name, given | kept(**fields))
        return name

    def relate(
        self, source: str, how: str, targets: Iterable[str], *, complete: bool = True, comment: str = ""
    ) -> None:
        """Add a relationship, if there is a target."""
        to = sorted(set(targets))
        if to:
            known = "complete" if complete else "noAssertion"
            fields = {"from": source, "relationshipType": how, "to": to, "completeness": known, "comment": comment}
            self.add("Relationship", f"{source} {how}", **fields)

    def agent(self, name: str, contact: str) -> str:
        """Add who makes something."""
        is_person, plain = party(name)
        kind = "email" if "@" in contact else "urlScheme"
        known = [{"type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": contact}]
        return self.add(
            "Person" if is_person else "Organization",
            f"{name} {contact}",
            name=plain,
            externalIdentifier=known if contact else [],
        )

    def license(self, licenses: Iterable[License]) -> list[str]:
        """Add an expression of licences; nothing if there are none."""
        given = list(licenses)
        if not given:
            return []
        text = expression(given)
        refs = [
            {
                "type": "DictionaryEntry",
                "key": ref,
                "value": self.add("simplelicensing_SimpleLicensingText", meant, simplelicensing_licenseText=meant),
            }
            for entry in given
            for ref, meant in entry.defined
        ]
        return [
            self.add(
                "simplelicensing_LicenseExpression",
                text,
                simplelicensing_licenseExpression=text,
                simplelicensing_customIdToUri=list({entry["key"]: entry for entry in refs}.values()),
            )
        ]


def spdx3(sbom: Sbom) -> str:
    """Return the component set as SPDX 3.0.1 JSON; what is locked and not in the image is named in a comment alone."""
    image, system, lacking = sbom.image, sbom.system, sbom.lacking()
    sbom = sbom.shipped()
    graph = _Graph(f"https://spdx.org/spdxdocs/{image.title}-{sbom.uuid}/")
    tool = graph.add("Tool", TOOL, name=f"{TOOL}-{tool_version()}")
    source = image.source
    maker = [graph.agent(source.supplier, source.contact)] if source.supplier else []
    root = _package(
        graph,
        image.title,
        image.version,
        "container",
        image.purl,
        suppliedBy=maker[0] if maker else "",
        originatedBy=maker,
        software_copyrightText="\n".join(sbom.own.copyright),
        verifiedUsing=_hashes(sha256=image.digest.removeprefix("sha256:")),
    )
    graph.relate(root, "hasDeclaredLicense", graph.license(sbom.own.licenses))
    graph.relate(root, "hasConcludedLicense", graph.license(sbom.own.concluded), comment=license_comment(sbom.own))
    _file(graph, root, image, image.filename, image.content, purposes=["executable", "archive", "container"])
    vendor = graph.agent(system.pretty, system.home)
    os = _package(
        graph,
        system.name,
        system.version,
        "operatingSystem",
        "",
        cpes=[system.cpe] if system.cpe else [],
        suppliedBy=vendor,
        originatedBy=[vendor],
    )
    graph.relate(os, "hasConcludedLicense", graph.license(sbom.base.concluded), comment=license_comment(sbom.base))
    _file(graph, os, image, system.filename, system.content, purposes=["container"])
    ids = {part.purl: _component(graph, image, part) for part in sbom.components}
    own = [ids[part.purl] for part in sbom.components if part.kind is Kind.OS]
    graph.relate(root, "contains", [os, *(ids[part.purl] for part in sbom.components if part.kind is not Kind.OS)])
    graph.relate(os, "contains", own)
    graph.relate(root, "dependsOn", [os, *(ids[purl] for purl in sbom.tops())])
    for part in sbom.components:
        graph.relate(ids[part.purl], "dependsOn", [ids[need] for need in part.needs], complete=part.has_origin)
    if image.base:
        name, _, digest = image.base.partition("@")
        version = digest or name.rpartition(":")[2]
        base = _package(graph, name, version, "container", purl.of_image(image.base))
        graph.relate(root, "descendantOf", [base])
    bom = graph.add(
        "software_Sbom",
        "sbom",
        rootElement=[root],
        element=sorted(graph.elements),
        software_sbomType=["build"],
        comment=f"{NOT_SHIPPED}: {', '.join(lacking)}" if lacking else "",
    )
    data_license = graph.license([License(DATA_LICENSE, spdx=True)])[0]
    graph.add(
        "SpdxDocument",
        "document",
        name=image.title,
        rootElement=[bom],
        element=sorted(graph.elements),
        dataLicense=data_license,
        profileConformance=["core", "simpleLicensing", "software"],
    )
    creation = kept(
        type="CreationInfo",
        **{"@id": _CREATION},
        specVersion="3.0.1",
        # It must have one.
        created=image.created or parse_time(""),
        createdBy=maker or [graph.add("SoftwareAgent", TOOL, name=TOOL)],
        createdUsing=[tool],
        comment="" if image.created else "the time is not known: --created was not given",
    )
    elements = [creation, *(graph.elements[name] for name in sorted(graph.elements))]
    return written({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": elements})


def _component(graph: _Graph, image: Image, part: Component) -> str:
    maker = [graph.agent(part.supplier, part.contact)] if part.supplier else []
    references = [("vcs", part.vcs), ("altWebPage", next(iter(part.links), ""))]
    package = _package(
        graph,
        part.name,
        part.version,
        "application" if part.kind is Kind.OWN else "library",
        part.purl,
        cpes=part.cpes,
        suppliedBy=maker[0] if maker else "",
        originatedBy=maker,
        description=part.description,
        software_downloadLocation=part.download,
        software_copyrightText="\n".join(part.copyright),
        verifiedUsing=_hashes(sha256=part.sha256, sha512=part.sha512),
        externalRef=[
            {"type": "ExternalRef", "externalRefType": kind, "locator": [url]} for kind, url in references if url
        ],
        comment=comment_of(part),
    )
    graph.relate(package, "hasDeclaredLicense", graph.license(part.licenses))
    graph.relate(package, "hasConcludedLicense", graph.license(part.concluded), comment=license_comment(part))
    # `container` means "structured" (BSI TR-03183-2 v2.1).
    purposes = [*(["executable"] if part.executable else []), "container"]
    _file(graph, package, image, part.filename, part.content, purposes=purposes)
    return package


def _file(
    graph: _Graph, package: str, image: Image, name: str, content: Content | None, *, purposes: Iterable[str]
) -> None:
    """Add what a component is in the image, if that is known."""
    if not content or not name:
        return
    file = graph.add(
        "software_File",
        package,
        name=name,
        verifiedUsing=_hashes(sha512=content.sha512),
        software_additionalPurpose=list(purposes),
        externalRef=[
            {"type": "ExternalRef", "externalRefType": "binaryArtifact", "locator": [image.place(content.path)]}
        ],
        comment=f"SHA-512: of {content.of}",
    )
    graph.relate(package, "hasDistributionArtifact", [file])


def _package(
    graph: _Graph,
    name: str,
    version: str,
    purpose: str,
    package_url: str,
    *,
    cpes: Iterable[str] = (),
    **fields: object,
) -> str:
    known = [("packageUrl", package_url), *(("cpe23", cpe) for cpe in cpes)]
    return graph.add(
        "software_Package",
        package_url or name,
        name=name,
        software_packageVersion=version,
        software_primaryPurpose=purpose,
        software_packageUrl=package_url,
        externalIdentifier=[
            {"type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": value}
            for kind, value in known
            if value
        ],
        **fields,
    )


def _hashes(**sums: str) -> list[Mapping[str, str]]:
    return [{"type": "Hash", "algorithm": name, "hashValue": value} for name, value in sums.items() if value]
