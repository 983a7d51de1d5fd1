"""Dependencies: the pipeline makes of them what plain rebar3 does, which has git and the network in its builder."""

import re
import shutil
import socket
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import dagger
import mirror as mirrors
import pytest
from conftest import FIXTURES, InProcess, session
from dagger import dag
from mirror import GIT_TOKEN, Mirror

from pipeline.build.dependencies import equipped, told
from pipeline.build.release import assembled
from pipeline.project.images import Images, images_in_use
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.project.source import SOURCE_IGNORE, filtered

NIF = """#include <erl_nif.h>
static ERL_NIF_TERM one(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) { return enif_make_int(env, 1); }
static ErlNifFunc functions[] = {{"one", 0, one}};
ERL_NIF_INIT(fast, functions, NULL, NULL, NULL, NULL)
"""
MAKEFILE = """INCLUDE := $(shell erl -noshell -eval 'io:format("~s", [code:root_dir()])' -s init stop)/usr/include
all:
\tmkdir -p ../priv
\tcc -shared -fPIC -I $(INCLUDE) -o ../priv/fast.so fast.c
"""
#: Of each repository its files. `{vsn, git}` asks it for its tags and counts; what is parted is a folder of its
#: repository; what is linked has a submodule that nobody can fetch; what is guarded wants a token.
REPOSITORIES = {
    "stamped": {"src/stamped.app.src": "{application, stamped, [{vsn, git}, {applications, [kernel, stdlib]}]}.\n"},
    "parted": {
        "parts/parted/src/parted.app.src": '{application, parted, [{vsn, "1"}, {applications, [kernel, stdlib]}]}.\n',
        "other/huge": "not wanted\n",
    },
    "linked": {
        "src/linked.app.src": '{application, linked, [{vsn, "1"}, {applications, [kernel, stdlib]}]}.\n',
        ".gitmodules": '[submodule "gone"]\n\tpath = gone\n',
    },
    "guarded/guarded": {"src/guarded.app.src": '{application, guarded, [{vsn, "1"}, {applications, [kernel]}]}.\n'},
    "fast": {
        "rebar.config": '{pre_hooks, [{compile, "make -C c_src"}]}.\n',
        "src/fast.app.src": '{application, fast, [{vsn, "1"}, {applications, [kernel, stdlib]}]}.\n',
        "c_src/fast.c": NIF,
        "c_src/Makefile": MAKEFILE,
    },
}
CONFIG = """{deps, [{tiny_word, "2.0.0"},
        {stamped, {git, "https://git.example.org/stamped.git", {branch, "main"}}},
        {parted, {git_subdir, "https://git.example.org/parted.git", {tag, "v1.2.3"}, "parts/parted"}},
        {linked, {git, "https://git.example.org/linked.git", {tag, "v1.2.3"}}},
        {guarded, {git, "https://git.example.org/guarded/guarded.git", {tag, "v1.2.3"}}},
        {fast, {git, "https://git.example.org/fast.git", {tag, "v1.2.3"}}}]}.
{relx, [{release, {demo, "1.0.0"}, [demo, sasl]}, {mode, prod}]}.
%% It says nothing of where packages come from, and replaces what a global configuration says of that.
{hex, [{doc, #{provider => edoc}}]}.
"""
APP = '{application, demo, [{vsn, "1"}, {applications, [kernel, stdlib, tiny_word, %s]}]}.\n'
#: What is compared of each application: what runs.
LISTED = 'cd "$0" && find . -type f \\( -path "*/ebin/*" -o -path "*/priv/*" \\) -exec sha256sum {} + | sort -k 2'

DEPENDENCIES = "/layers/dependencies/opt/demo/lib"


@dataclass
class Both:
    """What plain rebar3 and the pipeline made of the dependencies, file by file; where they came from; what is told."""

    plain: str
    ours: str
    origins: str
    told: str
    builder: str
    table: Images


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def filled(mirror: Mirror, folder: Path) -> Path:
    """Put the repositories into the mirror; return a project that depends on them."""
    for name, files in REPOSITORIES.items():
        work = write(folder / "work" / name, files)
        if name == "linked":
            link = ["update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},gone"]
            subprocess.run(["git", "init", "-q", "-b", "main"], cwd=work, check=True)
            subprocess.run(["git", *link], cwd=work, check=True)
        mirrors.make_repository(mirror.root / "git" / f"{name}.git", work, tag="v1.2.3", more=2)
    names = ", ".join(name.rpartition("/")[2] for name in REPOSITORIES)
    return write(
        folder / "demo",
        {"rebar.config": CONFIG, "src/demo.app.src": APP % names, "src/demo.erl": "-module(demo).\n"},
    )


def by_rebar3(image: str, source: Path, mirror: Mirror, service: dagger.Service) -> dagger.Container:
    """Return the builder as a user has it: with git, the network, and the project."""
    key = f'#{{<<"hexpm">> => #{{repo_public_key => <<"{mirror.public_key.read_text()}">>}}}}.\n'
    return (
        dag.container()
        .from_(image)
        .with_service_binding(mirror.host, service)
        .with_env_variable("HEX_CDN", mirror.hex_url)
        .with_new_file("/root/.gitconfig", mirror.git_config.read_text())
        .with_new_file("/root/.config/rebar3/hex.config", key)
        .with_env_variable("TERM", "dumb")
        .with_env_variable("ERL_COMPILER_OPTIONS", "deterministic")
        .with_workdir("/build")
        .with_directory("/build", dag.host().directory(str(source)))
    )


def service_of(mirror: Mirror) -> dagger.Service:
    return dag.host().service([dagger.PortForward(backend=mirror.port, frontend=mirror.port)])


@pytest.fixture(scope="module")
def both(engine: dict[str, str], images: Path, mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Let rebar3 lock and build a project, and the pipeline build what it locked."""
    folder = tmp_path_factory.mktemp("dependencies")
    source = filled(mirror, folder)
    table = images_in_use(images.read_text(), {})
    found: list[Both] = []

    async def run() -> None:
        with (folder / "log").open("w") as log:
            async with dagger.connection(dagger.Config(log_output=log)):
                service = service_of(mirror)
                plain = by_rebar3(table["builder-debian-full"], source, mirror, service)
                await plain.with_exec(["rebar3", "lock"]).file("rebar.lock").export(str(source / "rebar.lock"))
                plain = by_rebar3(table["builder-debian-full"], source, mirror, service)
                plain = plain.with_exec(["rebar3", "as", "prod", "release"])
                given = Project(
                    await filtered(dag.host().directory(str(source), exclude=list(SOURCE_IGNORE))),
                    table,
                    "debian",
                    mirror=service,
                    hex_mirror=mirror.hex_url,
                    hex_mirror_key=dag.host().file(str(mirror.public_key)),
                    git_config=dag.secret(f"file://{mirror.git_config}"),
                )
                application = await read(given)
                project = await equipped(given, application)
                ours = await assembled(project, application)
                found.append(
                    Both(
                        await _listed(plain, "/build/_build/prod/rel/demo/lib"),
                        # Of those in the layer of dependencies; there native code is stripped.
                        await _listed(ours, "/opt/demo/lib", await ours.directory(DEPENDENCIES).entries()),
                        await ours.file("/pipeline/packages").contents(),
                        await told(given, application),
                        project.builder,
                        table,
                    )
                )

    with session(engine, folder):
        anyio.run(run)
    return found[0]


async def _listed(container: dagger.Container, folder: str, names: list[str] | None = None) -> str:
    lines = (await container.with_exec(["sh", "-c", LISTED, folder]).stdout()).splitlines(keepends=True)
    return "".join(line for line in lines if names is None or f"{line.split('/')[1]}/" in names)


def test_dependencies_are_what_plain_rebar3_makes_of_them(both: Both) -> None:
    names = {line.split("/")[1] for line in both.ours.splitlines()}
    versions = {name.partition("-")[0]: name.partition("-")[2] for name in names}
    assert versions.pop("stamped").startswith("1.2.3+build.3.ref")
    assert versions == {
        "tiny_word": "2.0.0", "tiny_text": "1.0.2", "parted": "1", "linked": "1", "guarded": "1", "fast": "1"
    }  # fmt: skip
    plain = [line for line in both.plain.splitlines() if line.split("/")[1] in names]
    assert both.ours.splitlines() == plain
    assert [line for line in plain if line.endswith("/fast-1/priv/fast.so")]
    origins = [line.partition(" sha512:") for line in both.origins.splitlines()]
    assert [package for package, _, _ in origins] == ["tiny_text 1.0.2 hexpm", "tiny_word 2.0.0 hexpm"]
    assert all(re.fullmatch("[0-9a-f]{128}", sha512) for _, _, sha512 in origins)


def test_a_dependency_with_native_code_takes_the_full_builder(both: Both) -> None:
    full = both.table["builder-debian-full"]
    assert both.told == f"fast (cc, make); built with {full}"
    assert both.builder == full != both.table["builder-debian"]


@pytest.fixture
def own_mirror() -> Mirror:
    """Serve a mirror that the test may spoil."""
    with mirrors.serve() as served:
        yield served


def test_another_package_under_the_right_name_is_refused_by_name(in_process: InProcess, own_mirror: Mirror) -> None:
    (own_mirror.root / "hex" / "tarballs" / "tiny_text-1.0.2.tar").write_bytes(b"evil")
    result = in_process(FIXTURES / "greeter", *own_mirror.arguments(), "deps", "sync")
    assert result.code != 0
    assert f"tiny_text 1.0.2: {own_mirror.hex_url}/tarballs/tiny_text-1.0.2.tar has the SHA-256" in result.message
    locked = "9ddc9be6ef537dbd09ac0195735945adb9a3aaac69ff5b5890fdf19e50701c15"
    assert result.message.endswith(f", but rebar.lock says {locked}")


def test_a_repository_that_wants_a_token_is_refused_without_it_and_by_name(
    in_process: InProcess, own_mirror: Mirror, tmp_path: Path
) -> None:
    path = own_mirror.root / "git" / "guarded" / "tiny_math.git"
    shutil.copytree(own_mirror.root / "git" / "tiny" / "tiny_math.git", path)
    source = tmp_path / "greeter"
    shutil.copytree(FIXTURES / "greeter", source)
    for name in ("rebar.config", "rebar.lock"):
        text = (source / name).read_text().replace("example.org/tiny/", "example.org/guarded/")
        (source / name).write_text(text)
    arguments = own_mirror.arguments()
    assert in_process(source, *arguments, "deps", "sync").code == 0
    config = own_mirror.root / "other"
    config.write_text(own_mirror.git_config.read_text().replace(GIT_TOKEN, "wrong"))
    arguments[-1] = f"--git-config=file:{config}"
    result = in_process(source, *arguments, "deps", "sync")
    assert result.message.startswith("fetching the git dependency tiny_math of rebar.lock failed:\n"), result.err
    assert "Authentication failed" in result.message or "could not read Username" in result.message
    assert GIT_TOKEN not in result.err


def test_what_is_there_is_not_asked_for_again(in_process: InProcess, tmp_path: Path) -> None:
    """Not by a service of the session: by the machine's own address, as a site's mirror is reached."""
    address = _address()
    source = tmp_path / "greeter"
    shutil.copytree(FIXTURES / "greeter", source)
    with mirrors.serve(host="0.0.0.0") as served:  # noqa: S104 # a container reaches it
        reached = replace(served, host=address)
        arguments = reached.arguments()[1:]
        first = in_process(source, *arguments, "release", "sync")
        assert first.code == 0, first.err
        saved = tmp_path / "saved"
        shutil.copytree(served.root, saved, ignore=lambda *_: ["hex", "git"])
        shutil.copy(reached.public_key, saved / "public_key")
    # The server is gone; a line of the project and its settings change.
    arguments = [f"--hex-mirror={reached.hex_url}", f"--hex-mirror-key={saved}/public_key"]
    (source / "rebar.config").write_text((source / "rebar.config").read_text().replace("debug_info,", "", 1))
    code = source / "apps" / "greeter_web" / "src" / "greeter_web.erl"
    code.write_text(code.read_text().replace('"ok"', '"still ok"'))
    again = in_process(source, *arguments, f"--git-config=file:{saved}/gitconfig", "release", "sync")
    assert again.code == 0, again.err
    for fetching in ("fetch the packages of Hex", "clone "):
        assert first.ran(fetching), first.err
        assert not again.ran(fetching), again.err
    assert again.ran("compile the dependencies")


def _address() -> str:
    """Return an address of this machine that others can reach; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]
