"""The labels of the image."""

import re
from collections.abc import Iterable, Sequence

from pipeline.errors import InputError
from pipeline.project.application import Application
from pipeline.project.project import Project

_OCI = "org.opencontainers.image"
#: The label with the URL of the sources.
SOURCE = f"{_OCI}.source"
#: The labels with the commit and with its time.
REVISION, CREATED = f"{_OCI}.revision", f"{_OCI}.created"
#: The label with the vendor.
VENDOR = f"{_OCI}.vendor"


def labels(project: Project, application: Application) -> dict[str, str]:
    """Return the labels: the OCI labels from the application's own `.app.src`, overridden by `--labels`.

    Raises
    ------
    InputError
        If one of `--labels` is not `KEY=VALUE`.
    """
    reference, _, digest = project.runtime.partition("@")
    source = next((url for key, url in application.links.items() if "git" in (key + url).lower()), "")
    known = {
        "maintainer": f"{application.name} contributors",
        "stage": "runtime",
        f"{_OCI}.title": application.name,
        f"{_OCI}.description": application.description,
        VENDOR: application.name,
        f"{_OCI}.licenses": _licenses(application.licenses),
        SOURCE: source,
        f"{_OCI}.version": application.version,
        REVISION: project.revision,
        CREATED: project.created,
        f"{_OCI}.base.name": reference,
        f"{_OCI}.base.digest": digest,
    }
    # An empty label is left out.
    return {key: value for key, value in (known | parse_labels(project.labels)).items() if value}


def _licenses(given: Sequence[str]) -> str:
    """Return licences as one expression; a licence that is itself an expression gets parentheses if needed."""
    if len(given) == 1:
        return given[0]
    return " AND ".join(f"({licence})" if " OR " in licence else licence for licence in given)


def parse_labels(given: Iterable[str]) -> dict[str, str]:
    """Read `--labels`.

    Raises
    ------
    InputError
        If one of them is not `KEY=VALUE`.
    """
    result = {}
    for label in given:
        key, equals, value = label.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9][a-z0-9._/-]*", key, re.IGNORECASE):
            raise InputError(f"--labels {label}: expected KEY=VALUE, such as org.opencontainers.image.vendor=Example")
        result[key] = value
    return result
