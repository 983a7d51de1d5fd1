"""`erlmcp.toml`: what it says is taken, what is not known in it is refused by name."""

import pytest

from pipeline.errors import InputError
from pipeline.scan.findings import Severity
from pipeline.scan.policy import Settings


def test_what_is_not_said_is_nothing() -> None:
    assert Settings.parse("") == Settings.parse("[policy]\n") == Settings()


def test_every_setting_is_read() -> None:
    text = """
    [policy]
    fail-on = "critical"
    only-fixed = true
    otp-vex = false
    accept-old-db = true
    unknown-as = "low"
    require = ["health", "labels"]
    vex = ["vex/a.json", "vex/b.json"]
    """
    assert Settings.parse(text) == Settings(
        Severity.CRITICAL,
        only_fixed=True,
        unknown_as=Severity.LOW,
        otp_vex=False,
        accept_old_db=True,
        require=("health", "labels"),
        vex=("vex/a.json", "vex/b.json"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy", "erlmcp.toml: not TOML: "),
        ("[polciy]\n", "erlmcp.toml: polciy is not known here; expected such as\n[policy]"),
        ("policy = 1\n", "erlmcp.toml: policy is not known here"),
        ('[policy]\nfail_on = "LOW"\n', "erlmcp.toml: policy.fail_on is not known; expected such as\n[policy]"),
        ("[policy]\nthreshold = 1\n", "erlmcp.toml: policy.threshold is not known"),
        ('[policy]\nfail-on = "severe"\n', "erlmcp.toml: policy.fail-on: severe: not a severity; expected one of CRIT"),
        ("[policy]\nfail-on = 7\n", "erlmcp.toml: policy.fail-on = 7 is not of its kind"),
        ('[policy]\nonly-fixed = "true"\n', "erlmcp.toml: policy.only-fixed = 'true' is not of its kind"),
        ('[policy]\nvex = "a.json"\n', "erlmcp.toml: policy.vex = 'a.json' is not of its kind"),
        ("[policy]\nvex = [1]\n", "erlmcp.toml: policy.vex = [1] is not of its kind"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        Settings.parse(text)
    assert str(raised.value).startswith(message)
