"""Every function of the module and of its objects: what it asks the engine for, in which order, and what it refuses."""

import base64
import dataclasses
import datetime as dt
import functools
import json
import re
from collections.abc import Awaitable, Callable

import answers
import dagger
import pytest
from answers import FILES, NOW, execs, words
from dagger import dag
from recorder import Chain, Recorder, exec_error

from pipeline.arguments import Flavor
from pipeline.errors import BuildError, InputError, PolicyError, ScannerError, VerificationError
from pipeline.image.layout import OWN_LAYERS
from pipeline.main import Assessment, Erlmcp, Published, Verified
from pipeline.project.images import default_images, images_in_use
from pipeline.project.settings import arguments as arguments_of
from pipeline.registry.signing import CYCLONEDX, FINDINGS, PREDICATES, SIGNATURE, TESTED
from pipeline.registry.tools import TAGS

pytestmark = pytest.mark.anyio

IMAGES = default_images()
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
REPOSITORY = "ghcr.io/banyan-platform/greeter"
PASSWORD, KEY = "registry-password", "private-key"
VERDICT = {"passed": True, "decided": True, "lines": ["PASSED: no finding of HIGH or worse"]}
#: By which the image was published: what lets the recorded findings pass.
POLICY = {
    "fail_on": "CRITICAL",
    "only_fixed": False,
    "accept": [
        {
            "id": "CVE-2025-32433",
            "package": "ssh",
            "reason": "nobody logs in",
            "until": (NOW.date() + dt.timedelta(days=1)).isoformat(),
        }
    ],
}
#: Who accepted it knew that it is exploited.
ACCEPTED = {
    "id": "CVE-2025-32433",
    "aliases": [],
    "package": {"name": "ssh", "version": "5.2.6", "kind": "otp"},
    "status": "accepted",
    "exploited": "2025-06-09",
}
FOUND = {"time": "2026-02-04T00:00:00Z", "policy": POLICY, "verdict": VERDICT, "findings": [ACCEPTED], "scanners": []}


def erlmcp(recorder: Recorder, files: dict[str, str] | None = None, **arguments: object) -> Erlmcp:
    return Erlmcp(source=recorder.host_directory({**FILES, **(files or {})}), **arguments)


#: What lets the recorded findings pass: the one critical finding is accepted, the others are less.
PASSING = {
    "erlmcp.toml": '[policy]\nfail-on = "CRITICAL"\n',
    "accept.toml": f"""[[accept]]
id = "CVE-2025-32433"
package = "ssh"
reason = "nobody logs in"
until = {NOW.date() + dt.timedelta(days=1)}
""",
}


def passing(recorder: Recorder, **arguments: object) -> Erlmcp:
    """Return the module on a project whose policy holds."""
    return erlmcp(recorder, PASSING, **arguments)


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_a_build(recorder)
    return recorder


def secret(text: str) -> dagger.Secret:
    return dag.set_secret(f"made-up {text[:3]}", text)


def public_key() -> dagger.Secret:
    return secret(answers.PUBLIC)


def scans(recorder: Recorder) -> list[str]:
    """Return which scanners ran over something, each as often as it did."""
    names = {IMAGES[name]: name for name in ("syft", "trivy", "grype")}
    fetch = {"--download-db-only", "update"}
    return sorted(
        names[chain.images()[0]]
        for chain in recorder.execs()
        if chain.images()[:1] and chain.images()[0] in names and not fetch & set(words(chain))
    )


def tool_runs(recorder: Recorder) -> list[str]:
    """Return what crane and cosign were asked to do, in order, without the pull of the base image."""
    leaves = [chain.parent for chain in recorder.plan if chain.call.field == "stdout" and chain.parent]
    return [run for chain in leaves if (run := answers.tool_run(chain))]


# Building -------------------------------------------------------------------------------------------------------------


async def test_application_reads_and_fetches_and_compiles_nothing(recorder: Recorder) -> None:
    said = await erlmcp(recorder).application()
    assert said.splitlines()[0].split() == ["release", "greeter", "1.2.0"]
    fetch = "/pipeline/fetch.sh"
    assert [words(chain)[1:3] for chain in recorder.execs()] == [
        ["/pipeline/reader.sh", "prod"],
        [fetch, "packages"],
        [fetch, "get"],
    ]


async def test_application_is_told_where_the_dependencies_cannot_be_had(recorder: Recorder) -> None:
    recorder.answer("Container.withExec", exec_error(1, "===> 404"), when=lambda chain: "packages" in words(chain))
    said = await erlmcp(recorder).application()
    assert re.search("^native code +unknown for the dependencies [(]fetching the Hex packages", said, re.MULTILINE)


NIF = '[{"name": "fast", "programs": ["cc"]}]'


def without(chain: Chain, *lacking: str) -> str:
    """Return what a builder says it lacks of a C compiler, as far as it is one of these."""
    return "cc" if chain.images()[0].startswith(lacking) else ""


@pytest.mark.parametrize(
    ("lacking", "arguments", "said"),
    [
        ((), {}, "built with docker.io/library/erlang:"),
        (("docker.io",), {}, "docker.io/library/erlang:.* does not have these programs"),
        (("docker.io",), {"flavor": Flavor.debian}, "built with erlang:full"),
        (("mine",), {"flavor": Flavor.debian, "builder_image": "mine:1"}, "mine:1 does not have these programs"),
    ],
)
async def test_native_code_takes_a_builder_that_has_a_compiler(
    recorder: Recorder, lacking: tuple[str, ...], arguments: dict, said: str
) -> None:
    table = dag.directory().with_new_file("t", '[images]\nbuilder-debian-full = "erlang:full"\n').file("t")
    recorder.answer("File.contents", NIF, when=answers.reads("native.json"))
    recorder.answer("Container.stdout", lambda chain: without(chain, *lacking), when=asks_for_a_compiler)
    module = erlmcp(recorder, image_table=table, **arguments)
    assert re.search(f"^native code +fast [(]cc[)]; .*{said}", await module.application(), re.MULTILINE)


async def test_native_code_that_nothing_compiles_is_refused_before_anything_is_compiled(recorder: Recorder) -> None:
    recorder.answer("File.contents", NIF, when=answers.reads("native.json"))
    recorder.answer("Container.stdout", "cc", when=asks_for_a_compiler)
    with pytest.raises(
        InputError, match=r"fast \(cc\): compiling needs programs that .*--builder-image, or --flavor=debian$"
    ):
        await erlmcp(recorder).build_runtime()
    assert not [chain for chain in recorder.execs() if "compile" in words(chain)]


def asks_for_a_compiler(chain: Chain) -> bool:
    return bool(chain.parent and "cc" in chain.parent.call.args.get("args", []))


async def test_application_tells_what_would_be_refused_and_what_may_be_secret(recorder: Recorder) -> None:
    answers.of_reading(recorder, {**answers.READ, "vm_args": {"path": "vm.args"}})
    files = {"vm.args": "-name a@b\n-setcookie x\n", "config/a.pem": "", "_checkouts/x/b.key": ""}
    lines = (await erlmcp(recorder, files).application()).splitlines()
    assert [line for line in lines if line.startswith("refused: vm.args:2: this cookie")]
    assert lines[-1] == "may contain keys or passwords, and is sent to the engine: config/a.pem"
    lines = (await erlmcp(recorder, {**files, ".dockerignore": "_checkouts"}).application()).splitlines()
    assert lines[-1] == "not built, because .gitignore or .dockerignore excludes it: _checkouts"


async def settled(recorder: Recorder, toml: str, files: dict[str, str] | None = None, **given: object) -> Erlmcp:
    source = recorder.host_directory({**FILES, **(files or {}), "erlmcp.toml": toml})
    return await Erlmcp.create(source=source, **given)


async def test_the_file_gives_what_the_call_does_not(recorder: Recorder) -> None:
    toml = 'flavor = "debian"\notp = "27"\nprofile = "demo"\nlabels = ["a=b"]\ncookie-from-environment = true\n'
    made = await settled(recorder, toml)
    project = await made.given()
    assert (project.flavor, project.profile, project.labels) == ("debian", "demo", ("a=b",))
    assert project.cookie_from_environment
    assert project.builder == images_in_use("", {}, "27")["builder-debian"]
    assert made.from_file == ["flavor", "otp", "profile", "labels", "cookie-from-environment"]
    # And the default what neither gives.
    assert (project.release, project.platforms, project.repository) == ("", (), "")
    project = await (await settled(recorder, "")).given()
    assert (project.flavor, project.profile, project.cookie_from_environment) == ("alpine", "prod", False)


async def test_the_call_overrides_the_file_with_the_default_and_with_nothing_too(recorder: Recorder) -> None:
    toml = 'flavor = "debian"\nprofile = "demo"\nlabels = ["a=b"]\ncookie-from-environment = true\notp = "27"\n'
    given = {"flavor": Flavor.alpine, "profile": "prod", "labels": [], "cookie_from_environment": False, "otp": ""}
    made = await settled(recorder, toml, **given)
    project = await made.given()
    assert (project.flavor, project.profile, project.labels) == ("alpine", "prod", ())
    assert not project.cookie_from_environment
    assert project.builder == IMAGES["builder-alpine"]
    assert made.from_file == []


async def test_a_file_that_the_settings_name_is_the_projects(recorder: Recorder) -> None:
    files = {"deploy/images.toml": '[images]\ncrane = "mirror.example.org/crane:1"\n'}
    made = await settled(recorder, 'images = "deploy/images.toml"\n', files)
    assert 'crane = "mirror.example.org/crane:1"' in await made.images()
    with pytest.raises(
        InputError, match=r'^erlmcp.toml: images = "images.toml": there is no such file in the project$'
    ):
        await settled(recorder, 'images = "images.toml"\n', files)
    with pytest.raises(InputError, match=r'^erlmcp.toml: images = "deploy": there is no such file in the project$'):
        await settled(recorder, 'images = "deploy"\n', files)


async def test_every_file_that_the_settings_name_gets_where_it_is_used_and_none_is_kept(recorder: Recorder) -> None:
    """The engine keeps the module's object for later sessions, which know no file that was made in an earlier one."""
    known = arguments_of(Erlmcp.create)
    files = {name: f"deploy/{name}" for name, each in known.items() if each.type is dagger.File}
    table = {files["images"]: '[images]\ncrane = "mirror.example.org/crane:1"\n'}
    toml = "".join(f'{name} = "{path}"\n' for name, path in files.items())
    made = await settled(recorder, toml, {**dict.fromkeys(files.values(), "x"), **table})
    assert made.from_file == [f"{name}={path}" for name, path in files.items()]
    assert not [name for name in files if getattr(made, known[name].python)]
    project, sigstore = await made.given(), made.sigstore
    used = {name: getattr(project, known[name].python, None) for name in files}
    used |= {"sigstore-services": sigstore.services, "sigstore-root": sigstore.root}
    assert {name: await file.name() for name, file in used.items() if file} == {name: name for name in files}
    # What a call gives is another file.
    other = dag.directory().with_new_file("other.config", "").file("other.config")
    made = await settled(recorder, 'sys-config = "sys.config"\n', {"sys.config": ""}, sys_config=other)
    given = (await made.given()).sys_config
    assert given
    assert await given.name() == "other.config"


async def test_what_is_wrong_names_the_file_that_gave_it(recorder: Recorder) -> None:
    for toml, message in (
        ('otp = "x"', r"^--otp=x: .* \(erlmcp\.toml sets otp\)$"),
        ('repository = "Not one"', r"^--repository.* \(erlmcp\.toml sets repository\)$"),
        ('health-url = "localhost"', r"^--health-url .* \(erlmcp\.toml sets health-url\)$"),
    ):
        made = await settled(recorder, toml + "\n")
        with pytest.raises(InputError, match=message):
            await made.deps()
    made = await settled(recorder, 'grype-db-url = "https://a:b@example.org/db"\n')
    with pytest.raises(InputError, match=r"^--grype-db-url: .* \(erlmcp\.toml sets grype-db-url\)$"):
        await made.scan()


async def test_application_tells_what_the_file_gave(recorder: Recorder) -> None:
    answers.of_reading(recorder, answers.READ)
    lines = (await (await settled(recorder, 'flavor = "debian"\n', otp="28")).application()).splitlines()
    assert "set in erlmcp.toml: flavor" in lines
    assert "set in erlmcp.toml" not in await erlmcp(recorder).application()


async def test_serve_runs_the_image_by_its_entrypoint(recorder: Recorder) -> None:
    await (await erlmcp(recorder).serve()).start()
    [service] = recorder.find("asService")
    assert service.call.args["useEntrypoint"]
    # The CLI publishes every port that the image exposes.
    [exposed] = [chain.call.args["port"] for chain in recorder.find("withoutExposedPort")]
    assert exposed == 9100


async def test_images_shows_what_the_arguments_replace(recorder: Recorder) -> None:
    table = dag.directory().with_new_file("t", '[images]\ncrane = "mirror.example.org/crane:1"\n').file("t")
    module = erlmcp(recorder, image_table=table, runtime_image="mirror.example.org/alpine:3")
    said = await module.images()
    assert 'crane = "mirror.example.org/crane:1"' in said
    assert 'runtime-alpine = "mirror.example.org/alpine:3"' in said
    assert "# not pinned by digest: crane, runtime-alpine" in said


async def test_the_chosen_erlang_builds_and_a_pair_that_is_missing_is_refused_first(
    recorder: Recorder,
) -> None:
    await erlmcp(recorder, otp="27", flavor=Flavor.debian).deps()
    used = {chain.images()[0] for chain in recorder.execs()}
    assert images_in_use("", {}, "27")["builder-debian"] in used
    assert IMAGES["builder-debian"] not in used
    before = len(recorder.execs())
    with pytest.raises(InputError, match='the image table has no "builder-alpine" for Erlang/OTP 28; give --otp=29 or'):
        await erlmcp(recorder, otp="28").deps()
    assert len(recorder.execs()) == before


async def test_a_reference_that_is_none_is_named_by_its_argument(recorder: Recorder) -> None:
    with pytest.raises(InputError, match=r"^--builder-image: 'not an image' is not an image reference"):
        await erlmcp(recorder, builder_image="not an image").images()


async def test_each_stage_stops_where_it_ends(recorder: Recorder) -> None:
    module = erlmcp(recorder)
    for stage, last, label in (
        (module.deps, "/pipeline/fetch.sh", "deps"),
        (module.compile, "compile", "compile"),
        (module.release, "release", "release"),
    ):
        container = await stage()
        await container.sync()
        assert execs(recorder, last)
        assert recorder.plan[-1].calls("withLabel")[-1].args["value"] == label
        assert not execs(recorder, "/pipeline/root.sh")


async def test_build_runtime_is_the_image_with_its_init_and_its_check(recorder: Recorder) -> None:
    await (await erlmcp(recorder).build_runtime()).sync()
    chain = recorder.plan[-1]
    assert chain.calls("withEntrypoint")[-1].args["args"] == ["/usr/local/bin/tini", "--", "/usr/local/bin/entrypoint"]
    assert chain.calls("withDefaultArgs")[-1].args["args"] == ["foreground"]
    assert chain.calls("withDockerHealthcheck")[-1].args["args"] == ["/usr/local/bin/healthcheck"]


async def test_the_dockerignore_counts_before_anything_is_read(recorder: Recorder) -> None:
    with pytest.raises(InputError, match=r"^\.dockerignore:1: '\[oops' is not a valid pattern"):
        await erlmcp(recorder, {".dockerignore": "[oops\n"}).build_runtime()
    assert recorder.execs() == []


async def test_image_tarball_is_an_index_of_its_platforms(recorder: Recorder) -> None:
    await erlmcp(recorder, platforms=["linux/amd64", "linux/arm64"]).image_tarball()
    [pack] = [chain for chain in recorder.execs() if words(chain)[-1] == "pack the archive"]
    [layout] = [call.args["source"] for call in pack.calls("withMountedDirectory")]
    assert {"index.json", "oci-layout"} < layout.tree.keys()
    # The name that whoever exports it into a folder gets.
    assert recorder.find("file", path="/image.tar")
    platforms = [chain.calls("container")[0].args.get("platform") for chain in recorder.find("asTarball")]
    assert sorted(platforms, key=str) == [None, "linux/arm64"]
    pulls = [words(chain)[2] for chain in recorder.execs() if words(chain)[0] == "pull"]
    assert sorted(pulls) == ["--platform=linux/amd64", "--platform=linux/arm64"]


def exports(recorder: Recorder) -> list[Chain]:
    """Return where a packed image is taken out of the engine."""
    return [leaf for leaf in recorder.plan if leaf.call.field == "export" and leaf.calls("asTarball")]


async def test_what_looks_at_an_image_packs_it_once_in_the_engine_and_reads_no_layer(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    await passing(recorder).assess().verdict()
    assert exports(recorder) == []
    assert len(recorder.find("asTarball")) == 1
    read = {
        chain.parent.call.args.get("path", "")
        for chain in recorder.plan
        if chain.call.field == "contents" and chain.parent
    }
    assert "index.json" in read
    layers = {
        chain.call.args["path"] for chain in recorder.find("withFile") if chain.call.args["path"].startswith("blobs/")
    }
    assert len(layers) == OWN_LAYERS + 1
    assert not layers & read


async def test_a_label_runs_nothing_again_that_looks_at_files_alone(recorder: Recorder) -> None:
    answers.of_checks(recorder)

    async def keys(**changes: object) -> dict[str, set[str]]:
        start = len(recorder.plan)
        await passing(recorder, **changes).assess().verdict()
        runs = [step for chain in recorder.plan[start:] for step in chain.walk() if step.call.field == "withExec"]
        return {
            name: {step.content_key for step in runs if name in str(step.call.args["args"])}
            for name in ("elf.escript check", "inventory.escript", "image.tar")
        }

    plain, labelled = await keys(), await keys(labels=["org.opencontainers.image.vendor=Example"])
    assert all(plain.values())
    assert [plain[name] == labelled[name] for name in plain] == [True, True, False]
    # Of one release there is one check of what it loads.
    assert len(plain["elf.escript check"]) == 1


async def test_what_leaves_the_machine_is_compiled_without_the_cache_of_modules(recorder: Recorder) -> None:
    module = passing(recorder, incremental=True, repository=REPOSITORY)
    publish = functools.partial(module.assess().publish, unsigned=True, branch="main")
    for call in (module.image_tarball, module.sbom, module.scan, module.assess().reports, publish):
        with pytest.raises(InputError, match=r"^--incremental: only for the stages, build-runtime, serve, health and"):
            await call()
    assert not execs(recorder, "/pipeline/application.sh")
    await (await module.build_runtime()).sync()
    assert execs(recorder, "/pipeline/application.sh")


async def test_health_starts_the_image_as_a_service_after_its_proof(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    said = await erlmcp(recorder).health()
    assert "started: healthy" in said
    [service] = recorder.find("asService")
    assert service.call.args["useEntrypoint"] is True
    assert [chain.call.field for chain in recorder.plan if chain.call.type == "Service"] == ["start", "stop"]


async def test_health_says_why_a_node_does_not_start(recorder: Recorder) -> None:
    answers.of_checks(recorder, log='Kernel pid terminated (application_controller) ("{undef}")\n')
    recorder.answer(
        "Container.stdout",
        "died\t2.6\t1\tDown\n",
        when=lambda chain: bool(chain.parent and any("prove_health" in word for word in words(chain.parent))),
    )
    with pytest.raises(BuildError, match=r"^greeter does not start: it ended after 2\.6 s with exit code 1"):
        await erlmcp(recorder).health()
    assert recorder.find("asService") == []


async def test_size_is_that_of_the_exported_image(recorder: Recorder) -> None:
    said = await erlmcp(recorder).size()
    parts = [line.split()[0] for line in said.splitlines()[2:7]]
    assert parts == [
        "base",
        "libraries",
        "ERTS",
        "dependencies",
        "applications",
    ]
    assert len([chain for chain in recorder.plan if chain.call.field == "export"]) == 1


async def test_sbom_asks_syft_and_no_scanner_of_vulnerabilities(recorder: Recorder) -> None:
    directory = await erlmcp(recorder).sbom()
    assert await directory.entries() == ["sbom.cdx.json", "sbom.spdx.json", "sbom.spdx3.json"]
    assert scans(recorder) == ["syft"]
    assert execs(recorder, "/pipeline/inventory.escript")


async def test_no_stage_up_to_the_verdict_gets_a_secret(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    module = erlmcp(recorder)
    await module.health()
    await module.assess().reports()
    assert recorder.secrets() == []


# Judging --------------------------------------------------------------------------------------------------------------


async def test_scan_is_the_verdict_of_the_projects_own_policy(recorder: Recorder) -> None:
    with pytest.raises(
        PolicyError, match=r"^POLICY FAILED: 1 finding known to be exploited, \d+ findings of HIGH or worse\n"
    ):
        await erlmcp(recorder).scan()
    assert scans(recorder) == ["grype", "grype", "syft", "trivy", "trivy"]
    with pytest.raises(
        PolicyError, match=r"^POLICY FAILED: 1 finding known to be exploited, \d+ findings of LOW or worse\n"
    ):
        await erlmcp(recorder, {"erlmcp.toml": '[policy]\nfail-on = "LOW"\n'}).scan()


async def test_the_dockerignore_hides_no_policy(recorder: Recorder) -> None:
    tomorrow = NOW.date() + dt.timedelta(days=1)
    files = {
        ".dockerignore": "*.toml\nvex\n",
        "erlmcp.toml": '[policy]\nfail-on = "LOW"\n',
        "accept.toml": f'[[accept]]\nid = "CVE-1"\npackage = "none"\nreason = "r"\nuntil = {tomorrow}\n',
    }
    with pytest.raises(
        PolicyError, match=r"^POLICY FAILED: 1 finding known to be exploited, \d+ findings of LOW or worse\n"
    ) as raised:
        await erlmcp(recorder, files).scan()
    assert "acceptance matches no finding: CVE-1 of none" in str(raised.value)


@pytest.mark.parametrize("function", ["verdict", "reports", "publish"])
async def test_a_wrong_policy_is_told_before_anything_is_built(recorder: Recorder, function: str) -> None:
    arguments = {"version": "1.2.0", "unsigned": True} if function == "publish" else {}
    answers.of_a_registry(recorder, PASSWORD)
    with pytest.raises(InputError, match=r"^--fail-on: severe: not a severity"):
        await getattr(erlmcp(recorder).assess(fail_on="severe"), function)(**arguments)
    assert not execs(recorder, "--deps_only")
    assert scans(recorder) == []


def days(recorder: Recorder) -> set[str]:
    """Return the days whose databases were fetched."""
    variables = [call for chain in recorder.execs() for call in chain.calls("withEnvVariable")]
    return {call.args["value"] for call in variables if call.args["name"] == "DB_DATE"}


async def test_an_assessment_is_of_one_time_and_one_day(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    made = passing(recorder).assess()
    # Midnight has passed since it was asked for.
    yesterday = NOW - dt.timedelta(days=1)
    files = await dataclasses.replace(made, time=yesterday.isoformat()).reports()
    time = json.loads(await files.file("findings.json").contents())["time"]
    assert dt.datetime.fromisoformat(time) == yesterday.replace(microsecond=0)
    assert days(recorder) == {yesterday.date().isoformat()}


async def test_a_directory_without_a_database_is_refused(recorder: Recorder) -> None:
    for option, name in (("trivy_db", "--trivy-db"), ("grype_db", "--grype-db"), ("eef_db", "--eef-db")):
        module = erlmcp(recorder, **{option: recorder.host_directory({"other": ""})})
        with pytest.raises(InputError, match=rf"^{name}: this directory has no \w+\.(db|json); give the DIR that"):
            await module.scan()


async def test_what_is_published_on_erlang_is_fetched_once_and_given_from_then_on(recorder: Recorder) -> None:
    written = await (await erlmcp(recorder).advisories()).file("eef.json").contents()
    before = len([chain for chain in recorder.plan if chain.calls("http")])
    assert before
    given = recorder.host_directory({"eef.json": written})
    assert "PASSED" in await passing(recorder, eef_db=given).assess().verdict()
    assert len([chain for chain in recorder.plan if chain.calls("http")]) == before
    old = json.dumps({**json.loads(written), "fetched": (NOW - dt.timedelta(days=6)).isoformat()})
    with pytest.raises(ScannerError, match=r"^DATABASE TOO OLD: eef's database \(--eef-db\) .* 6 days ago"):
        await passing(recorder, eef_db=recorder.host_directory({"eef.json": old})).assess().verdict()


async def test_of_two_databases_none_is_taken(recorder: Recorder) -> None:
    two = {"a/6/vulnerability.db": "", "b/6/vulnerability.db": ""}
    with pytest.raises(
        InputError, match=r"^--grype-db: this directory has 2 databases \(a/6/vulnerability.db, b/6/vulnerability.db"
    ):
        await erlmcp(recorder, grype_db=recorder.host_directory(two)).scan()
    two = {"old/db/trivy.db": "", "db/trivy.db": ""}
    with pytest.raises(
        InputError,
        match=r"^--trivy-db: this directory has 2 databases \(db/trivy.db, old/db/trivy.db\); give one with only one",
    ):
        await erlmcp(recorder, trivy_db=recorder.host_directory(two)).scan()
    with pytest.raises(InputError, match=r"^--grype-db: this directory is inside Grype's cache; give the DIR above it"):
        await erlmcp(recorder, grype_db=recorder.host_directory({"vulnerability.db": ""})).scan()
    assert recorder.execs() == []


async def test_an_old_database_decides_nothing(recorder: Recorder) -> None:
    built = (NOW - dt.timedelta(days=6)).isoformat()
    recorder.answer("File.contents", json.dumps({"UpdatedAt": built}), when=answers.reads("metadata.json"))
    with pytest.raises(ScannerError, match=r"^DATABASE TOO OLD: trivy's database .* 6 days ago"):
        await passing(recorder).assess().verdict()
    assert "PASSED" in await passing(recorder).assess(accept_old_db=True).verdict()


async def test_the_image_is_searched_for_secrets(recorder: Recorder) -> None:
    await passing(recorder).assess().verdict()
    [image] = [words(chain) for chain in recorder.execs() if words(chain)[0] == "image" and "--input" in words(chain)]
    assert "--scanners=vuln,secret" in image
    assert "--image-config-scanners=secret" in image
    # Trivy passes over folders that look like tests or examples, unless it is told not to.
    told = image[image.index("--secret-config") + 1]
    [file] = {
        call.args["contents"]
        for chain in recorder.execs()
        for call in chain.calls("withNewFile")
        if call.args["path"] == told
    }
    assert "disable-allow-rules: [tests, examples, vendor, markdown]" in file


def with_a_secret(recorder: Recorder) -> None:
    """Let Trivy find a private key in the image."""
    report = json.loads(answers.scanned("trivy.json"))
    found = {"RuleID": "private-key", "Severity": "HIGH", "Title": "Asymmetric Private Key", "StartLine": 1}
    report["Results"].append({"Target": "/opt/greeter/key.pem", "Class": "secret", "Secrets": [found]})
    recorder.answer("File.contents", json.dumps(report), when=answers.reads("/out/trivy.json"))


async def test_a_secret_breaks_scan_and_publish_and_stands_in_every_report(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    answers.of_checks(recorder)
    with_a_secret(recorder)
    module = passing(recorder, repository=REPOSITORY)
    for call in (module.scan(), module.assess().publish(version="1.2.0", unsigned=True)):
        with pytest.raises(PolicyError, match=r"^POLICY FAILED: 1 secret in the image\n"):
            await call
    assert "push" not in tool_runs(recorder)
    files = await passing(recorder).assess().reports()
    for name in ("findings.json", "findings.sarif", "trivy.sarif", "junit.xml", "report.md", "report.html"):
        text = await files.file(name).contents()
        assert "private-key" in text, name
        assert "/opt/greeter/key.pem" in text, name
    entry = '[[accept]]\nrule = "private-key"\npath = "/opt/greeter/key.pem"\nreason = "made up"\nuntil = 2099-01-01\n'
    module = erlmcp(recorder, {**PASSING, "accept.toml": PASSING["accept.toml"] + entry})
    assert (await module.scan()).endswith("PASSED: no finding of CRITICAL\n")


async def test_reports_say_who_calls_what_an_advisory_names(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    files = await passing(recorder).assess().reports()
    for name in ("findings.json", "findings.sarif", "report.md", "report.html"):
        assert "called by greeter_web:answer/1 of greeter_web" in await files.file(name).contents(), name
    asked = next(chain for chain in recorder.execs() if "callers.escript" in str(chain.call.args["args"]))
    assert "inets httpd_request:parse_headers/7" in answers.written(asked, "/pipeline/wanted").splitlines()


async def test_a_release_whose_code_cannot_be_read_is_judged_all_the_same(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, stderr="===> /opt/greeter/lib/x-1/ebin/x.beam: its code cannot be read"),
        when=lambda chain: "callers.escript" in str(chain.call.args["args"]),
    )
    said = await passing(recorder).scan()
    assert said.endswith("PASSED: no finding of CRITICAL\n")
    assert "x.beam: its code cannot be read" in said


async def test_a_system_that_ended_breaks_with_the_day_of_its_end(recorder: Recorder) -> None:
    report = json.loads(answers.scanned("trivy.json"))
    report["Metadata"]["OS"]["EOSL"] = True
    recorder.answer("File.contents", json.dumps(report), when=answers.reads("/out/trivy.json"))
    log = "DEBUG package from EOL distro distro=debian 13 eol_date=2026-10-01 00:00:00 +0000 UTC package=pkg:hex/ctx"
    recorder.answer("Container.stderr", lambda chain: log if "debian:13" in words(chain.parent) else "")
    with pytest.raises(PolicyError, match=r"^POLICY FAILED: debian 13.8 gets no security fixes since 2026-10-01\n"):
        await passing(recorder).scan()
    days = [words(chain)[2] for chain in recorder.execs() if "--distro" in words(chain)]
    assert days == ["debian:13.8", "debian:13"]


async def test_a_system_that_lives_is_asked_nothing(recorder: Recorder) -> None:
    await passing(recorder).scan()
    assert not execs(recorder, "--distro")


@pytest.mark.parametrize(
    ("product", "platforms", "suppressed"),
    [
        ("ghcr.io/banyan-platform/greeter:1.2.0", [], True),
        # As Trivy prints it.
        ("pkg:oci/greeter?arch=amd64&repository_url=ghcr.io%2Fbanyan-platform%2Fgreeter", [], True),
        # Of two images one is scanned: what is said of that one alone does not hold for the other.
        ("pkg:oci/greeter?arch=amd64", ["linux/amd64", "linux/arm64"], False),
        ("pkg:oci/greeter?repository_url=ghcr.io/x/greeter", [], False),
    ],
)
async def test_a_vex_document_can_name_the_image(
    recorder: Recorder,
    product: str,
    platforms: list[str],
    suppressed: bool,  # noqa: FBT001 # a table
) -> None:
    statement = {
        "vulnerability": {"name": "CVE-2025-32433"},
        "products": [{"@id": product}],
        "status": "not_affected",
        "justification": "component_not_present",
    }
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/vex",
        "timestamp": "2026-01-01T00:00:00Z",
        "statements": [statement],
    }
    vex = dag.directory().with_new_file("vex.json", json.dumps(document)).file("vex.json")
    image = erlmcp(recorder, platforms=platforms, repository=REPOSITORY).assess(fail_on="CRITICAL", vex=[vex])
    if suppressed:
        assert "not affected or fixed, by VEX: 1" in await image.verdict()
    else:
        with pytest.raises(PolicyError) as raised:
            await image.verdict()
        told = f"VEX --vex vex.json: 1 of 1 statement matches no finding: CVE-2025-32433 of {product}"
        assert told in str(raised.value)


async def test_what_is_not_shipped_is_kept_from_the_scanners(recorder: Recorder) -> None:
    await passing(recorder).assess().verdict()
    handed = [
        json.loads(next(iter(call.args["source"].tree.values()))[0])
        for chain in recorder.execs()
        for call in chain.calls("withMountedFile")
        if call.args["path"] == "/scan/sbom.cdx.json"
    ]
    assert len(handed) == 2
    assert all(document["components"] for document in handed)
    assert not [part for document in handed for part in document["components"] if part["name"] == "lib_combin"]
    files = await erlmcp(recorder).sbom()
    written = json.loads(await files.file("sbom.cdx.json").contents())
    assert [each for each in written["metadata"]["properties"] if "lib_combin" in each["value"]]


async def test_an_index_has_an_sbom_for_each_platform(recorder: Recorder) -> None:
    files = await passing(recorder, platforms=["linux/amd64", "linux/arm64"]).sbom()
    names = [f"sbom{platform}.{form}.json" for platform in ("", ".linux-amd64", ".linux-arm64") for form in FORMATS]
    assert sorted(await files.entries()) == sorted(names)
    roots = {
        name: json.loads(await files.file(name).contents())["metadata"]["component"]["purl"]
        for name in names
        if name.endswith(".cdx.json")
    }
    # Each is of its own image, the plain one of the index.
    assert len(set(roots.values())) == 3
    loaded = [words(chain)[5] for chain in recorder.execs() if words(chain)[-1] == "/pipeline/loads"]
    assert set(loaded) == {"native", "arm64"}
    # Syft is shown one image each time.
    layouts = [
        json.loads(call.args["source"].tree["index.json"][0])["manifests"]
        for chain in recorder.execs()
        for call in chain.calls("withMountedDirectory")
        if call.args["path"] == "/scan/image"
    ]
    assert all(len(manifests) == 1 for manifests in layouts)


async def test_reports_are_written_whatever_the_verdict(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    files = await erlmcp(recorder).assess(fail_on="LOW").reports()
    names = await files.entries()
    assert {"findings.json", "findings.sarif", "report.md", "junit.xml", "sbom.cdx.json", "compliance.md"} <= set(names)
    assert "report.html" in names
    assert json.loads(await files.file("findings.json").contents())["verdict"]["passed"] is False
    assert "health check present and passing" in await files.file("compliance.md").contents()
    assert scans(recorder) == ["grype", "grype", "syft", "trivy", "trivy"]


async def test_the_page_alone_takes_the_image_out_of_the_engine(recorder: Recorder) -> None:
    answers.of_checks(recorder)
    files = await erlmcp(recorder).assess().reports()
    page = await files.file("report.html").contents()
    # For the sizes of the files.
    assert len(exports(recorder)) == 1
    for said in ('"name":"ranch"', "size within budget", "CVE-2025-32433"):
        assert said in page


# Publishing -----------------------------------------------------------------------------------------------------------


def assessment(recorder: Recorder, **arguments: object) -> Assessment:
    answers.of_checks(recorder)
    answers.failing(recorder, "digest", "Error: MANIFEST_UNKNOWN: manifest unknown")
    return passing(recorder, **{"repository": REPOSITORY} | arguments).assess()


def signing() -> dict[str, object]:
    return {"cosign_key": secret(KEY), "transparency_log": False}


async def test_publish_judges_then_pushes_signs_attests_and_tags(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    said = await assessment(recorder).publish(version="1.2.0", user="robot", password=secret(PASSWORD), **signing())
    assert said.startswith(f"{REPOSITORY}@sha256:")
    runs = tool_runs(recorder)
    # Asked before the build, and again after it; the version first, then what else is to be its own now.
    asked = ["list", "list", "digest", "public-key"]
    assert runs == [*asked, "push", "sign", *["attest"] * len(PREDICATES), "put", "list", *["put"] * 3, "look"]
    # Every scanner's report is read before the first thing is pushed.
    pushed = next(
        n for n, chain in enumerate(recorder.plan) if chain.parent and "push" in chain.parent.call.args.get("args", ())
    )
    read = [n for n, chain in enumerate(recorder.plan) if answers.reads("grype.json", "trivy.json")(chain)]
    assert max(read) < pushed
    assert scans(recorder) == ["grype", "grype", "syft", "trivy", "trivy"]


async def test_publish_requires_the_checks_that_matter(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    made = assessment(recorder)
    recorder.answer("Container.stdout", "0\n", when=lambda chain: bool(chain.parent and "-u" in words(chain.parent)))
    with pytest.raises(PolicyError) as raised:
        await made.publish(version="1.2.0", unsigned=True)
    head, line = str(raised.value).splitlines()
    assert head.startswith("nothing was pushed: the image fails checks that the policy requires")
    assert line == "non-root: runs as a non-root user: USER 1000:1000, uid 0"
    assert "push" not in tool_runs(recorder)
    # Others can be asked for, in place of those, or none.
    with pytest.raises(PolicyError, match="labels: labels complete: missing: "):
        await made.publish(version="1.2.0", unsigned=True, require=["labels"])
    await made.publish(version="1.2.0", require=["none"], **signing())
    assert "push" in tool_runs(recorder)
    # Of checks that did not run, nothing is stated.
    types = [word for chain in recorder.execs() for word in words(chain) if word.startswith("--type=")]
    assert types
    assert f"--type={TESTED}" not in types


async def test_publish_gives_secrets_to_those_that_need_them(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    await assessment(recorder).publish(version="1.2.0", user="robot", password=secret(PASSWORD), **signing())
    with_secret = {chain.images()[0] for chain in recorder.execs() if chain.calls("withMountedSecret")}
    assert with_secret == {IMAGES["crane"], IMAGES["git"], IMAGES["cosign"]}
    text = recorder.text()
    login = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
    assert not [plain for plain in (PASSWORD, KEY, login) if plain in text]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": "1.2", "unsigned": True}, "--version 1.2: write MAJOR.MINOR.PATCH"),
        ({"unsigned": True}, "no tag is given: give --tags, --version"),
        ({"tags": ["-x"], "unsigned": True}, "--tags '-x': not a tag"),
        ({"version": "1.2.0"}, "give one of --cosign-key, --identity-token and --identity-url to sign, or --unsigned"),
        ({"version": "1.2.0", "unsigned": True, "user": "robot"}, "--user and --password: give both"),
        ({"version": "1.2.0", "unsigned": True, "builder_id": "jenkins"}, "--builder-id jenkins: give a URI"),
        ({"version": "1.2.0", "unsigned": True, "builder_id": "ci: me"}, "--builder-id ci: me: give a URI"),
    ],
)
async def test_publish_refuses_what_is_wrong_before_it_builds(
    recorder: Recorder, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as raised:
        await assessment(recorder).publish(**arguments)
    assert str(raised.value).startswith(message)
    assert recorder.execs() == []


WRONG: list[tuple[dict[str, object], str]] = [
    ({"created": "yesterday"}, "--created yesterday: give a time with a time zone"),
    ({"labels": ["oops"]}, "--labels oops: expected KEY=VALUE"),
    ({"platforms": ["linux/amd64", "linux/arm"]}, "--platforms linux/arm: not a supported platform"),
    ({"repository": "ghcr.io/A"}, "--repository ghcr.io/A: 'A' is not a repository name"),
    ({"repository": "ghcr.io/a/b:1"}, "--repository ghcr.io/a/b:1: give only the repository"),
    ({"apps": ["greeter_core", "sasl:loaded"]}, "--apps sasl:loaded: expected NAME or NAME:TYPE"),
    ({"hex_mirror": "hex.example.org"}, "--hex-mirror hex.example.org: give a URL"),
    ({"hex_mirror": "https://me:word@hex.example.org"}, "--hex-mirror: the URL contains a login, which the"),
    ({"hex_mirror": "https://word@hex.example.org/x"}, "--hex-mirror: the URL contains a login, which the"),
    ({"health_url": "http://me:word@127.0.0.1/"}, "--health-url: the URL contains a login, which"),
    ({"health_url": "/health"}, "--health-url /health: give a URL"),
    ({"builder_image": "a b"}, "--builder-image: 'a b' is not an image reference"),
]


@pytest.mark.parametrize(
    "call",
    [
        lambda module: module.build_runtime(),
        lambda module: module.image_tarball(),
        lambda module: module.sbom(),
        lambda module: module.scan(),
        lambda module: module.assess().publish(version="1.2.0", unsigned=True),
    ],
)
async def test_a_wrong_argument_is_told_before_anything_is_run(
    recorder: Recorder, call: Callable[[Erlmcp], Awaitable[object]]
) -> None:
    for arguments, message in WRONG:
        with pytest.raises(InputError) as raised:
            await call(erlmcp(recorder, **arguments))
        assert str(raised.value).startswith(message)
    assert recorder.execs() == []


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, {"scout_user": "me"}, "--scout-user and --scout-token: give both"),
        ({}, {"scout_user": "me", "scout_token": "token"}, 'the image table has no "scout"; add'),
        ({}, {"trivy_db": ""}, "--trivy-db: this directory has no trivy.db"),
        ({"accept.toml": "x"}, {}, "accept.toml: this file is not valid TOML"),
        ({"erlmcp.toml": "[policy]\nvex = ['vex/gone.json']\n"}, {}, "erlmcp.toml: policy.vex names vex/gone.json"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda module: module.scan(),
        lambda module: module.assess().reports(),
        lambda module: module.assess().publish(version="1.2.0", unsigned=True),
    ],
)
async def test_what_is_wrong_with_a_policy_is_told_before_anything_is_run(
    recorder: Recorder,
    call: Callable[[Erlmcp], Awaitable[object]],
    files: dict[str, str],
    arguments: dict[str, object],
    message: str,
) -> None:
    if "scout_token" in arguments:
        arguments = arguments | {"scout_token": secret("token")}
    if "trivy_db" in arguments:
        arguments = arguments | {"trivy_db": recorder.host_directory({"db/metadata.json": "{}"})}
    with pytest.raises(InputError) as raised:
        await call(erlmcp(recorder, files, **arguments))
    assert str(raised.value).startswith(message)
    assert recorder.execs() == []


async def test_nothing_is_published_to_a_place_that_nobody_named(recorder: Recorder) -> None:
    with pytest.raises(
        InputError, match=r"^--repository is missing: give the repository to publish to, before the function assess"
    ):
        await assessment(recorder, repository="").publish(version="1.2.0", unsigned=True, dry_run=True)
    assert recorder.execs() == []


async def test_reports_of_an_image_without_a_place_have_its_name_alone(recorder: Recorder) -> None:
    document = await (await passing(recorder).sbom()).file("sbom.cdx.json").contents()
    component = json.loads(document)["metadata"]["component"]
    assert component["name"] == "greeter"
    assert component["purl"].startswith("pkg:oci/greeter@sha256")
    assert "repository_url" not in component["purl"]


@pytest.mark.parametrize("platforms", [[], ["linux/amd64", "linux/arm64"]])
async def test_what_is_said_of_an_index_names_the_image_that_was_looked_at(
    recorder: Recorder, platforms: list[str]
) -> None:
    answers.of_checks(recorder)
    files = await passing(recorder, platforms=platforms).assess().reports()
    remark = "an index of several images; the one for linux/amd64 was scanned"
    for name in ("findings.json", "compliance.md", "report.md", "report.html", "sbom.spdx.json"):
        assert (remark in await files.file(name).contents()) is bool(platforms), name
    metadata = json.loads(await files.file("sbom.cdx.json").contents())["metadata"]
    said = [each["value"] for each in metadata["properties"] if each["name"] == "pipeline:platform"]
    assert said == ["linux/amd64"] * bool(platforms)


async def test_a_registry_that_no_container_sees_is_told_before_anything_is_run(recorder: Recorder) -> None:
    with pytest.raises(InputError, match=r"^localhost:5000: a registry on this machine"):
        await assessment(recorder, repository="localhost:5000/a").publish(version="1.2.0", unsigned=True)
    assert recorder.execs() == []


async def test_what_breaks_the_policy_is_not_pushed(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    with pytest.raises(PolicyError, match=r"^POLICY FAILED"):
        await erlmcp(recorder, repository=REPOSITORY).assess(fail_on="LOW").publish(version="1.2.0", unsigned=True)
    assert tool_runs(recorder) == ["list"]


async def test_a_crashed_scanner_pushes_nothing(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    recorder.answer(
        "Container.withExec",
        exec_error(1, stderr="panic: boom"),
        when=lambda chain: chain.images()[:1] == [IMAGES["grype"]] and "update" not in words(chain),
    )
    with pytest.raises(ScannerError, match=r"^SCANNER FAILED: grype"):
        await assessment(recorder).publish(version="1.2.0", unsigned=True)
    assert tool_runs(recorder) == ["list"]


async def test_a_version_that_is_another_image_is_not_moved_unless_one_says_so(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD, {"1.2.0": OTHER, "1.2": OTHER})
    with pytest.raises(PolicyError, match=rf"nothing was pushed: tag 1\.2\.0 already points to {OTHER}"):
        await assessment(recorder).publish(version="1.2.0", unsigned=True)
    assert "push" not in tool_runs(recorder)
    await assessment(recorder).publish(version="1.2.0", unsigned=True, move=True)
    assert "push" in tool_runs(recorder)


async def test_a_branch_does_not_go_back_to_an_earlier_commit_unless_one_says_so(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD, {"main": OTHER, "production": OTHER})
    said = {"config": {"Labels": {"org.opencontainers.image.created": "2026-02-05T00:00:00Z"}}}
    index = {"manifests": [{"digest": DIGEST}]}
    for word, text in (("manifest", index), ("config", said)):
        recorder.answer(
            "Container.stdout",
            json.dumps(text),
            when=lambda chain, word=word: bool(chain.find("from")) and answers.tool_run(chain.parent) == word,
        )
    for created, tags, goes_back in (
        ("2026-02-04T00:00:00Z", {"branch": "main"}, True),
        ("2026-02-06T00:00:00Z", {"branch": "main"}, False),
        ("2026-02-04T00:00:00Z", {"branch": "main", "move": True}, False),
        # Who names a tag means it.
        ("2026-02-04T00:00:00Z", {"tags": ["production"]}, False),
    ):
        before = tool_runs(recorder).count("push")
        made = assessment(recorder, created=created)
        if goes_back:
            with pytest.raises(
                PolicyError, match=rf"^nothing was pushed: tag main points to {OTHER}, built from commit"
            ):
                await made.publish(unsigned=True, **tags)
        else:
            await made.publish(unsigned=True, **tags)
        assert tool_runs(recorder).count("push") == before + (not goes_back)
    assert {words(chain)[1] for chain in recorder.execs() if words(chain)[0] == "config"} == {f"{REPOSITORY}@{DIGEST}"}


async def test_each_tag_is_asked_about_by_itself_and_the_list_only_where_it_matters(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    await assessment(recorder).publish(version="1.2.0", unsigned=True)
    await assessment(recorder).publish(tags=["1.2.0", "latest"], unsigned=True)
    first, *_, last = [words(chain)[2:] for chain in recorder.execs() if answers.tool_run(chain) in {"list", "look"}]
    assert first == ["list", REPOSITORY, "1.2.0", "1.2", "1", "latest"]
    assert last == ["look", REPOSITORY, "1.2.0", "latest"]


async def test_a_dry_run_pushes_nothing(recorder: Recorder) -> None:
    answers.of_a_registry(recorder, PASSWORD)
    recorder.answer("Directory.file", _blob, when=lambda chain: chain.call.args["path"].startswith("blobs/"))
    said = await assessment(recorder).publish(branch="main", dry_run=True, **signing())
    assert said.startswith("dry run: nothing was pushed\nwould read --cosign-key\nwould push ")
    assert tool_runs(recorder) == ["look", "look", "digest"]


def _blob(chain: Chain) -> dict[str, str]:
    tree = chain.parent.tree or {}
    return {"blob": tree[chain.call.args["path"]][0]}


# What is published ----------------------------------------------------------------------------------------------------


def envelope(kind: str, predicate: object) -> str:
    statement = {
        "predicateType": kind,
        "subject": [{"name": "x", "digest": {"sha256": DIGEST.removeprefix("sha256:")}}],
        "predicate": predicate,
    }
    return json.dumps({"payload": base64.b64encode(json.dumps(statement).encode()).decode()}) + "\n"


FORMATS = ("spdx", "spdx3", "cdx")


def of_a_published_image(recorder: Recorder, found: dict[str, object] = FOUND, *more: dict[str, object]) -> None:
    """Let the registry have an image that is signed and attested, under two tags; with more components."""
    manifest = {"config": {"digest": "config", "size": 10}, "layers": [{"digest": "layer", "size": 90}]}
    claims = [{"critical": {"type": SIGNATURE, "image": {"docker-manifest-digest": DIGEST}}}]
    predicates = {kind: found if kind == FINDINGS else {} for kind in PREDICATES}
    predicates[CYCLONEDX] = {
        "components": [
            {"name": "shipped", "version": "1.0", "purl": "pkg:otp/shipped@1.0", "scope": "required"},
            {"name": "locked", "scope": "excluded"},
            *more,
        ]
    }
    said_of = {
        "manifest": json.dumps(manifest),
        "blob": json.dumps({"os": "linux", "architecture": "amd64"}),
        "verify": json.dumps(claims),
        **dict.fromkeys(("tree", "copy"), ""),
    }
    there = {"1.2.0": DIGEST, "latest": DIGEST, "old": OTHER}

    def said(chain: Chain) -> str:
        run = words(chain.parent)
        if run[:2] == ["sh", TAGS]:
            return answers.asked(there, run[2], *run[4:])
        if run[0] == "digest":
            return DIGEST
        if run[0] == "verify-attestation":
            kind = next(word for word in run if word.startswith("--type=")).removeprefix("--type=")
            return envelope(kind, predicates[kind])
        return said_of[run[0]]

    answers.of_secrets(recorder, PASSWORD)
    recorder.answer("Container.entrypoint", ["/ko-app/crane"])
    recorder.answer("Container.stdout", said, when=lambda chain: bool(answers.tool_run(chain.parent)))


def published(recorder: Recorder, reference: str = f"{REPOSITORY}@{DIGEST}", **arguments: object) -> Published:
    of_a_published_image(recorder)
    return passing(recorder).published(reference, **arguments)


def verified(recorder: Recorder, reference: str = f"{REPOSITORY}@{DIGEST}") -> Verified:
    return published(recorder, reference).verified(key=public_key(), transparency_log=False)


async def test_published_says_what_a_reference_names(recorder: Recorder) -> None:
    image = published(recorder, f"{REPOSITORY}:latest")
    assert await image.digest() == DIGEST
    assert await image.refs() == [f"{REPOSITORY}:1.2.0", f"{REPOSITORY}:latest"]
    assert await image.sizes() == ["linux/amd64 100"]


async def test_published_builds_nothing(recorder: Recorder) -> None:
    image = published(recorder)
    for ask in (image.digest, image.refs, image.sizes):
        await ask()
    assert {chain.images()[0] for chain in recorder.execs()} == {IMAGES["crane"], IMAGES["git"]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda module: module.published("greeter:latest"), "--reference greeter:latest: it does not start with"),
        (lambda module: module.published(f"{REPOSITORY}@{DIGEST}").verified(), "the required signer is missing"),
        (
            lambda module: module.published(f"{REPOSITORY}@{DIGEST}").verified(
                identity="me", issuer="it", transparency_log=False
            ),
            "--transparency-log=false: --identity can only be verified with the log",
        ),
    ],
)
async def test_what_is_wrong_is_told_at_once(
    recorder: Recorder, make: Callable[[Erlmcp], object], message: str
) -> None:
    with pytest.raises(InputError) as raised:
        make(erlmcp(recorder))
    assert str(raised.value).startswith(message)


async def test_half_a_login_is_refused(recorder: Recorder) -> None:
    with pytest.raises(InputError, match="--user and --password: give both"):
        await published(recorder, user="robot").digest()


async def test_the_login_reaches_cosign_and_crane(recorder: Recorder) -> None:
    image = published(recorder, user="robot", password=secret(PASSWORD))
    await image.verified(key=public_key(), transparency_log=False).summary()
    assert all(chain.calls("withMountedSecret") for chain in recorder.execs())
    assert PASSWORD not in recorder.text()


async def test_summary_shows_what_was_proved_and_asks_the_log_unless_told_not_to(recorder: Recorder) -> None:
    said = await verified(recorder).summary()
    assert f"{REPOSITORY}@{DIGEST}" in said
    assert "PASSED: no finding of HIGH or worse" in said
    assert tool_runs(recorder) == ["verify", *["verify-attestation"] * len(PREDICATES)]
    for log in (True, False):
        before = len(recorder.execs())
        await published(recorder).verified(key=public_key(), transparency_log=log).summary()
        ignored = ["--insecure-ignore-tlog" in words(chain) for chain in recorder.execs()[before:]]
        assert ignored == [not log] * (1 + len(PREDICATES))


async def test_a_log_is_never_ignored_for_an_identity(recorder: Recorder) -> None:
    image = published(recorder).verified(identity="me", issuer="https://it")
    await image.summary()
    assert not execs(recorder, "--insecure-ignore-tlog")


async def test_promote_proves_scans_copies_proves_again_and_tags(recorder: Recorder) -> None:
    said = await verified(recorder).promote(["production"], to="ghcr.io/banyan-platform/production")
    assert "ghcr.io/banyan-platform/production:production" in said
    proof = ["verify", *["verify-attestation"] * len(PREDICATES)]
    assert tool_runs(recorder) == ["look", *proof, "tree", "copy", *proof, "put", "look"]
    # The SBOM alone is scanned: nothing is built.
    assert scans(recorder) == ["grype", "trivy"]
    assert not execs(recorder, "--deps_only")


@pytest.mark.parametrize(
    ("promote", "message"),
    [
        (lambda image: image.promote(["-x"]), "--tags '-x': not a tag"),
        (
            lambda image: image.promote(["x"], to="Nowhere"),
            "--to Nowhere: it does not start with the host of a registry",
        ),
        (lambda image: image.promote(["x"], fail_on="severe"), "--fail-on: severe: not a severity"),
        (lambda image: image.promote(["x"], to_user="robot"), "--user and --password: give both"),
    ],
)
async def test_promote_refuses_what_is_wrong_before_it_asks_anything(
    recorder: Recorder, promote: Callable[[Verified], Awaitable[str]], message: str
) -> None:
    with pytest.raises(InputError) as raised:
        await promote(verified(recorder))
    assert str(raised.value).startswith(message)
    assert recorder.execs() == []


async def test_promote_takes_no_tag_for_an_image(recorder: Recorder) -> None:
    with pytest.raises(InputError, match="promote needs the digest of the image"):
        await verified(recorder, f"{REPOSITORY}:latest").promote(["production"], fresh_scan=False)
    assert recorder.execs() == []


async def test_what_would_not_pass_today_is_not_promoted(recorder: Recorder) -> None:
    with pytest.raises(PolicyError, match="nothing was promoted: the image does not pass the policy today"):
        await verified(recorder).promote(["production"], fail_on="LOW")
    assert "put" not in tool_runs(recorder)


async def test_rescan_judges_the_attested_sbom_by_the_attested_policy(recorder: Recorder) -> None:
    said = await verified(recorder).rescan()
    assert said.startswith(f"{REPOSITORY}@{DIGEST}\n")
    [trivy] = [chain for chain in recorder.execs() if words(chain)[0] == "sbom"]
    [handed] = [call.args["source"] for call in trivy.calls("withMountedFile")]
    [text] = [file[0] for file in handed.tree.values()]
    assert [part["name"] for part in json.loads(text)["components"]] == ["shipped"]
    # What the project says by now is another image's policy; what the command says counts.
    project = erlmcp(recorder, {"erlmcp.toml": '[policy]\nfail-on = "LOW"\n'})
    image = project.published(f"{REPOSITORY}@{DIGEST}").verified(key=public_key())
    assert "PASSED: no finding of CRITICAL" in await image.rescan()
    with pytest.raises(PolicyError):
        await image.rescan(fail_on="LOW")
    nothing = dag.directory().with_new_file("accept.toml", "").file("accept.toml")
    with pytest.raises(PolicyError, match="CVE-2025-32433"):
        await image.rescan(accept=nothing)


async def test_a_rescan_asks_the_registries_what_they_say_by_now(recorder: Recorder) -> None:
    image = verified(recorder)
    kind = {"name": "pipeline:kind", "value": "hex"}
    part = {"name": "cowboy", "version": "2.12.0", "purl": "pkg:hex/cowboy@2.12.0", "properties": [kind]}
    package = {"name": "ssh", "version": "5.2.6", "kind": "otp"}
    exploited = {"id": "CVE-2025-32433", "aliases": [], "package": package, "status": "accepted", "exploited": "2025"}
    of_a_published_image(recorder, {**FOUND, "findings": [exploited]}, part)
    assert "0 of them break" in await image.rescan()
    retired = {"retired": {"reason": "security", "message": "why"}, "others": [], "advisories": []}
    recorder.answer("Container.stdout", json.dumps([retired]), when=answers.of_a_registry_of_hex)
    with pytest.raises(PolicyError, match=r" of them break the policy\n(.*\n)*.*retired +cowboy") as failed:
        await image.rescan(fail_on="HIGH")
    assert "\ncowboy 2.12.0 is retired (security): why\n" in str(failed.value)
    recorder.answer("Container.stdout", '[{"unknown": "nobody is there"}]', when=answers.of_a_registry_of_hex)
    assert "not known whether retired: cowboy 2.12.0: nobody is there" in await image.rescan()


async def test_a_scanner_that_does_not_see_the_attested_sbom_failed(recorder: Recorder) -> None:
    image = verified(recorder)
    recorder.answer("File.contents", json.dumps({"components": []}), when=answers.reads("grype.cdx.json"))
    with pytest.raises(PolicyError, match=r"SCANNER FAILED: grype \(SBOM\): it saw 0 of 1 packages of type otp"):
        await image.rescan()


async def test_a_secret_in_the_image_is_not_promoted_unless_somebody_answers_for_it(recorder: Recorder) -> None:
    secret = {
        "id": "private-key",
        "aliases": [],
        "package": {"name": "/opt/greeter/key.pem", "version": "line 1", "purl": None, "kind": "secret"},
        "severity": "HIGH",
        "title": "Asymmetric Private Key",
        "status": "accepted",
        "fixed": [],
    }
    image = verified(recorder)
    of_a_published_image(recorder, {**FOUND, "findings": [secret]})
    with pytest.raises(PolicyError, match="POLICY FAILED: 1 secret in the image"):
        await image.promote(["production"])
    entry = (
        PASSING["accept.toml"]
        + """[[accept]]
rule = "private-key"
path = "/opt/greeter/key.pem"
reason = "made up"
until = 2099-01-01
"""
    )
    accepted = dag.directory().with_new_file("accept.toml", entry).file("accept.toml")
    assert "production" in await image.promote(["production"], accept=accepted)


async def test_what_is_not_signed_is_not_rescanned(recorder: Recorder) -> None:
    image = verified(recorder)
    answers.failing(recorder, "verify", "Error: no signatures found")
    with pytest.raises(VerificationError, match="the signature cannot be verified: no signatures found"):
        await image.rescan()
    assert scans(recorder) == []


async def test_one_init_for_two_platforms_is_told_before_anything_is_run(recorder: Recorder) -> None:
    init = dag.directory().with_new_file("tini", "ELF").file("tini")
    with pytest.raises(InputError, match=r"^--init: one program cannot run on linux/amd64 and linux/arm64"):
        await erlmcp(recorder, init=init, platforms=["linux/amd64", "linux/arm64"]).image_tarball()
    assert recorder.execs() == []
