"""pack.sh: the tar of a layer, for any number of files, whatever their names."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "pipeline" / "build" / "resources" / "pack.sh"
#: More than the arguments of one command may have.
MANY = 20_000


def packed(folder: Path, names: list[str], **env: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    target = folder.with_name("packed.tar")
    done = subprocess.run(
        ["sh", SCRIPT, target],
        input="".join(f"{name}\n" for name in names),
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "layer"
    made.mkdir()
    return made


def test_the_order_of_names_changes_nothing_and_each_name_is_as_it_is(folder: Path) -> None:
    names = ["./-x", "./a b", "./back\\slash", "./e\\a", "./é"]
    for name in names:
        (folder / name).write_text(name)
    archives = []
    for order in (names, names[::-1]):
        done, target = packed(folder, order)
        assert done.returncode == 0, done.stderr
        archives.append(target.read_bytes())
        with tarfile.open(target) as archive:
            assert {member.name: archive.extractfile(member).read().decode() for member in archive} == {
                name: name for name in names
            }
    assert archives[0] == archives[1]


@pytest.fixture
def many(folder: Path) -> list[str]:
    names = [f"./{'x' * 80}/{number:05}\\a" for number in range(MANY)]
    (folder / names[0]).parent.mkdir()
    for name in names:
        (folder / name).touch()
    return names


def test_more_files_than_a_command_takes_are_packed(folder: Path, many: list[str]) -> None:
    done, target = packed(folder, many)
    assert done.returncode == 0, done.stderr
    with tarfile.open(target) as archive:
        assert archive.getnames() == many


@pytest.mark.skipif(not shutil.which("busybox"), reason="needs busybox (Debian: busybox)")
def test_a_tar_that_takes_no_list_is_told(folder: Path, many: list[str], tmp_path: Path) -> None:
    busybox = shutil.which("busybox") or ""
    (tmp_path / "tar").symlink_to(busybox)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done, target = packed(folder, many, PATH=path)
    helped = subprocess.run([busybox, "tar", "--help"], capture_output=True, text=True, check=False)
    if " -T" in helped.stdout + helped.stderr:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert f"===> packed.tar: {MANY} files are too many for the tar of the builder image" in done.stderr
    done, target = packed(folder, many[:10], PATH=path)
    assert done.returncode == 0, done.stderr
    with tarfile.open(target) as archive:
        assert archive.getnames() == many[:10]
