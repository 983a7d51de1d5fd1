"""The verdict and the checks in short, for verifiers that do not know ours, as two predicates of in-toto.

They are Simple Verification Result 0.2 and Test Result 0.1: github.com/in-toto/attestation, spec/predicates/svr.md and
test-result.md.
"""

import base64
import json
from collections.abc import Collection, Sequence
from typing import Any

from pipeline.report.compliance import Check

#: Who came to it: with another meaning of a property this gets another version.
VERIFIER = "https://github.com/banyan-platform/erlmcp/pipeline/verifier/v1"


def result(findings: str) -> str:
    """Return the predicate of an image whose policy holds, out of its `findings.json`."""
    verdict = json.loads(findings)
    policy = verdict["policy"]
    document = {
        "verifier": {
            "id": VERIFIER,
            "policies": [_described("policy", policy)],
        },
        "timeCreated": verdict["time"],
        "properties": ["ERLMCP_POLICY_PASSED", f"ERLMCP_NO_BREAKING_FINDING_OF_{policy['fail_on']}_OR_WORSE"],
    }
    return json.dumps(document, indent=2) + "\n"


def tried(checks: Sequence[Check], required: Collection[str]) -> str:
    """Return the predicate of an image that has all that is required of it.

    A check that is not required and does not hold is a test with a warning; one that did not run is none.
    """
    warned = [check.key for check in checks if check.passed is False]
    document = {
        "result": "WARNED" if warned else "PASSED",
        "configuration": [_described("require", sorted(required))],
        "passedTests": [check.key for check in checks if check.passed],
        "warnedTests": warned,
        "failedTests": [],
    }
    return json.dumps(document, indent=2) + "\n"


def _described(name: str, content: object) -> dict[str, Any]:
    """Return a resource descriptor of in-toto that has its content in itself."""
    text = json.dumps(content, sort_keys=True)
    return {
        "name": name,
        "mediaType": "application/json",
        "content": base64.b64encode(text.encode()).decode(),
    }
