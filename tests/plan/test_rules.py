"""Where the policy comes from: the command, else the project's own files, else the default."""

import datetime as dt
import json

import dagger
import pytest
from answers import NOW
from dagger import dag
from recorder import Recorder

from pipeline.errors import InputError
from pipeline.project.images import OWN, default_images, images_in_use, own_table
from pipeline.project.project import Project
from pipeline.report.places import read_places
from pipeline.scan.databases import MAX_AGE
from pipeline.scan.findings import Severity
from pipeline.scan.policy import Criteria, Rules, otp_statements, project_rules, read_criteria

pytestmark = pytest.mark.anyio

SETTINGS = """[policy]
fail-on = "CRITICAL"
only-fixed = true
otp-vex = true
accept-old-db = true
unknown-as = "MEDIUM"
require = ["labels", "size"]
vex = ["vex/own.json"]
"""
TOMORROW = NOW.date() + dt.timedelta(days=1)


async def read_rules(criteria: Criteria, source: dagger.Directory) -> Rules:
    return (await read_criteria(criteria)).over(await project_rules(source))


def vex(flaw: str) -> str:
    statement = {"vulnerability": {"name": flaw}, "products": [{"@id": "pkg:otp/ssh"}], "status": "fixed"}
    return json.dumps(
        {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": f"https://example.org/{flaw}",
            "timestamp": "2026-01-01T00:00:00Z",
            "statements": [statement],
        }
    )


def acceptance(package: str) -> str:
    return f'[[accept]]\nid = "CVE-1"\npackage = "{package}"\nreason = "r"\nuntil = {TOMORROW}\n'


async def test_without_a_word_the_default_holds(recorder: Recorder) -> None:
    rules = await read_rules(Criteria(), recorder.host_directory({"rebar.config": ""}))
    assert rules == Rules()
    assert (rules.policy.fail_on, rules.max_age) == (Severity.HIGH, MAX_AGE)
    assert rules.require == ("non-root", "no-setuid", "health", "base-pinned", "sbom")


async def test_the_projects_own_files_count_without_being_asked_for(recorder: Recorder) -> None:
    files = {"erlmcp.toml": SETTINGS, "accept.toml": acceptance("own"), "vex/own.json": vex("CVE-2")}
    rules = await read_rules(Criteria(), recorder.host_directory(files))
    assert (rules.policy.fail_on, rules.policy.only_fixed) == (Severity.CRITICAL, True)
    assert (rules.otp_vex, rules.max_age) == (True, None)
    assert (rules.policy.unknown_as, rules.require) == (Severity.MEDIUM, ("labels", "size"))
    assert [entry.package for entry in rules.acceptances] == ["own"]
    assert [statement.names for statement in rules.statements] == [frozenset({"CVE-2"})]


async def test_a_command_overrides_the_projects_files_one_by_one(recorder: Recorder) -> None:
    files = {"erlmcp.toml": SETTINGS, "accept.toml": acceptance("own"), "vex/own.json": vex("CVE-2")}
    given = dag.directory().with_new_file("a.toml", acceptance("given")).with_new_file("v.json", vex("CVE-3"))
    criteria = Criteria(
        "low",
        only_fixed=False,
        unknown_as="critical",
        vex=(given.file("v.json"),),
        accept=given.file("a.toml"),
        accept_old_db=False,
        require=("none",),
    )
    rules = await read_rules(criteria, recorder.host_directory(files))
    assert (rules.policy.fail_on, rules.policy.only_fixed) == (Severity.LOW, False)
    assert (rules.otp_vex, rules.max_age) == (True, MAX_AGE)
    assert (rules.policy.unknown_as, rules.require) == (Severity.CRITICAL, ())
    assert [entry.package for entry in rules.acceptances] == ["given"]
    assert [statement.names for statement in rules.statements] == [frozenset({"CVE-3"})]


@pytest.mark.parametrize(
    ("files", "criteria", "message"),
    [
        ({"erlmcp.toml": "x"}, Criteria(), "erlmcp.toml: this file is not valid TOML"),
        ({"erlmcp.toml": SETTINGS}, Criteria(), "erlmcp.toml: policy.vex names vex/own.json, which does not exist"),
        (
            {"erlmcp.toml": SETTINGS, "vex/own.json": "{}"},
            Criteria(),
            "vex/own.json: this file is not an OpenVEX document",
        ),
        ({"accept.toml": "x"}, Criteria(), "accept.toml: this file is not valid TOML"),
        ({}, Criteria("severe"), "--fail-on: severe: not a severity"),
        ({}, Criteria(unknown_as="none"), "--unknown-as: none: not a severity"),
        ({}, Criteria(require=("pretty",)), "--require: pretty is not a check; the checks are non-root, no-setuid, "),
        ({"erlmcp.toml": "[policy]\nrequire = ['pretty']\n"}, Criteria(), "erlmcp.toml: policy.require: pretty is no"),
    ],
)
async def test_a_wrong_file_is_named(
    recorder: Recorder, files: dict[str, str], criteria: Criteria, message: str
) -> None:
    with pytest.raises(InputError) as raised:
        await read_rules(criteria, recorder.host_directory({"rebar.config": "", **files}))
    assert str(raised.value).startswith(message)


async def test_without_an_sbom_erlangs_own_vex_is_not_fetched(recorder: Recorder) -> None:
    assert await otp_statements("") == ()
    assert recorder.find("http") == []


async def test_an_image_table_is_found_in_the_project_by_its_text(recorder: Recorder) -> None:
    files = {
        "rebar.config": "{relx, []}.\n",
        "rebar.lock": '[{<<"a">>,{pkg,<<"a">>,<<"1">>},0}].\n',
        "a/copy/mine.toml": '[images]\nruntime-debian = "debian:13"\n',
        "old/mine.toml": '[images]\nruntime-debian = "debian:12"\n',
        "site/mine.toml": '[images]\nruntime-debian = "debian:13"\n',
    }
    source = recorder.host_directory(files)
    table = source.file("site/mine.toml")
    images = images_in_use(files["site/mine.toml"], {})
    places = await read_places(Project(source, images, flavor="debian"), source, table)
    assert places.tables == (("site/mine.toml", files["site/mine.toml"]),)
    assert (places.lock, places.config) == (files["rebar.lock"], files["rebar.config"])
    assert (places.runtime, places.otp) == ("debian:13", "28")
    elsewhere = recorder.host_directory({"mine.toml": "[images]\n"}).file("mine.toml")
    assert (await read_places(Project(source, images, flavor="debian"), source, elsewhere)).tables == ()


async def test_the_modules_own_image_table_counts_where_it_is_part_of_the_project(recorder: Recorder) -> None:
    for text, tables in ((own_table(), ((OWN, own_table()),)), ("[images]\n", ())):
        source = recorder.host_directory({"rebar.config": "", OWN: text})
        places = await read_places(Project(source, default_images()), source, None)
        assert places.tables == tables
        assert places.builder in own_table()
