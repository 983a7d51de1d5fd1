"""Files that the module makes, handed over from its own working directory: a call's argument is in the run's log."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import dagger
from dagger import dag


def working_folder() -> Path:
    """Return a new folder of the module's own working directory: from there it can hand files over."""
    return Path(Path(tempfile.mkdtemp(dir=".")).name)


def directory(files: Mapping[str, str]) -> dagger.Directory:
    """Return a directory of some texts by name."""
    folder = working_folder() / "files"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return dag.current_module().workdir(str(folder))


def file(name: str, text: str) -> dagger.File:
    """Return one text as a file."""
    return directory({name: text}).file(name)
