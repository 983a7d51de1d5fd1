"""Compare the wall time of the three scanners together with that of each alone, in one run.

    dagger call image-tarball export --path=image.tar
    mkdir layout && tar -xf image.tar -C layout
    uv run python benchmarks/scanners.py --images TABLE --layout layout --trivy-db DIR --grype-db DIR

Needs an engine (`_EXPERIMENTAL_DAGGER_RUNNER_HOST` and a `dagger` on PATH). The images and databases are at the engine
before the clock starts; each run reads a layout that the cache does not know.
"""

import argparse
import os
import shutil
import statistics
import time
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import anyio
import dagger
from dagger import dag

from pipeline.project.images import Images, images_in_use
from pipeline.sbom.containers import syft
from pipeline.scan.databases import Databases, checked
from pipeline.scan.grype import grype
from pipeline.scan.trivy import trivy

SCANNERS = ("syft", "trivy", "grype")


async def main(arguments: argparse.Namespace) -> None:
    """Measure and print a table."""
    async with dagger.connection():
        images = images_in_use(arguments.images.read_text() if arguments.images else "", {})
        trivy_db, grype_db = (dag.host().directory(str(each)) for each in (arguments.trivy_db, arguments.grype_db))
        databases = await checked(Databases("2026-01-01", trivy_db, grype_db))
        await measure(arguments.layout, images, databases, SCANNERS)
        times: dict[str, list[float]] = {}
        for _ in range(arguments.runs):
            for name, scanners in {**{scanner: (scanner,) for scanner in SCANNERS}, "together": SCANNERS}.items():
                times.setdefault(name, []).append(await measure(arguments.layout, images, databases, scanners))
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in times.items():
        print(f"{name:<10} {middle[name]:6.2f} s  (of {', '.join(f'{each:.2f}' for each in seconds)})")  # noqa: T201 # the table
    slowest = max(middle[scanner] for scanner in SCANNERS)
    print(f"together / slowest alone: {middle['together'] / slowest:.2f}")  # noqa: T201 # the table


async def measure(folder: Path, images: Images, databases: Databases, scanners: tuple[str, ...]) -> float:
    """Return the seconds that some scanners take at the same time."""
    layout = await dag.host().directory(str(folder)).with_new_file("run", str(uuid.uuid4())).sync()
    steps: dict[str, Awaitable[Any]] = {}
    begin = time.monotonic()
    if "syft" in scanners:
        steps["syft"] = syft(images, layout).contents()
    if "trivy" in scanners:
        steps["trivy"] = trivy(images, databases, layout, ())
    if "grype" in scanners:
        steps["grype"] = grype(images, databases, layout, ())

    async def finish(step: Awaitable[Any]) -> None:
        await step

    async with anyio.create_task_group() as group:
        for step in steps.values():
            group.start_soon(finish, step)
    return time.monotonic() - begin


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="FILE", help="as for the module's --images")
    parser.add_argument("--layout", required=True, type=Path, metavar="DIR", help="an OCI image layout")
    parser.add_argument("--trivy-db", required=True, type=Path, metavar="DIR")
    parser.add_argument("--grype-db", required=True, type=Path, metavar="DIR")
    parser.add_argument("--runs", type=int, default=3)
    # The SDK would fetch one of its own.
    os.environ.setdefault("_EXPERIMENTAL_DAGGER_CLI_BIN", shutil.which("dagger") or "dagger")
    anyio.run(main, parser.parse_args())
