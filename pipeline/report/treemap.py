"""The size of an image by layer, then by application or package, then by file."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pipeline.image.layout import Layer
from pipeline.image.size import APPLICATION, components_of
from pipeline.sbom.native import merged
from pipeline.table import count

#: How many files of an application are named; the others are one.
_SHOWN = 25
#: How deep a folder is that lies in the release beside its applications, such as /opt/NAME/bin.
_DEPTH = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """A part of the image with its size and its own parts, the largest first."""

    name: str
    #: Unpacked.
    bytes: int
    parts: tuple[Self, ...] = ()

    def json(self) -> list[Any]:
        """Return it as JSON has it: name, size and, if there are any, its parts."""
        return [self.name, self.bytes, *([[part.json() for part in self.parts]] if self.parts else [])]


def treemap(layers: list[Layer], packages: Mapping[str, str]) -> Tree:
    """Return the tree of an image.

    Parameters
    ----------
    layers
        Of the image, lowest first.
    packages
        By path, as it is in /usr, the package of the system that has the file.
    """
    return _sum("image", (_component(name, group, packages) for name, group in components_of(layers).items()))


def _component(name: str, layers: Iterable[Layer], packages: Mapping[str, str]) -> Tree:
    groups: dict[str, list[Tree]] = collections.defaultdict(list)
    for layer in layers:
        for path, size in layer.files.items():
            group = packages.get(merged(path)) or _folder(path)
            groups[group].append(Tree(path.removeprefix(f"{group}/"), size))
    return _sum(name, (_shown(_sum(_short(group), files)) for group, files in groups.items()))


def _folder(path: str) -> str:
    """Return the application of the release that a file is of, or else the folder."""
    if application := APPLICATION.match(path):
        return application[0]
    parts = path.split("/")[1:-1]
    return "/" + "/".join(parts[: _DEPTH if parts[:1] == ["opt"] else 1])


def _short(group: str) -> str:
    return group.rpartition("/")[2] if group.startswith("/opt/") else group


def _shown(tree: Tree) -> Tree:
    """Return a tree with its smallest parts as one, if it has too many to name each."""
    named, rest = tree.parts[:_SHOWN], tree.parts[_SHOWN:]
    if len(rest) < 2:  # noqa: PLR2004 # one is named instead
        return tree
    others = Tree(f"{count(len(rest), 'smaller file')}", sum(part.bytes for part in rest))
    return dataclasses.replace(tree, parts=(*named, others))


def _sum(name: str, parts: Iterable[Tree]) -> Tree:
    ordered = tuple(sorted((part for part in parts if part.bytes), key=lambda part: (-part.bytes, part.name)))
    return Tree(name, sum(part.bytes for part in ordered), ordered)
