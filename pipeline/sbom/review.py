"""What a distribution found of the licence of each file of a package: its copyright files, in the form for machines.

Of www.debian.org/doc/packaging-manuals/copyright-format/1.0, which is called DEP-5. Such a file is the distribution's
review of every file of the sources: a licence is concluded from it, and from no other form.
"""

import re
from collections.abc import Iterable

from pipeline.sbom.licence import License, license_of, spdx_id

#: Short names of that form whose SPDX identifier is another one.
_NAMES = {
    "expat": "MIT",
    # SPDX gave this one up for the other: the texts are the same by its guidelines.
    "bsd-2-clause-netbsd": "BSD-2-Clause",
}
#: What such a file calls the exceptions of SPDX. Those of Bison differ by the version of the GPL that they are to.
_EXCEPTIONS = {
    ("gpl-2.0-only", "linux-syscall-note"): "Linux-syscall-note",
    ("gpl-3.0-or-later", "bison"): "Bison-exception-2.2",
}
_GNU = re.compile(
    r"(?P<name>A?GPL|LGPL|GFDL)(?P<niv>-NIV)?-(?P<version>\d(\.\d)*)(?P<later>\+|-or-later|-only)?", re.IGNORECASE
)


def of_package(licenses: Iterable[str], owner: str) -> tuple[License, ...]:
    """Return the licences that hold together for all files of a package; nothing if one of them cannot be read.

    Parameters
    ----------
    licenses
        Of each paragraph about files, its first line.
    owner
        Whose names those are that SPDX has not: the distribution and the source package.
    """
    found: dict[License, None] = {}
    for text in licenses:
        parts = _parsed(text, owner)
        if not parts:
            return ()
        found |= dict.fromkeys(parts)
    return tuple(sorted(found, key=lambda entry: (bool(entry.refs), entry.text)))


def _parsed(text: str, owner: str) -> list[License]:
    """Return the licences that hold together, each an identifier or a choice of several; nothing if it cannot be read.

    `and` binds more tightly than `or`, but for one with a comma in front of it, which is the weakest of all. What is
    `and/or` holds together: the stricter reading.
    """
    found: list[License] = []
    for part in re.split(r",\s+and\s+", text):
        choices = [
            [_license(name.strip(), owner) for name in re.split(r"\s+and(?:/or)?\s+", choice)]
            for choice in re.split(r",?\s+or\s+", part)
        ]
        names = [entry for choice in choices for entry in choice]
        known = [entry for entry in names if entry]
        if len(known) < len(names):
            return []
        if len(choices) == 1:
            found += known
            continue
        texts = [" AND ".join(entry.text for entry in choice if entry) for choice in choices]
        texts = [f"({each})" if " AND " in each else each for each in dict.fromkeys(texts)]
        refs = dict(ref for entry in known for ref in entry.refs)
        found.append(License(" OR ".join(texts), spdx=True, refs=tuple(sorted(refs.items()))))
    return found


def _license(text: str, owner: str) -> License | None:
    """Return what a short name is: a licence of SPDX's list, or a reference to what the distribution calls so."""
    if not re.fullmatch(r"[\w.+/-]+( with [\w.+ /-]+)?", text, re.IGNORECASE):
        return None
    known = license_of(text)
    if " WITH " in text and known.spdx:
        return known
    name, _, exception = re.sub(r"\s+exception$", "", text, flags=re.IGNORECASE).partition(" with ")
    base = _license(name, owner) if exception else None
    spdx = _EXCEPTIONS.get((base.text.lower(), exception.lower())) if base else None
    if base and spdx:
        return License(f"{base.text} WITH {spdx}", spdx=True)
    gnu = _GNU.fullmatch(text)
    name = _NAMES.get(text.lower(), text)
    if gnu:
        version = gnu["version"] if "." in gnu["version"] else f"{gnu['version']}.0"
        later = "or-later" if gnu["later"] in ("+", "-or-later") else "only"
        name = f"{gnu['name'].upper()}-{version}{'-no-invariants' if gnu['niv'] else ''}-{later}"
    # A version 2.0 is also called 2.
    listed = spdx_id(name) or spdx_id(f"{name}.0")
    if listed:
        return License(listed, spdx=True)
    # Whose name it is stands in front (BSI TR-03183-2 v2.1, 6.1); a sign that SPDX does not allow is spelled.
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", f"{owner} {text.replace('+', '-or-later ')}").strip("-")
    ref = f"LicenseRef-{plain}"
    return License(ref, spdx=True, refs=((ref, f"what the copyright file of {owner} calls {text}"),))
