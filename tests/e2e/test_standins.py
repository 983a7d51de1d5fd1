"""The stand-in images hold the packages of the real ones and no others: what is missing there is missing here."""

import io
import re
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import registry

#: Packages of debian:trixie-slim. Source: github.com/debuerreotype/docker-debian-artifacts trixie/slim/rootfs.manifest
#: at 1b08ad00a8215962ade5c2cd2086d3211460fe74.
DEBIAN_SLIM = """
apt base-files base-passwd bash bsdutils coreutils dash debconf debian-archive-keyring debianutils diffutils dpkg
findutils gcc-14-base grep gzip hostname init-system-helpers libacl1 libapt-pkg7.0 libattr1 libaudit-common libaudit1
libblkid1 libbsd0 libbz2-1.0 libc-bin libc6 libcap-ng0 libcap2 libcrypt1 libdb5.3t64 libdebconfclient0 libgcc-s1
libgmp10 libhogweed6t64 liblastlog2-2 liblz4-1 liblzma5 libmd0 libmount1 libnettle8t64 libpam-modules
libpam-modules-bin libpam-runtime libpam0g libpcre2-8-0 libseccomp2 libselinux1 libsemanage-common libsemanage2
libsepol2 libsmartcols1 libsqlite3-0 libssl3t64 libstdc++6 libsystemd0 libtinfo6 libudev1 libuuid1 libxxhash0 libzstd1
login login.defs mawk mount ncurses-base ncurses-bin openssl-provider-legacy passwd perl-base sed sqv sysvinit-utils
tar tzdata util-linux zlib1g
"""
#: Those of erlang:29.1.1-slim besides. Source: github.com/docker-library/repo-info
#: repos/erlang/local/29.1.1.0-slim.md at 536d452cad2ad27e95c59f9a1cfd2d267c590bbc.
ERLANG_SLIM = "libidn2-0 libltdl7 libodbc2 libodbccr2 libsctp1 libunistring5"
#: What the real image installs by name, and this one too. Source: github.com/docker-library/buildpack-deps
#: debian/trixie/Dockerfile, curl/Dockerfile and scm/Dockerfile at 103e790407420c9c517a6ac774f31e92c8d84f58.
ERLANG_FULL = "ca-certificates gcc git libc6-dev make"
#: Programs that the real image has and the slim one has not.
FULL_ALONE = {"cc", "gcc", "make", "git", "curl", "wget", "gpg"}
#: What `make install` of Erlang/OTP and the Dockerfile of the real image put into /usr/local/bin.
ERLANG_PROGRAMS = {"ct_run", "dialyzer", "epmd", "erl", "erl_call", "erlc", "escript", "rebar", "rebar3", "run_erl"}
ERLANG_PROGRAMS |= {"to_erl", "typer"}


@pytest.fixture(scope="module")
def table(images: Path) -> dict[str, str]:
    """Return the references of the stand-ins."""
    return tomllib.loads(images.read_text())["images"]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
@pytest.mark.parametrize(
    ("key", "real"),
    [("runtime-debian", DEBIAN_SLIM), ("builder-debian", DEBIAN_SLIM + ERLANG_SLIM)],
)
def test_has_the_packages_of_the_real_image(table: dict[str, str], key: str, real: str, architecture: str) -> None:
    files = contents(table[key], architecture)
    assert packages(files) == set(real.split())
    assert not {Path(path).name for path in programs(files)} & FULL_ALONE


def test_the_full_builder_has_no_package_that_the_real_one_lacks(table: dict[str, str]) -> None:
    files = contents(table["builder-debian-full"], registry.own_architecture())
    besides = packages(files) - set((DEBIAN_SLIM + ERLANG_SLIM).split())
    assert set(ERLANG_FULL.split()) < besides
    assert not besides - needed_by(files, set(ERLANG_FULL.split()))


@pytest.mark.parametrize("key", ["builder-debian", "builder-debian-full"])
def test_erlang_belongs_to_no_package_and_nothing_else_lies_beside_it(table: dict[str, str], key: str) -> None:
    files = contents(table[key], registry.own_architecture())
    assert not [name for name in packages(files) if "erlang" in name or "rebar" in name]
    assert {Path(path).name for path in programs(files) if path.startswith("usr/local/")} <= ERLANG_PROGRAMS
    assert "usr/local/lib/erlang/bin/erl" in files


def contents(reference: str, architecture: str) -> dict[str, bytes]:
    """Return the files of an image by path; their bytes only for dpkg's list."""
    found = {}
    for member, archive in members(reference, architecture):
        path = member.name.removeprefix("./")
        if not member.isdir():
            held = archive.extractfile(member) if path == "var/lib/dpkg/status" else None
            found[path] = held.read() if held else b""
    return found


def members(reference: str, architecture: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Give what is in the layers of an image."""
    for blob in registry.layers_of(reference, architecture):
        with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
            for member in archive:
                yield member, archive


def stanzas(files: dict[str, bytes]) -> dict[str, str]:
    """Return what dpkg knows of each package."""
    texts = files["var/lib/dpkg/status"].decode().strip().split("\n\n")
    return {re.search(r"^Package: (\S+)", text, re.MULTILINE)[1]: text for text in texts}


def packages(files: dict[str, bytes]) -> set[str]:
    """Return the names of the packages that are installed."""
    return {name for name, text in stanzas(files).items() if "\nStatus: install ok installed" in f"\n{text}"}


def programs(files: dict[str, bytes]) -> list[str]:
    """Return the paths in the folders where a shell looks for programs."""
    return [path for path in files if re.fullmatch(r"(usr/)?(local/)?s?bin/[^/]+", path)]


def needed_by(files: dict[str, bytes], names: set[str]) -> set[str]:
    """Return packages and what they depend on, to the end, by dpkg's own words."""
    known = stanzas(files)
    provided = {}
    for name, text in known.items():
        for line in re.findall(r"^Provides: (.+)$", text, re.MULTILINE):
            provided |= dict.fromkeys(re.findall(r"(?:^|, )([^\s,(:]+)", line), name)
    seen, left = set(), set(names)
    while left:
        name = left.pop()
        seen.add(name)
        for line in re.findall(r"^(?:Pre-)?Depends: (.+)$", known[name], re.MULTILINE):
            wanted = {provided.get(each, each) for each in re.findall(r"(?:^|[,|] )([^\s,(:|]+)", line)}
            left |= (wanted & set(known)) - seen
    return seen
