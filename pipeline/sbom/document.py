"""What the two formats share."""

import json
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

#: This program, as its documents name it.
TOOL = "erlmcp-pipeline"
#: Where its source is.
HOME = "https://github.com/banyan-platform/erlmcp"
#: Of the documents: SPDX knows no other.
DATA_LICENSE = "CC0-1.0"
NOT_SHIPPED = "locked in rebar.lock, not in the image"
_PERSON = "Person: "


def tool_version() -> str:
    """Return the version of this program."""
    try:
        return metadata.version(TOOL)
    except metadata.PackageNotFoundError:
        # Without a module it runs out of its sources, and is not installed.
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"])


def party(name: str) -> tuple[bool, str]:
    """Return whether a supplier is known to be a person, and the name."""
    return name.startswith(_PERSON), name.removeprefix(_PERSON)


def written(document: Mapping[str, Any]) -> str:
    """Return a document as text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def kept(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 # JSON
    """Return the fields that have a value."""
    return {key: value for key, value in fields.items() if value not in ("", None, [], {})}
