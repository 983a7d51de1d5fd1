"""What an engine would find out: for the recorder, part by part. A test gives those that its way passes."""

import base64
import dataclasses
import datetime as dt
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import facts
from recorder import Chain, Recorder, exec_error

from pipeline.image.layout import OWN_LAYERS
from pipeline.project.application import Application
from pipeline.project.images import default_images
from pipeline.project.project import Project
from pipeline.registry.tools import TAGS

DATA = Path(__file__).parents[1] / "unit" / "data"
NOW = dt.datetime.now(dt.UTC)
#: The digest that an image without one is found to have.
FOUND_DIGEST = "sha256:" + "d" * 64
#: As `cosign generate-key-pair` writes it.
PUBLIC = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
#: What the reader says of the fixture of these tests.
READ = {
    "name": "greeter",
    "version": "1.2.0",
    "release_apps": ["core", "web", "alone"],
    "apps": [
        {
            "name": name,
            "dir": f"apps/{name}",
            "app_file": f"apps/{name}/src/{name}.app.src",
            "vsn": "1",
            "computed": False,
            "needs": needs,
        }
        for name, needs in (("core", ["kernel"]), ("web", ["kernel", "core"]), ("alone", ["kernel"]))
    ],
    "other_apps": [],
    "locked": ["cowboy"],
    "unlocked": [],
    "checkouts": [],
    "packages": '{<<"cowboy">>,<<"2.12.0">>,<<"AB">>,<<"CD">>}.\n',
    "without_checksum": [],
    "repositories": [],
    "native": [],
    "hex": "",
    "executed": [],
    "assembled_with": [],
    "plugins": [],
    "dropped_plugins": [],
    "sys_config": None,
    "vm_args": None,
    "relx_files": ["config/motd.txt"],
    "description": "d",
    "licenses": ["Apache-2.0"],
    "links": [],
    "configs": {"rebar.config": "{deps, [cowboy]}.", "rebar.release.config": "{relx, []}."},
}
FILES = {
    "rebar.config": "{deps, []}.",
    "rebar.lock": "[].",
    "include/greeter.hrl": "-record(g, {}).",
    "apps/core/src/core.app.src": "{application, core, []}.",
    "apps/core/src/core.erl": "-module(core).",
    "apps/core/include/core.hrl": "",
    "apps/web/src/web.app.src": "{application, web, []}.",
    "apps/web/src/web.erl": "-module(web).",
    "apps/alone/src/alone.app.src": "{application, alone, []}.",
    "apps/alone/src/alone.erl": "-module(alone).",
}


APPLICATION = Application.parse(json.dumps(READ))


def project(recorder: Recorder, files: dict[str, str] | None = None, **changes: object) -> Project:
    """Return what a user gives; `runtime` names another base image."""
    images = default_images()
    if runtime := changes.pop("runtime", None):
        images = images.override({"runtime-alpine": str(runtime)})
    source = recorder.host_directory(FILES if files is None else files)
    return dataclasses.replace(Project(source=source, images=images), **changes)


def execs(recorder: Recorder, word: str) -> list[Chain]:
    """Return every command with an argument that holds a word."""
    return [chain for chain in recorder.execs() if any(word in argument for argument in words(chain))]


def words(chain: Chain) -> list[str]:
    """Return the arguments of a command, behind the entrypoint if that is none of the image's."""
    entrypoints = chain.calls("withEntrypoint") if chain.call.args.get("useEntrypoint") else []
    return [*(entrypoints[-1].args["args"] if entrypoints else ()), *chain.call.args["args"]]


def written(chain: Chain, path: str) -> str:
    """Return the text of a file that was put into a container, by itself or in a directory; the last one counts."""
    found = [text for step in chain.steps() for name, text in _put(step) if name == path]
    assert found, path
    return found[-1]


def _put(step: Chain) -> Iterator[tuple[str, str]]:
    """Give path and text of each file that a call puts into a container."""
    call = step.call
    if call.field == "withNewFile":
        yield call.args["path"], call.args["contents"]
    for source in call.objects() if call.field in {"withFile", "withDirectory"} else ():
        for name, file in (source.tree or {}).items():
            if file:
                at = call.args["path"]
                yield at if call.field == "withFile" else f"{at.rstrip('/')}/{name}", file[0]


def reads(*names: str) -> Callable[[Chain], bool]:
    """Return what tells whether a file of one of these names is read."""
    return lambda chain: bool(chain.parent and str(chain.parent.call.args.get("path", "")).endswith(names))


def of_reading(recorder: Recorder, read: dict | None = None) -> None:
    """Let rebar3 have read the project; it needed no more than the configuration."""
    recorder.answer("File.contents", json.dumps(read or READ), when=reads("project.json"))
    recorder.answer("File.contents", "", when=reads("/out/asked", "asked"))
    recorder.answer("File.contents", "[]", when=reads("native.json"))


def of_images(recorder: Recorder) -> None:
    """Let builder and runtime be of one Alpine release, and nothing stand against the other platform."""
    recorder.answer("File.contents", "ID=alpine\nVERSION_ID=3.22.1\n", when=reads("/etc/os-release"))
    files = ("/layers/problems", *(f"/pipeline/{name}" for name in ("why", "whole", "unlike")))
    recorder.answer("File.contents", "", when=reads(*files))
    recorder.answer(
        "Directory.exists", lambda _: True, when=lambda chain: chain.call.args["path"].endswith("ca-certificates.crt")
    )
    recorder.answer("Container.imageRef", lambda chain: pinned(chain.images()[0]))
    recorder.answer("Directory.glob", ["bin/greeter"], when=lambda chain: chain.call.args["pattern"] == "bin/greeter")
    recorder.answer("Directory.entries", ["sys.config.src", "vm.args.src"], when=of_the_release)
    recorder.answer("File.contents", "-setcookie ${RELX_COOKIE}", when=reads("vm.args.src"))


def pinned(reference: str) -> str:
    """Return a reference with a digest, as an engine does."""
    return reference if "@" in reference else f"{reference}@{FOUND_DIGEST}"


def of_the_release(chain: Chain) -> bool:
    """Tell whether it is the release's folder of configurations that is looked into."""
    return bool(chain.parent and "/releases/" in str(chain.parent.call.args.get("path", "")))


def of_exports(recorder: Recorder) -> None:
    """Let an image be packed and exported, and its base be pulled by crane."""

    def packed(chain: Chain) -> dict[str, str]:
        [tarball] = [step for step in chain.walk() if step.call.field == "asTarball"]
        return _texts(_architecture(tarball), 1 + OWN_LAYERS)

    def pulled(chain: Chain) -> dict[str, str]:
        pull = next(step for step in chain.steps() if step.call.field == "withExec")
        return _texts(words(pull)[2].rpartition("/")[2], 1)

    def export(chain: Chain) -> str:
        target = Path(chain.call.args["path"])
        if chain.call.type == "File":
            _archive(target, _architecture(chain), 1 + OWN_LAYERS)
        for name, file in (chain.parent.tree or {}).items() if chain.call.type == "Directory" else ():
            if file:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_text(file[0])
        return str(target)

    recorder.answer("Container.directory", packed, when=lambda chain: chain.call.args["path"] == "/layout")
    recorder.answer("Container.directory", pulled, when=lambda chain: chain.call.args["path"] == "/base")
    recorder.answer("File.export", export)
    recorder.answer("Directory.export", export)


def _architecture(chain: Chain) -> str:
    """Return that of the image that a chain packs."""
    platforms = [step.call.args.get("platform") for step in chain.steps() if step.call.field == "container"]
    return str(next(filter(None, platforms), "linux/amd64")).partition("/")[2]


def _texts(architecture: str, count: int) -> dict[str, str]:
    """Return the files of a layout; nothing reads its layers."""
    return {name: data.decode(errors="replace") for name, data in _blobs(architecture, count).items()}


def _blobs(architecture: str, count: int) -> dict[str, bytes]:
    layers = []
    for number in range(count):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as files:
            files.addfile(tarfile.TarInfo(f"layer-{number}"))
        layers.append(gzip.compress(out.getvalue(), mtime=0))
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": NOW.isoformat(),
        "history": [{"created": NOW.isoformat()}] * count,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha(gzip.decompress(layer))}" for layer in layers]},
    }
    texts = {"config": json.dumps(config).encode()}
    manifest = {
        "schemaVersion": 2,
        "config": _descriptor(texts["config"]),
        "layers": [_descriptor(layer) for layer in layers],
    }
    texts["manifest"] = json.dumps(manifest).encode()
    descriptor = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **_descriptor(texts["manifest"])}
    files = {f"blobs/sha256/{_sha(blob)}": blob for blob in (*layers, *texts.values())}
    return {**files, "index.json": json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()}


def _descriptor(blob: bytes) -> dict:
    return {"digest": f"sha256:{_sha(blob)}", "size": len(blob)}


def _sha(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _archive(path: Path, architecture: str, count: int) -> None:
    with tarfile.open(path, "w") as archive:
        for name, blob in _blobs(architecture, count).items():
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            archive.addfile(info, io.BytesIO(blob))


def of_scanners(recorder: Recorder, latency: float = 0) -> None:
    """Let each scanner's report be read, as of databases that are built today; a read takes some seconds."""
    recorder.answer("File.contents", "", when=reads("loads"))
    for name in ("syft.json", "inventory.json", "trivy.json", "grype.json", "grype.cdx.json", "metadata.json"):
        recorder.answer(
            "File.contents",
            scanned(name),
            when=reads(name),
            latency=latency if name != "metadata.json" else 0,
        )
    # A database that was fetched.
    for path in ("trivy.db", "6/vulnerability.db"):
        recorder.answer(
            "Directory.glob",
            [path],
            when=lambda chain, path=path: (
                chain.call.args["pattern"] == f"**/{path.rpartition('/')[2]}" and bool(chain.find("withExec"))
            ),
        )
    recorder.answer("File.contents", _callers, when=reads("callers.json"))
    # What Grype did not see is not known to be exploited either.
    recorder.answer("Container.stdout", "[]", when=lambda chain: words(chain.parent)[:3] == ["db", "search", "vuln"])
    recorder.answer("Container.stdout", nothing_retired, when=of_a_registry_of_hex)
    of_publishers(recorder)


def of_a_registry_of_hex(chain: Chain) -> bool:
    """Tell whether it is what the registries of Hex say that is read."""
    return bool(chain.parent and words(chain.parent)[-2:] == ["/pipeline/fetch.sh", "registry"])


def asked_for(chain: Chain) -> list[str]:
    """Return the lines of what a question is about."""
    return written(chain, "/pipeline/wanted").splitlines()


def nothing_retired(chain: Chain) -> str:
    """Return that nothing is said of any package."""
    return json.dumps([{"retired": None, "others": [], "advisories": []}] * len(asked_for(chain)))


def _callers(chain: Chain) -> str:
    """Return one caller of whatever is asked about."""
    caller = {"application": "greeter_web", "function": "greeter_web:answer/1"}
    return json.dumps(
        {
            each: {"missing": False, "callers": [caller], "of_module": [], "of_application": []}
            for each in asked_for(chain)
        }
    )


def of_publishers(recorder: Recorder, names: tuple[str, ...] = ("CVE-2026-23941", "CVE-2026-48855")) -> None:
    """Let the Erlang Ecosystem Foundation and OSV publish some records, the second under ssh alone."""
    records = {facts_of["id"]: facts.cve(facts_of) for facts_of in facts.read("cves")}

    def of_url(text: str) -> Callable[[Chain], bool]:
        return lambda chain: any(text in call.args["url"] for call in chain.calls("http"))

    index = [{"id": name, "details": f"/cves/{name}.json"} for name in names]
    recorder.answer("File.contents", json.dumps(index), when=of_url("cna.erlef.org/cves/index.json"))
    for name in names:
        recorder.answer("File.contents", json.dumps(records[name]), when=of_url(f"cna.erlef.org/cves/{name}.json"))
    recorder.answer("File.export", _osv_archive(names), when=of_url("/Hex/all.zip"))


def _osv_archive(published: tuple[str, ...]) -> Callable[[Chain], str]:
    """Return what writes OSV's records; those whose severity a CVE record has only if that one is published."""

    def written(chain: Chain) -> str:
        with zipfile.ZipFile(chain.call.args["path"], "w") as archive:
            for each in facts.read("osv"):
                if each["severity"] or not {*published}.isdisjoint(each["aliases"]):
                    archive.writestr(f"{each['id']}.json", json.dumps(facts.osv(each)))
        return str(chain.call.args["path"])

    return written


def scanned(name: str) -> str:
    """Return a recorded report."""
    if name == "metadata.json":
        return json.dumps({"UpdatedAt": NOW.isoformat()})
    document = json.loads((DATA / ("sbom" if name in {"syft.json", "inventory.json"} else "scans") / name).read_text())
    if name == "grype.json":
        document["descriptor"]["db"]["status"]["built"] = NOW.isoformat()
    return json.dumps(document)


def of_checks(recorder: Recorder, log: str = "") -> None:
    """Let the image's own checks run: it starts, each level of its health check shows, nothing is amiss in it."""
    proof = {"healthy": 0, "node": 0, "endpoint": 1, "process": 1, "stopped": 0, "none": 1}
    said = {"healthy": "Node OK", "node": "Node OK", "stopped": "SIGTERM", "none": "Down"}
    lines = [f"{name}\t0.5\t{code}\t{said.get(name, 'Degraded')}" for name, code in proof.items()]

    def run(script: str) -> Callable[[Chain], bool]:
        return lambda chain: bool(chain.parent and any(word.endswith(script) for word in words(chain.parent)))

    recorder.answer("Container.stdout", "\n".join(lines), when=run("prove_health.sh"))
    recorder.answer("Container.stdout", "packages\t11\n", when=run("compliance.sh"))
    recorder.answer("Container.stdout", "1000\n", when=lambda chain: bool(chain.parent and "-u" in words(chain.parent)))
    recorder.answer("File.contents", log, when=reads("/tmp/node.log"))  # noqa: S108 # in a container
    recorder.answer("Container.user", "1000:1000")
    recorder.answer("Container.labels", [{"name": "org.opencontainers.image.title", "value": "greeter"}])
    recorder.answer("Container.envVariable", None)


def of_a_build(recorder: Recorder, read: dict | None = None) -> None:
    """Let everything up to the verdict go well."""
    of_reading(recorder, read)
    of_images(recorder)
    of_exports(recorder)
    of_scanners(recorder)


def of_a_registry(recorder: Recorder, password: str, tags: dict[str, str] | None = None) -> None:
    """Let a registry take everything, with these tags in it by name."""
    there = dict(tags or {})

    def said(chain: Chain) -> str:
        run = words(chain.parent)
        if run[:2] == ["sh", TAGS]:
            return asked(there, run[2], *run[4:])
        assert run[0] in {"push", "sign", "attest", "public-key", "copy"}, run
        return ""

    of_secrets(recorder, password)
    recorder.answer("Container.entrypoint", ["/ko-app/crane"])
    recorder.answer(
        "Container.stdout",
        said,
        when=lambda chain: bool(chain.find("from") and tool_run(chain.parent)),
    )


def of_secrets(recorder: Recorder, password: str) -> None:
    """Let every secret be this password, but for a public key."""

    def plain(chain: Chain) -> str:
        [made] = chain.calls("setSecret")
        return PUBLIC if made.args["name"] in {"made-up ---", "public key"} else password

    recorder.answer("Secret.plaintext", plain)


def tool_run(chain: Chain) -> str:
    """Return what crane, cosign or `tags.sh` was asked to do; empty for any other command."""
    run = words(chain)
    if run[:2] == ["sh", TAGS]:
        return run[2]
    return run[0] if chain.call.args.get("useEntrypoint") else ""


def asked(there: dict[str, str], command: str, *words: str) -> str:
    """Return what `tags.sh` says of a registry with these tags; a tag that is put is there from then on."""
    if command == "put":
        digest, tag, *_ = words
        there[tag] = digest
        return ""
    listed = [f"listed\t{tag}" for tag in there] if command in {"list", "all"} else []
    unknown = "GET https://ghcr.io/v2/x/manifests/x: MANIFEST_UNKNOWN: manifest unknown"
    wanted = there if command == "all" else words
    found = [f"there\t{tag}\t{there[tag]}" if tag in there else f"failed\t{tag}\t{unknown}" for tag in wanted]
    return "\n".join([*listed, *found])


def failing(recorder: Recorder, word: str, stderr: str) -> None:
    """Let a command fail by its first word, or one of `tags.sh` by its own."""
    recorder.answer("Container.withExec", exec_error(stderr=stderr), when=lambda chain: tool_run(chain) == word)


def auth(user: str, password: str) -> str:
    """Return a login as Docker's config.json has it."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()
