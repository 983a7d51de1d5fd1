"""What the scanners' containers share."""

import dagger

from pipeline.sbom.containers import IMAGE

SBOM = "/scan/sbom.cdx.json"


def target_of(content: dagger.Directory | dagger.File) -> tuple[str, str]:
    """Return the name and the path of a scanner's target: a file is the SBOM, a directory the image."""
    return ("SBOM", SBOM) if isinstance(content, dagger.File) else ("image", IMAGE)


def mounted(container: dagger.Container, path: str, content: dagger.Directory | dagger.File) -> dagger.Container:
    """Return a container with the target mounted."""
    if isinstance(content, dagger.File):
        return container.with_mounted_file(path, content)
    return container.with_mounted_directory(path, content)
