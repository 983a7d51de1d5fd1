"""Files that the module makes, handed over from its own working directory: a call's argument is in the run's log."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import dagger
from dagger import dag

#: Where a plain client of the engine works, on its own machine. Unset, this is a module, in its working directory.
_outside: Path | None = None


def work_outside(folder: Path | None) -> None:
    """Say that there is no module here: files are handed over from a folder of this machine, the working directory."""
    global _outside  # noqa: PLW0603 # one for the whole process, like the connection
    _outside = folder


def working_folder() -> Path:
    """Return a new folder of the module's own working directory: from there it can hand files over."""
    if _outside:
        # What the engine exports goes to paths of another process, the session's, which works elsewhere.
        return Path(tempfile.mkdtemp(dir=_outside))
    return Path(Path(tempfile.mkdtemp(dir=".")).name)


def handed_over(folder: Path) -> dagger.Directory:
    """Return a folder of the working directory, as the engine sees it."""
    if _outside:
        return dag.host().directory(str(folder.absolute()))
    return dag.current_module().workdir(str(folder))


def directory(files: Mapping[str, str]) -> dagger.Directory:
    """Return a directory of some texts by name."""
    folder = working_folder() / "files"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return handed_over(folder)


def file(name: str, text: str) -> dagger.File:
    """Return one text as a file."""
    return directory({name: text}).file(name)
