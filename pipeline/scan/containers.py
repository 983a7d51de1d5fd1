"""What the scanners' containers share."""

import re

import dagger

from pipeline.errors import excerpt
from pipeline.sbom.containers import IMAGE

SBOM = "/scan/sbom.cdx.json"
_WORDS = 4


def target_of(content: dagger.Directory | dagger.File) -> tuple[str, str]:
    """Return what a scanner looks at, by name, and where it finds it: a file is the SBOM."""
    return ("SBOM", SBOM) if isinstance(content, dagger.File) else ("image", IMAGE)


def mounted(container: dagger.Container, path: str, content: dagger.Directory | dagger.File) -> dagger.Container:
    """Return a container that sees what it scans."""
    if isinstance(content, dagger.File):
        return container.with_mounted_file(path, content)
    return container.with_mounted_directory(path, content)


def last_words(error: dagger.ExecError) -> str:
    """Return a scanner's own last words: the line that says what is wrong, not the stack below it."""
    lines = excerpt(error, lines=400).splitlines()
    telling = [line for line in lines if re.search(r"FATAL|^panic:|^fatal error|\bERROR\b|\[?error\]?:", line)]
    text = " ".join(" ".join((telling or lines)[-_WORDS:]).split())
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)\s+", "", text)
