"""Whom Sigstore's certificate will name, out of the token that it is given for."""

import base64
import json

import pytest

from pipeline.registry.signing import GITHUB, Identity

WORKFLOW = "example/app/.github/workflows/pipeline.yml@refs/heads/main"


def token(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        # The workflow that a job is in, not the one that called it.
        (
            {"iss": GITHUB, "job_workflow_ref": WORKFLOW, "workflow_ref": "example/app/.github/workflows/image.yml@x"},
            f"https://github.com/{WORKFLOW}",
        ),
        (
            {"iss": "https://gitlab.com", "ci_config_ref_uri": "gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main"},
            "https://gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main",
        ),
        ({"iss": "https://accounts.example.org", "email": "jane@example.org"}, "jane@example.org"),
        # A claim of that name by somebody else: its certificate would not name github.com.
        ({"iss": "https://ci.example.org", "job_workflow_ref": WORKFLOW}, ""),
        ({"iss": GITHUB}, ""),
        ({"email": "jane@example.org"}, ""),
        ([], ""),
    ],
)
def test_a_token_says_whom_the_certificate_will_name(claims: object, name: str) -> None:
    found = Identity.parse(token(claims))
    assert (found.name if found else "") == name
    if found and isinstance(claims, dict):
        assert found.issuer == claims["iss"]


@pytest.mark.parametrize("text", ["", "a.b.c", "no-token", "a.b.c.d", "e30.bnVsbA.c2ln"])
def test_what_is_no_token_names_nobody(text: str) -> None:
    assert Identity.parse(text) is None
