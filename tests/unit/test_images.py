import pytest

from pipeline.errors import InputError
from pipeline.project.images import default_images, images_in_use, is_pinned, parse_files, parse_images, render_images


def test_every_default_image_is_pinned_by_digest() -> None:
    table = default_images().table
    assert {"builder-alpine", "runtime-alpine", "builder-debian", "runtime-debian"} <= set(table)
    assert [key for key, reference in table.items() if not is_pinned(reference)] == []


def test_what_is_shown_can_be_given_again() -> None:
    images = default_images()
    assert parse_images(render_images(images), "--images") == images.table
    assert parse_files(render_images(images), "--images") == images.files


def test_an_override_replaces_and_unpinned_ones_are_named() -> None:
    images = default_images().override({"trivy": "mirror.example.org/trivy:1"})
    assert images["trivy"] == "mirror.example.org/trivy:1"
    assert "# not pinned by digest: trivy" in render_images(images)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = ", "not TOML"),
        ("a = 1", "no table [images]"),
        ('[images]\nx = "not a reference"', "is no image reference"),
        ("[images]\nx = 1", "is no image reference"),
        ('[images]\nx = "a@sha256:12"', "is no image reference"),
    ],
)
def test_says_what_is_wrong_with_a_table(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why.replace("[", r"\[")):
        parse_images(text, "--images")


def test_says_how_to_give_a_missing_image() -> None:
    with pytest.raises(InputError, match="--images"):
        default_images()["builder-plan9"]


SHA256 = "ab" * 32


def test_the_default_files_are_those_of_both_platforms() -> None:
    images = default_images()
    assert set(images.files) == {"init-amd64", "init-arm64", "certificates"}
    assert {images.file(key).url[:8] for key in images.files} == {"https://"}


def test_a_sites_own_files_replace_those_of_the_same_key() -> None:
    table = f'[files]\ninit-amd64 = "https://mirror.example.org/tini#sha256={SHA256}"\n'
    images = images_in_use(table, {})
    assert images.file("init-amd64").url == "https://mirror.example.org/tini"
    assert images.file("init-amd64").sha256 == SHA256
    assert images.file("init-arm64") == default_images().file("init-arm64")


@pytest.mark.parametrize(
    "value",
    ['"https://example.org/tini"', f'"https://example.org/tini#sha256={SHA256[1:]}"', f'"tini#sha256={SHA256}"', "1"],
)
def test_a_file_without_its_checksum_is_named(value: str) -> None:
    with pytest.raises(InputError, match=r"^--images: init-amd64: .* is no file; expected https://…#sha256= and 64"):
        parse_files(f"[files]\ninit-amd64 = {value}", "--images")


def test_says_how_to_give_a_missing_file() -> None:
    with pytest.raises(InputError, match=r'^no file "init-riscv64"; give it with --init, or as'):
        default_images().file("init-riscv64")
