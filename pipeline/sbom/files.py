"""The files of an image that come from no package: its init, certificates, and scripts."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.image.files import CERTIFICATES, INIT
from pipeline.project.images import Images, default_images
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Content, Kind, content_of
from pipeline.sbom.document import HOME, TOOL, tool_version
from pipeline.sbom.licence import License
from pipeline.sbom.vendored import content_in

#: By path, what the file is called.
NAMES = {INIT: "tini", CERTIFICATES: "ca-certificates"}
#: What this program adds besides.
SCRIPTS = ("/usr/local/bin/entrypoint", "/usr/local/bin/healthcheck", "/usr/local/share/entrypoint/finish.awk")
#: Of those that the module's own table has: licence and maker, as github.com/krallin/tini and
#: curl.se/docs/caextract.html say.
_KNOWN = {
    "tini": ("MIT", "github.com/krallin", "https://github.com/krallin/tini"),
    "ca-certificates": ("MPL-2.0", "Mozilla", "https://www.mozilla.org"),
}
#: What is concluded of those that the module's own table has, each of known content, and from what. The makers of tini
#: build it on ubuntu:xenial, where the C library is GNU's, and link that into it (its Dockerfile at v0.19.0).
_CONCLUDED = {
    "tini": (("MIT", "LGPL-2.1-or-later"), "github.com/krallin/tini LICENSE; the GNU C library is linked into it"),
    "ca-certificates": (("MPL-2.0",), "Mozilla's certdata.txt, which curl.se/docs/caextract.html makes it of"),
}
#: The last version of relx whose LICENSE.md was read: the same text, the Apache License, at each tag of
#: github.com/erlware/relx.
_RELX_READ = (4, 10, 0)
_VERSION = re.compile(r"\d{4}-\d\d-\d\d|(?<=/v)\d+(\.\d+)+")


def files(
    found: Iterable[Mapping[str, Any]], images: Images, packages: Iterable[Component], project: tuple[str, str]
) -> list[Component]:
    """Return the files as components, by what lies in the image.

    Parameters
    ----------
    found
        Path and SHA-256 of each.
    images
        The table: a file that it has is known by its URL. One that comes with the module is known wherever it was had.
    packages
        Of the operating system: certificates that one of these brings are no component of their own.
    project
        The project's supplier and an address: a file that is of no table comes from there.
    """
    tables = (images, default_images())
    urls = {table.file(key).sha256: table.file(key).url for table in tables for key in table.files}
    ours = {default_images().file(key).sha256 for key in default_images().files}
    theirs = any(package.name.startswith("ca-certificates") for package in packages)
    made = [
        _component(file, urls.get(file["sha256"], ""), known=file["sha256"] in ours)
        for file in found
        if file["path"] in NAMES and (file["path"] != CERTIFICATES or file["sha256"] in urls or not theirs)
    ]
    return [
        part if part.supplier else dataclasses.replace(part, supplier=project[0], contact=project[1]) for part in made
    ]


def natives(release: Mapping[str, Any], project: tuple[str, str]) -> list[Component]:
    """Return the native files of a release that are neither of an application nor of ERTS: relx put them there.

    Parameters
    ----------
    release
        The inventory of the release.
    project
        The project's supplier and an address.
    """
    found = []
    for file in release.get("natives", ()):
        path, name = file["path"], file["path"].rpartition("/")[2]
        found.append(
            Component(
                kind=Kind.OTHER,
                name=name,
                # What has no number changes with its content.
                version=f"sha256:{file['sha256']}",
                purl=purl.of_file(name, "", file["sha256"]),
                description="native code that the project lays into its release",
                supplier=project[0],
                contact=project[1],
                sha256=file["sha256"],
                content=Content(file["sha512"], f"the file {path}", path),
                filename=name,
                executable=True,
                notes=(("path", path),),
            )
        )
    return found


def scripts(release: Mapping[str, Any]) -> list[Component]:
    """Return what the scripts of an image come from: relx, as rebar3 has it, and this program."""
    relx = release.get("relx")
    ours = ((file["path"], file["sha256"]) for file in release.get("files", ()) if file["path"] in SCRIPTS)
    own = Component(
        kind=Kind.OTHER,
        name=TOOL,
        version=tool_version(),
        purl=purl.make("generic", TOOL, version=tool_version()),
        description="entrypoint and health check of the image",
        licenses=(License("Apache-2.0", spdx=True),),
        concluded=(License("Apache-2.0", spdx=True),),
        concluded_by="the licence file of this program",
        supplier="github.com/banyan-platform",
        contact="https://github.com/banyan-platform",
        content=content_of(ours, "the scripts"),
        filename="entrypoint",
        executable=True,
        links=(HOME,),
        vcs=HOME,
        notes=(("source", HOME), ("path", "/usr/local/bin, /usr/local/share/entrypoint")),
    )
    if not relx:
        return [own]
    home = "https://github.com/erlware/relx"
    read = bool(re.match(r"\d+\.\d+\.\d+", relx)) and tuple(map(int, re.findall(r"\d+", relx)[:3])) <= _RELX_READ
    start = Component(
        kind=Kind.OTHER,
        name="relx",
        version=relx,
        # Rebar3 brings it: it is no package that was had from a registry, and none is asked about it.
        purl=purl.make("generic", "relx", version=relx, qualifiers={"vcs_url": f"git+{home}.git"}),
        description="start scripts of the release",
        licenses=(License("Apache-2.0", spdx=True),),
        concluded=(License("Apache-2.0", spdx=True),) if read else (),
        concluded_by="LICENSE.md of github.com/erlware/relx" if read else "",
        supplier="github.com/erlware",
        contact="https://github.com/erlware",
        content=content_in(
            release, "bin", f"the files of {release.get('root', '')}/bin", f"{release.get('root', '')}/bin"
        ),
        filename="bin",
        executable=True,
        links=(home,),
        vcs=home,
        notes=(("source", home), ("path", "bin and releases of the release")),
    )
    return [own, start]


def _component(file: Mapping[str, Any], url: str, *, known: bool) -> Component:
    """Return a file of the table, or one that was given: of such a one it is known what it says of itself.

    `known` tells whether it is in the module's own table.
    """
    path, sha256, tini = file["path"], file["sha256"], file.get("tini", "")
    # Which C library is in another tini is seen of GNU's alone.
    concluded, how = _CONCLUDED[NAMES[path]] if known or (tini and file.get("glibc")) else ((), "")
    version = _VERSION.search(url)
    license_id, supplier, contact = _KNOWN[NAMES[path]] if url or tini else ("", "", "")
    return Component(
        kind=Kind.OTHER,
        name=NAMES[path],
        # What has no number changes with its content.
        version=version[0] if version else tini or f"sha256:{sha256}",
        purl=purl.of_file(NAMES[path], url, sha256),
        licenses=(License(license_id, spdx=True),) if license_id else (),
        concluded=tuple(License(entry, spdx=True) for entry in concluded),
        concluded_by=how,
        supplier=supplier,
        contact=contact,
        vcs=contact if "github.com" in contact else "",
        sha256=sha256,
        content=Content(file["sha512"], f"the file {path}", path) if file.get("sha512") else None,
        filename=path.rpartition("/")[2],
        executable=path == INIT,
        download=url,
        notes=(("path", path),),
    )
