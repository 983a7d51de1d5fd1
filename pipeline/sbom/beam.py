"""The BEAM's components, out of the release and its lock, as `resources/inventory.escript` writes them."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.errors import InputError
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Kind
from pipeline.sbom.licence import License, license_of

_OTP = "Erlang/OTP"


def applications(release: Mapping[str, Any]) -> list[Component]:
    """Return ERTS, Erlang/OTP, the applications of a release, and what is locked but not in it."""
    locks = {lock["name"]: lock for lock in release["locks"]}
    apps = {app["name"]: _application(app, locks.get(app["name"])) for app in release["applications"]}
    erts = _erts(release)
    shipped = [_link(apps, app, erts) for app in release["applications"]]
    if erts:
        shipped += [erts, _otp(release, [erts, *(part for part in shipped if part.kind is Kind.OTP)])]
    return [*shipped, *(_locked(lock) for name, lock in locks.items() if name not in apps)]


def _link(apps: Mapping[str, Component], app: Mapping[str, Any], erts: Component | None) -> Component:
    """Return the component of an application with what it needs; an optional application may not be there."""
    names = {*app["applications"], *app["included_applications"]} & apps.keys()
    needs = {apps[name].purl for name in names}
    if not needs and erts:
        # `kernel` names nothing: what is below it is the machine.
        needs = {erts.purl}
    return dataclasses.replace(apps[app["name"]], needs=tuple(sorted(needs)))


def _erts(release: Mapping[str, Any]) -> Component | None:
    if not release.get("erts"):
        return None
    return Component(
        kind=Kind.OTP,
        name="erts",
        version=release["erts"],
        purl=purl.make("otp", "erts", version=release["erts"]),
        description="Erlang runtime system",
        licenses=(License("Apache-2.0", spdx=True),),
        supplier=_OTP,
    )


def _otp(release: Mapping[str, Any], parts: Iterable[Component]) -> Component:
    """Return Erlang/OTP as a whole: most advisories speak of that."""
    version = release["otp_version"]
    return Component(
        kind=Kind.OTP,
        # As Syft calls it, so that findings of both can be joined.
        name="erlang",
        version=version,
        # The name that Erlang/OTP's own VEX documents give it.
        purl=purl.make("github", "erlang", "otp", version=f"OTP-{version}"),
        description=_OTP,
        licenses=(License("Apache-2.0", spdx=True),),
        supplier=_OTP,
        # Without a CPE no scanner knows that this is Erlang.
        cpes=(f"cpe:2.3:a:erlang:erlang\\/otp:{version}:*:*:*:*:*:*:*",),
        links=("https://github.com/erlang/otp",),
        needs=tuple(sorted(part.purl for part in parts)),
    )


def _application(app: Mapping[str, Any], lock: Mapping[str, Any] | None) -> Component:
    """Return the component of an application in the release."""
    name, vsn = app["name"], app["vsn"]
    component = Component(
        kind=Kind.OTHER,
        name=name,
        version=vsn,
        # It names no registry: nobody's advisories are about it, though a package there may have its name.
        purl=purl.make("generic", name, version=vsn),
        description=app["description"],
        licenses=tuple(license_of(text) for text in app["licenses"]),
        links=tuple(link["url"] for link in app["links"] if re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", link["url"])),
    )
    if app["kind"] == "own":
        return dataclasses.replace(component, kind=Kind.OWN)
    if app["kind"] == "otp":
        return dataclasses.replace(
            component,
            kind=Kind.OTP,
            purl=purl.make("otp", name, version=vsn),
            licenses=component.licenses or (License("Apache-2.0", spdx=True),),
            supplier=_OTP,
        )
    if lock is None:
        return dataclasses.replace(component, notes=(("origin", "not in rebar.lock"),))
    if app["checkout"]:
        return _checkout(component, lock)
    return _from_lock(component, lock, app)


def _checkout(component: Component, lock: Mapping[str, Any]) -> Component:
    """Return a dependency that was taken from `_checkouts`: its name is the lock's, its version and content are not."""
    notes = (("application", component.name), ("origin", "_checkouts"))
    if lock["kind"] != "hex":
        return dataclasses.replace(component, notes=notes)
    package = lock["package"]
    return dataclasses.replace(
        component,
        kind=Kind.HEX,
        name=package,
        purl=purl.make("hex", package.lower(), version=component.version),
        notes=notes,
    )


def _from_lock(component: Component, lock: Mapping[str, Any], app: Mapping[str, Any]) -> Component:
    """Return a dependency with the lock's identity; what the application says of itself stays as a note."""
    notes = [("application", component.name)]
    locked = _locked(lock)
    version = locked.version
    if locked.kind is Kind.HEX and app["hex"] and app["hex"]["version"] != version:
        raise InputError(
            f"rebar.lock: it locks {locked.name} {version}, but the release was built with {app['hex']['version']}; "
            "build it anew"
        )
    if component.version != version:
        # Some packages are published with an older version in their .app file.
        notes.append(("application-version", component.version))
    return dataclasses.replace(
        locked,
        description=component.description,
        licenses=component.licenses,
        links=component.links or locked.links,
        shipped=True,
        notes=tuple(notes),
    )


def _locked(lock: Mapping[str, Any]) -> Component:
    """Return what the lock says of a dependency."""
    if lock["kind"] == "hex":
        name, version = lock["package"], lock["version"]
        return Component(
            kind=Kind.HEX,
            name=name,
            version=version,
            purl=purl.make("hex", name.lower(), version=version),
            supplier="Hex",
            # The outer checksum is that of the archive; the inner one is of its parts and deprecated.
            sha256=lock["outer"].lower(),
            download=f"https://repo.hex.pm/tarballs/{name}-{version}.tar",
            links=(f"https://hex.pm/packages/{name}",),
            shipped=False,
            notes=(("application", lock["name"]),),
        )
    name, ref = lock["name"], lock["ref"]
    host, path, clean = purl.repository(lock["url"])
    scheme = lock["kind"] if lock["kind"] == "git" else "generic"
    return Component(
        kind=Kind.GIT if scheme == "git" else Kind.OTHER,
        name=name,
        version=ref,
        purl=purl.of_git(lock["url"], ref, name, lock.get("subdir", ""))
        if scheme == "git"
        else purl.make("generic", name, version=ref),
        supplier=f"{host}/{path.split('/')[0]}",
        download=f"git+{clean}@{ref}" if scheme == "git" else "",
        links=(f"https://{host}/{path}",) if host in {"github.com", "gitlab.com", "bitbucket.org"} else (),
        shipped=False,
        notes=(("application", name),),
    )
