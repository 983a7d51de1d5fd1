"""The scripts that run inside containers; each lies in the folder of the room that uses it."""

from importlib import resources


def script(path: str) -> str:
    """Return the text of a script by its path in this package, such as `build/resources/compile.sh`."""
    return resources.files("pipeline").joinpath(path).read_text(encoding="utf-8")
