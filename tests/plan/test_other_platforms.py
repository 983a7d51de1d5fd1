"""Images for other platforms: what runs is the engine's own, what is copied is the other's."""

import answers
import dagger
import pytest
from answers import APPLICATION, execs, project, words
from recorder import Chain, Recorder, exec_error, pull_error

from pipeline.build.release import assembled, packed
from pipeline.errors import BuildError, InputError
from pipeline.image.base import base_layers
from pipeline.image.libraries import libraries, unpacked
from pipeline.image.platforms import Platform, check_pulls, erts_for, parse_platforms
from pipeline.image.runtime import runtime
from pipeline.project.project import FILE_TIME

pytestmark = pytest.mark.anyio

ARM = parse_platforms(["linux/arm64"], "linux/amd64")["linux/arm64"]
BASE = "docker.io/library/alpine@sha256:" + "0" * 64


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_images(recorder)
    return recorder


def platform(chain: Chain) -> str | None:
    """Return the platform of a container, or None for the engine's own."""
    [container] = [step.call for step in chain.steps() if step.call.field == "container"]
    return container.args.get("platform")


async def test_nothing_of_another_platform_runs(recorder: Recorder) -> None:
    made = project(recorder)
    await (await runtime(made, APPLICATION, await assembled(made, APPLICATION), ARM)).sync()
    assert {platform(chain) for chain in recorder.execs()} == {None}
    assert {platform(chain) for chain in recorder.find("from")} == {None, "linux/arm64"}
    assert platform(recorder.plan[-1]) == "linux/arm64"


async def test_beam_files_are_compiled_once_for_all_platforms(recorder: Recorder) -> None:
    made = project(recorder)
    release = await assembled(made, APPLICATION)
    before = len(recorder.execs())
    for one in (None, ARM):
        await (await runtime(made, APPLICATION, release, one)).sync()
    scripts = [words(chain)[1] for chain in recorder.execs()[before:]]
    assert "/pipeline/swap.sh" in scripts
    assert not {"/pipeline/rebar3.sh", "/pipeline/application.sh", "/pipeline/release.sh"} & {*scripts}


async def test_erts_comes_from_the_builder_of_that_platform(recorder: Recorder) -> None:
    made = project(recorder)
    await erts_for(ARM, made, await assembled(made, APPLICATION))
    [swap] = execs(recorder, "/pipeline/swap.sh")
    assert words(swap)[2:] == ["arm64", str(FILE_TIME)]
    [mounted] = [call.args["source"] for call in swap.calls("withMountedDirectory")]
    assert (platform(mounted), mounted.images()) == ("linux/arm64", [made.builder])


async def test_erts_of_that_platform_is_not_made_again_after_a_change_of_an_application(recorder: Recorder) -> None:
    made = project(recorder)
    await erts_for(ARM, made, await assembled(made, APPLICATION))
    [swap] = execs(recorder, "/pipeline/swap.sh")
    # It does not come after the release, and what it takes of it are files of directories: keyed by their content.
    assert len(swap.calls("withExec")) == 1
    files = {call.args["path"]: call.args["source"] for call in swap.calls("withMountedFile")}
    assert {path: [step.call.field for step in file.steps()[-2:]] for path, file in files.items()} == {
        "/pipeline/erts.tar": ["directory", "file"],
        "/pipeline/native.tar": ["directory", "file"],
    }


@pytest.mark.parametrize(("one", "architecture"), [(None, "native"), (ARM, "arm64")])
async def test_libraries_come_from_the_builder_of_that_platform_in_one_way(
    recorder: Recorder, one: Platform | None, architecture: str
) -> None:
    made = project(recorder)
    release = await assembled(made, APPLICATION)
    erts = unpacked(made, packed(release, "erts"))
    await libraries(made, APPLICATION, erts, packed(release, "native"), one)
    [root] = execs(recorder, "/pipeline/root.sh")
    assert words(root)[2:] == ["greeter", "1000", str(FILE_TIME), architecture, made.runtime, made.builder]
    mounted = {call.args["path"]: call.args["source"] for call in root.calls("withMountedDirectory")}
    name = one and one.name
    assert {path: (platform(mounted[path]), mounted[path].images()) for path in ("/base", "/builder")} == {
        "/base": (name, [made.runtime]),
        "/builder": (name, [made.builder]),
    }
    assert root.images()[0] == made.builder
    assert platform(root) is None


async def test_libraries_are_read_for_every_platform(recorder: Recorder) -> None:
    made = project(recorder)
    release = await assembled(made, APPLICATION)
    for one in (None, ARM):
        await runtime(made, APPLICATION, release, one)
    assert [words(chain)[4:] for chain in execs(recorder, "/pipeline/loads")] == [
        ["/native.tar", "native", "/opt/greeter", "/pipeline/loads"],
        ["/native.tar", "arm64", "/opt/greeter", "/pipeline/loads"],
    ]


async def test_a_missing_library_is_the_message(recorder: Recorder) -> None:
    made = project(recorder)
    said = "/opt/greeter/lib/a-1/priv/a.so: its library libx.so.1 is neither in erlang nor in alpine"
    recorder.answer("Container.withExec", exec_error(1, said), when=lambda chain: "/pipeline/root.sh" in words(chain))
    with pytest.raises(BuildError, match=r"a\.so: its library libx\.so\.1 is neither"):
        await runtime(made, APPLICATION, await assembled(made, APPLICATION), ARM)


async def test_an_index_without_the_platform_is_named(recorder: Recorder) -> None:
    made = project(recorder)
    recorder.answer(
        "Container.from",
        pull_error(made.runtime, "no match for platform in manifest"),
        when=lambda chain: platform(chain) == "linux/arm64" and chain.images() == [made.runtime],
    )
    with pytest.raises(InputError, match=rf"^{made.runtime}: not available for linux/arm64; give an image"):
        await check_pulls(ARM, made.runtime)
    await check_pulls(ARM, made.builder)


async def test_native_code_is_refused(recorder: Recorder) -> None:
    recorder.answer(
        "File.contents",
        "native lib/jiffy-1.1.2/priv/jiffy.so\n",
        when=lambda chain: bool(chain.find("file", path="/layers/problems")),
    )
    made = project(recorder)
    with pytest.raises(InputError, match="jiffy has native code"):
        await erts_for(ARM, made, await assembled(made, APPLICATION))


async def test_the_bases_layers_are_pulled_by_digest_and_platform(recorder: Recorder) -> None:
    assert await base_layers(dagger.dag.container().from_("crane"), BASE, "linux/arm64")
    [pull] = recorder.execs()
    assert pull.call.args["args"] == ["pull", "--format=oci", "--platform=linux/arm64", BASE, "/base"]
    assert pull.call.args["useEntrypoint"] is True
    assert not pull.calls("withServiceBinding")


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000"])
async def test_a_registry_on_the_engines_machine_needs_a_service(recorder: Recorder, host: str) -> None:
    crane, reference = dagger.dag.container().from_("crane"), f"{host}/debian@sha256:" + "0" * 64
    assert await base_layers(crane, reference, "linux/amd64") is None
    assert recorder.execs() == []
    service = dagger.dag.container().from_("registry").as_service()
    # Another one, such as that to publish to.
    recorder.answer("Service.ports", [{"port": 6000}])
    assert await base_layers(crane, reference, "linux/amd64", service) is None
    recorder.answer("Service.ports", [{"port": 5000}])
    assert await base_layers(crane, reference, "linux/amd64", service)
    [pull] = recorder.execs()
    assert pull.call.args["args"][3:5] == ["--insecure", "registry:5000/debian@sha256:" + "0" * 64]
    assert [call.args["alias"] for call in pull.calls("withServiceBinding")] == ["registry"]


async def test_a_registry_that_refuses_speaks_for_itself(recorder: Recorder) -> None:
    recorder.answer("Container.withExec", exec_error(1, "Error: UNAUTHORIZED: authentication required"))
    with pytest.raises(
        BuildError, match=r"alpine@sha256:0+: crane cannot pull its layers for linux/amd64:\nError: UNAUTH"
    ):
        await base_layers(dagger.dag.container().from_("crane"), BASE, "linux/amd64")
