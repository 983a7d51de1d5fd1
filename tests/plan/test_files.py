"""The image's init and certificates: where each comes from, and what is said of one that cannot be had."""

import answers
import pytest
from answers import APPLICATION, execs, project, words
from recorder import Recorder, exec_error

from pipeline.build.release import assembled
from pipeline.errors import BuildError, InputError
from pipeline.image.files import check_init
from pipeline.image.runtime import runtime

pytestmark = pytest.mark.anyio


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    answers.of_images(recorder)
    return recorder


def given(recorder: Recorder, text: str) -> object:
    """Return a file of the user."""
    return recorder.host_directory({"file": text}).file("file")


async def built(recorder: Recorder, **changes: object) -> list[list[str]]:
    """Build the image; return the commands that fetch, without the program and the script."""
    made = project(recorder, **changes)
    await runtime(made, APPLICATION, await assembled(made, APPLICATION))
    return [words(chain)[2:4] for chain in execs(recorder, "/pipeline/fetch.escript")]


def bare(recorder: Recorder) -> None:
    """Let the base have no certificates."""
    recorder.answer(
        "Directory.exists", lambda _: False, when=lambda chain: "ca-certificates" in chain.call.args["path"]
    )


async def test_the_init_is_fetched_and_the_bases_certificates_stay(recorder: Recorder) -> None:
    [(url, checksum)] = await built(recorder)
    assert url.endswith("/v0.19.0/tini-static-amd64")
    assert checksum.startswith("c5b0666b")


async def test_a_base_without_certificates_gets_mozillas(recorder: Recorder) -> None:
    bare(recorder)
    assert [url for url, _ in await built(recorder)][1].startswith("https://curl.se/ca/cacert-")


async def test_with_both_given_nothing_is_fetched(recorder: Recorder) -> None:
    bare(recorder)
    pem = given(recorder, "-----BEGIN CERTIFICATE-----\n")
    assert await built(recorder, init=given(recorder, "ELF"), certificates=pem) == []
    [check] = execs(recorder, "static")
    assert words(check)[2:] == ["static", "native", "/pipeline/fetched"]


async def test_certificates_that_are_none_are_named(recorder: Recorder) -> None:
    with pytest.raises(InputError, match=r"^--certificates: the file has no certificate in it"):
        await built(recorder, certificates=given(recorder, "oops"))


async def test_an_init_for_another_processor_is_named(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec", exec_error(1, "it is not for native"), when=lambda chain: "static" in words(chain)
    )
    with pytest.raises(InputError, match=r"--init: give a static program for linux/amd64"):
        await built(recorder, init=given(recorder, "ELF"))


async def test_what_cannot_be_fetched_is_named_with_its_url_and_the_way_out(recorder: Recorder) -> None:
    recorder.answer(
        "Container.withExec",
        exec_error(1, "===> no connection"),
        when=lambda chain: "/pipeline/fetch.escript" in words(chain),
    )
    with pytest.raises(
        BuildError,
        match=r"^init-amd64: the download of https://github\.com/krallin/tini/[^\n]* failed:(.|\n)*with --init, or",
    ):
        await built(recorder)


async def test_one_init_is_not_for_two_platforms(recorder: Recorder) -> None:
    made = project(recorder, init=given(recorder, "ELF"))
    check_init(made, ["linux/arm64"])
    with pytest.raises(InputError, match=r"^--init: one program cannot run on linux/amd64 and linux/arm64"):
        check_init(made, ["linux/arm64", "linux/amd64"])


async def test_a_health_check_over_tls_needs_a_base_that_speaks_it(recorder: Recorder) -> None:
    made = project(recorder, health_url="https://127.0.0.1:8443/health")
    release = await assembled(made, APPLICATION)
    recorder.answer("Directory.exists", lambda _: True, when=lambda chain: chain.call.args["path"] == "bin/busybox")
    await runtime(made, APPLICATION, release)
    recorder.answer("Directory.exists", lambda _: False, when=lambda chain: chain.call.args["path"] == "bin/busybox")
    with pytest.raises(InputError, match=r"^--health-url https://127\.0\.0\.1:8443/health: the health check "):
        await runtime(made, APPLICATION, release)
