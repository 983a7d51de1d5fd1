"""`outdated` and `refresh-images`: what registries are asked, and what is made of their answers."""

import datetime as dt
import hashlib
import json

import dagger
import facts
import pytest
from answers import failing, reads, words
from dagger import dag
from recorder import Chain, Recorder, pull_error

from pipeline.errors import InputError, RegistryError
from pipeline.main import Erlmcp
from pipeline.project.images import OWN, images_in_use, own_table, parse_table

pytestmark = pytest.mark.anyio

ALPINE, NEWER = "ID=alpine\nVERSION_ID=3.24.2\n", "ID=alpine\nVERSION_ID=3.25.0\n"


@pytest.fixture
async def recorder(recorder: Recorder) -> Recorder:
    recorder.answer("Changeset.isEmpty", value=False)
    return recorder


def digest(*parts: str) -> str:
    return "sha256:" + hashlib.sha256(" ".join(parts).encode()).hexdigest()


def of_registries(recorder: Recorder, tags: dict[str, dict[str, str]], platforms: str = "amd64 arm64") -> None:
    """Let registries have images of two platforms.

    Parameters
    ----------
    recorder
        The engine.
    tags
        By the end of a repository's name: each tag with its first layer.
    platforms
        Architectures of each.
    """
    layers = {digest(name, tag): layer for name, its in tags.items() for tag, layer in its.items()}
    layers |= {digest(index, arch): layer for index, layer in list(layers.items()) for arch in platforms.split()}

    def said(chain: Chain) -> str:
        command, *_, target = words(chain.parent)
        repository, _, rest = target.partition("@")
        name = repository.split("/")[-1].partition(":")[0]
        if command == "ls":
            return "\n".join(tags[name])
        if command == "digest":
            return digest(name, target.rpartition(":")[2])
        if command == "config":
            return json.dumps({"os": "linux", "architecture": "amd64", "config": {"Env": ["OTP_VERSION=29.1.1"]}})
        if rest not in layers:
            return json.dumps({"manifests": []})
        if rest in {digest(name, tag) for tag in tags[name]}:
            entries = [
                {"digest": digest(rest, arch), "platform": {"os": "linux", "architecture": arch}}
                for arch in platforms.split()
            ]
            return json.dumps({"manifests": entries})
        return json.dumps({"layers": [{"digest": layers[rest]}]})

    recorder.answer("Container.stdout", said, when=lambda chain: bool(chain.parent.call.args.get("useEntrypoint")))


def table(recorder: Recorder, **images: str) -> dagger.File:
    lines = ["[images]", *(f'{key} = "h.example.org/{value}"' for key, value in images.items())]
    return recorder.host_directory({"site.toml": "\n".join([*lines, ""])}).file("site.toml")


def texts(recorder: Recorder) -> list[str]:
    """Return the tables before and after, as the changes have them."""
    return [call.call.args["contents"] for call in recorder.walk() if call.call.field == "withNewFile"]


def module(recorder: Recorder, files: dict[str, str] | None = None, **arguments: object) -> Erlmcp:
    return Erlmcp(source=recorder.host_directory({"rebar.config": "", **(files or {})}), **arguments)


async def test_without_a_table_in_the_source_nothing_is_asked(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = await module(recorder).refresh_images()
    await changes.is_empty()
    assert recorder.execs() == []
    assert texts(recorder) == []
    assert f"the project has no {OWN}, and --images is not given" in capsys.readouterr().err


async def test_the_modules_own_table_is_refreshed_in_the_source(recorder: Recorder) -> None:
    own = parse_table(own_table(), OWN)
    entries = {**own.images, **{f"{key} {otp}": value for otp, its in own.otp.items() for key, value in its.items()}}
    tags: dict[str, dict[str, str]] = {}
    for reference in entries.values():
        name, _, tag = reference.partition("@")[0].rpartition("/")[2].partition(":")
        tags.setdefault(name, {})[tag] = "base"
    of_registries(recorder, tags)
    releases = {}
    for its in own.otp.values():
        if "builder-alpine" in its:
            tag, version = (
                its[key].partition("@")[0].rpartition(":")[2] for key in ("builder-alpine", "runtime-alpine")
            )
            releases[digest("erlang", tag)] = version

    def release(chain: Chain) -> str:
        return f"ID=alpine\nVERSION_ID={releases.get(chain.images()[0].partition('@')[2], '')}\n"

    recorder.answer("File.contents", release, when=reads("/etc/os-release"))
    changes = await module(recorder, {OWN: own_table()}).refresh_images()
    await changes.is_empty()
    [paths] = {chain.call.args["path"] for chain in recorder.walk() if chain.call.field == "withNewFile"}
    assert paths == OWN
    after = parse_table(texts(recorder)[-1], OWN)
    for otp, its in after.otp.items():
        for key, reference in its.items():
            name, _, tag = reference.partition("@")[0].rpartition("/")[2].partition(":")
            assert reference.endswith(digest(name, tag)), key
            assert reference.partition("@")[0] == own.otp[otp][key].partition("@")[0]


async def test_of_images_that_begin_with_one_layer_none_is_pulled_to_be_compared(recorder: Recorder) -> None:
    of_registries(recorder, {"erlang": {"29.1.2-alpine": "base"}, "alpine": {"3.24.2": "base"}})
    recorder.answer("File.contents", ALPINE, when=reads("/etc/os-release"))
    given = table(recorder, **{"builder-alpine": "erlang:29.1.1-alpine", "runtime-alpine": "alpine:3.24.1"})
    await (await module(recorder, image_table=given).refresh_images()).is_empty()
    after = parse_table(texts(recorder)[-1], "site.toml").images
    assert after["builder-alpine"] == f"h.example.org/erlang:29.1.2-alpine@{digest('erlang', '29.1.2-alpine')}"
    assert after["runtime-alpine"] == f"h.example.org/alpine:3.24.2@{digest('alpine', '3.24.2')}"
    # Once, to know which runtime to look for.
    assert len(recorder.find("file", path="/etc/os-release")) == 1


@pytest.mark.parametrize("other", [ALPINE, NEWER])
async def test_of_others_the_release_decides_on_both_platforms(recorder: Recorder, other: str) -> None:
    of_registries(recorder, {"erlang": {"29.1.2-alpine": "one"}, "alpine": {"3.24.2": "two"}})

    def release(chain: Chain) -> str:
        other_platform = any(step.call.args.get("platform") == "linux/arm64" for step in chain.steps())
        return other if other_platform and "/alpine@" in chain.images()[0] else ALPINE

    recorder.answer("File.contents", release, when=reads("/etc/os-release"))
    given = table(recorder, **{"builder-alpine": "erlang:29.1.1-alpine", "runtime-alpine": "alpine:3.24.1"})
    await (await module(recorder, image_table=given).refresh_images()).is_empty()
    before, after = texts(recorder)[0], texts(recorder)[-1]
    assert (before == after) == (other == NEWER)


async def test_an_image_that_lacks_a_platform_is_not_taken(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    of_registries(recorder, {"syft": {"v2": "x"}}, platforms="arm64")
    await (await module(recorder, image_table=table(recorder, syft="syft:v1")).refresh_images()).is_empty()
    assert texts(recorder)[0] == texts(recorder)[-1]
    assert "syft: h.example.org/syft:v2 is not available for linux/amd64\n" in capsys.readouterr().err


async def test_a_registry_that_does_not_answer_leaves_all_as_it_is(recorder: Recorder) -> None:
    failing(recorder, "ls", "Error: no such host")
    of_registries(recorder, {"syft": {"v2": "x"}})
    with pytest.raises(RegistryError, match=r"^cannot query h\.example\.org/syft: no such host$"):
        await module(recorder, image_table=table(recorder, syft="syft:v1")).refresh_images()


async def test_a_login_goes_to_the_one_registry_that_it_is_of(recorder: Recorder) -> None:
    of_registries(recorder, {"syft": {"v2": "x"}})
    recorder.answer("Secret.plaintext", "word")
    login = {"user": "robot", "password": dag.set_secret("password", "word")}
    given = table(recorder, syft="syft:v1")
    await (await module(recorder, image_table=given).refresh_images(**login)).is_empty()
    # It is of the host: the secret's name holds the hosts of its logins.
    names = {call.args["name"] for step in recorder.walk() for call in [step.call] if call.field == "setSecret"}
    assert names == {"password", "login h.example.org"}
    assert all(chain.calls("withMountedSecret") for chain in recorder.execs())
    # The module's own images are elsewhere.
    with pytest.raises(
        InputError, match=r"--user and --password are for one registry, but .* docker\.io, .*h\.example"
    ):
        await module(recorder, image_table=given).outdated(**login)


#: Of ssl, on 29.1.1 and before.
PUBLISHED = {
    "id": "CVE-1",
    "ghsa": None,
    "score": 9.3,
    "severity": "CRITICAL",
    "affected": [
        {
            "package": package,
            "default": "unaffected",
            "functions": [],
            "ranges": [{"scheme": "otp", "from": start, "before": "*", "fixed": fixed}],
        }
        for package, start, fixed in (
            ("pkg:otp/ssl", "9.5", ["11.7.8"]),
            ("pkg:software-id/erlang.org/otp", "22.2", ["29.1.2", "28.5.0.8"]),
        )
    ],
}


def records(recorder: Recorder) -> dagger.Directory:
    text = facts.database(dt.datetime(2026, 10, 2, tzinfo=dt.UTC), [PUBLISHED])
    return recorder.host_directory({"eef.json": text})


async def test_outdated_says_what_is_published_on_the_version_in_use(recorder: Recorder) -> None:
    names = ("erlang", "alpine", "debian", "trivy", "grype", "syft", "cosign", "crane")
    of_registries(recorder, {name: {"latest": "x"} for name in names})
    text = await module(recorder, otp="29", eef_db=records(recorder)).outdated()
    assert (
        "Erlang/OTP 29.1.1 has 1 advisory (worst CRITICAL); 29.1.2 has none\n"
        "(builder-alpine, builder-debian, builder-debian-full; records of 2026-10-02 from --eef-db)\n"
    ) in text
    [row] = [line.split() for line in text.splitlines() if line.startswith(" CVE-1")]
    assert row == ["CVE-1", "ssl", "29.1.2", "CRITICAL"]
    # The digests are not those of the table.
    _, _, crane = text.partition("\n crane ")
    assert crane.split()[:4] == ["v0.22.1", "v0.22.1", "new", "digest"]


async def test_images_warn_of_their_erlang(recorder: Recorder) -> None:
    text = await module(recorder, otp="29", eef_db=records(recorder)).images()
    told = "Erlang/OTP 29.1.1 has 1 advisory (worst CRITICAL); 29.1.2 has none"
    assert [line for line in text.splitlines() if line.startswith("# WARNING")] == [
        f"# WARNING: {key}: {told}" for key in ("builder-alpine", "builder-debian", "builder-debian-full")
    ]
    assert parse_table(text, "t").images == images_in_use("", {}, "29").table
    # What a digest alone names is not known, and said so.
    pinned = "h.example.org/erlang@sha256:" + "a" * 64
    text = await module(recorder, builder_image=pinned, eef_db=records(recorder)).images()
    assert "# builder-alpine: the tag does not name the Erlang/OTP version; the function outdated reads" in text
    sound = "h.example.org/erlang:29.1.2-alpine@sha256:" + "a" * 64
    text = await module(recorder, builder_image=sound, eef_db=records(recorder)).images()
    assert "builder-alpine:" not in text


async def test_images_are_shown_where_nothing_is_known_of_their_erlang(recorder: Recorder) -> None:
    recorder.answer("File.contents", pull_error("cna.erlef.org"), when=lambda chain: bool(chain.calls("http")))
    text = await module(recorder, otp="29").images()
    [line] = [line for line in text.splitlines() if line.startswith("# builder-alpine")]
    assert line.startswith(
        "# builder-alpine: the advisories on Erlang/OTP 29.1.1 are not known: its database could not"
    )
    assert line.endswith("give one with --eef-db")
    assert parse_table(text, "t").images


async def test_outdated_says_what_it_cannot_know(recorder: Recorder) -> None:
    of_registries(recorder, {"erlang": {}})
    failing(recorder, "ls", "Error: no such host")
    recorder.answer(
        "File.contents", pull_error("cna.erlef.org"), when=lambda chain: bool(chain.parent.call.args.get("url"))
    )
    text = await module(recorder).outdated()
    for key in images_in_use("", {}).table:
        [row] = [line for line in text.splitlines() if line.strip().startswith(f"{key} ")]
        assert row.rstrip().endswith("not known")
    assert "cannot query docker.io/library/erlang: no such host" in text
