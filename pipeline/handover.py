"""Pass files from this process to the engine; a text argument of a call would be shown in the log of the run.

The files are written to the working directory; `handed_over` gives them to the engine, whose keys follow their content.
"""

import functools
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import dagger
from dagger import dag

_PACKAGE = Path(__file__).parent
#: The working folder of direct mode, on the client's machine; unset in the module, which has a working directory.
_outside: Path | None = None


def work_outside(folder: Path | None) -> None:
    """Set direct mode: files are passed to the engine from a folder of this machine."""
    global _outside  # noqa: PLW0603 # one for the whole process, like the connection
    _outside = folder


def _room() -> Path:
    return _outside or Path()


def working_folder() -> Path:
    """Return a new folder from which files can be passed to the engine."""
    if _outside:
        # The session, another process with another working directory, writes what the engine exports.
        return Path(tempfile.mkdtemp(dir=_outside))
    return Path(Path(tempfile.mkdtemp(dir=".")).name)


def handed_over(folder: Path) -> dagger.Directory:
    """Return a folder of the working directory, as the engine sees it."""
    if _outside:
        return dag.host().directory(str(folder.absolute()))
    return dag.current_module().workdir(str(folder))


def directory(files: Mapping[str, str]) -> dagger.Directory:
    """Return a directory of some texts by path; the same texts are written once."""
    name = hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()
    folder = _room() / f"texts-{name}"
    if not folder.is_dir():
        for path, text in files.items():
            written = folder / path
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(text, encoding="utf-8")
        for each in (folder, *folder.rglob("*")):
            # The mode is part of the key, and must not depend on the user's umask.
            each.chmod(0o755 if each.is_dir() else 0o644)
    return handed_over(folder)


def file(name: str, text: str) -> dagger.File:
    """Return one text as a file."""
    return directory({name: text}).file(name)


def script(path: str) -> dagger.File:
    """Return one of the module's own scripts by its path in this package, such as `build/resources/layers.sh`."""
    return _scripts().file(PurePosixPath(path).name)


def scripts(*paths: str) -> dagger.Directory:
    """Return some of the module's own scripts in one folder; a change in another script changes no key."""
    return _scripts().filter(include=[PurePosixPath(path).name for path in paths])


def script_text(path: str) -> str:
    """Return the text of one of the module's own scripts by its path in this package."""
    return (_PACKAGE / path).read_text(encoding="utf-8")


def _scripts() -> dagger.Directory:
    return directory(_texts())


@functools.cache
def _texts() -> Mapping[str, str]:
    """Return all scripts by name; each has its own."""
    return {path.name: path.read_text(encoding="utf-8") for path in _PACKAGE.rglob("resources/*")}
