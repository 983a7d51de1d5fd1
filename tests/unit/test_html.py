"""`report.html` from recorded scans and a recorded SBOM: what is in it, and that nothing of it is anything but text."""

import base64
import dataclasses
import datetime as dt
import hashlib
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_priority import COWLIB, FIXED, SSH, made, sight
from test_reports import ACCEPTED, EXPIRED, GRYPE, LOST, PLACES, STATEMENT, TRIVY, UNMATCHED, crowd, report

from pipeline.image.layout import Layer
from pipeline.project.images import default_images
from pipeline.report.compliance import Check
from pipeline.report.graph import graph, ordered, reduced
from pipeline.report.html import html as written
from pipeline.report.remedies import next_steps, remedies
from pipeline.report.report import Report
from pipeline.report.treemap import Tree, treemap
from pipeline.sbom.component import Kind
from pipeline.sbom.sbom import Image, Sbom
from pipeline.scan.acceptance import Acceptance
from pipeline.scan.findings import Severity
from pipeline.scan.policy import Policy, Rules
from pipeline.scan.scanners import Results
from pipeline.scan.verdict import Judged

DATA = Path(__file__).parent / "data" / "sbom"
SYFT, INVENTORY = ((DATA / name).read_text() for name in ("syft.json", "inventory.json"))
IMAGE = Image("ghcr.io/example/erlmcp", "2.1.0", "sha256:" + "5e" * 32, "2026-02-04T17:25:56Z")
SBOM = Sbom.parse(IMAGE, SYFT, INVENTORY, default_images())
RESULTS = Results((TRIVY, GRYPE), syft=SYFT, sbom=SBOM)
LIB = "/opt/erlmcp/lib"
LAYERS = [
    Layer("sha256:a", 900, {"/lib/x86_64-linux-gnu/libc.so.6": 1500, "/etc/passwd": 50, "/etc/empty": 0}),
    Layer("sha256:b", 90, {"/bin/sh": 120}),
    Layer("sha256:c", 800, {"/usr/lib/x86_64-linux-gnu/libssl.so.3": 1400}),
    Layer("sha256:d", 700, {f"{LIB}/kernel-10.2/ebin/code.beam": 900, "/opt/erlmcp/erts-15.2/bin/beam.smp": 4000}),
    Layer("sha256:e", 300, {f"{LIB}/cowboy-2.10.0/ebin/cow{number}.beam": 10 + number for number in range(40)}),
    Layer("sha256:f", 100, {f"{LIB}/erlmcp_core-2.1.0/ebin/erlmcp.beam": 70, "/opt/erlmcp/bin/erlmcp": 30}),
]
CHECKS = [
    Check("non-root", "runs as a non-root user", passed=True, detail="uid 1000"),
    Check("no-setuid", "no setuid or setgid file", passed=False, detail="/bin/su"),
    Check("no-secret", "no secret in the image", passed=None, detail="Trivy failed"),
]
#: What an advisory, a package or a file may hold to do harm in a page.
HOSTILE = (
    "</script><script>hurt=1</script>",
    "<img src=x onerror=hurt=1>",
    "<!--<script>",
    "javascript:hurt=1",
    "\u2028\u2029 \"'&lt;@DATA@@SCRIPT@",
)


def told() -> Report:
    """Return a report of which no part is empty."""
    entries = (ACCEPTED, EXPIRED, UNMATCHED)
    found = report(acceptances=entries, statements=[STATEMENT, LOST])
    return dataclasses.replace(found, places=PLACES, rules=Rules(acceptances=entries), erlang="27.3.4.1")


def hostile() -> tuple[Report, Results, list[Check], list[Layer]]:
    """Return what `html` takes, with harm in everything that others write."""
    harm = " ".join(HOSTILE)
    sightings = tuple(
        dataclasses.replace(
            TRIVY.sightings[1],
            id=f"CVE-2026-{number}",
            package=text,
            version=text,
            title=harm,
            fixed=(text,),
            url=text,
            scanner=text,
        )
        for number, text in enumerate((*HOSTILE, "JaVaScRiPt:hurt=1", "data:text/html,x", " javascript:hurt=1"))
    )
    run = dataclasses.replace(TRIVY, sightings=sightings, remarks=(harm,))
    entry = Acceptance(HOSTILE[0], harm, harm, dt.date(2026, 12, 31))
    found = dataclasses.replace(report(run, acceptances=[entry]), rules=Rules(acceptances=(entry,)), image=harm)
    first, *rest = SBOM.components
    parts = (dataclasses.replace(first, name=harm, version=harm), *rest)
    own = dataclasses.replace(SBOM.components[-2], kind=Kind.OWN, name=harm, purl=f"pkg:generic/{harm}")
    results = dataclasses.replace(RESULTS, sbom=dataclasses.replace(SBOM, components=(*parts, own)))
    layers = [*LAYERS[:-1], Layer("sha256:f", 1, {f"{LIB}/{harm}/{harm}": 70})]
    return found, results, [dataclasses.replace(CHECKS[0], name=harm, detail=harm)], layers


class Page(html.parser.HTMLParser):
    """The elements of a page with their attributes, and the texts of its scripts and style sheets."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.texts.append((f"{tag} {dict(attrs).get('type', '')}".strip(), ""))

    def handle_data(self, data: str) -> None:
        if self.lasttag in {"script", "style"} and data.strip():
            name, text = self.texts[-1]
            self.texts[-1] = (name, text + data)


def page_of(found: Report, results: Results = RESULTS) -> str:
    return written(found, results, CHECKS, LAYERS)


def data_of(text: str) -> dict[str, Any]:
    return dict(json.loads(dict(Page(text).texts)["script application/json"]))


# The page ------------------------------------------------------------------------------------------------------------


def test_the_page_has_all_that_it_needs_and_may_fetch_nothing() -> None:
    page = Page(page_of(told()))
    [policy] = [
        attributes["content"] or ""
        for name, attributes in page.elements
        if name == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    texts = dict(page.texts)
    hashes = {
        f"{kind}-src": base64.b64encode(hashlib.sha256(texts[kind].encode()).digest()).decode()
        for kind in ("script", "style")
    }
    assert policy.split("; ") == [
        "default-src 'none'",
        *(f"{directive} 'sha256-{value}'" for directive, value in hashes.items()),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    # Before whatever it is to hold for.
    assert [name for name, _ in page.elements].index("meta") < [name for name, _ in page.elements].index("style")
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "style"}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(
        r"@import|url\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page_of(told())
    )


def test_what_others_wrote_is_in_the_page_as_data_alone() -> None:
    clean, text = Page(page_of(told())), written(*hostile())
    page = Page(text)
    assert page.elements == clean.elements
    assert [name for name, _ in page.texts] == ["style", "script application/json", "script"]
    assert [text for name, text in page.texts if name != "script application/json"] == [
        text for name, text in clean.texts if name != "script application/json"
    ]
    [data] = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert "<" not in data
    assert json.loads(data)["image"] == " ".join(HOSTILE)


@pytest.mark.parametrize("found", [told(), report(dataclasses.replace(TRIVY, sightings=()))], ids=["told", "empty"])
def test_the_same_report_gives_the_same_page(found: Report) -> None:
    assert page_of(found) == page_of(found)


def test_a_page_of_a_big_image_is_small() -> None:
    files = {
        f"{LIB}/app_{number % 150}-1.0.0/ebin/a_module_with_a_long_name_{number}.beam": 9000 for number in range(9000)
    }
    text = written(crowd(1000), RESULTS, CHECKS, [*LAYERS[:-1], Layer("sha256:f", 1, files)])
    assert len(text) < 2_000_000
    assert data_of(text)["size"]["tree"][1] == sum(sum(layer.files.values()) for layer in LAYERS[:-1]) + 9000 * 9000


def test_a_page_without_an_sbom_has_everything_else() -> None:
    data = data_of(page_of(told(), Results((TRIVY, GRYPE))))
    assert data["sbom"] is None
    assert len(data["findings"]) == 7
    assert [name for name, *_ in data["size"]["tree"][2]]


def test_the_page_says_what_is_accepted_and_until_when() -> None:
    data = data_of(page_of(told()))
    states = {entry["id"]: (entry["state"], entry["until"]) for entry in data["acceptances"]}
    assert states == {
        "CVE-0000-0002": ("counts", "2026-12-31"),
        "CVE-2026-23941": ("expired", "2026-11-01"),
        "CVE-2020-1": ("matches nothing", "2026-12-31"),
    }
    until = {item["package"]["name"]: item["until"] for item in data["findings"] if item["until"]}
    assert until == {"tiny_text": "2026-12-31"}


# Next steps ----------------------------------------------------------------------------------------------------------


def steps(*sightings: Any, **rest: Any) -> dict[str, str]:  # noqa: ANN401 # arguments
    found = made(*sightings, **rest)
    judged: tuple[Judged, ...] = found.verdict.judged
    return {item.finding.id: step for item, step in zip(judged, next_steps(found), strict=True)}


def test_the_next_step_of_a_finding_is_the_change_that_mends_it() -> None:
    found = steps(COWLIB, sight("CVE-2026-2", fixed=("2.14.0",)), SSH, places=PLACES, policy=Policy(Severity.MEDIUM))
    assert found == {
        "CVE-2026-1": "rebar.config: cowlib 2.12.1 → 2.14.0",
        "CVE-2026-2": "rebar.config: cowlib 2.12.1 → 2.14.0",
        "CVE-2025-32433": "ci/images.toml: ssh 5.2.6 → 5.2.10",
    }
    assert [(each.mends, len(each.findings)) for each in remedies(made(COWLIB, sight("CVE-2026-2")))] == [(2, 2)]


def test_the_next_step_fits_what_became_of_a_finding() -> None:
    entry = Acceptance("CVE-2026-1", "cowlib", "made up", dt.date(2026, 12, 31))
    unfixed = Acceptance("CVE-2026-2", "cowlib", "made up", dt.date(2026, 12, 31))
    found = steps(
        COWLIB,
        sight("CVE-2026-2", fixed=()),
        sight("CVE-2026-3", fixed=()),
        sight("CVE-2026-4", fixed=(), severity=Severity.LOW),
        sight("CVE-2026-5", severity=Severity.LOW),
        sight("retired", fixed=()),
        acceptances=[entry, unfixed],
    )
    assert found == {
        "CVE-2026-1": "none until 2026-12-31; to fix it before: rebar.lock: cowlib 2.12.1 → 2.13.1",
        "CVE-2026-2": "none until 2026-12-31",
        "CVE-2026-3": "accept it in accept.toml, or state in a VEX document why it does not apply",
        "CVE-2026-4": "none: the policy tolerates it",
        "CVE-2026-5": "rebar.lock: cowlib 2.12.1 → 2.13.1",
        "retired": "replace the package cowlib, or accept the finding in accept.toml",
    }


def test_a_base_image_is_the_next_step_for_a_package_of_the_system() -> None:
    urgency = dataclasses.replace(COWLIB.urgency, fixed_on=FIXED)
    found = steps(sight("CVE-2026-9", package="libc6", kind=Kind.OS, urgency=urgency))
    assert found == {"CVE-2026-9": "image table: a base image built on 2026-11-25 or later"}


# Size ----------------------------------------------------------------------------------------------------------------


def named(tree: Tree) -> dict[str, int]:
    return {part.name: part.bytes for part in tree.parts}


def test_the_tree_has_every_byte_by_layer_application_and_file() -> None:
    tree = treemap(LAYERS, {"/usr/lib/x86_64-linux-gnu/libc.so.6": "libc6", "/usr/bin/sh": "dash"})
    assert named(tree) == {
        "ERTS and OTP": 4900,
        "base": 1670,
        "libraries": 1400,
        "dependencies": 1180,
        "applications": 100,
    }
    assert tree.bytes == sum(sum(layer.files.values()) for layer in LAYERS)
    parts = {part.name: part for part in tree.parts}
    # A package has a file wherever /lib and /bin lead; what is of none is in its folder.
    assert named(parts["base"]) == {"libc6": 1500, "dash": 120, "/etc": 50}
    assert named(parts["libraries"]) == {"/usr": 1400}
    assert named(parts["ERTS and OTP"]) == {"erts-15.2": 4000, "kernel-10.2": 900}
    assert named(parts["ERTS and OTP"].parts[0]) == {"bin/beam.smp": 4000}
    assert named(parts["applications"]) == {"erlmcp_core-2.1.0": 70, "bin": 30}


def test_small_files_are_one() -> None:
    [cowboy] = next(part for part in treemap(LAYERS, {}).parts if part.name == "dependencies").parts
    assert [part.bytes for part in cowboy.parts[:2]] == [49, 48]
    assert cowboy.parts[-1] == Tree("15 smaller files", sum(range(10, 25)))
    assert cowboy.bytes == sum(part.bytes for part in cowboy.parts)


# Dependencies --------------------------------------------------------------------------------------------------------


def test_the_graph_leads_from_own_applications_to_erlang() -> None:
    drawn = graph(SBOM)
    own, packages, otp = ([part.name for part in column] for column in drawn.columns)
    assert own == ["erlmcp_observability", "erlmcp_transports", "erlmcp_core"]
    assert {"cowboy", "hpack_erl"} <= set(packages)
    assert {"kernel", "erts"} <= set(otp)
    # Neither Erlang/OTP as a whole, nor what is locked and not shipped, nor what nobody needs.
    assert not {"erlang", "gen_pnet", "libc6", "erlmcp-pipeline"} & {*own, *packages, *otp}
    names = {part.purl: part.name for part in SBOM.components}
    needs = {names[purl]: [names[need] for need in needs] for purl, needs in drawn.needs.items()}
    assert needs["kernel"] == ["erts"]
    assert needs["erlmcp_core"] == ["bbmustache", "gproc", "jesse", "jose"]
    # Who needs stands above what is needed.
    for column in (own, packages, otp):
        assert all(column.index(name) < column.index(need) for name in column for need in needs[name] if need in column)


def test_what_follows_from_another_need_is_left_out_and_nothing_else() -> None:
    needs = {"a": ("b", "c", "d"), "b": ("c",), "c": ("d",), "d": ()}
    assert reduced(needs) == {"a": ("b",), "b": ("c",), "c": ("d",), "d": ()}
    assert ordered(["a"], needs) == ["a", "b", "c", "d"]


def test_a_circle_loses_nothing() -> None:
    needs = {"a": ("b", "c"), "b": ("a", "c"), "c": ()}
    assert reduced(needs) == needs
    assert ordered(["a", "c"], needs) == ["a", "b", "c"]
