"""The files of an image that come from no package: its init, and certificates."""

import re
from collections.abc import Iterable, Mapping

from pipeline.image.files import CERTIFICATES, INIT
from pipeline.project.images import Images, default_images
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind

#: By path, what the file is called.
NAMES = {INIT: "tini", CERTIFICATES: "ca-certificates"}
_VERSION = re.compile(r"\d{4}-\d\d-\d\d|(?<=/v)\d+(\.\d+)+")


def files(found: Iterable[Mapping[str, str]], images: Images, packages: Iterable[Component]) -> list[Component]:
    """Return the files as components, by what lies in the image.

    Parameters
    ----------
    found
        Path and SHA-256 of each.
    images
        The table: a file that it has is known by its URL. One that comes with the module is known wherever it was had.
    packages
        Of the operating system: certificates that one of these brings are no component of their own.
    """
    tables = (images, default_images())
    urls = {table.file(key).sha256: table.file(key).url for table in tables for key in table.files}
    theirs = any(package.name.startswith("ca-certificates") for package in packages)
    return [
        _component(file["path"], file["sha256"], urls.get(file["sha256"], ""))
        for file in found
        if file["path"] != CERTIFICATES or file["sha256"] in urls or not theirs
    ]


def _component(path: str, sha256: str, url: str) -> Component:
    version = _VERSION.search(url)
    return Component(
        kind=Kind.OTHER,
        name=NAMES[path],
        version=version[0] if version else "",
        purl=purl.of_file(NAMES[path], url, sha256),
        sha256=sha256,
        download=url,
        notes=(("path", path),),
    )
