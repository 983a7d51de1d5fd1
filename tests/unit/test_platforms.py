import pytest

from pipeline.errors import InputError
from pipeline.image.platforms import parse_platforms, refuse
from pipeline.project.images import Images
from pipeline.project.project import Project

OWN = "linux/amd64"
PROJECT = Project(source=None, images=Images({"builder-alpine": "erlang:27", "runtime-alpine": "alpine:3"}))
ARM = parse_platforms(["linux/arm64"], OWN)["linux/arm64"]


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        ([], "linux/amd64", {"linux/amd64": None}),
        ([], "linux/arm64/v8", {"linux/arm64": None}),
        (["linux/amd64"], "linux/amd64", {"linux/amd64": None}),
        (["linux/amd64"], "linux/arm64", {"linux/amd64": "amd64"}),
        (["linux/arm64", "linux/amd64", "linux/arm64"], "linux/amd64", {"linux/amd64": None, "linux/arm64": "arm64"}),
        # An engine of a platform that the pipeline does not know still builds for itself.
        ([], "linux/riscv64", {"linux/riscv64": None}),
    ],
)
def test_platforms_are_read(given: list[str], own: str, expected: dict[str, str | None]) -> None:
    platforms = parse_platforms(given, own)
    assert {name: platform and platform.architecture for name, platform in platforms.items()} == expected


def test_the_order_of_platforms_changes_nothing() -> None:
    both = ["linux/arm64", "linux/amd64"]
    assert list(parse_platforms(both, OWN)) == list(parse_platforms(reversed(both), OWN))


@pytest.mark.parametrize("name", ["linux/s390x", "arm64", "windows/amd64", ""])
def test_an_unknown_platform_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"^--platforms {name}: .* linux/amd64 or linux/arm64$"):
        parse_platforms(["linux/amd64", name], OWN)


def test_nothing_against_it_is_no_refusal() -> None:
    refuse([], PROJECT, ARM)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("native lib/jiffy-1.1.2/priv/jiffy.so", r"^jiffy has native code \(lib/jiffy-1\.1\.2/priv/jiffy\.so\)"),
        ("native bin/tool", r"^the release has native code \(bin/tool\)"),
        (
            "processor /usr/lib/erlang/erts-15/bin/epmd",
            r"^erlang:27: its image for linux/arm64 is wrong: .*epmd is for another",
        ),
        (
            "different no lib/ssl-11.2, but ssl-11.3",
            r"^erlang:27: its image for linux/arm64 has another version .*ssl-11\.2, but ssl-11\.3",
        ),
    ],
)
def test_what_stands_against_copying_is_said(problem: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        refuse([problem, "native lib/second-1/priv/x.so"], PROJECT, ARM)


def test_the_way_out_of_native_code_is_named() -> None:
    with pytest.raises(InputError, match="--platforms=linux/arm64 and with _EXPERIMENTAL_DAGGER_RUNNER_HOST"):
        refuse(["native lib/a-1/priv/x.so"], PROJECT, ARM)
