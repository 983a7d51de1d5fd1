"""What native code of the release loads: libraries of the system, or of the release itself."""

import dataclasses
from collections.abc import Iterable, Mapping

from pipeline.sbom.component import Component


def linked(
    parts: Iterable[Component], loads: str, release: Mapping[str, str], system: Mapping[str, str]
) -> list[Component]:
    """Return the components, each with what its native files load.

    Parameters
    ----------
    parts
        All that is in the image.
    loads
        What `elf.escript check` wrote: a line for each file and library, with a tab between.
    release
        By folder of the release, with a slash at its end, the purl of its component.
    system
        By path, the purl of the package of the system that has the file.
    """

    def owner(path: str) -> str:
        return system.get(merged(path)) or next(
            (purl for folder, purl in release.items() if path.startswith(folder)), ""
        )

    needs: dict[str, set[str]] = {}
    unknown: dict[str, set[str]] = {}
    for line in loads.splitlines():
        file, library = line.split("\t")
        if owner(library):
            needs.setdefault(owner(file), set()).add(owner(library))
        else:
            unknown.setdefault(owner(file), set()).add(library)
    return [_linked(part, needs.get(part.purl, set()), unknown.get(part.purl, set())) for part in parts]


def _linked(part: Component, needs: set[str], unknown: set[str]) -> Component:
    notes = tuple(("loads, of no package", library) for library in sorted(unknown))
    return dataclasses.replace(
        part, needs=tuple(sorted({*part.needs, *needs} - {part.purl})), notes=(*part.notes, *notes)
    )


def merged(path: str) -> str:
    """Return a path as it is where /lib and /bin are links into /usr: packages may have either."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return f"/usr{path}" if first in {"bin", "lib", "lib32", "lib64", "libx32", "sbin"} else path
