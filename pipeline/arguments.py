"""What several functions have in common: arguments, each with one name and one help text, and how they are cached."""

import enum
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
    """Expose a function that reaches outside: it is never answered from the cache."""
    return function(cache="never")(func)  # type: ignore[call-overload,no-any-return] # the SDK's typing forgot it


def once(func: _F) -> _F:
    """Expose a function whose result is that of one session: within it, the first answer counts."""
    return function(cache="session")(func)  # type: ignore[call-overload,no-any-return] # as above


@enum_type
class Flavor(enum.Enum):
    """The distribution of builder and runtime."""

    alpine = "alpine"
    """musl: the smallest image."""

    debian = "debian"
    """glibc: for native code that wants it."""


# What is asked of an image; what is not given here, the project's erlmcp.toml says, or else the default.
FailOn = Annotated[str, Doc("The least severity that breaks the policy: CRITICAL, HIGH (default), MEDIUM or LOW.")]
UnknownAs = Annotated[
    str, Doc("As what a finding counts that nobody gives a severity; by default as what breaks the policy.")
]
OnlyFixed = Annotated[bool | None, Doc("Count only findings for which there is a fixed version.")]
FailOnKnownExploited = Annotated[
    bool | None, Doc("What is known to be exploited (CISA KEV) breaks the policy, whatever its severity (default).")
]
GraceDays = Annotated[
    int | None, Doc("For how many days after there is a fixed version a finding warns, before it breaks the policy.")
]
Vex = Annotated[list[dagger.File], Doc("OpenVEX documents; what they call not affected or fixed breaks nothing.")]
OtpVex = Annotated[bool | None, Doc("Fetch Erlang/OTP's own OpenVEX document and use it too.")]
Accept = Annotated[
    dagger.File | None, Doc("TOML list of accepted findings, instead of the project's accept.toml (see docs).")
]
AcceptOldDb = Annotated[bool | None, Doc("Accept a vulnerability database that is older than five days.")]
Baseline = Annotated[
    dagger.File | None, Doc("findings.json of an earlier image: what that has too only warns, what is new breaks.")
]

# How a registry is reached, and who must have signed what lies there.
User = Annotated[str, Doc("Who logs in to the registry.")]
Password = Annotated[dagger.Secret | None, Doc("Password or token of that user.")]
Move = Annotated[bool, Doc("Allow moving existing version tags, and branch tags back to an earlier commit.")]
# A secret, so that a private key that is given by mistake stays where it is: a file would lie in the engine's cache.
PublicKey = Annotated[
    dagger.Secret | None, Name("key"), Doc("Public key (PEM, such as file:cosign.pub) of who must have signed it.")
]
TransparencyLog = Annotated[bool, Doc("Use Sigstore's transparency log; private sites say --transparency-log=false.")]


#: `NAME` or `NAME:TYPE`, as relx has them.
_APP = re.compile(r"[a-z][A-Za-z0-9_@]*(:(permanent|transient|temporary|load|none))?")
_URL = re.compile(r"https?://[^\s/]\S*")
_LOGIN = re.compile(r"//[^/?#]*@")


async def checked(project: Project) -> Project:
    """Return the project, or raise `InputError` for an argument that is wrong: before anything is run.

    What only a file of the project can tell, such as whether a release has the name given, is not known here.
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
                f"--apps {app}: expected NAME or NAME:TYPE, TYPE one of permanent, transient, temporary, load and none"
            )
    for name, url in (("--hex-mirror", project.hex_mirror), ("--health-url", project.health_url)):
        if url and not _URL.fullmatch(url):
            raise InputError(f"{name} {url}: expected a URL that begins with http:// or https://")
        check_url(name, url)
    if project.hex_mirror and project.hex_mirror_secret:
        raise InputError("--hex-mirror and --hex-mirror-secret: give one of them")
    return project


def check_url(name: str, url: str) -> None:
    """Raise `InputError` if there is a login in a URL that is no secret."""
    if _LOGIN.search(url):
        instead = "--hex-mirror-secret=env:NAME" if name == "--hex-mirror" else "an address without one"
        raise InputError(f"{name}: it has a login in it, which every log of the engine would show; give {instead}")
