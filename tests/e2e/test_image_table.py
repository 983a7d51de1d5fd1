"""The image table against a registry: what is newer, and how it is refreshed."""

import datetime as dt
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path

import facts
import pytest
from conftest import InProcess, Result
from registry import small


def alpine(version: str) -> str:
    return f'ID=alpine\nVERSION_ID={version}\nPRETTY_NAME="Alpine Linux v{version}"\n'


def debian(version: str, codename: str) -> str:
    return f'ID=debian\nVERSION_ID="{version}"\nVERSION_CODENAME={codename}\n'


TRIXIE, FORKY = debian("13", "trixie"), debian("14", "forky")
#: By repository and tag: the distribution, and the Erlang/OTP.
IMAGES = {
    # A pair that moves; of the newest one platform is missing.
    ("erlang", "29.1.1-alpine"): (alpine("3.24.2"), "29.1.1"),
    ("erlang", "29.1.2-alpine"): (alpine("3.25.0"), "29.1.2"),
    ("erlang", "30.0-alpine"): (alpine("3.25.0"), "30.0"),
    ("alpine", "3.24.2"): (alpine("3.24.2"), ""),
    ("alpine", "3.24.3"): (alpine("3.24.3"), ""),
    ("alpine", "3.25.0"): (alpine("3.25.0"), ""),
    # One whose builder has come to a distribution of which there is no runtime.
    ("erlang", "28.1-slim"): (TRIXIE, "28.1"),
    ("erlang", "28.2-slim"): (FORKY, "28.2"),
    ("debian", "trixie-20260101-slim"): (TRIXIE, ""),
    ("debian", "trixie-20260201-slim"): (TRIXIE, ""),
    # One with a full builder.
    ("other/erlang", "27.1-slim"): (TRIXIE, "27.1"),
    ("other/erlang", "27.1.1-slim"): (TRIXIE, "27.1.1"),
    ("other/erlang", "27.1"): (TRIXIE + "# full\n", "27.1"),
    ("other/erlang", "27.1.1"): (TRIXIE + "# full\n", "27.1.1"),
    # Tools: a newer one, and one whose newer images are malicious.
    ("syft", "v1.9.0"): ("ID=x", ""),
    ("syft", "v1.10.0"): ("ID=x", ""),
    ("trivy", "0.69.3"): ("ID=x", ""),
    ("trivy", "0.69.4"): ("ID=x", ""),
}


@dataclass(frozen=True)
class Site:
    """A registry with several tags, and a table of images there."""

    in_process: InProcess
    folder: Path
    port: str
    root: str
    digests: dict[tuple[str, str], str]

    def reference(self, name: str, tag: str) -> str:
        return f"{self.root}/{name}:{tag}@{self.digests[name, tag]}"

    def call(self, *words: str) -> Result:
        return InProcess(self.in_process.env, self.folder / "images.toml")(
            self.folder, f"--registry-service=tcp://127.0.0.1:{self.port}", *words
        )


@pytest.fixture
def site(in_process: InProcess, registry: str, tmp_path: Path) -> Site:
    root = f"{registry}/lines/{uuid.uuid4().hex}"
    digests = {
        (name, tag): small(f"{root}/{name}", tag, release, otp) for (name, tag), (release, otp) in IMAGES.items()
    }
    small(f"{root}/erlang", "29.1.3-alpine", alpine("3.25.0"), "29.1.3", ("arm64",))
    made = Site(in_process, tmp_path, registry.partition(":")[2], root, digests)
    tools = tomllib.loads(in_process.images.read_text())["images"]
    (tmp_path / "images.toml").write_text(
        f"""# A site's table.
[images]
crane = "{tools["crane"]}"

# Never 0.69.4.
# Source: a note
trivy = "{made.reference("trivy", "0.69.3")}"
# The one that we know.
syft = "{made.reference("syft", "v1.9.0")}"  # by hand

[otp]
default-debian = "28"

[otp.29]
# Source: of the old builder
# that is said on two lines
builder-alpine = "{made.reference("erlang", "29.1.1-alpine")}"
# Source: of the old runtime
runtime-alpine = "{made.reference("alpine", "3.24.2")}"

[otp.28]
# Source: of a pair that stays
builder-debian = "{made.reference("erlang", "28.1-slim")}"
runtime-debian = "{made.reference("debian", "trixie-20260101-slim")}"

[otp.27]
builder-debian = "{made.reference("other/erlang", "27.1-slim")}"
builder-debian-full = "{made.reference("other/erlang", "27.1")}"
runtime-debian = "{made.reference("debian", "trixie-20260101-slim")}"
"""
    )
    return made


def test_says_what_is_newer_and_what_the_erlang_suffers_from(site: Site) -> None:
    spans = [
        ("pkg:otp/ssl", "11.0", "11.5.1"),
        ("pkg:github/erlang/otp", "28.0", "28.1.1"),
    ]
    published = {
        "id": "CVE-2026-1",
        "ghsa": None,
        "score": 7.1,
        "severity": "HIGH",
        "affected": [
            {
                "package": package,
                "default": "unaffected",
                "functions": [],
                "ranges": [{"scheme": "otp", "from": start, "before": end, "fixed": []}],
            }
            for package, start, end in spans
        ],
    }
    records = site.folder / "eef"
    records.mkdir()
    (records / "eef.json").write_text(facts.database(dt.datetime(2026, 2, 3, tzinfo=dt.UTC), [published]))
    result = site.call(f"--eef-db={records}", "outdated")
    assert result.code == 0, result.err
    rows = {line.split()[0]: line.split()[1:] for line in result.out.splitlines() if line.strip()}
    assert rows["builder-debian"] == ["28.1-slim", "28.2-slim", "newer"]
    assert rows["runtime-debian"] == ["trixie-20260101-slim", "trixie-20260201-slim", "newer"]
    assert rows["syft"] == ["v1.9.0", "v1.10.0", "newer"]
    assert rows["trivy"] == ["0.69.3", "0.69.3"]
    # What is not given there is the module's own, on the internet.
    assert rows["grype"][1:] == ["?", "not", "known"]
    assert "cannot query docker.io/anchore/grype: " in result.out
    assert "Erlang/OTP 28.1 has 1 advisory (worst HIGH); 28.1.1 has none" in result.out
    assert "(builder-debian; records of 2026-02-03 from --eef-db)" in result.out
    assert rows["CVE-2026-1"] == ["ssl", "28.1.1", "HIGH"]
    shown = site.call(f"--eef-db={records}", "images")
    told = "# WARNING: builder-debian: Erlang/OTP 28.1 has 1 advisory (worst HIGH); 28.1.1 has none"
    assert told in shown.out.splitlines()


def test_a_table_is_refreshed_and_a_pair_moves_together_or_stays(site: Site) -> None:
    table = site.folder / "images.toml"
    before = tomllib.loads(table.read_text())
    for _ in range(2):  # the second time nothing is left to do
        result = site.call("refresh-images", "export", f"--path={site.folder}")
        assert result.code == 0, result.err
    text = table.read_text()
    after = tomllib.loads(text)
    assert after["otp"]["29"] == {
        "builder-alpine": site.reference("erlang", "29.1.2-alpine"),
        "runtime-alpine": site.reference("alpine", "3.25.0"),
    }
    assert after["otp"]["28"] == before["otp"]["28"]
    assert after["otp"]["27"] == {
        "builder-debian": site.reference("other/erlang", "27.1.1-slim"),
        "builder-debian-full": site.reference("other/erlang", "27.1.1"),
        "runtime-debian": site.reference("debian", "trixie-20260201-slim"),
    }
    assert after["images"] == {**before["images"], "syft": site.reference("syft", "v1.10.0")}
    assert "erlang:29.1.3-alpine is not available for linux/amd64" in result.err
    assert "has no image of debian 14 for linux/amd64, linux/arm64, the distribution of" in result.err
    # A source is that of the digest beside it, what is true of any digest stays.
    assert "of the old" not in text
    assert "two lines" not in text
    for words in (
        "# A site's table.\n",
        "# Never 0.69.4.\n# Source: a note\n",
        f"# The one that we know.\n# Source: crane digest {site.root}/syft:v1.10.0, 20",
        '"  # by hand\n',
        "# Source: of a pair that stays\n",
        f"[otp.29]\n# Source: crane digest {site.root}/erlang:29.1.2-alpine, 20",
    ):
        assert words in text


def test_nothing_is_refreshed_from_a_registry_that_cannot_be_asked(site: Site) -> None:
    without = InProcess(site.in_process.env, site.folder / "images.toml", bases=False)
    result = without(site.folder, "refresh-images", "is-empty")
    assert result.code == 1
    assert result.message.startswith(f"127.0.0.1:{site.port}: a registry on this machine; make it reachable with")
