"""The admission policies ask for what `verify` asks for; tests/e2e/test_verifiers.py runs them."""

from pathlib import Path

import yaml

from pipeline.registry.signing import OPTIONAL, PREDICATES, RESULT, SIGNATURE

POLICIES = Path(__file__).parents[2] / "ci" / "kubernetes"


def test_the_policies_ask_for_what_verify_asks_for() -> None:
    wanted = {*PREDICATES} - OPTIONAL | {SIGNATURE, RESULT}
    kyverno, controller = (
        yaml.safe_load((POLICIES / f"{name}.yaml").read_text()) for name in ("kyverno", "policy-controller")
    )
    asked = {each["name"]: each["intoto"]["type"] for each in kyverno["spec"]["attestations"]}
    assert set(asked.values()) == wanted
    expressions = " ".join(each["expression"] for each in kyverno["spec"]["validations"])
    for name in asked:
        assert f"verifyAttestationSignatures(image, attestations.{name}, [attestors.publisher]) > 0" in expressions
    [authority] = controller["spec"]["authorities"]
    assert {each["predicateType"] for each in authority["attestations"]} == wanted
    assert authority["keyless"]["identities"] == kyverno["spec"]["attestors"][0]["cosign"]["keyless"]["identities"]
