"""What Erlang/OTP has in it of others: C code in the emulator, and the data of Unicode."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.sbom import purl
from pipeline.sbom.component import Component, Content, Kind
from pipeline.sbom.licence import License

#: What Erlang/OTP itself says of the licence of its parts, with their texts; the table of its applications and that of
#: what is compiled in follow it.
LICENCE_FILE = "Erlang/OTP's own licence file, system/COPYRIGHT of its sources"

_OTP = "https://github.com/erlang/otp"


@dataclasses.dataclass(frozen=True, slots=True)
class Vendored:
    """Something that is compiled into ERTS.

    Sources of the versions: `system/COPYRIGHT` of OTP 27.3.4.1, the files `vendor.info` of OTP 28 and 29.1.1, and in
    between the release notes of ERTS (`erts/doc/notes.md`), which tell each update.
    """

    name: str
    #: As `vendor.info` and `system/COPYRIGHT` have it, an SPDX expression.
    license: str
    #: The maker, as `vendor.info` has it, a person with that word in front; or the owner of the repository.
    supplier: str
    #: Makes the package URL of a version.
    purl: Callable[[str], str]
    home: str
    #: By the version of ERTS that brought it; an empty version is not known, None is the end of it.
    versions: Mapping[tuple[int, ...], str | None]
    #: The library of the system that is loaded in place of it, if it is not compiled in.
    library: str = ""

    def version(self, erts: tuple[int, ...]) -> str | None:
        """Return the version in an ERTS; None if that has it not."""
        known = [since for since in self.versions if since <= erts]
        return self.versions[max(known)] if known else None


def _github(owner: str, name: str, tag: str = "{}", subpath: str = "") -> Callable[[str], str]:
    return lambda version: purl.make(
        "github", owner, name, version=tag.format(version) if version else "", subpath=subpath
    )


def _generic(name: str) -> Callable[[str], str]:
    return lambda version: purl.make("generic", name, version=version)


_TABLE = (
    Vendored(
        "asmjit",
        "Zlib",
        "Person: Petr Kobalicek",
        _github("asmjit", "asmjit"),
        "https://github.com/asmjit/asmjit",
        {
            (15, 0): "a465fe71ab3d0e224b2b4bd0fac69ae68ab9239d",
            (16, 0): "029075b84bf0161a761beb63e6eda519a29020db",
            (16, 3): "5fe1940275d04432da841896bac0a66cc2375551",
        },
    ),
    Vendored(
        "ryu",
        "Apache-2.0 OR BSL-1.0",
        "Person: Ulf Adams",
        _github("ulfjack", "ryu", subpath="ryu"),
        "https://github.com/ulfjack/ryu",
        {
            (15, 0): "844864ac213bdbf1fb57e6f51c653b3d90af0937",
            (16, 0): "1264a946ba66eab320e927bfd2362e0c8580c42f",
            (16, 3): "4c0618b0e44f7ef027ebae05d2cc7812048f7c8f",
        },
    ),
    Vendored(
        "STL",
        "Apache-2.0 WITH LLVM-exception AND BSL-1.0",
        "Microsoft Corporation",
        _github("microsoft", "stl", subpath="stl/inc/xcharconv_ryu.h"),
        "https://github.com/microsoft/STL",
        {
            (15, 0): "e745bad3b1d05b5b19ec652d68abb37865ffa454",
            (16, 0): "vs-2022-17.13",
            (16, 3): "",
            (17, 0): "msvc-build-tools-14.50",
        },
    ),
    Vendored(
        "openssl-md5",
        "Apache-2.0",
        "OpenSSL Mission",
        lambda version: purl.make("generic", "openssl", version=version, subpath="crypto/md5"),
        "https://github.com/openssl/openssl",
        {(15, 0): "3.1.4", (16, 0): "3.5.0", (16, 2): "3.6.0", (17, 0): None},
    ),
    Vendored(
        "tcl",
        "TCL",
        # As `system/COPYRIGHT` says whose copyright it is.
        "The Regents of the University of California",
        _generic("tcl"),
        "https://www.tcl.tk/",
        {(15, 0): "7.6", (17, 0): None},
    ),
    Vendored(
        "fp16",
        "MIT",
        "github.com/maratyszcza",
        _github("maratyszcza", "fp16"),
        "https://github.com/Maratyszcza/FP16",
        {(15, 0): "0a92994d729ff76a58f692d3028ca1b64b145d91", (16, 0): "", (17, 0): None},
    ),
    Vendored(
        "zlib",
        "Zlib",
        "Person: Mark Adler",
        _github("madler", "zlib", "v{}"),
        "https://zlib.net/",
        {(15, 0): "1.2.13", (16, 0): "1.3.1", (16, 3): "1.3.2"},
        library="libz.so",
    ),
    Vendored(
        "zstd",
        "BSD-3-Clause OR GPL-2.0-only",
        "Meta",
        _github("facebook", "zstd", "v{}"),
        "https://github.com/facebook/zstd",
        {(16, 0): "1.5.7"},
        library="libzstd.so",
    ),
)


def vendored(release: Mapping[str, Any], loads: str) -> tuple[list[Component], list[Component]]:
    """Return what is in ERTS and what is in the application stdlib, as the emulator itself tells it where it can.

    Parameters
    ----------
    release
        The inventory of the release.
    loads
        What native files of the release load, as `elf.escript` writes it.
    """
    told = release.get("embedded")
    if not release.get("erts") or not told:
        return [], []
    erts = tuple(map(int, re.findall(r"\d+", release["erts"])))
    place = f"{release.get('root', '')}/erts-{release['erts']}/bin/beam.smp"
    emulator = content_in(release, "emulator", "the emulator, beam.smp, that it is compiled into", place)
    found = [_pcre(told["pcre"])]
    for part in _TABLE:
        version = part.version(erts)
        if version is not None and _is_in(part, told, loads):
            found.append(_component(part, version))
    found = [dataclasses.replace(part, content=emulator, filename="beam.smp", executable=True) for part in found]
    data = content_in(release, "unicode", "unicode_util.beam of stdlib, that it is compiled into")
    if not told["unicode"]:
        return found, []
    characters = _unicode(told["unicode"])
    return found, [dataclasses.replace(characters, content=data, filename="unicode_util.beam", executable=True)]


def content_in(release: Mapping[str, Any], key: str, what: str, path: str = "") -> Content | None:
    """Return the SHA-512 of a part of the release, if the inventory has it."""
    sha512 = release.get("contents", {}).get(key)
    return Content(sha512, what, path) if sha512 else None


def _is_in(part: Vendored, told: Mapping[str, Any], loads: str) -> bool:
    if part.name == "asmjit":
        return bool(told["jit"])
    # From ERTS 16.4 on the emulator knows what it was built with (`embedded_3pps` of erlang:system_info/1).
    if told["included"] is not None and part.name != "fp16":
        return part.name.removesuffix("-md5") in told["included"]
    return not part.library or f"/{part.library}" not in loads


def _component(part: Vendored, version: str) -> Component:
    return Component(
        kind=Kind.OTHER,
        name=part.name,
        version=version,
        purl=part.purl(version),
        description="compiled into ERTS",
        licenses=(License(part.license, spdx=True),),
        concluded=(License(part.license, spdx=True),),
        concluded_by=f"{LICENCE_FILE}, and its files vendor.info",
        supplier=part.supplier,
        contact=part.home,
        links=(part.home,),
        # Of others the copy that was compiled is in Erlang/OTP's own repository.
        vcs=part.home if part.home.startswith("https://github.com/") else _OTP,
        notes=(("embedded-in", "erts"), ("source", _OTP)),
    )


def _pcre(told: str) -> Component:
    """Return PCRE, by what `re:version/0` says, such as `8.45 2021-06-15`."""
    version = told.partition(" ")[0]
    # With version 10 it is another project of another name.
    second = int(version.partition(".")[0]) >= 10  # noqa: PLR2004
    home = "https://pcre2project.github.io/pcre2/" if second else "https://pcre.org"
    part = Vendored(
        "pcre2" if second else "pcre",
        "BSD-3-Clause",
        # Of the first `system/COPYRIGHT` says whose copyright it is.
        "Person: Nicholas Wilson" if second else "University of Cambridge",
        _github("pcre2project", "pcre2", "pcre2-{}") if second else _generic("pcre"),
        home,
        {},
    )
    return _component(part, version)


def _unicode(version: str) -> Component:
    """Return the data of Unicode, by what `unicode_util:spec_version/0` says."""
    # Of version 15.1 and before it has another licence (spdx.org/licenses/Unicode-DFS-2016.html).
    major = int(version.partition(".")[0])
    license_id = "Unicode-3.0" if major > 15 else "Unicode-DFS-2016"  # noqa: PLR2004
    part = Vendored(
        "unicode",
        license_id,
        "Unicode, Inc",
        _generic("unicode"),
        "https://www.unicode.org/",
        {},
    )
    notes = (("embedded-in", "stdlib"), ("source", _OTP))
    return dataclasses.replace(_component(part, version), description="compiled into stdlib", notes=notes)
