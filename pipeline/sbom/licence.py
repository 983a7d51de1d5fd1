"""Licences: as the packages of Hex spell them, and as SPDX does."""

import dataclasses
import functools
import re
from collections.abc import Iterable

#: Licences as packages spell them, beside the identifiers of SPDX.
COMMON = (
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
_SPELLINGS = {re.sub(r"[^a-z0-9.]", "", name.lower()): name for name in COMMON} | {
    "2clausebsd": "BSD-2-Clause",
    "3clausebsd": "BSD-3-Clause",
    "apache2": "Apache-2.0",
    "apl2": "Apache-2.0",
    "apl2.0": "Apache-2.0",
    "bsd2": "BSD-2-Clause",
    "bsd3": "BSD-3-Clause",
    # The short name of Debian's copyright files (www.debian.org/doc/packaging-manuals/copyright-format/1.0).
    "expat": "MIT",
    "erlangpublic1.1": "ErlPL-1.1",
    "mozillapublic2.0": "MPL-2.0",
    "mpl2": "MPL-2.0",
    "newbsd": "BSD-3-Clause",
    "simplifiedbsd": "BSD-2-Clause",
}


@dataclasses.dataclass(frozen=True, slots=True)
class License:
    """A licence: an SPDX expression, or any other text."""

    text: str
    spdx: bool
    #: What of it is on no list of SPDX: each reference, and what it means.
    refs: tuple[tuple[str, str], ...] = ()

    @property
    def expression(self) -> str:
        """The licence as a part of an SPDX expression."""
        if self.spdx:
            return f"({self.text})" if " " in self.text else self.text
        return "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.]+", "-", self.text).strip("-") or "unknown")

    @property
    def is_name(self) -> bool:
        """Tell whether it is one name that is on no list of SPDX."""
        return not self.spdx or (len(self.refs) == 1 and self.refs[0][0] == self.text)

    @property
    def defined(self) -> tuple[tuple[str, str], ...]:
        """Each reference in its expression, and what it means."""
        return self.refs if self.spdx else ((self.expression, self.text),)


@functools.cache
def spdx_id(text: str) -> str:
    """Return the identifier of SPDX's list that a text is, whatever its case; nothing if it is none."""
    # Late: what only shows a table of images needs no list of licences.
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression  # noqa: PLC0415

    if not re.fullmatch(r"[\w.+-]+", text) or text.lower().startswith("licenseref-"):
        return ""
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return ""


def license_of(text: str) -> License:
    """Return the licence that a package means by a text."""
    # Late: what only shows a table of images needs no list of licences.
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression  # noqa: PLC0415

    plain = re.sub(r"\b(the|licen[cs]e|version)\b", " ", text.lower())
    known = _SPELLINGS.get(re.sub(r"v(?=\d)|[^a-z0-9.]", "", plain))
    if known:
        return License(known, spdx=True)
    try:
        return License(canonicalize_license_expression(text), spdx=True)
    except InvalidLicenseExpression:
        return License(text, spdx=False)


def expression(licenses: Iterable[License]) -> str:
    """Return the licences as one SPDX expression.

    Neither Debian nor Hex says whether several of them are an "and" or an "or": the stricter reading is written.
    """
    given = list(licenses)
    if len(given) == 1 and given[0].spdx:
        return given[0].text
    return " AND ".join(entry.expression for entry in given)
