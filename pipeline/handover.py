"""Files that go from this process to the engine: a call's text argument would stand in the run's log, a file does not.

They lie in the working directory, from where `handed_over` takes them: it alone knows how the engine gets at them. Its
keys follow the content, wherever a file lay.
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
#: Where a plain client of the engine works, on its own machine. Unset, this is a module, in its working directory.
_outside: Path | None = None


def work_outside(folder: Path | None) -> None:
    """Say that there is no module here: files are handed over from a folder of this machine."""
    global _outside  # noqa: PLW0603 # one for the whole process, like the connection
    _outside = folder


def _room() -> Path:
    return _outside or Path()


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
    """Return a directory of some texts by path; the same texts are handed over once."""
    name = hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()
    folder = _room() / f"texts-{name}"
    if not folder.is_dir():
        for path, text in files.items():
            written = folder / path
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(text, encoding="utf-8")
        for each in (folder, *folder.rglob("*")):
            # Keys have the mode in them, and the mode has the user's umask.
            each.chmod(0o755 if each.is_dir() else 0o644)
    return handed_over(folder)


def file(name: str, text: str) -> dagger.File:
    """Return one text as a file."""
    return directory({name: text}).file(name)


def script(path: str) -> dagger.File:
    """Return one of the module's own scripts by its path in this package, such as `build/resources/layers.sh`."""
    return _scripts().file(PurePosixPath(path).name)


def scripts(*paths: str) -> dagger.Directory:
    """Return some of the module's own scripts, all in one folder: what changes in another one changes no key."""
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
