"""What people read in copyright files of Debian that are not in the form for machines, or give a licence another name.

Each file is known by its SHA-256: another text has no conclusion here. The files lie in the image, below
/usr/share/doc, and with the sources of the package at sources.debian.org.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a copyright file says of one or several of the packages that it lies in."""

    packages: tuple[str, ...]
    #: The licences that hold together, each as such a file in the form for machines would name it, or of SPDX's list.
    licenses: tuple[str, ...]
    #: Where it stands in that file, and what is left out, since it is not in the package.
    why: str
    #: Versions of the package that were seen with this file.
    seen: tuple[str, ...]


_GCC = "GCC is under the GPL, version 3 or later"
_KEYRING = Reading(
    ("debian-archive-keyring",),
    ("GPL-2+",),
    "all but the keys is under the GPL, version 2 or later; keys fall under no copyright",
    ("2023.3+deb12u2", "2025.1"),
)
_NCURSES = Reading(
    ("libncurses6", "libncursesw6", "libtinfo6", "ncurses-base", "ncurses-bin"),
    ("X11-distribute-modifications-variant", "X11", "BSD-3-Clause"),
    "what it calls MIT/X11 is the text of X11-distribute-modifications-variant",
    ("6.4-4", "6.5+20250216-2"),
)


def _gcc(base: str, version: str) -> tuple[Reading, ...]:
    exception = "GPL-3.0-or-later WITH GCC-exception-3.1"
    return (
        Reading((base,), ("GPL-3+",), _GCC, (version,)),
        Reading(("libgcc-s1",), (exception,), f"{_GCC}; libgcc has the Runtime Library Exception", (version,)),
        Reading(
            ("libstdc++6",),
            # The scripts for debuggers (/usr/share/gcc/python) have no exception.
            ("GPL-3+", exception),
            f"{_GCC}; libstdc++-v3 has the Runtime Library Exception",
            (version,),
        ),
    )


#: By SHA-256 of the copyright file.
READ: dict[str, tuple[Reading, ...]] = {
    "b32aecaae84643700a33bc9ee83fa9b36938d35aa7b61b5042092eca77ddb732": (_KEYRING,),
    "8f918c0bebd1454a084698a95c09d9a03cec8453dad1fc6eab9e6427da9d33a9": (_KEYRING,),
    "da8191658b3452ce9caf31638ba61dab31a38c619fa39df119812e050f592fd3": _gcc("gcc-12-base", "12.2.0-14+deb12u1"),
    "20390f8a6f3b1e4d7cb45dd8652dabb259bbef688cbad839bcdb0b9ba7252f79": _gcc("gcc-14-base", "14.2.0-19"),
    "5a5e7ca0e9f3f9679977e3a3e9ede45ad92885a3297ea78e766979f9866c5a16": (
        Reading(
            ("libcrypt1",),
            ("LGPL-2.1+", "BSD-3-Clause", "BSD-2-Clause", "0BSD", "public-domain"),
            "its list of files; those of the build system and of the tests are not in the library",
            ("1:4.4.33-2", "1:4.4.38-1"),
        ),
    ),
    "f838d6048fbc59356b7e56c207a7cb32dc6bf4adea95514a002596bde8f6e1e7": (_NCURSES,),
    "f0974fb41778e23c94111ff90da0546de8971f8270c58877283d372e6bd7f17e": (_NCURSES,),
    # From here on of Debian 12 alone: in Debian 13 these have the form for machines.
    "fd7e4aae7e7b05f217bcf2d02322825c360e66c52c4c2f1b28d784d6297a1c23": (
        Reading(("base-files",), ("GPL-2+",), "the whole is under the GPL, version 2 or later", ("12.4+deb12u15",)),
    ),
    "40c7e1f2118531f038ca22999bd976901254e1bc5cd1b0f0211bdd064c599987": (
        Reading(
            ("libc-bin", "libc6"),
            (
                "LGPL-2.1+",
                "GPL-2+",
                "BSD-3-Clause",
                "ISC",
                "CMU-Mach",
                "Inner-Net-2.0",
                "SunPro",
                "DEC",
                "RFC-3492",
            ),
            "its list of parts; those of the tests are not in the package",
            ("2.36-9+deb12u14",),
        ),
    ),
    "95db2f9da663f2bfe2aabe9c72fce9d6c9ae767b912f397d7823f50bd55a1a7d": (
        Reading(
            ("libgcrypt20",),
            (
                "LGPL-2.1+",
                "BSD-3-Clause",
                "BSD-3-Clause or GPL-2",
                "BSD-3-Clause or GPL-1+",
                "public-domain",
                "OCB-license-1",
            ),
            "the library's licence and its file LICENSES; manual, tools and install.sh are not in the package",
            ("1.10.1-3+deb12u1",),
        ),
    ),
    "bb7e5c24b3e27bbba5671dd710d159a0066833bda4caa1d55d8027ffed539337": (
        Reading(
            ("libgnutls30",),
            (
                "LGPL-2.1+",
                "LGPL-3+ or GPL-2+",
                "BSD-3-Clause or GPL-1+",
                "BSD-3-Clause",
                "BSD-2-Clause",
                "CC0-1.0",
                "Expat",
                "ISC",
                "public-domain",
            ),
            "the library's licence and those of files below lib; tests, tools and documents are not in the package",
            ("3.7.9-2+deb12u7",),
        ),
    ),
    "641806738b0c6a3d03168c2649e6b94205198bb66cd557e6bae3a20b71c9bb0b": (
        Reading(
            ("libselinux1",),
            ("libselinux-1.0", "GPL-2", "LGPL-2.1+"),
            "the library's licence, of Debian's changes and of an excerpt of the GNU C library",
            ("3.4-1+b6",),
        ),
    ),
    "e00e6a86c598f9e24ced0180a70a5f2f2e45e133d93adf2b17ce8a06ce4b1b51": (
        Reading(
            ("libsemanage-common", "libsemanage2"),
            ("LGPL-2.1+", "GPL-2"),
            "the library's licence, and that of Debian's changes",
            ("3.4-1", "3.4-1+b5"),
        ),
    ),
    "572ad60ad184d8f52c6dc66d83a61a68f137db560b3452ce00588c9ecf128a65": (
        Reading(
            ("libtasn1-6",),
            ("LGPL-2.1+",),
            "the library's licence; build system, tests, tools and documents are not in the package",
            ("4.19.0-2+deb12u1",),
        ),
    ),
}


def reading_of(sha256: str, package: str) -> Reading | None:
    """Return what was read in a copyright file of a package; nothing of a text that nobody read."""
    return next((reading for reading in READ.get(sha256, ()) if package in reading.packages), None)
