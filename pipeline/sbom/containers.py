"""Syft and the inventory of the release, as containers; the SBOM that they make."""

import dataclasses

import dagger
from dagger import dag

from pipeline.build.dependencies import PACKAGES, equipped, libraries
from pipeline.build.release import assembled
from pipeline.errors import gathered, guard
from pipeline.image import export
from pipeline.image.layout import parse_time
from pipeline.image.runtime import runtime
from pipeline.project.application import Application
from pipeline.project.images import Images
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.files import NAMES
from pipeline.sbom.sbom import Image, Sbom
from pipeline.sbom.spdx import spdx
from pipeline.scripts import script

#: A scanner that tried the network in spite of its flags would fail at once, and say so.
_NOWHERE = "http://127.0.0.1:9"
_OFFLINE = {"HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE, "ALL_PROXY": _NOWHERE}
#: Where a scanner finds the image, and leaves what it found.
IMAGE, OUT = "/scan/image", "/scan/out"


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An image that was just built, and what it was built of."""

    project: Project
    application: Application
    release: dagger.Container
    #: For the engine's own platform.
    container: dagger.Container
    #: What is published: an OCI image layout of one image, or of an index of several.
    published: dagger.Directory
    #: An OCI image layout of one image: what is scanned.
    layout: dagger.Directory
    #: With the digest of what is published.
    image: Image


async def subject_of(project: Project, application: Application) -> Subject:
    """Build the image of a project, and export it."""
    project = await equipped(project, application)
    release = await assembled(project, application)
    variants, bases = await export.variants(project, application, release)
    published, digest = await export.layout(variants, project.created, bases)
    native = variants.get(await dag.default_platform()) or await runtime(project, application, release)
    return Subject(
        project,
        application,
        release,
        native,
        published,
        # Scanners want one image; the others differ from it in machine code alone.
        published if len(variants) == 1 else (await export.layout(native, project.created))[0],
        Image(
            project.repository_of(application.name),
            application.version,
            digest,
            parse_time(project.created),
            project.runtime,
            await dag.default_platform() if len(variants) > 1 else "",
        ),
    )


async def documents_of(project: Project) -> dict[str, str]:
    """Return the SBOM of a project's image, in both formats, by file name."""
    _, sbom = await describe(await subject_of(project, await read(project)))
    return {"sbom.spdx.json": spdx(sbom), "sbom.cdx.json": cyclonedx(sbom)}


async def describe(subject: Subject) -> tuple[str, Sbom]:
    """Return Syft's JSON of the image, and the SBOM that it makes together with the release's own inventory.

    Raises
    ------
    InputError
        If the SBOM would be empty, or the lock and the release do not fit.
    BuildError
        If Syft or the inventory fails.
    """
    found, inventoried = await gathered(
        guard(syft(subject.project.images, subject.layout).contents(), "syft"),
        guard(inventory(subject), "the inventory of the release"),
    )
    return found, Sbom.parse(subject.image, found, inventoried, subject.project.images)


def syft(images: Images, layout: dagger.Directory) -> dagger.File:
    """Return Syft's own JSON of an image."""
    return (
        scanner(images["syft"])
        .with_env_variable("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .with_mounted_directory(IMAGE, layout)
        .with_exec(["scan", f"oci-dir:{IMAGE}", "-o", f"syft-json={OUT}/syft.json"], use_entrypoint=True)
        .file(f"{OUT}/syft.json")
    )


async def inventory(subject: Subject) -> str:
    """Return what the release is made of: JSON of `inventory.escript`."""
    project, application = subject.project, subject.application
    options = {
        "--libs": libraries(project),
        "--repositories": PACKAGES,
        "--own": ",".join(app.name for app in application.apps),
        "--checkouts": ",".join(application.checkouts),
        "--image": "/image",
        "--files": ",".join(NAMES),
    }
    container = (
        subject.release.with_new_file("/pipeline/inventory.escript", script("sbom/resources/inventory.escript"))
        .with_new_file("/pipeline/common.hrl", script("project/resources/common.hrl"))
        .with_mounted_directory("/image", subject.container.rootfs())
    )
    if application.locked:
        lock = "/pipeline/rebar.lock"
        container = container.with_new_file(lock, await project.source.file("rebar.lock").contents())
        options["--lock"] = lock
    words = [word for option, value in options.items() if value for word in (option, value)]
    out = "/pipeline/inventory.json"
    command = ["escript", "/pipeline/inventory.escript", f"/opt/{application.name}", out, *words]
    return await container.with_exec(command).file(out).contents()


def scanner(reference: str) -> dagger.Container:
    """Return a scanner's container: no secret, no network."""
    container = dag.container().from_(reference).with_directory(OUT, dag.directory())
    for name, value in _OFFLINE.items():
        container = container.with_env_variable(name, value)
    return container
