"""The size of the image by component, compared with the budgets."""

import collections
import dataclasses
import re

import dagger

from pipeline.errors import PolicyError
from pipeline.image.export import exported
from pipeline.image.layout import Layer, read_layers
from pipeline.table import table

#: Megabytes (10^6 bytes) as pushed and pulled, from the old image's own targets (docs/docker-optimization-summary.md
#: of erlmcp: base 5, libraries 20, Erlang 40, application code 30, in all 100).
BUDGETS = {"base": 5.0, "libraries": 20.0, "ERTS and OTP": 40.0, "application code": 30.0}
LIMIT = 100.0
_MEGA = 1e6
_BIGGEST = 20
#: How many layers are above the base image.
_OWN = 4
#: The folder of an application in the release.
APPLICATION = re.compile(r"/opt/[^/]+/lib/[^/]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A part of the image; sizes in bytes."""

    name: str
    compressed: int
    uncompressed: int


def components_of(layers: list[Layer]) -> dict[str, list[Layer]]:
    """Sort the layers of a runtime image into components; the last four are ours, those below are the base."""
    own = ("libraries", "ERTS and OTP", "dependencies", "applications")
    return {
        "base": layers[: -len(own)],
        **{name: [layer] for name, layer in zip(own, layers[-len(own) :], strict=True)},
    }


def parts_of(layers: list[Layer]) -> list[Part]:
    """Return the components of a runtime image with their sizes."""
    return [
        Part(name, sum(layer.compressed for layer in group), sum(layer.uncompressed for layer in group))
        for name, group in components_of(layers).items()
    ]


def render(layers: list[Layer]) -> str:
    """Return the table by component, and the largest items above the base: applications, programs of ERTS, files."""
    parts = parts_of(layers)
    by_budget = {name: (name,) for name in BUDGETS} | {"application code": ("dependencies", "applications")}
    rows = []
    for budget, names in by_budget.items():
        members = [part for part in parts if part.name in names]
        used = sum(part.compressed for part in members)
        for part in members:
            last = part is members[-1]
            rows.append(
                (
                    part.name,
                    _mega(part.compressed),
                    _mega(part.uncompressed),
                    f"{BUDGETS[budget]:.0f}" if last else "",
                    ("over" if used > BUDGETS[budget] * _MEGA else "ok") if last else "",
                )
            )
    total = sum(part.compressed for part in parts)
    rows.append(
        (
            "total",
            _mega(total),
            _mega(sum(part.uncompressed for part in parts)),
            f"{LIMIT:.0f}",
            "over" if total > LIMIT * _MEGA else "ok",
        )
    )
    biggest = collections.Counter[str]()
    for layer in layers[-_OWN:]:
        for path, size in layer.files.items():
            application = APPLICATION.match(path)
            biggest[application[0] if application else path] += size
    return (
        table(("component", "MB compressed", "MB unpacked", "budget", ""), rows)
        + "\nlargest items above the base image\n"
        + table(("MB unpacked", "path"), [(_mega(size), path) for path, size in biggest.most_common(_BIGGEST)])
    )


def over_limit(layers: list[Layer]) -> bool:
    """Tell whether the compressed image is over the limit."""
    return sum(layer.compressed for layer in layers) > LIMIT * _MEGA


def _mega(size: int) -> str:
    return f"{size / _MEGA:.1f}"


async def measured(image: dagger.Container) -> list[Layer]:
    """Return the layers of an image, lowest first."""
    async with exported(image) as path:
        return read_layers(path)


async def size(image: dagger.Container) -> str:
    """Measure the image.

    Raises
    ------
    PolicyError
        If it is over the limit; the message has the table.
    """
    layers = await measured(image)
    text = render(layers)
    if over_limit(layers):
        raise PolicyError(f"SIZE FAILED: the image is over {LIMIT:.0f} MB compressed\n{text}")
    return text
