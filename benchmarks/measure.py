"""Measure the pipeline against BuildKit and bare rebar3: each scene in turn, in one run, on the same tree and images.

    uv run python benchmarks/measure.py benchmarks/greeter.toml --source DIR --images TABLE --registry 127.0.0.1:PORT

A scene is an edit of the tree and what is waited for after it. Each contender builds the unedited tree just before the
clock starts; each round makes an edit that nobody has seen. The times are of whole commands, as a shell sees them, and
each ends with the image in the registry or what the scene names (bare rebar3's with the release on the disk).

Needs an engine and `dagger` on PATH (see README), `buildkitd` and `buildctl` (in benchmarks/buildkit:
`GOBIN=DIR go install tool`), runc, skopeo, root, and a registry that is served over plain HTTP on 127.0.0.1. What is
missing is left out, and the table says so. A command that fails is tried again with another edit, which the table says
too: plain rebar3 writes two modules of one name into one file at the same time, and fails now and then.
"""

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
#: What an issue of the project asks for: at most this part of BuildKit's time in the same run.
TARGETS = {"cold": 1.0, "leaf": 0.5, "base": 0.7, "header": 0.8, "dependency": 0.6}
#: How long a command may take, in seconds.
_LIMIT = 1200
#: How often a contender may fail in a scene before its end.
_FAILURES = 3
_MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """What a file beside this script says of a project, and its tree."""

    name: str
    release: str
    leaf: str
    base: str
    header: str
    dependency: str
    edit: tuple[dict[str, str], ...] = ()

    def prepare(self, source: Path, target: Path) -> None:
        """Copy the tree, as every contender gets it."""
        shutil.copytree(source, target, symlinks=True)
        (target / "_checkouts").mkdir(exist_ok=True)
        for edit in self.edit:
            path = target / edit["file"]
            text, count = re.subn(edit["find"], edit["replace"], path.read_text(), count=0, flags=re.DOTALL)
            if not count:
                sys.exit(f"{path}: nothing matches {edit['find']}")
            path.write_text(text)
        for module in (self.leaf, self.base):
            path = target / module
            text = re.sub(r"(-module\([^)]*\)\.)", r"\1\n-export([benchmark/0]).", path.read_text(), count=1)
            path.write_text(f"{text}\nbenchmark() -> 0.\n")


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """An edit of the tree."""

    name: str
    title: str
    edit: Callable[[Project, Path, int], None]
    labels: bool = False
    #: What is waited for: the image in the registry, or one of `_MADE`, which nobody else here makes.
    makes: str = "image"
    platforms: str = ""


def _function(module: str) -> Callable[[Project, Path, int], None]:
    def edit(project: Project, tree: Path, number: int) -> None:
        path = tree / getattr(project, module)
        path.write_text(path.read_text().replace("benchmark() -> 0.", f"benchmark() -> {number}."))

    return edit


def _header(project: Project, tree: Path, number: int) -> None:
    path = (tree / project.header).resolve()
    path.write_text(f"{path.read_text()}\n-define(BENCHMARK, {number}).\n")


def _options(term: str) -> Callable[[Project, Path, int], None]:
    def edit(project: Project, tree: Path, number: int) -> None:
        path = tree / "rebar.config"
        options = term.format(dependency=project.dependency, number=number)
        text = re.sub(r"\{overrides,\s*\[\]\}\.", "", path.read_text())
        path.write_text(f"{text}\n{options}\n")

    return edit


def _nothing(_project: Project, _tree: Path, _number: int) -> None:
    pass


SCENES = (
    Scene("unchanged", "nothing changed", _nothing),
    Scene("label", "a label changed", _nothing, labels=True),
    Scene("leaf", "a function of a leaf application changed", _function("leaf")),
    Scene("base", "a function of the base application changed", _function("base")),
    Scene("header", "a header of the base application changed", _header),
    Scene(
        "dependency",
        "an option of a dependency changed",
        _options("{{overrides, [{{add, {dependency}, [{{erl_opts, [{{d, benchmark, {number}}}]}}]}}]}}."),
    ),
    Scene(
        "cold",
        "everything must be compiled (packages are there)",
        _options("{{overrides, [{{add, [{{erl_opts, [{{d, benchmark, {number}}}]}}]}}]}}."),
    ),
    Scene("scan-again", "every report of an image that was scanned before", _nothing, makes="reports"),
    Scene("scan", "every report after a function of a leaf application changed", _function("leaf"), makes="reports"),
    Scene("publish", "published after a function of a leaf application changed", _function("leaf"), makes="published"),
    Scene("tar", "a tar file after a function of the base application changed", _function("base"), makes="tar"),
    Scene(
        "platforms",
        "the same, for two platforms",
        _function("base"),
        makes="tar",
        platforms="linux/amd64,linux/arm64",
    ),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Where and with what it is measured."""

    project: Project
    registry: str
    builder: str
    runtime: str
    hex_mirror: str
    module_arguments: tuple[str, ...]
    publish_arguments: tuple[str, ...]
    hex_key: str
    work: Path

    def reference(self, contender: str, tag: str) -> str:
        """Return where a contender's image goes."""
        return f"{self.registry}/benchmark/{self.project.name}-{contender}:{tag}"


class Contender:
    """Whoever makes the image."""

    name = ""
    #: Its image is in the registry afterwards.
    pushes = True
    #: What it can make; see `Scene.makes`.
    makes = frozenset({"image"})

    def __init__(self, site: Site) -> None:
        self.site = site

    def build(self, tree: Path, scene: Scene, number: int) -> None:
        """Make the image of a tree."""
        raise NotImplementedError


class Module(Contender):
    """`dagger call`, the module as people use it."""

    name = "module"
    makes = frozenset({"image", "reports", "published", "tar"})

    def command(self) -> list[str]:
        """Return what is called."""
        return ["dagger", "--silent", "call", f"--mod={HERE.parent}"]

    def build(self, tree: Path, scene: Scene, number: int) -> None:
        """Build and push the image."""
        site = self.site
        address = site.reference(self.name, scene.name)
        given = [*site.module_arguments, f"--source={tree}"]
        given += [f"--labels=benchmark={number}"] if scene.labels else []
        given += [f"--platforms={scene.platforms}"] if scene.platforms else []
        if scene.makes == "published":
            # Whoever publishes asks the registry from containers, which reach it by another name.
            port = site.registry.rpartition(":")[2]
            given.append(f"--repository=registry.localhost:{port}/benchmark/{site.project.name}-{self.name}")
            given += [f"--registry-service=tcp://{site.registry}", f"--revision={number:040x}"]
        words = {
            "image": ["build-runtime", "publish", f"--address={address}"],
            "reports": ["assess", "reports", "export", f"--path={site.work / 'reports'}"],
            "published": [
                "assess",
                "--fail-on=CRITICAL",
                "--unknown-as=LOW",
                "publish",
                "--require=none",
                f"--tags=t{number}",
                *site.publish_arguments,
            ],
            "tar": ["image-tarball", "export", f"--path={site.work / 'image.tar'}"],
        }
        run([*self.command(), *given, *words[scene.makes]])


class Direct(Module):
    """The same functions without a module."""

    name = "direct"

    def command(self) -> list[str]:
        """Return what is called."""
        return [str(HERE.parent / "ci" / "run"), "--direct"]


class Incremental(Direct):
    """Directly, and with the beams of the modules that did not change."""

    name = "incremental"
    #: The rest is refused: what is judged is compiled anew.
    makes = frozenset({"image"})

    def command(self) -> list[str]:
        """Return what is called."""
        return [*super().command(), "--incremental"]


class BuildKit(Contender):
    """`buildctl build` with the Dockerfile beside this script."""

    name = "buildkit"

    def build(self, tree: Path, scene: Scene, number: int) -> None:
        """Build and push the image."""
        labels = ["--opt", f"label:benchmark={number}"] if scene.labels else []
        site = self.site
        address = site.reference(self.name, scene.name)
        run(
            [
                "buildctl",
                f"--addr=unix://{site.work}/buildkitd.sock",
                "build",
                "--progress=plain",
                "--frontend=dockerfile.v0",
                f"--local=context={tree}",
                f"--local=dockerfile={HERE}",
                f"--opt=build-arg:BUILDER={site.builder}",
                f"--opt=build-arg:RUNTIME={site.runtime}",
                f"--opt=build-arg:RELEASE={site.project.release}",
                *([f"--opt=build-arg:HEX_CDN={site.hex_mirror}"] if site.hex_mirror else []),
                *labels,
                f"--secret=id=hex,src={site.work}/hex.config",
                f"--output=type=image,name={address},push=true,registry.insecure=true",
            ]
        )

    @contextlib.contextmanager
    def daemon(self) -> Iterator[None]:
        """Run buildkitd, with a state of its own."""
        work = self.site.work
        with (work / "buildkitd.log").open("w") as log:
            (work / "buildkitd.toml").write_text(f'[registry."{self.site.registry}"]\n  http = true\n')
            command = ["buildkitd", f"--config={work}/buildkitd.toml", f"--root={work}/buildkit"]
            command.append(f"--addr=unix://{work}/buildkitd.sock")
            command += ["--oci-worker-net=host", "--oci-worker-gc=false"]
            process = subprocess.Popen(["unshare", "--mount", *command], stdout=log, stderr=log)
            try:
                for _ in range(100):
                    if (work / "buildkitd.sock").exists() or process.poll() is not None:
                        break
                    time.sleep(0.2)
                else:
                    sys.exit((work / "buildkitd.log").read_text())
                yield
            finally:
                process.terminate()
                process.wait(60)


#: Shell that runs a script in a root filesystem, which gets the machine's devices and processes.
_CHROOT = """
for folder in dev proc; do
    mkdir -p "$1/$folder"
    mount --rbind "/$folder" "$1/$folder"
done
exec chroot "$1" sh -euc "$2" </dev/null
"""


class Rebar3(Contender):
    """`rebar3 as prod release` in the builder's root filesystem, in a tree that is kept."""

    name = "rebar3"
    pushes = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.root = site.work / "builder"
        unpack(site.builder, self.root)
        target = self.root / "root/.config/rebar3"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(site.work / "hex.config", target / "hex.config")
        for name in ("resolv.conf", "hosts"):
            shutil.copy(Path("/etc", name), self.root / "etc" / name)

    def build(self, tree: Path, scene: Scene, number: int) -> None:  # noqa: ARG002 # as the others
        """Compile what changed and make the release."""
        # As an editor does it: only what differs is written, with a new time.
        run(["rsync", "--archive", "--checksum", "--no-times", "--exclude=/_build", f"{tree}/", f"{self.root}/build/"])
        mirror = f"export HEX_CDN={self.site.hex_mirror}; " if self.site.hex_mirror else ""
        script = f"{mirror}cd /build && ERL_COMPILER_OPTIONS=deterministic exec rebar3 as prod release"
        run(["unshare", "--mount", "sh", "-euc", _CHROOT, "sh", str(self.root), script])


class FailedError(Exception):
    """A command failed."""


def run(command: list[str]) -> None:
    """Run a command; its output is part of the error if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        raise FailedError(f"{' '.join(command)}\ndid not end in {_LIMIT} s") from None
    if done.returncode:
        said = f"{done.stdout[-4000:]}{done.stderr[-8000:]}"
        raise FailedError(f"{' '.join(command)}\nended with {done.returncode}\n{said}")


def unpack(reference: str, target: Path) -> None:
    """Unpack the root filesystem of an image."""
    # skopeo takes no reference with a tag and a digest.
    reference = re.sub(r":[^:/@]+@", "@", reference)
    with tempfile.TemporaryDirectory() as folder:
        run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{reference}", f"dir:{folder}"])
        for layer in json.loads(Path(folder, "manifest.json").read_text())["layers"]:
            with tarfile.open(Path(folder, layer["digest"].removeprefix("sha256:"))) as archive:
                archive.extractall(target, filter="fully_trusted")  # noqa: S202 # one's own image


def blobs(reference: str) -> dict[str, int]:
    """Return digest and size (bytes) of each layer and the configuration of an image of the registry."""
    registry, _, rest = reference.partition("/")
    name, _, tag = rest.rpartition(":")
    url = f"http://{registry}/v2/{name}/manifests/{tag}"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Accept": _MANIFEST}), timeout=30
    ) as answer:  # our own registry
        manifest = json.load(answer)
    return {blob["digest"]: blob["size"] for blob in (manifest["config"], *manifest["layers"])}


def measure(
    site: Site, contenders: list[Contender], scenes: list[Scene], rounds: int, tree: Path, *, add: bool
) -> None:
    """Measure each scene with each contender, in turn: seconds, and bytes pushed; write them after each scene."""
    earlier = written().get(site.project.name)
    results: dict[str, dict] = {scene.name: {} for scene in scenes}
    if add:
        if not earlier or (earlier["versions"], earlier["machine"]) != (versions(), machine()):
            sys.exit(f"--add: {RESULTS} has no figures of {site.project.name} with these versions on this machine")
        results |= earlier["scenes"]
        earlier = None
    begin = int(time.time())
    edited = {each: site.work / f"edited-{each.name}" / site.project.name for each in contenders}
    for contender, copy in edited.items():
        ready(contender, scenes, tree, copy)
    for turn in range(rounds):
        for place, scene in enumerate(scenes):
            # Who begins changes, so that nobody always finds a warm disk.
            order = contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]
            for contender in order:
                if scene.makes not in contender.makes:
                    continue
                # One of its own for each: contenders share the engine's cache, and scenes make the same edits.
                number = begin + (turn * len(scenes) + place) * len(contenders) + contenders.index(contender)
                result = results[scene.name].setdefault(contender.name, {"seconds": []})
                seconds = timed(contender, scene, number, tree=tree, target=edited[contender], result=result)
                result["seconds"].append(round(seconds, 2))
                tell(f"{turn + 1}/{rounds} {scene.name:<11} {contender.name:<9} {seconds:7.2f} s")
                if scene.makes == "image" and contender.pushes:
                    before = blobs(site.reference(contender.name, "unchanged"))
                    after = blobs(site.reference(contender.name, scene.name))
                    result["bytes"] = sum(size for digest, size in after.items() if digest not in before)
                    result["image"] = sum(after.values())
            # After each scene: what a later one breaks off is not lost.
            write(site.project.name, {name: found for name, found in results.items() if found}, earlier)


def ready(contender: Contender, scenes: list[Scene], tree: Path, target: Path) -> None:
    """Let a contender make each kind of thing once, of the unedited tree."""
    as_edited(tree, target)
    contender.build(target, SCENES[0], 0)
    for makes in contender.makes - {"image"}:
        for scene in [scene for scene in scenes if scene.makes == makes][:1]:
            contender.build(target, scene, int(time.time()))
    tell(f"{contender.name} has built the tree")


def timed(contender: Contender, scene: Scene, number: int, *, tree: Path, target: Path, result: dict) -> float:
    """Make the edit of a scene and return how long the contender takes (s); count in `result` how often it failed."""
    while True:
        as_edited(tree, target)
        try:
            # As one who works on the project. A machine may drop from memory what was not used for a minute; who waited
            # longer for the others would read it from the disk.
            contender.build(target, SCENES[0], 0)
            scene.edit(contender.site.project, target, number)
            started = time.monotonic()
            contender.build(target, scene, number)
        except FailedError as error:
            tell(str(error))
            result["failed"] = result.get("failed", 0) + 1
            if result["failed"] >= _FAILURES:
                sys.exit(f"{contender.name} failed {_FAILURES} times: {scene.title}")
            number += 1_000_000
        else:
            return time.monotonic() - started


def as_edited(tree: Path, target: Path) -> None:
    """Make a copy like the tree again as an editor does: what is the same stays untouched, and so does git's index."""
    target.mkdir(parents=True, exist_ok=True)
    kept = ["--exclude=/.git"] if (target / ".git").exists() else []
    run(["rsync", "--archive", "--delete", *kept, f"{tree}/", f"{target}/"])


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 # progress


def machine() -> str:
    """Describe this machine in a line."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = round(int(memory[1]) / 1024**2) if memory else 0
    return f"{os.cpu_count()} CPUs ({model[1] if model else platform.machine()}), {gigabytes} GiB, {platform.release()}"


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    found = {}
    for name, command in {"dagger": ["dagger", "version"], "buildkit": ["buildctl", "--version"]}.items():
        with contextlib.suppress(OSError):
            found[name] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False)
    return {**found, "pipeline": commit.stdout.strip()}


def main() -> None:
    """Measure, and write results.json, RESULTS.md and a picture for each project."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, metavar="TOML", help="greeter.toml, erlmcp.toml, or one like them")
    parser.add_argument("--source", required=True, type=Path, metavar="DIR", help="the project's tree")
    parser.add_argument("--images", required=True, type=Path, metavar="FILE", help="as for the module's --images")
    parser.add_argument("--registry", required=True, metavar="HOST:PORT", help="where images are pushed, plain HTTP")
    parser.add_argument("--builder", default="builder-debian", metavar="KEY", help="of the table")
    parser.add_argument("--runtime", default="runtime-debian", metavar="KEY", help="of the table")
    parser.add_argument("--hex-mirror", default="", metavar="URL", help="as for the module, seen from this machine")
    parser.add_argument("--hex-mirror-key", type=Path, metavar="FILE")
    parser.add_argument("--argument", action="append", default=[], help="a further argument of the module")
    parser.add_argument(
        "--publish", action="append", default=[], help="an argument of publish, such as --cosign-key=file:PATH"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--add", action="store_true", help="to the rounds that were measured with the same versions")
    parser.add_argument("--scenes", default=",".join(scene.name for scene in SCENES))
    parser.add_argument("--contenders", default="module,direct,incremental,buildkit,rebar3")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder for states, which is kept")
    given = parser.parse_args()
    table = tomllib.loads(given.images.read_text())["images"]
    project = tomllib.loads(given.project.read_text())
    project["edit"] = tuple(project.get("edit", ()))
    with contextlib.ExitStack() as stack:
        work = given.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        work.mkdir(parents=True, exist_ok=True)
        arguments = ("--flavor=debian", f"--images={given.images}", *given.argument)
        key = given.hex_mirror_key.read_text() if given.hex_mirror_key else ""
        site = Site(
            Project(**project),
            given.registry,
            table[given.builder],
            table[given.runtime],
            given.hex_mirror,
            arguments,
            tuple(given.publish or ["--unsigned"]),
            key,
            work,
        )
        (work / "hex.config").write_text(_hex(site))
        tree = work / "tree" / site.project.name
        shutil.rmtree(tree.parent, ignore_errors=True)
        tree.parent.mkdir()
        site.project.prepare(given.source, tree)
        kinds = {kind.name: kind for kind in (Module, Direct, Incremental, BuildKit, Rebar3)}
        contenders = [kinds[name](site) for name in given.contenders.split(",")]
        for contender in contenders:
            if isinstance(contender, BuildKit):
                stack.enter_context(contender.daemon())
        scenes = [scene for scene in SCENES if scene.name in given.scenes.split(",")]
        measure(site, contenders, scenes, given.rounds, tree, add=given.add)


def _hex(site: Site) -> str:
    """Return rebar3's hex.config, for those who are no module: the key that the mirror's packages are signed with."""
    key = f'<<"hexpm">> => #{{repo_public_key => <<"{site.hex_key}">>}}' if site.hex_key else ""
    return f"#{{{key}}}.\n"


def written() -> dict[str, dict]:
    """Return what is in results.json."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def write(name: str, scenes: dict[str, dict], before: dict | None) -> None:
    """Add what was measured to results.json, and make RESULTS.md and the picture of it."""
    known = written()
    date = dt.datetime.now(dt.UTC).date().isoformat()
    known[name] = {"date": date, "machine": machine(), "versions": versions(), "scenes": scenes}
    RESULTS.write_text(json.dumps(known, indent=2) + "\n")
    (HERE / f"results-{name}.svg").write_text(picture(known[name]))
    pages = [page(each, result, before if each == name else None) for each, result in sorted(known.items())]
    (HERE / "RESULTS.md").write_text(
        "# What was measured\n\nWritten by `benchmarks/measure.py`. [Explained](explained.md): where the time goes.\n\n"
        + "\n".join(pages)
    )


def page(name: str, result: dict, before: dict | None) -> str:
    """Return the table of one project."""
    scenes = result["scenes"]
    contenders = list(dict.fromkeys(contender for scene in scenes.values() for contender in scene))
    titles = {scene.name: scene.title for scene in SCENES}
    ratios = (
        [each for each in contenders if each in ("module", "direct", "incremental")] if "buildkit" in contenders else []
    )
    head = ["scene", *(f"{each} (s)" for each in contenders), *(f"{each} / buildkit" for each in ratios), "target"]
    # Who of ours is measured first stands for the others.
    first = next((each for each in contenders if each in ("module", "direct", "incremental")), "")
    before = before if first else None
    head += [f"{first} before (s)"] if before else []
    lines = [f"## {name}", "", f"![{name}](results-{name}.svg)", "", _row(head), _row(["---"] * len(head))]
    for key, scene in scenes.items():
        middle = {each: statistics.median(scene[each]["seconds"]) for each in scene}
        row = [titles[key], *(f"{middle[each]:.1f}" if each in middle else "" for each in contenders)]
        row += [
            f"{middle[each] / middle['buildkit']:.2f}" if {each, "buildkit"} <= set(middle) else "" for each in ratios
        ]
        row.append(str(TARGETS.get(key, "")))
        if before:
            old = before["scenes"].get(key, {}).get(first)
            row.append(f"{statistics.median(old['seconds']):.1f}" if old else "")
        lines.append(_row(row))
    pushed = [
        f"{titles[key]}: {', '.join(_pushed(each, scene[each]) for each in scene if 'bytes' in scene[each])}"
        for key, scene in scenes.items()
        if key in ("label", "leaf", "base") and any("bytes" in found for found in scene.values())
    ]
    lines += [
        "",
        f"Medians of whole commands ({_rounds(scenes)}). Each ends with the image in a registry of the same machine,",
        "or with what the scene names.",
    ]
    failed = {
        f"{each}: {titles[key]} ({found['failed']} of {len(found['seconds']) + found['failed']} times)"
        for key, scene in scenes.items()
        for each, found in scene.items()
        if "failed" in found
    }
    lines += ["", "Failed and was tried again:", "", *(f"- {line}" for line in sorted(failed))] if failed else []
    lines += ["", "Pushed after a change:", "", *(f"- {line}" for line in pushed)] if pushed else []
    said = "; ".join(f"{key} {value.removeprefix(key).strip()}" for key, value in result["versions"].items())
    lines += ["", f"{result['date']}, {result['machine']}. {said}.", ""]
    return "\n".join(lines)


def _rounds(scenes: dict) -> str:
    """Say how often each was measured."""
    counts = {len(found["seconds"]) for scene in scenes.values() for found in scene.values()}
    if len(counts) > 1:
        return f"{min(counts)} to {max(counts)} rounds"
    return "1 round" if counts == {1} else f"{counts.pop()} rounds"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _pushed(name: str, result: dict) -> str:
    part = result["bytes"] / result["image"]
    return f"{name} {result['bytes'] / 1e3:.0f} kB of {result['image'] / 1e6:.1f} MB ({part:.1%})"


_COLOURS = {
    "module": "#3b6fb6",
    "direct": "#7fb0e0",
    "incremental": "#4fa08b",
    "buildkit": "#b0b0b0",
    "rebar3": "#d9a441",
}


def picture(result: dict) -> str:
    """Return bars of the medians, as SVG."""
    bars = [
        (scene, contender, statistics.median(found["seconds"]))
        for scene, contenders in result["scenes"].items()
        for contender, found in contenders.items()
    ]
    longest = max(seconds for _, _, seconds in bars)
    lines, top, last = [], 10, ""
    for scene, contender, seconds in bars:
        if scene != last:
            top += 10
            lines.append(f'<text x="90" y="{top + 13}" text-anchor="end">{scene}</text>')
            last = scene
        width = max(1, round(seconds / longest * 480))
        lines.append(f'<rect x="100" y="{top}" width="{width}" height="16" rx="2" fill="{_COLOURS[contender]}"/>')
        lines.append(f'<text x="{106 + width}" y="{top + 13}">{contender} {seconds:.1f} s</text>')
        top += 20
    size = f'width="720" height="{top + 10}" viewBox="0 0 720 {top + 10}"'
    style = 'font-family="sans-serif" font-size="12" fill="#333"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f"<g {style}>",
            *lines,
            "</g>",
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    try:
        main()
    except FailedError as failed:
        sys.exit(str(failed))
