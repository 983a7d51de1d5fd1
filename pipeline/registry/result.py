"""The verdict in short, for verifiers that do not know ours: in-toto's Simple Verification Result, version 0.2.

See github.com/in-toto/attestation, spec/predicates/svr.md.
"""

import base64
import json

#: Who came to it: with another meaning of a property this gets another version.
VERIFIER = "https://github.com/banyan-platform/erlmcp/pipeline/verifier/v1"


def result(findings: str) -> str:
    """Return the predicate of an image whose policy holds, out of its `findings.json`."""
    verdict = json.loads(findings)
    policy = verdict["policy"]
    document = {
        "verifier": {
            "id": VERIFIER,
            "policies": [
                {
                    "name": "policy",
                    "mediaType": "application/json",
                    "content": base64.b64encode(json.dumps(policy, sort_keys=True).encode()).decode(),
                }
            ],
        },
        "timeCreated": verdict["time"],
        "properties": ["ERLMCP_POLICY_PASSED", f"ERLMCP_NO_BREAKING_FINDING_OF_{policy['fail_on']}_OR_WORSE"],
    }
    return json.dumps(document, indent=2) + "\n"
