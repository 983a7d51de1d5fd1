"""Arguments that several functions share, each with one name and one help text, and how functions are cached."""

import enum
import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import dagger
from dagger import Doc, Name, dag, enum_type, function

from pipeline.errors import InputError
from pipeline.image.files import check_init
from pipeline.image.labels import parse_labels
from pipeline.image.layout import parse_time
from pipeline.image.platforms import parse_platforms
from pipeline.project.project import Project
from pipeline.registry.reference import parse_repository

_F = TypeVar("_F", bound=Callable[..., Any])


def fresh(func: _F) -> _F:
    """Expose a function that depends on something outside the engine: it is never answered from the cache."""
    return function(cache="never")(func)  # type: ignore[call-overload,no-any-return] # the SDK's typing forgot it


def once(func: _F) -> _F:
    """Expose a function whose first result is reused within one session, and only there."""
    return function(cache="session")(func)  # type: ignore[call-overload,no-any-return] # as above


#: What stands for a choice that was not made.
NOT_GIVEN: Any = object()


def take_fields(constructor: Any, cls: type, *but: str) -> None:  # noqa: ANN401 # a class method
    """Let the SDK see the fields of a class as the arguments of its constructor, each with its type and help.

    Parameters
    ----------
    constructor
        The class method, which takes whatever it is given by name.
    cls
        The class.
    but
        Fields that are no arguments.
    """
    fields = [field for field in inspect.signature(cls).parameters.values() if field.name not in but]
    # The engine (0.21.8, Module.Patch in core/module.go) takes no default of null for a choice: one that is no JSON the
    # SDK does not tell it.
    fields = [field.replace(default=NOT_GIVEN) if field.name == "flavor" else field for field in fields]
    first = inspect.Parameter("cls", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_name = [field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in fields]
    constructor.__func__.__signature__ = inspect.Signature([first, *by_name])
    constructor.__func__.__annotations__ = {field.name: field.annotation for field in fields}


@enum_type
class Flavor(enum.Enum):
    """The Linux distribution of the builder and of the image."""

    alpine = "alpine"
    """Alpine Linux with musl: the smallest image."""

    debian = "debian"
    """Debian with glibc: for native code that needs it."""


# The policy. What is not given as argument comes from the project's erlmcp.toml, and otherwise from the default.
FailOn = Annotated[str, Doc("Lowest severity that breaks the policy: CRITICAL, HIGH (default), MEDIUM or LOW.")]
UnknownAs = Annotated[
    str, Doc("Severity of findings that no source rates: CRITICAL, HIGH, MEDIUM or LOW (default: that of --fail-on).")
]
OnlyFixed = Annotated[bool | None, Doc("Count only findings that have a fixed version.")]
FailOnKnownExploited = Annotated[
    bool | None,
    Doc("Findings that are known to be exploited (CISA KEV) break the policy at any severity (default: true)."),
]
GraceDays = Annotated[
    int | None, Doc("Days after the release of a fixed version during which a finding only warns (default: 0).")
]
Vex = Annotated[
    list[dagger.File], Doc("OpenVEX documents; findings that they call not_affected or fixed do not count.")
]
OtpVex = Annotated[bool | None, Doc("Also download and use the OpenVEX document of Erlang/OTP.")]
Accept = Annotated[
    dagger.File | None, Doc("TOML file of accepted findings, instead of the project's accept.toml (docs/policy.md).")
]
AcceptOldDb = Annotated[bool | None, Doc("Allow a vulnerability database that is more than five days old.")]
Baseline = Annotated[
    dagger.File | None,
    Doc("findings.json of an earlier image: findings that it has too only warn; new ones break the policy."),
]

# Access to a registry, and the signer that an image in it must have.
User = Annotated[str, Doc("Registry user name.")]
Password = Annotated[dagger.Secret | None, Doc("Password or token of that user (env:NAME).")]
Move = Annotated[bool, Doc("Allow existing version tags to move, and branch tags to move back to an earlier commit.")]
# A secret, so that a private key that is given by mistake does not get into the engine's cache, as a file would.
PublicKey = Annotated[
    dagger.Secret | None, Name("key"), Doc("Public key (PEM) of the required signer, such as file:cosign.pub.")
]
TransparencyLog = Annotated[
    bool, Doc("Use Sigstore's public transparency log; private sites give --transparency-log=false.")
]


#: `NAME` or `NAME:TYPE`, as relx has them.
_APP = re.compile(r"[a-z][A-Za-z0-9_@]*(:(permanent|transient|temporary|load|none))?")
_URL = re.compile(r"https?://[^\s/]\S*")
_LOGIN = re.compile(r"//[^/?#]*@")


async def checked(project: Project) -> Project:
    """Return the project, or raise `InputError` for a wrong argument, before anything runs.

    An argument that only a file of the project can refute, such as the name of a release, is checked later.
    """
    parse_time(project.created)
    parse_labels(project.labels)
    if project.repository:
        parse_repository(project.repository, "--repository")
    if project.platforms:
        check_init(project, parse_platforms(project.platforms, await dag.default_platform()))
    for app in project.apps:
        if not _APP.fullmatch(app):
            raise InputError(
                f"--apps {app}: expected NAME or NAME:TYPE, where TYPE is permanent, transient, temporary, load or none"
            )
    for name, url in (("--hex-mirror", project.hex_mirror), ("--health-url", project.health_url)):
        if url and not _URL.fullmatch(url):
            raise InputError(f"{name} {url}: give a URL that begins with http:// or https://")
        check_url(name, url)
    if project.hex_mirror and project.hex_mirror_secret:
        raise InputError("--hex-mirror and --hex-mirror-secret: give only one of them")
    return project


def check_url(name: str, url: str) -> None:
    """Raise `InputError` if a URL that is not a secret contains a login."""
    if _LOGIN.search(url):
        instead = "--hex-mirror-secret=env:NAME" if name == "--hex-mirror" else "a URL without a login"
        raise InputError(f"{name}: the URL contains a login, which the engine's logs would show; give {instead}")
