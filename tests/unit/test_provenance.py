"""The provenance is what in-toto's own definition of it can read, and says what was used."""

import dataclasses
import json

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import resource_descriptor_pb2

from pipeline.errors import InputError
from pipeline.registry.provenance import UNNAMED_BUILDER, Origin, Provenance, builder_of, lasting, source_of
from pipeline.registry.result import result, tried
from pipeline.report.compliance import Check

REVISION = "1356e12d" + "0" * 32
DIGEST = "a" * 64
FULL = Provenance(
    source="https://github.com/banyan-platform/erlmcp",
    revision=REVISION,
    content="sha256:" + "b" * 64,
    parameters={"flavor": "alpine", "apps": ["erlmcp_core"], "release": "erlmcp"},
    images={"builder-alpine": f"docker.io/library/erlang:27-alpine@sha256:{DIGEST}"},
    tools={"cosign": "ghcr.io/sigstore/cosign/cosign:v3"},
    origin=Origin(
        "https://github.com/banyan-platform/erlmcp/.github/workflows/release.yml@refs/tags/v3.0.0",
        "https://github.com/banyan-platform/erlmcp/actions/runs/1/attempts/1",
    ),
    versions={"dagger": "v0.21.8"},
    started="2026-02-04T17:25:56Z",
    finished="2026-02-04T17:35:56Z",
)
BARE = Provenance(source="", revision="", content="xxh3:1", parameters={}, images={})


@pytest.mark.parametrize("provenance", [FULL, BARE])
def test_it_is_read_by_the_official_definition(provenance: Provenance) -> None:
    # The parser refuses fields that the definition does not have, and values of another type.
    read = json_format.Parse(provenance.predicate(), provenance_pb2.Provenance())
    assert read.build_definition.build_type.startswith("https://")
    assert read.run_details.builder.id.startswith("https://")


def test_the_definition_refuses_what_is_wrong() -> None:
    predicate = json.loads(FULL.predicate())
    predicate["buildDefinition"]["resolvedDependencies"][0]["commit"] = REVISION
    with pytest.raises(json_format.ParseError):
        json_format.Parse(json.dumps(predicate), provenance_pb2.Provenance())


def test_it_names_source_and_images_with_their_digests() -> None:
    read = json_format.Parse(FULL.predicate(), provenance_pb2.Provenance())
    source, builder = read.build_definition.resolved_dependencies
    assert source.uri == f"git+https://github.com/banyan-platform/erlmcp@{REVISION}"
    assert dict(source.digest) == {"gitCommit": REVISION}
    assert builder.name == "builder-alpine"
    assert dict(builder.digest) == {"sha256": DIGEST}
    assert read.build_definition.external_parameters["flavor"] == "alpine"
    assert read.run_details.metadata.invocation_id.endswith("/actions/runs/1/attempts/1")


def test_two_runs_that_differ_in_themselves_alone_last_as_one() -> None:
    later = dataclasses.replace(FULL, started="2026-02-05T00:00:00Z", finished="2026-02-05T00:01:00Z")
    again = dataclasses.replace(later, origin=dataclasses.replace(FULL.origin, invocation="2"))
    other = dataclasses.replace(FULL, origin=dataclasses.replace(FULL.origin, builder="https://ci.example.org"))
    one, two, three, four = (json.loads(each.predicate()) for each in (FULL, later, again, other))
    assert one["runDetails"]["metadata"]["startedOn"] == "2026-02-04T17:25:56Z"
    assert one["runDetails"]["metadata"]["finishedOn"] == "2026-02-04T17:35:56Z"
    assert one != two
    assert lasting(one) == lasting(two) == lasting(three) != lasting(four)
    assert lasting({"time": "now"}) == {"time": "now"}


def test_an_image_without_digest_gets_none() -> None:
    read = json_format.Parse(FULL.predicate(), provenance_pb2.Provenance())
    (cosign,) = read.run_details.builder.builder_dependencies
    assert not cosign.digest


def test_people_read_who_and_what() -> None:
    predicate = json.loads(FULL.predicate())
    assert source_of(predicate) == f"git+https://github.com/banyan-platform/erlmcp@{REVISION}"
    assert builder_of(predicate) == FULL.origin.builder


def test_what_nobody_said_is_not_made_up() -> None:
    predicate = json.loads(BARE.predicate())
    assert predicate["runDetails"]["builder"]["id"] == UNNAMED_BUILDER
    assert "digest" not in predicate["buildDefinition"]["resolvedDependencies"][0]
    assert source_of(predicate) == "not stated"
    assert builder_of(predicate) == ""
    assert source_of({}) == "not stated"


def test_one_build_has_one_text() -> None:
    assert FULL.predicate() == dataclasses.replace(FULL).predicate()


def test_a_builder_is_a_uri() -> None:
    with pytest.raises(InputError, match="--builder-id jenkins: give a URI"):
        Origin("jenkins")


def test_the_verdict_in_short_has_the_fields_of_the_specification() -> None:
    policy = {"fail_on": "HIGH", "only_fixed": False, "accept": []}
    made = json.loads(result(json.dumps({"time": "2026-02-04T17:25:56Z", "policy": policy, "findings": []})))
    # Of in-toto's spec/predicates/svr.md (version 0.2): all that is required, and nothing else.
    assert set(made) == {"verifier", "timeCreated", "properties"}
    assert set(made["verifier"]) == {"id", "policies"}
    assert made["timeCreated"] == "2026-02-04T17:25:56Z"
    assert made["properties"] == ["ERLMCP_POLICY_PASSED", "ERLMCP_NO_BREAKING_FINDING_OF_HIGH_OR_WORSE"]
    # A resource descriptor, by in-toto's own definition.
    [described] = made["verifier"]["policies"]
    read = json_format.ParseDict(described, resource_descriptor_pb2.ResourceDescriptor())
    assert json.loads(read.content) == policy


def test_the_checks_in_short_are_what_in_toto_can_read() -> None:
    checks = [
        Check("health", "health check present and passing", passed=True),
        Check("labels", "labels complete", passed=False),
        Check("writable", "nothing writable", passed=None),
    ]
    read = json_format.ParseDict(json.loads(tried(checks, ["sbom", "health"])), test_result_pb2.TestResult())
    assert (read.result, list(read.passed_tests), list(read.warned_tests)) == ("WARNED", ["health"], ["labels"])
    assert not read.failed_tests
    [required] = read.configuration
    assert (required.name, json.loads(required.content)) == ("require", ["health", "sbom"])
    assert json.loads(tried(checks[:1], ["health"]))["result"] == "PASSED"
