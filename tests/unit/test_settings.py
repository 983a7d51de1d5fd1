"""`erlmcp.toml`: what it says is taken, what is not known in it is refused by name."""

import inspect
import re
from pathlib import Path
from typing import get_type_hints

import dagger
import pytest

from pipeline.arguments import Flavor
from pipeline.errors import InputError
from pipeline.main import Erlmcp
from pipeline.project.settings import arguments, naming, parse
from pipeline.scan.findings import Severity
from pipeline.scan.policy import Settings

KNOWN = arguments(Erlmcp.create)


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
        ("policy", "erlmcp.toml: this file is not valid TOML: "),
        ("policy = 1\n", "erlmcp.toml: policy must be a table"),
        ('[policy]\nfail_on = "LOW"\n', "erlmcp.toml: unknown key policy.fail_on; write settings such as\n[policy]"),
        ("[policy]\nthreshold = 1\n", "erlmcp.toml: unknown key policy.threshold"),
        ('[policy]\nfail-on = "severe"\n', "erlmcp.toml: policy.fail-on: severe: not a severity; use CRIT"),
        ("[policy]\nfail-on = 7\n", "erlmcp.toml: policy.fail-on = 7 has the wrong type"),
        ('[policy]\nonly-fixed = "true"\n', "erlmcp.toml: policy.only-fixed = 'true' has the wrong type"),
        ('[policy]\nvex = "a.json"\n', "erlmcp.toml: policy.vex = 'a.json' has the wrong type"),
        ("[policy]\nvex = [1]\n", "erlmcp.toml: policy.vex = [1] has the wrong type"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        Settings.parse(text)
    assert str(raised.value).startswith(message)


def test_the_arguments_are_the_fields_of_the_module() -> None:
    fields = get_type_hints(Erlmcp, include_extras=True)
    del fields["from_file"]
    assert [argument.python for argument in KNOWN.values()] == list(fields)
    # Without a value of its own, so that what a call gives is told from what it does not.
    defaults = inspect.signature(Erlmcp).parameters
    assert [
        name for name, each in KNOWN.items() if not each.refusal and defaults[each.python].default is not None
    ] == []
    assert (KNOWN["flavor"].type, KNOWN["images"].type, KNOWN["labels"].type) == (Flavor, dagger.File, list[str])


def test_what_a_secret_or_another_machine_has_is_never_read_from_the_file() -> None:
    refused = {name for name, argument in KNOWN.items() if argument.refusal}
    assert refused == {
        *("hex-mirror-secret", "hex-key", "git-config", "scout-token", "docker-config"),
        *("source", "git", "incremental", "trivy-db", "grype-db", "eef-db", "ssh", "mirror", "registry-service"),
        *("revision", "created", "scout-user"),
    }
    for name in refused:
        with pytest.raises(InputError, match=rf"^erlmcp.toml: {name}: .*; give it in the call, --{name}="):
            parse(f'{name} = "x"\n', KNOWN)
    with pytest.raises(InputError, match=r"a secret is never read from a file of the project; .* --hex-key=env:NAME$"):
        parse('hex-key = "s3cret"\n', KNOWN)


def test_each_kind_of_setting_is_read() -> None:
    text = """
    flavor = "debian"
    otp = "28"
    images = "./deploy//images.toml"
    labels = ["a=b", "c=d,e"]
    cookie-from-environment = true
    release = "demo"
    [policy]
    fail-on = "LOW"
    """
    assert parse(text, KNOWN) == {
        "flavor": Flavor.debian,
        "otp": "28",
        "images": "deploy/images.toml",
        "labels": ["a=b", "c=d,e"],
        "cookie-from-environment": True,
        "release": "demo",
    }
    assert Settings.parse(text) == Settings(Severity.LOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flavor", "erlmcp.toml: this file is not valid TOML: "),
        (
            'flavour = "debian"\n',
            "erlmcp.toml: flavour: no such setting (did you mean flavor?); expected one of apps, ",
        ),
        ('health_url = "x"\n', "erlmcp.toml: health_url: no such setting (did you mean health-url?); expected one of"),
        ("[polciy]\n", "erlmcp.toml: polciy: no such setting (did you mean policy?); expected one of apps, "),
        ("[xyz]\n", "erlmcp.toml: xyz: no such setting; expected one of apps, "),
        (
            '[policy]\nflavor = "debian"\n',
            "erlmcp.toml: flavor is below [policy], and so part of the policy: move",
        ),
        ('flavor = "arch"\n', 'erlmcp.toml: flavor = "arch": expected "alpine" or "debian"'),
        ("otp = 28\n", "erlmcp.toml: otp = 28: expected a string, in quotes"),
        ('labels = "a=b"\n', 'erlmcp.toml: labels = "a=b": expected a list of strings, such as ["a", "b"]'),
        ("platforms = [1]\n", "erlmcp.toml: platforms = [1]: expected a list of strings"),
        ('cookie-from-environment = "yes"\n', 'erlmcp.toml: cookie-from-environment = "yes": expected true or false'),
        ("images = true\n", "erlmcp.toml: images = true: expected the path of a file in the project, in quotes"),
        (
            'images = "../x"\n',
            'erlmcp.toml: images = "../x": expected the path of a file in the project, from its root',
        ),
        ('images = "/x"\n', 'erlmcp.toml: images = "/x": expected the path of a file in the project, from its root'),
        ('images = ""\n', 'erlmcp.toml: images = "": expected the path of a file in the project, from its root'),
    ],
)
def test_a_setting_that_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        parse(text, KNOWN)
    assert str(raised.value).startswith(message)


def test_an_error_names_the_file_if_that_gave_the_argument() -> None:
    with pytest.raises(InputError, match=r"^--otp=x: bad \(erlmcp\.toml sets otp\)$"), naming(["images=x", "otp"]):
        raise InputError("--otp=x: bad")
    # Not of an argument that only begins so.
    for given in (["otp"], []):
        with pytest.raises(InputError, match=r"^--otp-vex: bad$"), naming(given):
            raise InputError("--otp-vex: bad")


def test_the_document_has_every_setting_and_an_example_that_is_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    [listed] = re.findall(r"The file can set ((?:.|\n)*?)\. Any other key", text)
    assert re.findall(r"`([a-z-]+)`", listed) == sorted(name for name, each in KNOWN.items() if not each.refusal)
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert parse(example, KNOWN).keys() == {"flavor", "otp", "health-url", "repository", "labels", "images"}
    assert Settings.parse(example) == Settings(Severity.CRITICAL)
