"""Which images go on where others stand, and how a table is written anew."""

import datetime as dt

import pytest

from pipeline.errors import InputError, RegistryError
from pipeline.registry.lines import newer, place, reached
from pipeline.registry.reference import Reference
from pipeline.registry.refresh import rewritten, runtime_tags

TODAY = dt.date(2026, 11, 25)
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("key", "tag", "tags", "expected"),
    [
        # One prefix, one suffix; no pre-release, no name without a version, no older one.
        (
            "syft",
            "v1.9.0",
            "v1.10.0 1.11.0 v1.10.0-debug v1.10.0-rc.1 v2 latest v1.9.0 v1.8.9 v2.0.0",
            ["v2.0.0", "v2", "v1.10.0"],
        ),
        # A builder stays with its Erlang/OTP; names that float are older than what they stand for.
        (
            "builder-alpine",
            "29.1.1-alpine",
            "29-alpine 29.1-alpine 29.2-alpine 29.1.1.1-alpine 30.0-alpine 29.3-slim 29.3 29.3-rc1-alpine alpine",
            ["29.2-alpine", "29.1.1.1-alpine"],
        ),
        ("builder-debian-full", "27.3.4.9", "27.3.4.10 27.3.4.10-slim 28.0 27.3.5", ["27.3.5", "27.3.4.10"]),
        # A runtime stays with its distribution's release.
        ("runtime-alpine", "3.24.2", "3.24.10 3.25.0 3.24 3", ["3.24.10"]),
        (
            "runtime-debian",
            "trixie-20260918-slim",
            "trixie-20260930-slim forky-20261001-slim trixie-20261001 trixie-slim trixie-20260101-slim",
            ["trixie-20260930-slim"],
        ),
        ("trivy", "0.69.3", "0.69.4 0.69.5 0.69.6 0.70.0", ["0.70.0"]),
        ("grype", "0.69.3", "0.69.4", ["0.69.4"]),
        ("crane", "debug", "v1.0.0 debug latest", []),
    ],
)
def test_newer_is_what_goes_on_in_the_same_line(key: str, tag: str, tags: str, expected: list[str]) -> None:
    assert newer(key, tag, tags.split()) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("erlang:27", Reference("docker.io", "library/erlang", "27")),
        ("aquasec/trivy:1", Reference("docker.io", "aquasec/trivy", "1")),
        ("ghcr.io/a/b", Reference("ghcr.io", "a/b")),
        (f"localhost/a@{DIGEST}", Reference("localhost", "a", "", DIGEST)),
        ("127.0.0.1:5000/a:1", Reference("127.0.0.1:5000", "a", "1")),
    ],
)
def test_a_place_is_read_as_the_engine_reads_it(reference: str, expected: Reference) -> None:
    assert place(reference, "x") == expected


def test_a_registry_of_this_machine_is_reached_by_its_service() -> None:
    image = Reference("127.0.0.1:5000", "a", "1")
    assert str(reached(image, service=True)) == "registry.localhost:5000/a:1"
    with pytest.raises(RegistryError, match=r"--registry-service tcp://127\.0\.0\.1:5000"):
        reached(image, service=False)
    far = Reference("ghcr.io", "a", "1")
    assert reached(far, service=True) == reached(far, service=False) == far


@pytest.mark.parametrize(
    ("tag", "tags", "release", "built_on", "expected"),
    [
        ("3.24.2", "3.24.2 3.24.3 3.25.0 3.25.1", {"VERSION_ID": "3.25.0"}, "", ["3.25.0", "3.24.2"]),
        ("3.24.2", "3.24.2 3.24.3", {"VERSION_ID": "3.25.0"}, "", ["3.24.2"]),
        # Debian: what the builder was made on, else the newest of that release, else the one in use.
        (
            "trixie-20260918-slim",
            "trixie-20260918-slim forky-20261001-slim forky-20261008-slim forky-20261009",
            {"VERSION_CODENAME": "forky", "VERSION_ID": "14"},
            "forky-20261001",
            ["forky-20261001-slim", "forky-20261008-slim", "trixie-20260918-slim"],
        ),
        (
            "trixie-20260918-slim",
            "trixie-20260918-slim",
            {"VERSION_CODENAME": "forky"},
            "forky-20261001",
            ["trixie-20260918-slim"],
        ),
        ("latest", "latest 1.0", {"VERSION_ID": "1.0"}, "", ["latest"]),
    ],
)
def test_a_runtime_is_sought_by_its_builders_distribution(
    tag: str, tags: str, release: dict[str, str], built_on: str, expected: list[str]
) -> None:
    assert runtime_tags(tag, tags.split(), release, built_on) == expected


TABLE = f"""# About all.

[images]
# Never 1.
# Source: old
# and more
syft = "h.example.org/x:1@{DIGEST}" # why
grype = "h.example.org/y:1@{DIGEST}"
[otp.29]
# Source: of x
builder-debian = "h.example.org/x:1@{DIGEST}"
"""


def test_what_is_said_of_a_digest_goes_with_it_and_the_rest_stays() -> None:
    moved = Reference("h.example.org", "x", "2", OTHER)
    text = rewritten(TABLE, "t", {("images", "syft"): moved}, TODAY)
    assert text == TABLE.replace(
        f'# Source: old\n# and more\nsyft = "h.example.org/x:1@{DIGEST}"',
        f'# Source: crane digest h.example.org/x:2, 2026-11-25\nsyft = "h.example.org/x:2@{OTHER}"',
    )
    text = rewritten(TABLE, "t", {("otp.29", "builder-debian"): moved, ("images", "grype"): moved}, TODAY)
    assert "# Source: old\n# and more\nsyft =" in text
    assert "# Source: of x" not in text
    assert text.count("# Source: crane digest h.example.org/x:2, 2026-11-25\n") == 2
    assert rewritten(TABLE, "t", {}, TODAY) == TABLE


@pytest.mark.parametrize(
    "table",
    [
        f'images = {{ syft = "h.example.org/x:1@{DIGEST}" }}\n',
        f'[images]\n"syft" = "h.example.org/x:1@{DIGEST}"\n',
        f"[images]\nsyft = 'h.example.org/x:1@{DIGEST}'\n",
        f'images.syft = "h.example.org/x:1@{DIGEST}"\n',
    ],
)
def test_a_table_that_is_not_written_line_by_line_is_refused(table: str) -> None:
    with pytest.raises(InputError, match="t: this table cannot be updated: write each image on a line of its own"):
        rewritten(table, "t", {("images", "syft"): Reference("h.example.org", "x", "2", OTHER)}, TODAY)
