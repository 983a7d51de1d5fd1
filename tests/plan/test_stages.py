"""What the stages ask the engine for: their order, their keys, what is pinned, where secrets would go."""

import dataclasses
import json
from collections.abc import Mapping

import answers
import dagger
import pytest
from answers import APPLICATION, FILES, READ, execs, project, words, written
from recorder import Chain, Recorder, exec_error

from pipeline.build.applications import aside
from pipeline.build.dependencies import fetched
from pipeline.build.release import assembled
from pipeline.errors import BuildError, InputError
from pipeline.image.distribution import check_distributions
from pipeline.image.labels import labels
from pipeline.image.layout import OWN_LAYERS
from pipeline.image.runtime import metadata, runtime
from pipeline.project.application import Application
from pipeline.project.project import FILE_TIME, Project
from pipeline.project.reader import read

pytestmark = pytest.mark.anyio


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_images(recorder)
    return recorder


APPS = ("core", "web", "alone")


def leave(recorder: Recorder, files: Mapping[str, str]) -> None:
    """Let every application leave these files, and the same others."""
    tree = {"interface.tar": "same", "frame.tar": "same", "stripped/opt/greeter/lib": "", **files}
    recorder.answer("Container.directory", tree, when=lambda chain: chain.call.args["path"] == "/pipeline")


async def keys(
    recorder: Recorder, made: Project, application: Application = APPLICATION, left: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Build the release; return the key of each stage's command. Every application leaves these files, or others."""
    answers.of_images(recorder)
    leave(recorder, left or {})
    await assembled(made, application)
    runs = {tuple(words(chain)[1:4]): chain.content_key for chain in recorder.execs()}
    script = "/pipeline/rebar3.sh" if application.executed else "/pipeline/application.sh"
    stages = {
        "packages": ("/pipeline/fetch.sh", "packages"),
        "deps": ("/pipeline/fetch.sh", "compile", "prod"),
        **{name: (script, "prod", f"apps/{name}") for name in APPS},
        "release": ("/pipeline/release.sh", "prod", "greeter"),
    }
    return {stage: runs[command] for stage, command in stages.items()}


async def changes(files: dict[str, str], application: Application = APPLICATION, left: str = "") -> set[str]:
    """Return the stages that run again when these files are edited, or when the applications leave another file."""
    found = []
    for text in ("", " "):
        async with Recorder() as recorder:
            made = project(recorder, {**FILES, **{path: content + text for path, content in files.items()}})
            found.append(await keys(recorder, made, application, {left: text} if left else None))
    return {stage for stage in found[0] if found[0][stage] != found[1][stage]}


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        # Modules are put into a release that relx assembled before.
        ("apps/core/src/core.erl", {"core"}),
        ("apps/web/src/web.erl", {"web"}),
        ("apps/alone/src/alone.erl", {"alone"}),
        # rebar3 looks at these files of all applications.
        ("apps/alone/src/alone.app.src", {"core", "web", "alone", "release"}),
        # Siblings include headers without naming each other: a header is everybody's.
        ("include/greeter.hrl", {"core", "web", "alone"}),
        ("apps/core/include/core.hrl", {"core", "web", "alone"}),
        ("rebar.lock", {"deps", "core", "web", "alone", "release"}),
        # What only relx copies compiles nothing; what people read, and what only we read, does nothing.
        ("config/motd.txt", {"release"}),
        ("README.md", set()),
        ("accept.toml", set()),
        ("vex/app.openvex.json", set()),
        ("apps/core/test/core_SUITE.erl", set()),
        # Anything else may be a hook's.
        ("scripts/generate.sh", {"core", "web", "alone", "release"}),
    ],
)
@pytest.mark.usefixtures("anyio_backend")
async def test_an_edit_reruns_what_depends_on_it_alone(path: str, changed: set[str]) -> None:
    assert await changes({path: FILES.get(path, "")}) == changed


@pytest.mark.parametrize("folder", ["vex", "docs", "test/app", "doc/app"])
def test_an_application_in_a_folder_that_is_aside_elsewhere_is_compiled(folder: str) -> None:
    assert folder.split("/", maxsplit=1)[0] in aside(APPLICATION)
    apps = (dataclasses.replace(APPLICATION.apps[0], dir=folder), *APPLICATION.apps[1:])
    patterns = aside(dataclasses.replace(APPLICATION, apps=apps))
    assert not {folder, folder.split("/", maxsplit=1)[0]} & set(patterns)


@pytest.mark.usefixtures("anyio_backend")
async def test_what_an_application_shows_of_itself_is_in_the_key_of_those_that_need_it() -> None:
    assert await changes({}, left="interface.tar") == {"web"}


@pytest.mark.usefixtures("anyio_backend")
async def test_what_relx_copies_of_an_application_is_in_the_key_of_the_release() -> None:
    assert await changes({}, left="frame.tar") == {"release"}


@pytest.mark.usefixtures("anyio_backend")
async def test_where_relx_may_look_at_modules_it_gets_them() -> None:
    hooked = dataclasses.replace(APPLICATION, assembled_with=("rebar.config: relx has the option exref",))
    assert await changes({"apps/core/src/core.erl": ""}, hooked) == {"core", "release"}
    assert await changes({"README.md": ""}, hooked) == {"release"}


async def test_modules_with_debug_information_are_given_to_relx(recorder: Recorder) -> None:
    recorder.answer("File.contents", "web.beam has debug information\n", when=answers.reads("/pipeline/whole"))
    await assembled(project(recorder), APPLICATION)
    [release] = execs(recorder, "/pipeline/release.sh")
    assert "/pipeline/frames/0.tar" not in [call.args["path"] for call in release.calls("withFile")]
    assert {call.args["path"] for call in release.calls("withDirectory")} >= {
        f"/build/_build/prod/lib/{name}" for name in APPS
    }


async def test_where_modules_cannot_be_stripped_relx_does_it(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    application = dataclasses.replace(APPLICATION, apps=APPLICATION.apps[:1])
    error = exec_error(1, "escript: exception error")
    recorder.answer("Container.withExec", error, when=lambda chain: "/pipeline/part.sh" in words(chain))
    await assembled(project(recorder), application)
    [release] = execs(recorder, "/pipeline/release.sh")
    assert not with_frames(release)
    assert "escript: exception error" in capsys.readouterr().err


@pytest.mark.parametrize("fails", [True, False])
async def test_a_release_that_relx_does_not_assemble_with_placeholders_gets_the_modules(
    recorder: Recorder, capsys: pytest.CaptureFixture[str], *, fails: bool
) -> None:
    text = "/opt/greeter/lib/web-1/ebin: the release does not have it, or other modules in it"
    if fails:
        recorder.answer(
            "Container.withExec",
            exec_error(1, text),
            when=lambda chain: "/pipeline/release.sh" in words(chain) and with_frames(chain),
        )
    else:
        recorder.answer("File.contents", text, when=answers.reads("/pipeline/unlike"))
    container = await assembled(project(recorder), APPLICATION)
    assert [with_frames(chain) for chain in execs(recorder, "/pipeline/release.sh")] == [True, False]
    assert not [call for call in (await of(recorder, container)).calls("withDirectory") if call.args["path"] == "/"]
    assert "other modules in it" in capsys.readouterr().err


def with_frames(release: Chain) -> bool:
    """Tell whether a command assembles the release with placeholders."""
    return any("/frames/" in call.args["path"] for call in release.calls("withFile"))


async def of(recorder: Recorder, container: dagger.Container) -> Chain:
    """Return the chain that a container is made by."""
    await container.sync()
    return recorder.plan[-1]


async def test_modules_are_put_into_the_release_and_into_its_layer(recorder: Recorder) -> None:
    container = await assembled(project(recorder), APPLICATION)
    put = (await of(recorder, container)).calls("withDirectory")[-2:]
    assert [call.args["path"] for call in put] == ["/", "/layers/applications"]
    stripped = [call.args["source"] for call in put[-1].args["source"].calls("withDirectory")]
    assert [source.call.args["path"] for source in stripped] == ["stripped"] * len(APPS)
    assert [source.calls("withExec")[-1].args["args"][3] for source in stripped] == [f"apps/{name}" for name in APPS]


@pytest.mark.usefixtures("anyio_backend")
async def test_where_code_runs_while_another_application_is_compiled_a_stage_is_the_one_before() -> None:
    hooked = dataclasses.replace(APPLICATION, executed=("rebar.config has hooks that run when compiling",))
    assert await changes({"apps/core/src/core.erl": ""}, hooked) == {"core", "web", "alone", "release"}
    assert await changes({"apps/web/src/web.erl": ""}, hooked) == {"web", "alone", "release"}


async def test_the_reader_sees_the_projects_shape_and_not_its_code(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    await read(project(recorder, release="greeter", apps=("core", "web:load"), profile="docker"))
    [reader] = execs(recorder, "/pipeline/reader.sh")
    assert reader.call.args["args"][2] == "docker"
    variables = {call.args["name"]: call.args["value"] for call in reader.calls("withEnvVariable")}
    assert (variables["READER_APPS"], variables["READER_RELEASE"]) == ("core,web:load", "greeter")
    # Nothing is fetched to read a project.
    assert variables["REBAR_OFFLINE"] == "1"
    assert "READER_WHOLE" not in variables
    assert not [name for name in seen(reader) if name.endswith(".erl")]


def seen(reader: Chain) -> dict[str, object]:
    """Return the files of the project that a reader sees."""
    [source] = [call.args["source"] for call in reader.calls("withDirectory") if call.args["path"] == "/build"]
    return source.tree


async def test_where_relx_would_find_a_configuration_its_content_is_not_in_the_key(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    await read(project(recorder, {**FILES, "config/vm.args": "-name a@b", "config/other": ""}))
    [reader] = execs(recorder, "/pipeline/reader.sh")
    assert seen(reader)["config/vm.args"][0] == ""
    assert "config/other" not in seen(reader)


ASKING = '[{v, os:cmd("git describe")} | CONFIG].'


async def test_where_a_script_has_its_say_rebar3_sees_all_and_git_answers(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    git = recorder.host_directory({"HEAD": "ref: refs/heads/main", "packed-refs": ""})
    await read(project(recorder, {**FILES, "rebar.config.script": ASKING, "VERSION": "1"}, git=git))
    [reader] = execs(recorder, "/pipeline/reader.sh")
    assert {"VERSION", "apps/web/src/web.erl"} <= seen(reader).keys()
    assert [call for call in reader.calls("withDirectory") if call.args["path"] == "/build/.git"]


async def test_a_script_that_asks_nothing_but_the_environment_makes_no_other_file_part_of_the_key(
    recorder: Recorder,
) -> None:
    answers.of_reading(recorder)
    scripts = {
        "rebar.config.script": 'case os:getenv("CI") of false -> CONFIG; _ -> lists:keydelete(hooks, 1, CONFIG) end.',
        "apps/web/src/web.app.src.script": "CONFIG.",
    }
    await read(project(recorder, {**FILES, **scripts}))
    [reader] = execs(recorder, "/pipeline/reader.sh")
    assert scripts.keys() <= seen(reader).keys()
    assert "apps/web/src/web.erl" not in seen(reader)


async def test_a_version_that_a_command_gives_is_read_from_the_whole_source(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    recorder.answer(
        "File.contents",
        '{"again": true}',
        when=lambda chain: (
            answers.reads("project.json")(chain)
            and not [call for call in chain.calls("withEnvVariable") if call.args["name"] == "READER_WHOLE"]
        ),
    )
    application = await read(project(recorder))
    first, second = execs(recorder, "/pipeline/reader.sh")
    assert "apps/web/src/web.erl" in seen(second).keys() - seen(first).keys()
    assert application.name == "greeter"


async def test_what_asks_git_is_refused_without_its_folder(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    recorder.answer("File.contents", "git describe --tags\n", when=answers.reads("asked"))
    made = project(recorder, {**FILES, "rebar.config.script": ASKING})
    with pytest.raises(InputError, match=r"runs git \(git describe --tags\).*--git=\.git"):
        await read(made)


async def test_a_git_folder_that_is_none_is_refused_before_anything_is_run(recorder: Recorder) -> None:
    with pytest.raises(InputError, match=r"^--git: this is not a git directory"):
        await read(project(recorder, git=recorder.host_directory({"README.md": ""})))
    assert not recorder.execs()


async def test_a_refusal_of_the_reader_is_the_users_message(recorder: Recorder) -> None:
    answers.of_reading(recorder, {"error": "rebar.config: there are several releases"})
    with pytest.raises(InputError, match=r"^rebar\.config: there are several releases$"):
        await read(project(recorder))


async def test_a_folder_that_is_no_project_is_told_at_once(recorder: Recorder) -> None:
    with pytest.raises(InputError, match=r"^rebar\.config: not found"):
        await read(project(recorder, {"mix.exs": ""}))
    assert not recorder.execs()


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
    first, second = [
        chain.parent for chain in recorder.plan if chain.call.field == "sync" and chain.calls("withEntrypoint")
    ]
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
    assert len(added) == OWN_LAYERS
    # The last command that makes each sets the times of its files.
    assert [source.call.args.get("path") for source in added] == ["/added", "/layer", "/layer", "/layers/applications"]
    commands = [words([step for step in source.steps() if step.call.field == "withExec"][-1]) for source in added]
    assert [command[1] for command in commands] == ["/pipeline/root.sh", "-c", "-c", "/pipeline/release.sh"]
    assert all(str(FILE_TIME) in " ".join(command) for command in commands)
    tars = [source.calls("withMountedFile")[-1].args["source"] for source in added[1:3]]
    assert [tar.call.args["path"] for tar in tars] == ["erts.tar", "dependencies.tar"]


@pytest.mark.usefixtures("anyio_backend")
@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        # What an edit of a module comes to.
        (None, set()),
        ("native.tar", {"/pipeline/root.sh", "/pipeline/loads"}),
        # What is asked of the libraries is asked of what ERTS loads, and it lies beneath.
        ("erts.tar", {"/pipeline/root.sh", "/pipeline/loads", "erts.tar"}),
        ("dependencies.tar", {"dependencies.tar"}),
    ],
)
async def test_after_an_edit_what_is_made_of_equal_tars_runs_not_again(changed: str | None, runs: set[str]) -> None:
    names = ("erts.tar", "dependencies.tar", "native.tar")
    found: list[dict[str, str]] = []
    for edit in ("", " "):
        async with Recorder() as recorder:
            answers.of_images(recorder)
            leave(recorder, {})
            tars = {name: name + (edit if name == changed else "") for name in names}
            recorder.answer("Container.directory", tars, when=lambda chain: chain.call.args["path"] == "/packed")
            path = "apps/alone/src/alone.erl"
            made = project(recorder, {**FILES, path: FILES.get(path, "") + edit})
            await (await runtime(made, APPLICATION, await assembled(made, APPLICATION))).sync()
            found.append({_name(chain): chain.content_key for chain in recorder.execs()})
    assert found[0].keys() == found[1].keys()
    assert {"/pipeline/root.sh", "/pipeline/loads", "erts.tar", "dependencies.tar"} <= found[0].keys()
    again = {name for name in found[0] if found[0][name] != found[1][name]}
    assert again - {"/pipeline/application.sh apps/alone"} == runs


def _name(chain: Chain) -> str:
    """Return what a command is known by."""
    if words(chain)[1] == "-c":
        return str(chain.calls("withMountedFile")[-1].args["source"].call.args["path"])
    if words(chain)[1] == "-euc":
        return words(chain)[-1]
    return " ".join(words(chain)[1:4:2] if "application.sh" in words(chain)[1] else words(chain)[1:2])


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


async def test_a_stage_that_fails_is_followed_by_one_that_sees_all_and_speaks_for_itself(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, "===> Compiling apps/web/src/web.erl failed\nweb.erl:3:1: syntax error"),
        when=lambda chain: "apps/web" in "".join(words(chain)[3:4]),
    )
    with pytest.raises(BuildError) as caught:
        await assembled(project(recorder), APPLICATION)
    assert "apps/web/src/web.erl:3:1: syntax error" in str(caught.value)
    folders = [words(chain)[3] for chain in recorder.execs() if words(chain)[-1:] == ["compile"]]
    assert folders[-1] == "apps/core:apps/web:apps/alone"


async def test_what_the_growing_tree_cannot_model_is_compiled_at_once(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, "behaviour web undefined"),
        when=lambda chain: words(chain)[3:4] == ["apps/core"],
    )
    await assembled(project(recorder), APPLICATION)
    [parting] = execs(recorder, "/pipeline/part.sh")
    compiled = next(chain for chain in parting.steps() if chain.call.field == "withExec")
    assert words(compiled)[3] == "apps/core:apps/web:apps/alone"
    assert words(parting)[5:] == [word for name in APPS for word in (f"apps/{name}", name)]


async def test_an_application_that_nobody_needs_is_not_seen_by_rebar3(recorder: Recorder) -> None:
    other = {**READ["apps"][2], "name": "broken", "dir": "apps/broken", "app_file": "apps/broken/src/broken.app.src"}
    application = Application.parse(json.dumps({**READ, "other_apps": [other]}))
    files = {**FILES, "apps/broken/src/broken.app.src": "", "apps/broken/src/broken.erl": ""}
    container = await assembled(project(recorder, files), application)
    await container.sync()
    sources = [
        call.args["source"] for call in recorder.plan[-1].calls("withDirectory") if call.args["path"] == "/build"
    ]
    assert sources
    assert not [name for source in sources for name in source.tree if "broken" in name]


async def test_compiling_that_asks_git_gets_it_or_is_refused(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, "===> git was asked, but there is no .git directory: git rev-parse HEAD"),
        when=lambda chain: (
            words(chain)[1] in {"/pipeline/application.sh", "/pipeline/rebar3.sh"}
            and not [call for call in chain.calls("withDirectory") if call.args["path"] == "/build/.git"]
        ),
    )
    with pytest.raises(InputError, match=r"compiling runs git \(git rev-parse HEAD\).*--git=\.git"):
        await assembled(project(recorder), APPLICATION)
    git = recorder.host_directory({"HEAD": "ref: refs/heads/main"})
    await assembled(project(recorder, git=git), APPLICATION)


async def test_mirrors_reach_the_fetching_and_nothing_after_it(recorder: Recorder) -> None:
    made = project(recorder, hex_mirror="https://hex.example.org")
    await assembled(made, APPLICATION)
    asked = {
        words(chain)[2] if "/pipeline/fetch.sh" in words(chain) else words(chain)[-1]: [
            call.args["value"] for call in chain.calls("withEnvVariable") if call.args["name"] == "HEX_CDN"
        ]
        for chain in recorder.execs()
    }
    assert asked.pop("packages") == [made.hex_mirror]
    assert {"get", "compile", "alone"} <= set(asked)
    assert not any(asked.values())
    [release] = execs(recorder, "/pipeline/release.sh")
    offline = [call.args["value"] for call in release.calls("withEnvVariable") if call.args["name"] == "REBAR_OFFLINE"]
    assert offline == ["1"]


async def test_the_address_of_a_mirror_with_a_login_is_a_secret_of_the_fetching_alone(recorder: Recorder) -> None:
    secret = dagger.dag.set_secret("mirror", "https://me:sesame@hex.example.org")
    await assembled(project(recorder, hex_mirror_secret=secret), APPLICATION)
    [told] = [chain for chain in recorder.execs() if chain.calls("withSecretVariable")]
    assert words(told)[2] == "packages"
    assert [call.args["name"] for call in told.calls("withSecretVariable")] == ["HEX_CDN"]
    assert "sesame" not in recorder.text()


async def test_no_stage_gets_a_secret(recorder: Recorder) -> None:
    made = project(recorder)
    await (await runtime(made, APPLICATION, await assembled(made, APPLICATION))).sync()
    assert recorder.secrets() == []


VM_ARGS = {"path": "config/vm.args"}
WITH_VM_ARGS = Application.parse(json.dumps({**READ, "vm_args": VM_ARGS}))


async def test_a_cookie_in_vm_args_is_refused_before_anything_is_built(recorder: Recorder) -> None:
    files = {**FILES, "config/vm.args": "-name a@b -setcookie secret\n"}
    with pytest.raises(InputError, match=r"^config/vm\.args:1: this cookie would be .* --cookie-from-environment"):
        await assembled(project(recorder, files), WITH_VM_ARGS)
    assert not recorder.execs()


async def test_a_cookie_in_vm_args_gives_way_to_that_of_the_environment(recorder: Recorder) -> None:
    files = {**FILES, "config/vm.args": "-name a@b -setcookie secret\n"}
    container = await assembled(project(recorder, files, cookie_from_environment=True), WITH_VM_ARGS)
    await container.sync()
    assert written(recorder.plan[-1], "/build/config/vm.args") == "-name a@b -setcookie ${RELX_COOKIE}\n"


async def test_a_file_that_relx_names_and_that_is_not_there_is_told_before_anything_is_built(
    recorder: Recorder,
) -> None:
    with pytest.raises(
        InputError, match=r"^rebar\.config: relx names config/vm\.args as vm\.args, but that file is not in --source"
    ):
        await assembled(project(recorder), WITH_VM_ARGS)
    assert not recorder.execs()


async def test_a_cookie_that_a_hook_wrote_is_found(recorder: Recorder) -> None:
    recorder.answer("File.contents", "-setcookie secret", when=answers.reads("vm.args.src"))
    with pytest.raises(InputError, match=r"^releases/1\.2\.0/vm\.args\.src:1: an overlay or a hook wrote a cookie"):
        await assembled(project(recorder), APPLICATION)


async def test_a_release_that_nothing_starts_is_refused(recorder: Recorder) -> None:
    recorder.answer("Directory.glob", [], when=lambda chain: chain.call.args["pattern"] == "bin/greeter")
    with pytest.raises(InputError, match=r"the release has no start script bin/greeter, which the image needs"):
        await assembled(project(recorder), APPLICATION)


async def test_a_release_without_vm_args_is_refused(recorder: Recorder) -> None:
    recorder.answer("Directory.entries", ["sys.config"], when=answers.of_the_release)
    with pytest.raises(InputError, match=r"the release has no releases/1\.2\.0/vm\.args"):
        await assembled(project(recorder), APPLICATION)


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


def with_repository(**changes: str) -> Application:
    """Return an application with a git dependency."""
    repository = {"name": "tiny", "url": "https://git.example.org/tiny.git", "commit": "ab" * 20, "folder": ""}
    return Application.parse(json.dumps({**READ, "repositories": [{**repository, **changes}]}))


def fetching(recorder: Recorder, word: str) -> list[Chain]:
    """Return the commands that fetch packages, repositories or the rest."""
    return [chain for chain in recorder.execs() if word in words(chain)]


async def test_packages_are_fetched_by_what_the_lock_says_of_them_alone(recorder: Recorder) -> None:
    found = []
    for files in (FILES, {**FILES, "rebar.lock": "[other].", "rebar.config": "{erl_opts, []}."}):
        await fetched(project(recorder, files), APPLICATION)
        found.append(fetching(recorder, "packages")[-1].content_key)
    assert found[0] == found[1]
    await fetched(project(recorder), dataclasses.replace(APPLICATION, packages="other"))
    assert fetching(recorder, "packages")[-1].content_key != found[0]


async def test_a_git_dependency_is_fetched_by_its_commit_alone(recorder: Recorder) -> None:
    made = project(recorder, git_config=dagger.dag.set_secret("gitconfig", "plain"))
    await fetched(made, with_repository())
    await fetched(made, dataclasses.replace(with_repository(), configs={"rebar.config": "other"}))
    # The recorder has equal steps once.
    [clone] = fetching(recorder, "/pipeline/clone.sh")
    assert words(clone)[2:] == ["https://git.example.org/tiny.git", "ab" * 20, ""]
    assert clone.images() == [made.images["git"]]


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("Host key verification failed.", "--known-hosts$"),
        ("root@h: Permission denied (publickey).", r"--ssh=\$SSH_AUTH_SOCK$"),
        ("fatal: could not read Username for 'https://h'", "--git-config=file:PATH$"),
        ("fatal: repository not found", "fatal: repository not found$"),
    ],
)
async def test_a_repository_that_is_not_given_away_is_told_with_what_to_give(
    recorder: Recorder, said: str, hint: str
) -> None:
    recorder.answer(
        "Container.withExec", exec_error(128, said), when=lambda chain: "/pipeline/clone.sh" in words(chain)
    )
    with pytest.raises(BuildError, match=f"^fetching the git dependency tiny of rebar.lock failed:\n(.*\n)*.*{hint}"):
        await fetched(project(recorder), with_repository())


async def test_what_gets_the_dependencies_sees_no_network_unless_rebar3_must_fetch(recorder: Recorder) -> None:
    made = project(
        recorder, hex_key=dagger.dag.set_secret("key", "plain"), git_config=dagger.dag.set_secret("gitconfig", "plain")
    )
    for application in (with_repository(), dataclasses.replace(with_repository(), unlocked=("tiny",))):
        await fetched(made, application)
    closed, opened = fetching(recorder, "get")
    assert not closed.calls("withMountedSecret")
    assert len(opened.calls("withMountedSecret")) == len(("key", "gitconfig"))
    online = [call.args["name"] for call in opened.calls("withEnvVariable")]
    assert "PIPELINE_ONLINE" in online


async def test_no_stage_keeps_what_another_project_could_find(recorder: Recorder) -> None:
    await fetched(project(recorder), with_repository())
    assert not [chain for chain in recorder.execs() if chain.calls("withMountedCache")]


async def test_incremental_gives_a_volume_to_the_compiler_alone(recorder: Recorder) -> None:
    await assembled(project(recorder, incremental=True), APPLICATION)
    with_volume = {" ".join(words(chain)[1:4]) for chain in recorder.execs() if chain.calls("withMountedCache")}
    assert with_volume == {
        "/pipeline/fetch.sh compile prod",
        *(f"/pipeline/application.sh prod apps/{name}" for name in APPS),
    }


async def test_incremental_is_for_one_application_too_and_the_release_sees_no_volume(recorder: Recorder) -> None:
    await assembled(project(recorder, incremental=True), dataclasses.replace(APPLICATION, apps=APPLICATION.apps[:1]))
    [compiling] = execs(recorder, "/pipeline/rebar3.sh")
    assert compiling.calls("withMountedCache")
    assert not compiling.calls("withoutMount")
    [parting] = execs(recorder, "/pipeline/part.sh")
    assert [call.args["path"] for call in parting.calls("withoutMount")] == ["/pipeline/modules"]
    [release] = execs(recorder, "/pipeline/release.sh")
    assert not release.calls("withMountedCache")
    assert "PIPELINE_COMPILED" in [call.args["name"] for call in release.calls("withEnvVariable")]


async def test_a_builder_answers_questions_to_repositories_with_another_images_git(recorder: Recorder) -> None:
    made = project(recorder)
    await assembled(made, with_repository())
    [deps] = fetching(recorder, "get")
    [release] = execs(recorder, "/pipeline/release.sh")
    for chain in (deps, release):
        assert "/pipeline/git-root" in [call.args["path"] for call in chain.calls("withMountedDirectory")]
    await assembled(made, APPLICATION)
    assert not execs(recorder, "/pipeline/release.sh")[-1].calls("withMountedDirectory")


async def test_a_given_configuration_takes_the_place_of_the_projects_and_of_its_script(recorder: Recorder) -> None:
    answers.of_reading(recorder)
    files = {**FILES, "rebar.config.script": "CONFIG.", "apps/web/rebar.config.script": "CONFIG."}
    given = dagger.dag.directory().with_new_file("mine", "{deps, [given]}.").file("mine")
    await read(project(recorder, files, rebar_config=given))
    [reader] = execs(recorder, "/pipeline/reader.sh")
    assert seen(reader)["rebar.config"][0] == "{deps, [given]}."
    # That of an application is its own.
    assert [name for name in seen(reader) if name.endswith(".script")] == ["apps/web/rebar.config.script"]


async def test_the_scripts_in_erlang_are_compiled_once_for_all_stages(recorder: Recorder) -> None:
    answers.of_images(recorder)
    made = project(recorder)
    await (await runtime(made, APPLICATION, await assembled(made, APPLICATION))).sync()
    names = ("elf", "pipeline_interface", "pipeline_modules")
    scripts = {*(f"{name}.escript" for name in names), "pipeline_compiler.beam", "pipeline_placeholder.beam"}
    given = {
        (call.args["path"], call.args["source"].key, call.args["source"].parent.parent.call.args["args"][-1])
        for chain in recorder.execs()
        for call in chain.calls("withFile")
        if call.args["path"].removeprefix("/pipeline/") in scripts
    }
    assert {(path, script) for path, _, script in given} == {
        *((f"/pipeline/{name}.escript", f"{name}.escript") for name in names),
        *((f"/pipeline/pipeline_{name}.beam", f"pipeline_{name}.erl") for name in ("compiler", "placeholder")),
    }
    # By one recipe each, so that the engine compiles each once.
    assert len(given) == len(scripts)
