"""What the stages ask the engine for: their order, their keys, what is pinned, where secrets would go."""

import dataclasses

import answers
import dagger
import pytest
from answers import APPLICATION, FILES, execs, project
from recorder import Chain, Recorder, exec_error

from pipeline.build.configuration import check_cookie
from pipeline.build.dependencies import fetched
from pipeline.build.release import FILE_TIME, assembled
from pipeline.errors import BuildError, InputError
from pipeline.image.distribution import check_distributions
from pipeline.image.labels import labels
from pipeline.image.runtime import metadata, runtime
from pipeline.project.project import Project
from pipeline.project.reader import read

pytestmark = pytest.mark.anyio


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_images(recorder)
    return recorder


async def keys(recorder: Recorder, made: Project) -> dict[str, str]:
    """Build the release; return the key of each stage's command."""
    await assembled(made, APPLICATION)
    stages = {
        "deps": "--deps_only",
        "core": "apps/core",
        "web": "apps/web",
        "alone": "apps/alone",
        "release": "release",
    }
    found = {}
    for stage, word in stages.items():
        chains = [
            chain
            for chain in recorder.execs()
            if word in chain.call.args["args"] and (stage in ("deps", "release") or chain.call.args["args"][3] == word)
        ]
        found[stage] = chains[-1].content_key
    return found


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("apps/core/src/core.erl", {"core", "web", "release"}),
        ("apps/web/src/web.erl", {"web", "release"}),
        ("apps/alone/src/alone.erl", {"alone", "release"}),
        # Siblings include headers without naming each other: a header is everybody's.
        ("include/greeter.hrl", {"core", "web", "alone", "release"}),
        ("rebar.lock", {"deps", "core", "web", "alone", "release"}),
    ],
)
async def test_an_edit_reruns_what_depends_on_it_alone(path: str, changed: set[str], anyio_backend: str) -> None:  # noqa: ARG001 # as above
    async with Recorder() as before:
        first = await keys(before, project(before))
    async with Recorder() as after:
        second = await keys(after, project(after, {**FILES, path: FILES[path] + " "}))
    assert {stage for stage in first if first[stage] != second[stage]} == changed


async def test_the_reader_sees_the_projects_shape_and_not_its_code(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    await read(project(recorder, release="greeter", apps=("core", "web:load")))
    [reader] = execs(recorder, "application.escript")
    words = reader.call.args["args"]
    assert words[words.index("--apps") + 1] == "core,web:load"
    assert words[words.index("--release") + 1] == "greeter"
    [source] = [call.args["source"] for call in reader.calls("withDirectory") if call.args["path"] == "/source"]
    assert not [name for name in source.tree if name.endswith(".erl")]


async def test_a_refusal_of_the_reader_is_the_users_message(recorder: Recorder) -> None:
    recorder.answer(
        "File.contents",
        '{"error": "rebar.config: not found"}',
        when=lambda chain: bool(chain.find("file", path="application.json")),
    )
    with pytest.raises(InputError, match=r"^rebar\.config: not found$"):
        await read(project(recorder))


async def test_every_image_that_is_pulled_is_pinned(recorder: Recorder) -> None:
    made = project(recorder)
    await (await runtime(made, APPLICATION, await assembled(made, APPLICATION))).sync()
    addresses = {chain.call.args["address"] for chain in recorder.find("from")}
    assert addresses == {made.builder, made.runtime}
    assert all("@sha256:" in address for address in addresses)


async def test_revision_and_time_change_no_layer(recorder: Recorder) -> None:
    plain = project(recorder)
    labelled = dataclasses.replace(plain, revision="1356e12d", created="2026-02-04T17:25:56Z")
    release = await assembled(plain, APPLICATION)
    await (await runtime(plain, APPLICATION, release)).sync()
    await (await runtime(labelled, APPLICATION, release)).sync()
    first, second = [chain.parent for chain in recorder.plan if chain.call.field == "sync"][-3::2]
    files = {"withDirectory", "withFile", "withNewFile", "withExec"}

    def last_layer(chain: Chain) -> str:
        return next(step.key for step in reversed(chain.steps()) if step.call.field in files)

    assert last_layer(first) == last_layer(second)
    assert {call.args["value"] for call in second.calls("withLabel")} >= {"1356e12d", "2026-02-04T17:25:56Z"}


async def test_layers_come_by_rate_of_change_each_with_one_time(recorder: Recorder) -> None:
    made = project(recorder)
    image = await runtime(made, APPLICATION, await assembled(made, APPLICATION))
    await image.sync()
    chain = recorder.plan[-1]
    added = [call.args["source"] for call in chain.calls("withDirectory")]
    # The engine cannot set the times of the libraries' links: a command does.
    assert [source.call.field for source in added] == ["directory", *["withTimestamps"] * 3]
    touch = added[0].parent.call.args["args"]
    assert touch[-5:] == ["-h", "-d", f"@{FILE_TIME}", "{}", "+"]
    paths = [source.parent.call.args.get("path") for source in added[1:]]
    assert paths == ["/layers/erts", "/layers/dependencies", "/layers/applications"]


async def test_the_image_has_the_health_check_and_user_of_the_old_one(recorder: Recorder) -> None:
    made = project(recorder, health_url="http://127.0.0.1:8080/health")
    image = metadata(dagger.dag.container(), made, APPLICATION)
    await image.sync()
    chain = recorder.plan[-1]
    [check] = chain.calls("withDockerHealthcheck")
    assert (check.args["interval"], check.args["timeout"], check.args["startPeriod"], check.args["retries"]) == (
        "15s",
        "10s",
        "45s",
        3,
    )
    assert chain.calls("withUser")[-1].args["name"] == "1000:1000"
    variables = {call.args["name"]: call.args["value"] for call in chain.calls("withEnvVariable")}
    assert variables["HEALTH_URL"] == "http://127.0.0.1:8080/health"
    assert variables["GREETER_VERSION"] == "1.2.0"
    assert not [name for name in variables if "COOKIE" in name]


async def test_other_distributions_for_builder_and_runtime_are_refused(recorder: Recorder) -> None:
    made = project(recorder, runtime="debian:12@sha256:" + "0" * 64)
    recorder.answer(
        "File.contents",
        'ID=debian\nVERSION_ID="12"\n',
        when=lambda chain: chain.images() == [made.runtime],
    )
    with pytest.raises(InputError, match=r"is alpine 3\.22, debian:12@sha256:0+ is debian 12"):
        await check_distributions(made)


async def test_a_failing_compiler_speaks_for_itself(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, "===> Compiling apps/web/src/web.erl failed\nweb.erl:3:1: syntax error"),
        when=lambda chain: "apps/web" in chain.call.args["args"][3:4],
    )
    with pytest.raises(BuildError) as caught:
        await assembled(project(recorder), APPLICATION)
    assert str(caught.value).splitlines() == [
        "apps/web: compiling web failed:",
        "===> Compiling apps/web/src/web.erl failed",
        "apps/web/src/web.erl:3:1: syntax error",
    ]


async def test_mirrors_reach_the_fetching_and_nothing_after_it(recorder: Recorder) -> None:
    made = project(recorder, hex_mirror="https://hex.example.org")
    await assembled(made, APPLICATION)
    [fetch] = execs(recorder, "--deps_only")
    assert [call.args["value"] for call in fetch.calls("withEnvVariable") if call.args["name"] == "HEX_CDN"] == [
        made.hex_mirror
    ]
    [release] = [chain for chain in recorder.execs() if "release" in chain.call.args["args"]]
    assert not [call for call in release.calls("withEnvVariable") if call.args["name"] == "HEX_CDN"]
    offline = [call.args["value"] for call in release.calls("withEnvVariable") if call.args["name"] == "REBAR_OFFLINE"]
    assert offline == ["1"]


async def test_no_stage_gets_a_secret(recorder: Recorder) -> None:
    made = project(recorder)
    await (await runtime(made, APPLICATION, await assembled(made, APPLICATION))).sync()
    assert recorder.secrets() == []


@pytest.mark.parametrize("line", ["-setcookie secret", "-setcookie  abc"])
def test_a_cookie_in_vm_args_is_refused(line: str) -> None:
    with pytest.raises(InputError, match=r"^vm\.args:2: a cookie"):
        check_cookie(f"-name a@b\n{line}\n", "vm.args")


def test_a_cookie_from_the_environment_is_taken() -> None:
    check_cookie("-setcookie ${RELX_COOKIE}\n", "vm.args")


@pytest.mark.parametrize("label", ["novalue", "bad key=1", "=x"])
async def test_a_label_that_is_none_is_named(recorder: Recorder, label: str) -> None:
    with pytest.raises(InputError, match="--labels"):
        labels(project(recorder, labels=(label,)), APPLICATION)


@pytest.mark.parametrize(
    ("licenses", "expression"),
    [
        (("MIT OR Apache-2.0",), "MIT OR Apache-2.0"),
        (("MIT", "Apache-2.0"), "MIT AND Apache-2.0"),
        (("MIT OR Apache-2.0", "ISC"), "(MIT OR Apache-2.0) AND ISC"),
    ],
)
async def test_licences_become_one_expression(recorder: Recorder, licenses: tuple[str, ...], expression: str) -> None:
    made = labels(project(recorder), dataclasses.replace(APPLICATION, licenses=licenses))
    assert made["org.opencontainers.image.licenses"] == expression


async def test_two_builds_at_a_time_do_not_write_into_one_cache(recorder: Recorder) -> None:
    await fetched(project(recorder), APPLICATION)
    [fetch] = execs(recorder, "--deps_only")
    [cache] = fetch.calls("withMountedCache")
    assert (cache.args["path"], cache.args["sharing"]) == ("/root/.cache/rebar3", "LOCKED")


async def test_a_given_configuration_takes_the_place_of_the_projects_and_of_its_script(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    files = {**FILES, "rebar.config.script": "CONFIG.", "apps/web/rebar.config.script": "CONFIG."}
    given = dagger.dag.directory().with_new_file("mine", "{deps, [given]}.").file("mine")
    await read(project(recorder, files, rebar_config=given))
    [reader] = execs(recorder, "application.escript")
    [source] = [call.args["source"] for call in reader.calls("withDirectory") if call.args["path"] == "/source"]
    assert source.tree["rebar.config"][0] == "{deps, [given]}."
    # That of an application is its own.
    assert [name for name in source.tree if name.endswith(".script")] == ["apps/web/rebar.config.script"]
