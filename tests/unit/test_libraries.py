"""What a release loads and its base image has not: read out of ELF files, and written into package databases."""

import hashlib
import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from elf import elf

from pipeline.handover import script_text

pytestmark = pytest.mark.skipif(not shutil.which("escript"), reason="needs Erlang")
GLIBC = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}
MUSL = {"amd64": "/lib/ld-musl-x86_64.so.1", "arm64": "/lib/ld-musl-aarch64.so.1"}
TRIPLET = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


class Roots:
    """A base, a builder and a release, as folders."""

    def __init__(self, folder: Path, libc: str = "glibc", machine: str = "amd64") -> None:
        self.folder, self.libc, self.machine = folder, libc, machine
        for root in ("base", "builder"):
            if libc == "glibc":
                self.add(f"{root}/usr/lib/{TRIPLET[machine]}/libc.so.6", defines=["GLIBC_2.2.5"])
                (folder / root / "lib").symlink_to("usr/lib")
                self.add(root + (GLIBC[machine] if machine == "amd64" else "/usr" + GLIBC[machine]))
            else:
                self.add(root + MUSL[machine])
        for name in ("elf.escript", "packages.escript", "root.hrl"):
            (folder / name).write_text(script_text(f"image/resources/{name}"))

    @property
    def system(self) -> str:
        """Where libraries are."""
        return f"usr/lib/{TRIPLET[self.machine]}" if self.libc == "glibc" else "usr/lib"

    def add(self, path: str, *needed: str, **options: object) -> Path:
        """Add an ELF file."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(elf(needed, **{"machine": self.machine, **options}))
        file.chmod(0o755)
        return file

    def library(self, root: str, name: str, *needed: str, **options: object) -> None:
        """Add a library as packages have it: the file, and the link of the name that is asked for."""
        folder = self.system
        self.add(f"{root}/{folder}/{name}.0", *needed, **options)
        (self.folder / root / folder / name).symlink_to(f"{name}.0")

    def nif(self, *needed: str, name: str = "x", **options: object) -> None:
        """Add native code to the release."""
        self.add(f"layers/dependencies/opt/demo/lib/{name}-1/priv/{name}.so", *needed, **options)

    def take(self) -> subprocess.CompletedProcess[str]:
        """Take what is missing, into an empty folder."""
        shutil.rmtree(self.folder / "added", ignore_errors=True)
        (self.folder / "taken").unlink(missing_ok=True)
        command = ["escript", "elf.escript", "libraries", self.machine, "base", "builder", "layers", "added", "taken"]
        return subprocess.run(
            [*command, "RUNTIME", "BUILDER"], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def taken(self) -> dict[str, str]:
        """Take what is missing; return it by path, a link with where it leads."""
        done = self.take()
        assert done.returncode == 0, done.stdout + done.stderr
        added = self.folder / "added"
        return {
            str(path.relative_to(added)): str(path.readlink()) if path.is_symlink() else ""
            for path in sorted(added.rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    def refused(self) -> list[str]:
        """Return why nothing is taken."""
        done = self.take()
        assert done.returncode == 1, done.stdout + done.stderr
        assert not (self.folder / "taken").exists()
        return done.stdout.splitlines()


@pytest.fixture(params=[("glibc", "amd64"), ("glibc", "arm64"), ("musl", "amd64"), ("musl", "arm64")], ids="-".join)
def roots(request: pytest.FixtureRequest, tmp_path: Path) -> Roots:
    return Roots(tmp_path, *request.param)


def test_what_the_base_lacks_is_taken_to_the_end_with_its_links(roots: Roots) -> None:
    for root in ("base", "builder"):
        roots.library(root, "libhere.so.1")
    roots.library("builder", "libfirst.so.1", "libsecond.so.2", "libhere.so.1")
    roots.library("builder", "libsecond.so.2", "libc.so.6")
    roots.library("builder", "libunused.so.1")
    roots.nif("libfirst.so.1", "libhere.so.1")
    system = roots.system
    assert roots.taken() == {
        f"{system}/libfirst.so.1": "libfirst.so.1.0",
        f"{system}/libfirst.so.1.0": "",
        f"{system}/libsecond.so.2": "libsecond.so.2.0",
        f"{system}/libsecond.so.2.0": "",
    }
    copied = roots.folder / "added" / system / "libfirst.so.1.0"
    assert copied.read_bytes() == (roots.folder / "builder" / system / "libfirst.so.1.0").read_bytes()
    assert copied.stat().st_mode & 0o7777 == 0o755


def test_what_the_emulator_opens_by_itself_is_taken_if_the_builder_has_it(roots: Roots) -> None:
    roots.add("layers/erts/opt/demo/erts-17.1/bin/beam.smp", "libc.so.6" if roots.libc == "glibc" else "libc.so")
    assert roots.taken() == {}
    roots.library("builder", "libsctp.so.1")
    assert roots.taken() == {
        f"{roots.system}/libsctp.so.1": "libsctp.so.1.0",
        f"{roots.system}/libsctp.so.1.0": "",
    }
    roots.library("base", "libsctp.so.1")
    assert roots.taken() == {}


def test_what_native_code_loads_is_written_down(roots: Roots) -> None:
    libc = "libc.so.6" if roots.libc == "glibc" else "libc.so"
    roots.library("base", "libfirst.so.1", "libsecond.so.2")
    roots.library("base", "libsecond.so.2")
    roots.library("base", "libsctp.so.1")
    roots.add("base/opt/demo/lib/own-1/priv/libown.so")
    roots.add("base/opt/demo/lib/own-1/priv/own.so", "libown.so", "libfirst.so.1", runpath="$ORIGIN")
    loader = GLIBC[roots.machine] if roots.libc == "glibc" else MUSL[roots.machine]
    roots.add("base/opt/demo/erts-17.1/bin/beam.smp", libc, interpreter=loader)
    command = ["escript", "elf.escript", "check", roots.machine, "base", "/opt/demo", "loads"]
    subprocess.run(command, cwd=roots.folder, check=True)
    own, system = "/opt/demo/lib/own-1/priv/", f"/{roots.system}/"
    # glibc's loader lies in a folder that is a link on arm64 here, as in Debian.
    there = loader if roots.libc == "musl" or roots.machine == "amd64" else f"/usr{loader}"
    emulator = {there, f"{system}libsctp.so.1.0"} | ({f"{system}libc.so.6"} if roots.libc == "glibc" else set())
    assert (roots.folder / "loads").read_text().splitlines() == [
        *(f"/opt/demo/erts-17.1/bin/beam.smp\t{path}" for path in sorted(emulator)),
        f"{own}own.so\t{own}libown.so",
        f"{own}own.so\t{system}libfirst.so.1.0",
    ]


def test_what_neither_has_is_named_with_who_needs_it(roots: Roots) -> None:
    roots.library("builder", "libfirst.so.1", "libgone.so.1")
    roots.nif("libfirst.so.1", "libnever.so")
    said = {line.split(";")[0].rpartition("/")[2] for line in roots.refused()}
    where = "is neither in BUILDER nor in RUNTIME"
    assert said == {f"x.so: its library libnever.so {where}", f"libfirst.so.1: its library libgone.so.1 {where}"}


def test_a_library_of_the_base_that_is_too_old_is_named(roots: Roots) -> None:
    roots.library("base", "libold.so.1", defines=["V_1"])
    roots.library("builder", "libold.so.1", defines=["V_1", "V_2"])
    roots.nif("libold.so.1", wants={"libold.so.1": "V_2"})
    roots.nif("libold.so.1", wants={"libold.so.1": "V_3"}, name="y")
    assert roots.refused() == [
        (
            "/opt/demo/lib/x-1/priv/x.so: libold.so.1 of RUNTIME has no V_2, but that of BUILDER has it: give a "
            "--runtime-image as new as the builder"
        ),
        "/opt/demo/lib/y-1/priv/y.so: libold.so.1 of RUNTIME has no V_3",
    ]


def test_native_code_of_another_processor_is_named(roots: Roots) -> None:
    roots.nif(machine={"amd64": "arm64", "arm64": "amd64"}[roots.machine])
    assert roots.refused() == ["/opt/demo/lib/x-1/priv/x.so: is not for this platform"]


def test_a_program_for_another_libc_is_named(roots: Roots) -> None:
    loader = (MUSL if roots.libc == "glibc" else GLIBC)[roots.machine]
    roots.nif(interpreter=loader)
    assert roots.refused() == [f"/opt/demo/lib/x-1/priv/x.so: {loader} is not in RUNTIME"]


def test_a_library_beside_the_native_code_is_found_there(roots: Roots) -> None:
    roots.nif("libown.so", runpath="$ORIGIN/more:relative")
    roots.add("layers/dependencies/opt/demo/lib/x-1/priv/more/libown.so")
    assert roots.taken() == {}


@pytest.mark.parametrize("machine", ["amd64", "arm64"])
def test_the_loader_of_musl_serves_its_libc_under_all_its_names(tmp_path: Path, machine: str) -> None:
    roots = Roots(tmp_path, "musl", machine)
    names = ["c", "pthread", "rt", "m", "dl", "util", "xnet"]
    roots.nif("libc.musl-x86_64.so.1", *(f"lib{name}.so" for name in names), "libm.so.6")
    assert roots.taken() == {}
    # What it does not serve: its own list has no crypt and no resolv.
    roots.nif("libcrypt.so.1", "libcx.so", name="y")
    assert [line.split(";")[0] for line in roots.refused()] == [
        "/opt/demo/lib/y-1/priv/y.so: its library libcrypt.so.1 is neither in BUILDER nor in RUNTIME",
        "/opt/demo/lib/y-1/priv/y.so: its library libcx.so is neither in BUILDER nor in RUNTIME",
    ]


def test_what_is_compiled_for_glibc_is_refused_on_musl(tmp_path: Path) -> None:
    roots = Roots(tmp_path, "musl")
    roots.nif("libc.so.6", wants={"libc.so.6": "GLIBC_2.3.4"})
    assert roots.refused() == [
        (
            "/opt/demo/lib/x-1/priv/x.so: is compiled for glibc (GLIBC_2.3.4), but RUNTIME has musl: compile it in an "
            "Alpine builder, or give --flavor=debian"
        )
    ]


def test_glibc_has_a_file_for_each_name(tmp_path: Path) -> None:
    roots = Roots(tmp_path)
    roots.nif("libpthread.so")
    assert "its library libpthread.so is neither in BUILDER" in roots.refused()[0]


def test_a_library_goes_where_the_loader_of_the_image_looks(tmp_path: Path) -> None:
    # The base's cache does not know /usr/local/lib, and nothing is run to tell it.
    roots = Roots(tmp_path)
    roots.add("builder/usr/local/lib/libfoo.so.1")
    roots.nif("libfoo.so.1")
    assert roots.taken() == {f"{roots.system}/libfoo.so.1": ""}


def test_terminals_are_described_where_something_asks(roots: Roots) -> None:
    xterm = roots.folder / "builder/etc/terminfo/x/xterm"
    xterm.parent.mkdir(parents=True)
    xterm.write_text("x")
    roots.library("builder", "libncursesw.so.6")
    roots.nif()
    assert roots.taken() == {}
    roots.nif("libncursesw.so.6", name="y")
    assert "etc/terminfo/x/xterm" in roots.taken()
    ansi = roots.folder / "base/usr/share/terminfo/a/ansi"
    ansi.parent.mkdir(parents=True)
    ansi.write_text("a")
    assert "etc/terminfo/x/xterm" not in roots.taken()


def test_the_modules_of_a_crypto_library_come_with_it(roots: Roots) -> None:
    roots.add("builder/usr/lib/ossl-modules/other.so")
    roots.library("builder", "libcrypto.so.3")
    roots.add(f"builder/{roots.system}/ossl-modules/legacy.so")
    roots.nif("libcrypto.so.3")
    assert {f"{roots.system}/ossl-modules/legacy.so", "usr/lib/ossl-modules/other.so"} < set(roots.taken())
    # That of the base has its own.
    roots.library("base", "libcrypto.so.3")
    assert roots.taken() == {}


def test_a_file_of_the_base_is_not_replaced(roots: Roots) -> None:
    # The file is there, the name that is asked for is not.
    roots.add(f"base/{roots.system}/libfoo.so.1.0")
    roots.library("builder", "libfoo.so.1")
    roots.nif("libfoo.so.1")
    [said] = roots.refused()
    assert said.startswith(f"/{roots.system}/libfoo.so.1.0: RUNTIME has another version of this file than BUILDER")


# Stripping


DEBUG = {".symtab": b"s" * 24, ".debug_info": b"d" * 999, ".comment": b"GCC", ".dep-v0": b"auditable"}


def stripped(tmp_path: Path, *files: bytes) -> list[bytes]:
    for name in ("elf.escript", "root.hrl"):
        (tmp_path / name).write_text(script_text(f"image/resources/{name}"))
    folder = tmp_path / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for index, data in enumerate(files):
        (folder / str(index)).write_bytes(data)
        (folder / str(index)).chmod(0o755)
    subprocess.run(["escript", "elf.escript", "strip", "files", "list"], cwd=tmp_path, check=True)
    listed = set((tmp_path / "list").read_text().split())
    assert listed == {str(index) for index, data in enumerate(files) if data.startswith(b"\x7fELF")}
    assert {path.stat().st_mode & 0o7777 for path in folder.iterdir()} == {0o755}
    return [(folder / str(index)).read_bytes() for index in range(len(files))]


def test_symbols_and_debugging_go_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    plain = elf(["libc.so.6"])
    appended = elf(["libc.so.6"], unloaded=DEBUG) + b"what a program reads out of its own file"
    clean = elf(["libc.so.6"], unloaded={".comment": b"GCC", ".dep-v0": b"auditable"})
    arm = elf(["libc.so.6"], machine="arm64", unloaded=DEBUG)
    whole = elf(["libc.so.6"], unloaded=DEBUG)
    results = stripped(tmp_path, whole, arm, plain, appended, clean, b"\x7fELF is no ELF file", b"text")
    assert results[2:] == [plain, appended, clean, b"\x7fELF is no ELF file", b"text"]
    for before, after in zip((whole, arm), results, strict=False):
        assert len(after) < len(before) - 999
        # All that is loaded; the header says where the table of sections is.
        assert after[64 : len(plain)] == before[64 : len(plain)]
        assert b"auditable" in after
        assert b"d" * 9 not in after
        assert b"\0main" not in after
    assert stripped(tmp_path, *results) == results


def test_what_is_put_together_in_another_way_stays_as_it_is(tmp_path: Path) -> None:
    whole = elf(["libc.so.6"], unloaded=DEBUG)
    [table] = struct.unpack_from("<Q", whole, 40)
    # After the first, .dynstr, .symtab, .strtab and .debug_info.
    comment = table + 5 * 64
    odd = []
    for at, form, value in (
        # It belongs to the symbols that would go.
        (40, "<I", 2),
        # It says that it is not loaded, and lies where all is.
        (24, "<Q", 64),
    ):
        changed = bytearray(whole)
        struct.pack_into(form, changed, comment + at, value)
        odd.append(bytes(changed))
    assert stripped(tmp_path, *odd) == odd
    assert stripped(tmp_path, whole) != [whole]


@pytest.mark.skipif(not shutil.which("readelf") or not shutil.which("gcc"), reason="needs gcc and readelf")
def test_a_compilers_own_files_run_as_before(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text('#include <stdio.h>\nint main(void) { puts("runs"); return 0; }\n')
    subprocess.run(["gcc", "-g", "-o", "x", "x.c"], cwd=tmp_path, check=True)
    program = tmp_path / "x"
    [data] = stripped(tmp_path, program.read_bytes())
    assert len(data) < program.stat().st_size
    program.write_bytes(data)
    assert subprocess.run([program], check=True, capture_output=True, text=True).stdout == "runs\n"
    done = subprocess.run(["readelf", "-aW", program], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    sections = [line for line in done.stdout.splitlines() if line.lstrip().startswith("[")]
    assert not [line for line in sections if ".debug_" in line or ".symtab" in line]
    assert [line for line in sections if ".rela.plt" in line or ".rela.dyn" in line]


def test_an_init_is_a_static_program_of_its_platform(tmp_path: Path) -> None:
    roots = Roots(tmp_path)
    for name, data, said in (
        ("static", elf(), ""),
        ("dynamic", elf(["libc.so.6"], interpreter=GLIBC["amd64"]), "it is dynamically linked and needs libraries\n"),
        ("arm", elf(machine="arm64"), "it is not for amd64\n"),
        ("text", b"#!/bin/sh\n", "it is not an ELF program\n"),
    ):
        (tmp_path / name).write_bytes(data)
        command = ["escript", "elf.escript", "static", "amd64", name]
        done = subprocess.run(command, cwd=roots.folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (int(bool(said)), said)


# Package databases


def packages(folder: Path, taken: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Write down whose files these are; each is at the same place in builder and image."""
    for name in ("packages.escript", "root.hrl"):
        (folder / name).write_text(script_text(f"image/resources/{name}"))
    (folder / "taken").write_text("".join(f'{{"{path}","{path}"}}.\n' for path in taken))
    (folder / "added").mkdir(exist_ok=True)
    command = ["escript", "packages.escript", "base", "builder", "added", "taken", "BUILDER"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


STATUS = """Package: libfoo1
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: foo (1.0-2)
Version: 1.0-2+b1
Maintainer: Jérôme <j@example.org>
Description: foo
 more of it

Package: libfoo1-doc
Status: install ok installed
Version: 9

Package: plain
Status: install ok installed
Architecture: amd64
Version: 2:3~rc1
"""


def debian(folder: Path) -> None:
    """Make a builder whose /lib became a link after libfoo1 was made."""
    builder = folder / "builder"
    write(builder / "usr/lib/x/libfoo.so.1.0", "foo")
    (builder / "usr/lib/x/libfoo.so.1").symlink_to("libfoo.so.1.0")
    (builder / "lib").symlink_to("/usr/lib")
    write(builder / "usr/lib/plain.so", "plain")
    write(builder / "var/lib/dpkg/status", STATUS)
    write(builder / "var/lib/dpkg/info/libfoo1:amd64.list", "/.\n/lib\n/lib/x/libfoo.so.1.0\n/lib/x/libfoo.so.1\n")
    write(builder / "var/lib/dpkg/info/plain.list", "/usr/lib/plain.so\n/usr/lib/other.so\n")
    write(builder / "usr/share/doc/libfoo1/copyright", "BSD")


def test_debian_packages_are_written_down_as_in_distroless_images(tmp_path: Path) -> None:
    debian(tmp_path)
    done = packages(tmp_path, ["/usr/lib/plain.so", "/usr/lib/x/libfoo.so.1", "/usr/lib/x/libfoo.so.1.0"])
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    added = tmp_path / "added"
    stanza = STATUS.split("\n\n", maxsplit=1)[0].replace("Status: install ok installed\n", "") + "\n"
    md5 = hashlib.md5(b"foo").hexdigest()  # noqa: S324 # dpkg's
    written = {str(path.relative_to(added)): path.read_text() for path in added.rglob("*") if path.is_file()}
    plain = written.pop("var/lib/dpkg/status.d/plain.md5sums")
    assert plain.endswith("  usr/lib/plain.so\n")
    assert written == {
        "var/lib/dpkg/status.d/libfoo1": stanza,
        # Links have no checksum, as in dpkg's own.
        "var/lib/dpkg/status.d/libfoo1.md5sums": f"{md5}  usr/lib/x/libfoo.so.1.0\n",
        "var/lib/dpkg/status.d/plain": "Package: plain\nArchitecture: amd64\nVersion: 2:3~rc1\n",
        "usr/share/doc/libfoo1/copyright": "BSD",
    }


def test_a_file_of_no_package_is_named(tmp_path: Path) -> None:
    debian(tmp_path)
    write(tmp_path / "builder/usr/local/lib/libown.so", "own")
    # ldconfig made this one.
    (tmp_path / "builder/usr/lib/plain.so.1").symlink_to("plain.so")
    assert packages(tmp_path, ["/usr/lib/plain.so", "/usr/lib/plain.so.1"]).returncode == 0
    done = packages(tmp_path, ["/usr/lib/plain.so", "/usr/lib/plain.so.1", "/usr/local/lib/libown.so"])
    assert done.returncode == 1
    assert done.stdout.startswith("/usr/local/lib/libown.so: this library of BUILDER belongs to no package")
    assert done.stdout.count("\n") == 1


def test_nothing_taken_is_nothing_written(tmp_path: Path) -> None:
    debian(tmp_path)
    assert packages(tmp_path, []).returncode == 0
    assert list((tmp_path / "added").iterdir()) == []


INSTALLED = """C:Q1base=
P:musl
V:1.2.5-r0
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1z=

"""
MORE = """C:Q1foo=
P:libfoo
V:1.0-r2
D:so:libc.musl-x86_64.so.1 so:libbar.so.2>=2 elsewhere>3 !libfoo-old
o:foo
F:usr
F:usr/lib
M:0:0:700
R:libfoo.so.1
a:0:0:777
Z:Q1link=
R:libfoo.so.1.0
Z:Q1file=
R:libfoo-more.so
a:0:0:755
Z:Q1more=
F:usr/share/foo
R:readme
Z:Q1readme=

C:Q1bar=
P:libbar
V:2-r0
p:so:libbar.so.2=2.1 cmd:bar
F:usr/lib
R:libbar.so.2
Z:Q1bar=

C:Q1other=
P:elsewhere
V:3-r0
F:usr/lib
R:other
Z:Q1other=
"""


def test_a_base_without_a_database_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "builder/lib/apk/db/installed", INSTALLED + MORE)
    (tmp_path / "base").mkdir()
    write(tmp_path / "builder/usr/lib/libbar.so.2", "bar")
    done = packages(tmp_path, ["/usr/lib/libbar.so.2"])
    assert done.returncode == 1
    assert done.stdout.startswith("the runtime image has no apk database (/lib/apk/db/installed)")


@pytest.mark.parametrize("database", ["lib/apk/db", "usr/lib/apk/db"])
def test_alpine_packages_are_written_down_with_what_is_there_alone(tmp_path: Path, database: str) -> None:
    write(tmp_path / "base" / database / "installed", INSTALLED)
    write(tmp_path / "base/etc/apk/world", "busybox\nzlib\n")
    write(tmp_path / "builder" / database / "installed", INSTALLED + MORE)
    for root in ("base", "builder"):
        if not (tmp_path / root / "lib").exists():
            (tmp_path / root / "lib").symlink_to("usr/lib")
    done = packages(tmp_path, ["/usr/lib/libbar.so.2", "/usr/lib/libfoo.so.1", "/usr/lib/libfoo.so.1.0"])
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "added" / database / "installed").read_text() == (
        INSTALLED
        # What it needs and is not there is left out: apk would refuse to work.
        + """C:Q1foo=
P:libfoo
V:1.0-r2
D:so:libc.musl-x86_64.so.1 so:libbar.so.2>=2 !libfoo-old
o:foo
F:usr/lib
M:0:0:700
R:libfoo.so.1
a:0:0:777
Z:Q1link=
R:libfoo.so.1.0
Z:Q1file=

C:Q1bar=
P:libbar
V:2-r0
p:so:libbar.so.2=2.1 cmd:bar
F:usr/lib
R:libbar.so.2
Z:Q1bar=

"""
    )
    # Or else apk would remove them with the next package that it installs.
    assert (tmp_path / "added/etc/apk/world").read_text() == "busybox\nlibbar\nlibfoo\nzlib\n"
