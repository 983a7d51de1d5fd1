"""Syft and the inventory of the release, as containers; the SBOM that they make."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import dagger
from dagger import dag

from pipeline import handover
from pipeline.build.dependencies import PACKAGES, equipped, libraries
from pipeline.build.release import assembled
from pipeline.errors import gathered, guard
from pipeline.image import export
from pipeline.image.labels import SOURCE, VENDOR, labels, parse_labels
from pipeline.image.layout import parse_time
from pipeline.image.runtime import Filled, filled, metadata
from pipeline.project.application import Application
from pipeline.project.images import Images
from pipeline.project.project import BUILD, Project
from pipeline.project.reader import read
from pipeline.sbom import purl
from pipeline.sbom.beam import Source
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.files import NAMES, SCRIPTS
from pipeline.sbom.sbom import Image, Sbom
from pipeline.sbom.spdx import spdx
from pipeline.sbom.spdx3 import spdx3

#: A scanner that tried the network in spite of its flags would fail at once, and say so.
_NOWHERE = "http://127.0.0.1:9"
_OFFLINE = {"HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE, "ALL_PROXY": _NOWHERE}
#: Where a scanner finds the image, and leaves what it found.
IMAGE, OUT = "/scan/image", "/scan/out"


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """One of the images of an index."""

    #: Its root filesystem.
    files: dagger.Directory
    #: What its native code loads.
    loads: dagger.File
    #: An OCI image layout in which it is alone.
    layout: dagger.Directory
    #: Of its manifest.
    digest: str


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An image that was just built, and what it was built of."""

    project: Project
    application: Application
    release: dagger.Container
    #: For the engine's own platform.
    container: dagger.Container
    #: Its root filesystem: no label is in the key of what looks at files alone.
    files: dagger.Directory
    #: What its native code loads.
    loads: dagger.File
    #: What is published: an OCI image layout of one image, or of an index of several.
    published: dagger.Directory
    #: An OCI image layout of one image: what is scanned.
    layout: dagger.Directory
    #: With the digest of what is published.
    image: Image
    #: By platform, each image of an index; none if one image alone is published.
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)


async def subject_of(project: Project, application: Application) -> Subject:
    """Build the image of a project, and export it."""
    project.refuse_incremental()
    project = await equipped(project, application)
    release = await assembled(project, application)
    made, bases = await export.variants(project, application, release)
    images = {name: metadata(image.container, project, application) for name, image in made.items()}
    published, digest = await export.layout(project, images, bases)
    own = await dag.default_platform()
    native = made.get(own) or await filled(project, application, release)
    whole = metadata(native.container, project, application)
    variants = await _variants(published, digest, made) if len(images) > 1 else {}
    # Scanners want one image; the others differ from it in machine code alone.
    if own in variants:
        scanned = variants[own].layout
    elif len(images) == 1:
        scanned = published
    else:
        scanned, _ = await export.layout(project, {own: whole}, {})
    image = Image(
        project.repository_of(application.name),
        application.version,
        digest,
        parse_time(project.created) if project.created else "",
        project.runtime,
        _source(project, application),
        own if len(images) > 1 else "",
        await _sha512(published, digest),
    )
    files = native.container.rootfs()
    return Subject(project, application, release, whole, files, native.loads, published, scanned, image, variants)


async def _sha512(layout: dagger.Directory, digest: str) -> str:
    """Return the SHA-512 of a manifest in a layout."""
    manifest = await layout.file(f"blobs/{digest.replace(':', '/')}").contents()
    return hashlib.sha512(manifest.encode()).hexdigest()


async def _variants(published: dagger.Directory, digest: str, images: Mapping[str, Filled]) -> dict[str, Variant]:
    """Return each image of an index, as its manifest names it."""
    index = json.loads(await published.file(f"blobs/{digest.replace(':', '/')}").contents())
    variants = {}
    for name, entry in zip(images, index["manifests"], strict=True):
        alone = published.with_file(
            "index.json", handover.file("index.json", json.dumps({**index, "manifests": [entry]}))
        )
        made = images[name]
        variants[name] = Variant(made.container.rootfs(), made.loads, alone, entry["digest"])
    return variants


def _source(project: Project, application: Application) -> Source:
    """Return where the project's applications come from, by its own links and the labels that were given."""
    url = labels(project, application).get(SOURCE, "")
    host, path, _ = purl.repository(url) if url else ("", "", "")
    owner = f"{host}/{path.split('/')[0]}" if host and "/" in path else ""
    return Source(
        url=url if owner else "",
        revision=project.revision,
        supplier=parse_labels(project.labels).get(VENDOR, "") or owner,
        contact=f"https://{owner}" if owner else "",
        folders={app.name: app.dir for app in application.apps},
    )


async def documents_of(project: Project) -> dict[str, str]:
    """Return the SBOM of a project's image, in each format, by file name; of an index that of each platform besides."""
    subject = await subject_of(project, await read(project))
    _, sbom = await describe(subject)
    return documents(sbom) | platform_documents(await of_platforms(subject))


def documents(sbom: Sbom, platform: str = "") -> dict[str, str]:
    """Return an SBOM in each format, by file name; `platform` stands in the name."""
    name = f"sbom.{platform.replace('/', '-')}" if platform else "sbom"
    return {
        f"{name}.spdx.json": spdx(sbom),
        f"{name}.spdx3.json": spdx3(sbom),
        f"{name}.cdx.json": cyclonedx(sbom),
    }


def platform_documents(sboms: Mapping[str, Sbom]) -> dict[str, str]:
    """Return the SBOM of each platform, by file name."""
    return {name: text for platform, sbom in sboms.items() for name, text in documents(sbom, platform).items()}


async def of_platforms(subject: Subject) -> dict[str, Sbom]:
    """Return the SBOM of each image of an index, by its platform; none if one image alone is published."""
    sums = await gathered(*(_sha512(each.layout, each.digest) for each in subject.variants.values()))
    found = await gathered(
        *(
            _describe(subject, dataclasses.replace(subject.image, digest=each.digest, seen_on="", sha512=sha512), each)
            for each, sha512 in zip(subject.variants.values(), sums, strict=True)
        )
    )
    return dict(zip(subject.variants, (sbom for _, sbom in found), strict=True))


async def describe(subject: Subject) -> tuple[str, Sbom]:
    """Return Syft's JSON of the image, and the SBOM that it makes together with the release's own inventory.

    Raises
    ------
    InputError
        If the SBOM would be empty, or the lock and the release do not fit.
    BuildError
        If Syft or the inventory fails.
    """
    return await _describe(subject, subject.image, Variant(subject.files, subject.loads, subject.layout, ""))


async def _describe(subject: Subject, image: Image, variant: Variant) -> tuple[str, Sbom]:
    images = subject.project.images
    found, inventoried, libraries = await gathered(
        guard(syft(images, variant.layout).contents(), "syft"),
        guard(inventory(subject, variant.files), "the inventory of the release"),
        guard(variant.loads.contents(), "reading what native code loads"),
    )
    return found, Sbom.parse(image, found, inventoried, images, libraries)


def syft(images: Images, layout: dagger.Directory) -> dagger.File:
    """Return Syft's own JSON of an image."""
    return (
        scanner(images["syft"])
        .with_env_variable("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .with_mounted_directory(IMAGE, layout)
        .with_exec(["scan", f"oci-dir:{IMAGE}", "-o", f"syft-json={OUT}/syft.json"], use_entrypoint=True)
        .file(f"{OUT}/syft.json")
    )


async def inventory(subject: Subject, image: dagger.Directory) -> str:
    """Return what the release in an image is made of: JSON of `inventory.escript`."""
    project, application = subject.project, subject.application
    options = {
        "--project": BUILD,
        "--libs": libraries(project),
        "--repositories": PACKAGES,
        "--own": ",".join(app.name for app in application.apps),
        "--checkouts": ",".join(application.checkouts),
        "--image": "/image",
        "--files": ",".join((*NAMES, *SCRIPTS)),
    }
    container = subject.release.with_directory(
        "/pipeline", handover.scripts("sbom/resources/inventory.escript", "project/resources/common.hrl")
    ).with_mounted_directory("/image", image)
    if application.locked:
        lock = "/pipeline/rebar.lock"
        container = container.with_file(lock, project.source.file("rebar.lock"))
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
