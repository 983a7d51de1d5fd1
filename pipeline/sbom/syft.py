"""The packages of the operating system, out of Syft's JSON of an image."""

import dataclasses
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.errors import InputError
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind, System, content_of
from pipeline.sbom.copyrights import reading_of
from pipeline.sbom.licence import License, license_of
from pipeline.sbom.native import merged
from pipeline.sbom.review import of_package

#: What Syft calls the packages of an operating system.
_OS_TYPES = {"alpm", "apk", "deb", "rpm"}
#: What Syft finds of Erlang; ours knows more, and has the right purls.
_REPLACED = {"erlang-otp", "hex"}


def system_of(found: Mapping[str, Any]) -> System:
    """Return the distribution of an image, or raise `InputError` if Syft does not know it."""
    distro = found.get("distro") or {}
    if not distro.get("id"):
        # Scanners would find no advisory for its packages, and call that clean.
        raise InputError("sbom: Syft does not know the image's distribution; give a base image with /etc/os-release")
    return System(
        distro["id"], distro.get("versionID", ""), distro.get("prettyName") or distro["id"], distro.get("homeURL", "")
    )


def packages(found: Mapping[str, Any], system: System) -> list[Component]:
    """Return what Syft found that is not Erlang's, with what each needs."""
    artifacts = [artifact for artifact in found["artifacts"] if not _is_erlang(artifact)]
    purls = {artifact["id"]: artifact.get("purl") or _generic(artifact) for artifact in artifacts}
    needs: dict[str, set[str]] = {}
    for edge in found.get("artifactRelationships", []):
        if edge["type"] == "dependency-of" and edge["parent"] in purls and edge["child"] in purls:
            needs.setdefault(edge["child"], set()).add(purls[edge["parent"]])
    sums = _sums(found)
    programs = {merged(file["location"]["path"]) for file in found.get("files") or () if file.get("executable")}
    return [
        _package(
            artifact, purls[artifact["id"]], needs.get(artifact["id"], set()), system, sums=sums, programs=programs
        )
        for artifact in artifacts
    ]


def reviewed(parts: Iterable[Component], reviews: Iterable[Mapping[str, Any]], system: System) -> list[Component]:
    """Return the packages with the licences that the distribution found in their files, or people in a copyright file.

    Parameters
    ----------
    parts
        All packages.
    reviews
        By package, what the paragraphs of its copyright file name as licences, and the SHA-256 of that file.
    system
        The distribution.
    """
    by_package = {review["package"]: review for review in reviews}
    found = []
    for part in parts:
        review = by_package.get(part.name, {}) if part.purl.startswith("pkg:deb/") else {}
        source = part.source[0] or part.name
        licenses, how = review.get("licenses", ()), f"the distribution has the licence of every file of {source}"
        reading = reading_of(review.get("sha256", ""), part.name)
        if reading:
            licenses, how = reading.licenses, f"people read: {reading.why}"
        concluded = of_package(licenses, f"{system.name.capitalize()} {source}")
        by = f"/usr/share/doc/{part.name}/copyright, in which {how}" if concluded else ""
        found.append(dataclasses.replace(part, concluded=concluded, concluded_by=by))
    return found


def _sums(found: Mapping[str, Any]) -> dict[str, str]:
    """Return by path, as it is in /usr, the SHA-256 of each file of a package that is in the image."""
    return {
        merged(file["location"]["path"]): digest["value"]
        for file in found.get("files") or ()
        for digest in file.get("digests") or ()
        if digest["algorithm"] == "sha256"
    }


def owners(found: Mapping[str, Any]) -> dict[str, str]:
    """Return by path, as it is in /usr, the purl of the package of the system that has the file."""
    return {
        merged(file["path"]): artifact["purl"]
        for artifact in found["artifacts"]
        if artifact["type"] in _OS_TYPES
        for file in (artifact.get("metadata") or {}).get("files") or ()
    }


def _is_erlang(artifact: Mapping[str, Any]) -> bool:
    return artifact["type"] in _REPLACED or (artifact["type"] == "binary" and artifact["name"] == "erlang")


def _generic(artifact: Mapping[str, Any]) -> str:
    return purl.make("generic", artifact["name"], version=artifact["version"])


def _package(
    artifact: Mapping[str, Any],
    purl: str,
    needs: set[str],
    system: System,
    *,
    sums: Mapping[str, str],
    programs: set[str],
) -> Component:
    details = artifact.get("metadata") or {}
    files = {merged(file["path"]) for file in details.get("files") or ()}
    licenses = {
        License(entry["spdxExpression"], spdx=True) if entry["spdxExpression"] else license_of(entry["value"])
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
        contact=system.home if is_os else "",
        filename=_filename(artifact, details),
        executable=bool(files & programs),
        vcs=_sources(artifact, details),
        content=content_of(((path, sums[path]) for path in files & sums.keys()), "the package's files in the image"),
        cpes=tuple(entry["cpe"] for entry in artifact.get("cpes", [])),
        needs=tuple(sorted(needs - {purl})),
        source=_source(artifact, details) if is_os else ("", ""),
    )


def _filename(artifact: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """Return the name of the archive that a package comes as."""
    name, version = artifact["name"], artifact["version"]
    # An epoch is in no file's name (deb-version(7)).
    names = {
        "deb": f"{name}_{version.partition(':')[2] or version}_{details.get('architecture', '')}.deb",
        "apk": f"{name}-{version}.apk",
    }
    return names.get(artifact["type"], "")


def _sources(artifact: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """Return where the sources of a package lie for ever: at snapshot.debian.org, or the commit of Alpine's aports."""
    if artifact["type"] == "deb" and "/debian/" in artifact.get("purl", ""):
        name, version = _source(artifact, details)
        return f"https://snapshot.debian.org/package/{name}/{urllib.parse.quote(version, safe='')}/"
    commit = details.get("gitCommitOfApkPort")
    if artifact["type"] == "apk" and "/alpine/" in artifact.get("purl", "") and commit:
        return f"https://gitlab.alpinelinux.org/alpine/aports/-/commit/{commit}"
    return ""


def _source(artifact: Mapping[str, Any], details: Mapping[str, Any]) -> tuple[str, str]:
    name = details.get("source") or details.get("originPackage") or artifact["name"]
    return name, details.get("sourceVersion") or artifact["version"]
