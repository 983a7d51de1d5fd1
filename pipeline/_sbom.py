"""What is in the image: one set of components, written as SPDX 2.3 and as CycloneDX 1.6.

Scanners, asked plainly, see little of the Erlang in an image and name some of it wrongly. Here the packages of the
operating system come from Syft, and all of the BEAM from the release itself and from `rebar.lock`
(`resources/inventory.escript`). The same image gives the same bytes.
"""

import dataclasses
import enum
import hashlib
import json
import re
import urllib.parse
import uuid
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any, Self

from pipeline.errors import InputError

_TOOL = "erlmcp-pipeline"
_OTP = "Erlang/OTP"
#: What Syft calls the packages of an operating system.
_OS_TYPES = {"alpm", "apk", "deb", "rpm"}
#: What Syft finds of Erlang; ours knows more, and has the right purls.
_REPLACED = {"erlang-otp", "hex"}
_NOT_SHIPPED = "locked in rebar.lock, not in the image"

#: Licences as packages of Hex spell them, beside their identifiers. An identifier that is missing here is kept as text.
_LICENSES = (
    "0BSD",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ErlPL-1.1",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MPL-2.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
)
_SPELLINGS = {re.sub(r"[^a-z0-9.]", "", name.lower()): name for name in _LICENSES} | {
    "2clausebsd": "BSD-2-Clause",
    "3clausebsd": "BSD-3-Clause",
    "apache2": "Apache-2.0",
    "bsd2": "BSD-2-Clause",
    "bsd3": "BSD-3-Clause",
    "erlangpublic1.1": "ErlPL-1.1",
    "mozillapublic2.0": "MPL-2.0",
    "mpl2": "MPL-2.0",
    "newbsd": "BSD-3-Clause",
    "simplifiedbsd": "BSD-2-Clause",
}


class Kind(enum.StrEnum):
    """Where a component comes from."""

    OS = "os"
    #: Erlang/OTP: the whole, ERTS, and each application.
    OTP = "otp"
    HEX = "hex"
    GIT = "git"
    #: An application of the project.
    OWN = "own"
    #: A dependency that no lock speaks for, or what else Syft found.
    OTHER = "other"


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """The image that is described; `created` in RFC 3339, UTC."""

    #: Without tag and digest, such as `ghcr.io/banyan-platform/erlmcp`.
    name: str
    version: str
    digest: str
    created: str
    #: The reference of the base image.
    base: str = ""

    @property
    def purl(self) -> str:
        """The package URL of the image."""
        return oci_purl(f"{self.name}@{self.digest}")


@dataclasses.dataclass(frozen=True, slots=True)
class License:
    """A licence: an SPDX expression, or any other text."""

    text: str
    spdx: bool

    @property
    def expression(self) -> str:
        """The licence as a part of an SPDX expression."""
        if self.spdx:
            return f"({self.text})" if " " in self.text else self.text
        return "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.]+", "-", self.text).strip("-") or "unknown")


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """A part of the image, or something locked that did not get into it."""

    kind: Kind
    name: str
    version: str
    #: Unique in the set.
    purl: str
    description: str = ""
    licenses: tuple[License, ...] = ()
    supplier: str = ""
    cpes: tuple[str, ...] = ()
    #: Of the archive that it was made of, in lower case.
    sha256: str = ""
    download: str = ""
    links: tuple[str, ...] = ()
    #: Purls of the components that it needs.
    needs: tuple[str, ...] = ()
    shipped: bool = True
    #: The source package of a package of the operating system.
    source: tuple[str, str] = ("", "")
    #: What else a reader should know, by name.
    notes: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class System:
    """The operating system of the image."""

    name: str
    version: str
    pretty: str


@dataclasses.dataclass(frozen=True, slots=True)
class Sbom:
    """The component set of an image."""

    image: Image
    system: System
    #: In order of kind and purl.
    components: tuple[Component, ...]

    @classmethod
    def parse(cls, image: Image, syft: str, inventory: str) -> Self:
        """Merge what Syft found in the image with what the release is made of.

        Parameters
        ----------
        image
            The image.
        syft
            Syft's own JSON of the image.
        inventory
            The JSON of `inventory.escript`.

        Raises
        ------
        InputError
            If one of them is not readable, or has nothing in it.
        """
        found = _load(syft, "the JSON of Syft", "artifacts")
        release = _load(inventory, "the inventory of the release", "applications")
        system = _system(found)
        packages = _packages(found, system)
        if not any(package.kind is Kind.OS for package in packages):
            raise InputError(
                "sbom: it would be empty: Syft found no package of an operating system in the image; "
                "a base image must keep its package database (/var/lib/dpkg or /lib/apk/db)"
            )
        components: dict[str, Component] = {}
        for component in [*packages, *_applications(release)]:
            components.setdefault(component.purl, component)
        order = list(Kind)
        return cls(
            image,
            system,
            tuple(sorted(components.values(), key=lambda component: (order.index(component.kind), component.purl))),
        )

    def shipped(self) -> Self:
        """Return the set without what is locked but not in the image: for scanners, which do not look at the mark."""
        return dataclasses.replace(self, components=tuple(part for part in self.components if part.shipped))

    def tops(self) -> tuple[str, ...]:
        """Return the purls of what the image has of its own accord; packages of the system hang on the system."""
        parts = [part for part in self.components if part.shipped and part.kind is not Kind.OS]
        needed = {purl for part in parts for purl in part.needs}
        return tuple(part.purl for part in parts if part.purl not in needed)

    def counts_by_kind(self) -> dict[str, int]:
        """Count the components of each kind, and last what is locked but not shipped."""
        kinds = [part.kind for part in self.components if part.shipped]
        return {kind.value: kinds.count(kind) for kind in Kind} | {"not shipped": len(self.components) - len(kinds)}

    @property
    def uuid(self) -> uuid.UUID:
        """The same for the same image."""
        return uuid.uuid5(uuid.NAMESPACE_URL, self.image.purl)


def _load(text: str, what: str, key: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and "error" in value:
        raise InputError(str(value["error"]))
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise InputError(f"sbom: {what} is not readable: expected a JSON object with a list `{key}`")
    if not value[key]:
        raise InputError(f"sbom: it would be empty: {what} has no {key}")
    return value


# Package URLs ---------------------------------------------------------------------------------------------------------


def _purl(
    kind: str, *path: str, version: str = "", qualifiers: Mapping[str, str] | None = None, subpath: str = ""
) -> str:
    """Make a package URL in its canonical form."""
    text = "/".join([f"pkg:{kind}", *(urllib.parse.quote(part, safe="") for part in path)])
    if version:
        text += "@" + urllib.parse.quote(version, safe="")
    if given := {key: value for key, value in (qualifiers or {}).items() if value}:
        text += "?" + "&".join(f"{key}={urllib.parse.quote(given[key], safe=':/')}" for key in sorted(given))
    return text + ("#" + urllib.parse.quote(subpath.strip("/")) if subpath else "")


def oci_purl(reference: str) -> str:
    """Return the package URL of an image: `NAME[:TAG][@DIGEST]`."""
    tagged, _, digest = reference.partition("@")
    path, slash, last = tagged.rpartition("/")
    name, _, tag = last.partition(":")
    repository = f"{path}/{name}".lower() if slash else ""
    return _purl("oci", name.lower(), version=digest, qualifiers={"repository_url": repository, "tag": tag})


def _repository(url: str) -> tuple[str, str, str]:
    """Take the URL of a git repository apart: host, path, and the URL without what must not be published."""
    scp = re.fullmatch(r"(?:[^@/:]+@)?([^/:@]+):(?!//)(.+)", url)
    if scp:
        # git@github.com:owner/repo.git
        host, path, scheme, port = scp[1], scp[2], "ssh", None
    else:
        parts = urllib.parse.urlsplit(url)
        # A user name in front of the host may be a token.
        host, path, scheme, port = parts.hostname or "", parts.path, parts.scheme or "file", parts.port
    path = path.strip("/").removesuffix(".git")
    return host.lower(), path, f"{scheme}://{host}{f':{port}' if port else ''}/{path}.git"


def git_purl(url: str, ref: str, name: str, subdir: str = "") -> str:
    """Return the package URL of a revision of a git repository."""
    host, path, clean = _repository(url)
    parts = path.lower().split("/")
    known = {"github.com": "github", "bitbucket.org": "bitbucket"}
    if host in known and len(parts) == 2:  # noqa: PLR2004 # owner, repository
        return _purl(known[host], *parts, version=ref, subpath=subdir)
    return _purl("generic", name, version=ref, qualifiers={"vcs_url": f"git+{clean}@{ref}"}, subpath=subdir)


# The operating system, of Syft ----------------------------------------------------------------------------------------


def _system(found: Mapping[str, Any]) -> System:
    distro = found.get("distro") or {}
    if not distro.get("id"):
        # Scanners would find no advisory for its packages, and call that clean.
        raise InputError("sbom: Syft does not know the image's distribution; the base image must keep /etc/os-release")
    return System(distro["id"], distro.get("versionID", ""), distro.get("prettyName") or distro["id"])


def _packages(found: Mapping[str, Any], system: System) -> list[Component]:
    artifacts = [artifact for artifact in found["artifacts"] if not _is_erlang(artifact)]
    purls = {artifact["id"]: artifact.get("purl") or _generic(artifact) for artifact in artifacts}
    needs: dict[str, set[str]] = {}
    for edge in found.get("artifactRelationships", []):
        if edge["type"] == "dependency-of" and edge["parent"] in purls and edge["child"] in purls:
            needs.setdefault(edge["child"], set()).add(purls[edge["parent"]])
    return [
        _package(artifact, purls[artifact["id"]], needs.get(artifact["id"], set()), system) for artifact in artifacts
    ]


def _is_erlang(artifact: Mapping[str, Any]) -> bool:
    return artifact["type"] in _REPLACED or (artifact["type"] == "binary" and artifact["name"] == "erlang")


def _generic(artifact: Mapping[str, Any]) -> str:
    return _purl("generic", artifact["name"], version=artifact["version"])


def _package(artifact: Mapping[str, Any], purl: str, needs: set[str], system: System) -> Component:
    details = artifact.get("metadata") or {}
    licenses = {
        License(entry["spdxExpression"] or entry["value"], bool(entry["spdxExpression"]))
        for entry in artifact.get("licenses", [])
        # Of a text that Syft does not know it gives the hash.
        if not entry["value"].startswith("sha256:")
    }
    is_os = artifact["type"] in _OS_TYPES
    return Component(
        kind=Kind.OS if is_os else Kind.OTHER,
        name=artifact["name"],
        version=artifact["version"],
        purl=purl,
        description=(details.get("description") or "").split("\n")[0],
        licenses=tuple(sorted(licenses, key=lambda entry: entry.text)),
        supplier=system.pretty if is_os else "",
        cpes=tuple(entry["cpe"] for entry in artifact.get("cpes", [])),
        needs=tuple(sorted(needs - {purl})),
        source=_source(artifact, details) if is_os else ("", ""),
    )


def _source(artifact: Mapping[str, Any], details: Mapping[str, Any]) -> tuple[str, str]:
    name = details.get("source") or details.get("originPackage") or artifact["name"]
    return name, details.get("sourceVersion") or artifact["version"]


# The BEAM, of the release and its lock --------------------------------------------------------------------------------


def _applications(release: Mapping[str, Any]) -> list[Component]:
    locks = {lock["name"]: lock for lock in release["locks"]}
    apps = {app["name"]: _application(app, locks.get(app["name"])) for app in release["applications"]}
    erts = _erts(release)
    shipped = [_link(apps, app, erts) for app in release["applications"]]
    if erts:
        shipped += [erts, _otp(release, [erts, *(part for part in shipped if part.kind is Kind.OTP)])]
    return [*shipped, *(_locked(lock) for name, lock in locks.items() if name not in apps)]


def _link(apps: Mapping[str, Component], app: Mapping[str, Any], erts: Component | None) -> Component:
    """Return the component of an application with what it needs; an optional application may not be there."""
    names = {*app["applications"], *app["included_applications"]} & apps.keys()
    needs = {apps[name].purl for name in names}
    if not needs and erts:
        # `kernel` names nothing: what is below it is the machine.
        needs = {erts.purl}
    return dataclasses.replace(apps[app["name"]], needs=tuple(sorted(needs)))


def _erts(release: Mapping[str, Any]) -> Component | None:
    if not release.get("erts"):
        return None
    return Component(
        kind=Kind.OTP,
        name="erts",
        version=release["erts"],
        purl=_purl("otp", "erts", version=release["erts"]),
        description="Erlang runtime system",
        licenses=(License("Apache-2.0", spdx=True),),
        supplier=_OTP,
    )


def _otp(release: Mapping[str, Any], parts: Iterable[Component]) -> Component:
    """Return Erlang/OTP as a whole: most advisories speak of that."""
    version = release["otp_version"]
    return Component(
        kind=Kind.OTP,
        # As Syft calls it, so that findings of both can be joined.
        name="erlang",
        version=version,
        # The name that Erlang/OTP's own VEX documents give it.
        purl=_purl("github", "erlang", "otp", version=f"OTP-{version}"),
        description=_OTP,
        licenses=(License("Apache-2.0", spdx=True),),
        supplier=_OTP,
        # Without a CPE no scanner knows that this is Erlang.
        cpes=(f"cpe:2.3:a:erlang:erlang\\/otp:{version}:*:*:*:*:*:*:*",),
        links=("https://github.com/erlang/otp",),
        needs=tuple(sorted(part.purl for part in parts)),
    )


def _application(app: Mapping[str, Any], lock: Mapping[str, Any] | None) -> Component:
    """Return the component of an application in the release."""
    name, vsn = app["name"], app["vsn"]
    component = Component(
        kind=Kind.OTHER,
        name=name,
        version=vsn,
        # It names no registry: nobody's advisories are about it, though a package there may have its name.
        purl=_purl("generic", name, version=vsn),
        description=app["description"],
        licenses=tuple(license_of(text) for text in app["licenses"]),
        links=tuple(link["url"] for link in app["links"] if re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", link["url"])),
    )
    if app["kind"] == "own":
        return dataclasses.replace(component, kind=Kind.OWN)
    if app["kind"] == "otp":
        return dataclasses.replace(
            component,
            kind=Kind.OTP,
            purl=_purl("otp", name, version=vsn),
            licenses=component.licenses or (License("Apache-2.0", spdx=True),),
            supplier=_OTP,
        )
    if lock is None:
        return dataclasses.replace(component, notes=(("origin", "not in rebar.lock"),))
    if app["checkout"]:
        return _checkout(component, lock)
    return _from_lock(component, lock, app)


def _checkout(component: Component, lock: Mapping[str, Any]) -> Component:
    """Return a dependency that was taken from `_checkouts`: its name is the lock's, its version and content are not."""
    notes = (("application", component.name), ("origin", "_checkouts"))
    if lock["kind"] != "hex":
        return dataclasses.replace(component, notes=notes)
    package = lock["package"]
    purl = _purl("hex", package.lower(), version=component.version)
    return dataclasses.replace(component, kind=Kind.HEX, name=package, purl=purl, notes=notes)


def _from_lock(component: Component, lock: Mapping[str, Any], app: Mapping[str, Any]) -> Component:
    """Return a dependency with the lock's identity; what the application says of itself stays as a note."""
    notes = [("application", component.name)]
    locked = _locked(lock)
    version = locked.version
    if locked.kind is Kind.HEX and app["hex"] and app["hex"]["version"] != version:
        raise InputError(
            f"rebar.lock: it locks {locked.name} {version}, but the release was built with {app['hex']['version']}; "
            "build it anew"
        )
    if component.version != version:
        # Some packages are published with an older version in their .app file.
        notes.append(("application-version", component.version))
    return dataclasses.replace(
        locked,
        description=component.description,
        licenses=component.licenses,
        links=component.links or locked.links,
        shipped=True,
        notes=tuple(notes),
    )


def _locked(lock: Mapping[str, Any]) -> Component:
    """Return what the lock says of a dependency."""
    if lock["kind"] == "hex":
        name, version = lock["package"], lock["version"]
        return Component(
            kind=Kind.HEX,
            name=name,
            version=version,
            purl=_purl("hex", name.lower(), version=version),
            supplier="Hex",
            # The outer checksum is that of the archive; the inner one is of its parts and deprecated.
            sha256=lock["outer"].lower(),
            download=f"https://repo.hex.pm/tarballs/{name}-{version}.tar",
            links=(f"https://hex.pm/packages/{name}",),
            shipped=False,
            notes=(("application", lock["name"]),),
        )
    name, ref = lock["name"], lock["ref"]
    host, path, clean = _repository(lock["url"])
    scheme = lock["kind"] if lock["kind"] == "git" else "generic"
    return Component(
        kind=Kind.GIT if scheme == "git" else Kind.OTHER,
        name=name,
        version=ref,
        purl=git_purl(lock["url"], ref, name, lock.get("subdir", ""))
        if scheme == "git"
        else _purl("generic", name, version=ref),
        supplier=f"{host}/{path.split('/')[0]}",
        download=f"git+{clean}@{ref}" if scheme == "git" else "",
        links=(f"https://{host}/{path}",) if host in {"github.com", "gitlab.com", "bitbucket.org"} else (),
        shipped=False,
        notes=(("application", name),),
    )


def license_of(text: str) -> License:
    """Return the licence that a package of Hex means by a text."""
    plain = re.sub(r"\b(the|licen[cs]e|version)\b", " ", text.lower())
    known = _SPELLINGS.get(re.sub(r"v(?=\d)|[^a-z0-9.]", "", plain))
    return License(known, spdx=True) if known else License(text, spdx=False)


# Writing --------------------------------------------------------------------------------------------------------------


def _write(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _kept(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 # JSON
    """Return the fields that have a value."""
    return {key: value for key, value in fields.items() if value not in ("", None, [], {})}


def cyclonedx(sbom: Sbom) -> str:
    """Return the component set as CycloneDX 1.6 JSON; what is not in the image has the scope `excluded`."""
    image, system = sbom.image, sbom.system
    base = {"type": "container", "name": image.base, "purl": oci_purl(image.base)} if image.base else None
    root = _kept(
        type="container",
        **{"bom-ref": image.purl},
        name=image.name,
        version=image.version,
        purl=image.purl,
        hashes=[{"alg": "SHA-256", "content": image.digest.removeprefix("sha256:")}],
        pedigree=_kept(ancestors=[base] if base else []),
    )
    # Trivy and Grype read the distribution out of this one.
    os = _kept(
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
    return _write(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{sbom.uuid}",
            "version": 1,
            "metadata": {
                "timestamp": image.created,
                "tools": {
                    "components": [{"type": "application", "name": _TOOL, "version": metadata.version(_TOOL)}],
                },
                "component": root,
            },
            "components": [os, *map(_cyclonedx_component, sbom.components)],
            "dependencies": [_kept(ref=ref, dependsOn=needs) for ref, needs in edges.items()],
        }
    )


def _cyclonedx_component(part: Component) -> dict[str, Any]:
    source_name, source_version = part.source
    properties = {
        "pipeline:kind": part.kind.value,
        **{f"pipeline:{name}": value for name, value in part.notes},
        # Advisories of a distribution are about source packages: Trivy reads them here, Grype in the purl.
        "aquasecurity:trivy:SrcName": source_name,
        "aquasecurity:trivy:SrcVersion": source_version,
        "pipeline:state": "" if part.shipped else _NOT_SHIPPED,
    }
    # The field holds one; Grype reads the others here.
    more = [("syft:cpe23", cpe) for cpe in part.cpes[1:]]
    return _kept(
        type="library" if part.kind is not Kind.OWN else "application",
        **{"bom-ref": part.purl},
        supplier=_kept(name=part.supplier),
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
        return [{"expression": _expression(given)}]
    return [{"license": {"name": entry.text}} for entry in given]


def _expression(licenses: Iterable[License]) -> str:
    """Return the licences as one SPDX expression.

    Neither Debian nor Hex says whether several of them are an "and" or an "or": the stricter reading is written.
    """
    given = list(licenses)
    if len(given) == 1 and given[0].spdx:
        return given[0].text
    return " AND ".join(entry.expression for entry in given)


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
        refs = [("PACKAGE-MANAGER", "purl", oci_purl(image.base))]
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
    return _write(
        _kept(
            spdxVersion="SPDX-2.3",
            dataLicense="CC0-1.0",
            SPDXID="SPDXRef-DOCUMENT",
            name=image.name,
            documentNamespace=f"https://spdx.org/spdxdocs/{image.name.rsplit('/', 1)[-1]}-{sbom.uuid}",
            creationInfo={"created": image.created, "creators": [f"Tool: {_TOOL}-{metadata.version(_TOOL)}"]},
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
    remarks = [f"{name}: {value}" for name, value in part.notes] + ([] if part.shipped else [_NOT_SHIPPED])
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
        license_declared=_expression(part.licenses),
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
    return _kept(
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
