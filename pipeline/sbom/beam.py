"""The BEAM's components, out of the release and its lock, as `resources/inventory.escript` writes them."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.errors import InputError
from pipeline.sbom import purl
from pipeline.sbom.component import Component, Content, Kind
from pipeline.sbom.licence import License, license_of
from pipeline.sbom.texts import concluded, copyrights
from pipeline.sbom.vendored import LICENCE_FILE, content_in, vendored

_OTP = "Erlang/OTP"
#: As in the source SBOM that Erlang/OTP publishes.
_OTP_SUPPLIER, _OTP_HOME = "Ericsson AB", "https://www.erlang.org"
_OTP_SOURCES = "https://github.com/erlang/otp"
_APACHE = License("Apache-2.0", spdx=True)
_DUAL = (License("Apache-2.0 OR LGPL-2.1-or-later", spdx=True),)
#: The applications of Erlang/OTP, each with its licence by `system/COPYRIGHT`: Apache-2.0, "except parts stated below".
#: Others may lie beside them: Debian puts what it packages there too.
_APPLICATIONS = dict.fromkeys(
    (
        *("asn1", "compiler", "crypto", "debugger", "dialyzer", "diameter", "erl_docgen", "erl_interface", "et"),
        *("ftp", "inets", "jinterface", "kernel", "megaco", "mnesia", "observer", "odbc", "os_mon", "public_key"),
        *("reltool", "runtime_tools", "sasl", "snmp", "ssh", "ssl", "stdlib", "tftp", "tools", "wx", "xmerl"),
    ),
    (_APACHE,),
) | {
    # Files of jQuery lie in its priv, of which that file does not speak: nothing is concluded.
    "common_test": (),
    "edoc": _DUAL,
    "eldap": (License("MIT", spdx=True),),
    "eunit": _DUAL,
    # Of leex.
    "parsetools": (_APACHE, License("BSD-2-Clause", spdx=True)),
    "syntax_tools": _DUAL,
}
_OTP_QUALIFIERS = {"repository_url": _OTP_SOURCES}
#: How a licence was found.
_BY_TEXT = "the text of a licence file is, as a whole, that of SPDX's list"
#: What stands in a line of copyright besides a name.
_NO_NAME = re.compile(r"copyright|\(c\)|©|all rights reserved|\bby\b|\b\d{4}(\s*-\s*(\d{4}|present))?", re.IGNORECASE)
_FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
#: What rebar3 writes where the version is to come from git, and git has none (its rebar_git_resource.erl).
_NO_VERSION = "0.0.0"


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where the project's own applications come from; what is not known is empty."""

    #: Of its repository.
    url: str = ""
    revision: str = ""
    supplier: str = ""
    #: The supplier's page.
    contact: str = ""
    #: By application, its folder in the repository.
    folders: Mapping[str, str] = dataclasses.field(default_factory=dict)


def applications(release: Mapping[str, Any], source: Source, loads: str = "") -> list[Component]:
    """Return ERTS, Erlang/OTP, the applications of a release with what is in them, and what is locked but not there."""
    locks, apps = _locks(release), _apps(release, source)
    in_erts, in_stdlib = vendored(release, loads)
    erts = _erts(release)
    shipped = [_link(apps, app, erts) for app in release["applications"]]
    shipped = [_with(part, in_stdlib) if part.kind is Kind.OTP and part.name == "stdlib" else part for part in shipped]
    if erts:
        erts = _with(erts, in_erts)
        shipped += [erts, _otp(release, [erts, *(part for part in shipped if part.kind is Kind.OTP)])]
        shipped += in_erts
    if any(part.kind is Kind.OTP and part.name == "stdlib" for part in shipped):
        shipped += in_stdlib
    return [*shipped, *(_locked(lock) for name, lock in locks.items() if name not in apps)]


def _with(part: Component, inside: Iterable[Component]) -> Component:
    """Return a component that has others in it: it needs them, and their licences hold for it."""
    inside = list(inside)
    licenses = dict.fromkeys(entry for each in (part, *inside) for entry in each.licenses)
    concluded = dict.fromkeys(entry for each in (part, *inside) for entry in each.concluded)
    needs = {*part.needs, *(each.purl for each in inside)}
    return dataclasses.replace(part, licenses=tuple(licenses), concluded=tuple(concluded), needs=tuple(sorted(needs)))


def folders(release: Mapping[str, Any], source: Source) -> dict[str, str]:
    """Return by folder of the image, with a slash at its end, the purl of the component that lies there."""
    apps, erts = _apps(release, source), _erts(release)
    found = {f"{app['folder']}/": apps[app["name"]].purl for app in release["applications"]}
    return found | ({f"{release['root']}/erts-{erts.version}/": erts.purl} if erts else {})


def _locks(release: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {lock["name"]: lock for lock in release["locks"]}


def _apps(release: Mapping[str, Any], source: Source) -> dict[str, Component]:
    locks = _locks(release)
    return {app["name"]: _application(app, locks.get(app["name"]), source) for app in release["applications"]}


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
        purl=purl.make("otp", "erts", version=release["erts"], qualifiers=_OTP_QUALIFIERS),
        description="Erlang runtime system",
        licenses=(_APACHE,),
        concluded=(_APACHE,),
        concluded_by=LICENCE_FILE,
        cpes=_cpes("erts", release["erts"]),
        supplier=_OTP_SUPPLIER,
        contact=_OTP_HOME,
        vcs=_OTP_SOURCES,
        content=content_in(
            release, "erts", f"the files of erts-{release['erts']}", f"{release.get('root', '')}/erts-{release['erts']}"
        ),
        filename=f"erts-{release['erts']}",
        executable=True,
    )


def _otp(release: Mapping[str, Any], parts: Iterable[Component]) -> Component:
    """Return Erlang/OTP as a whole: most advisories speak of that."""
    version, parts = release["otp_version"], list(parts)
    # Where a distribution built it, its fixes are in that package's version.
    package = release.get("otp_package")
    notes = (("package", "{format} {name} {version}".format(**package)),) if package else ()
    known = all(part.concluded for part in parts)
    emulator = f"{release.get('root', '')}/erts-{release['erts']}/bin/beam.smp"
    return Component(
        kind=Kind.OTP,
        # As Syft calls it, so that findings of both can be joined.
        name="erlang",
        version=version,
        # The name that Erlang/OTP's own VEX documents give it.
        purl=purl.make("github", "erlang", "otp", version=f"OTP-{version}"),
        description=_OTP,
        licenses=(_APACHE,),
        concluded=tuple(dict.fromkeys(entry for part in parts for entry in part.concluded)) if known else (),
        concluded_by=LICENCE_FILE if known else "",
        supplier=_OTP_SUPPLIER,
        contact=_OTP_HOME,
        vcs=_OTP_SOURCES,
        # It is no file; by this one scanners know it.
        content=content_in(release, "emulator", "its emulator, beam.smp", emulator),
        filename="beam.smp",
        executable=True,
        # Without a CPE no scanner knows that this is Erlang.
        cpes=(f"cpe:2.3:a:erlang:erlang\\/otp:{version}:*:*:*:*:*:*:*",),
        links=("https://github.com/erlang/otp",),
        needs=tuple(sorted(part.purl for part in parts)),
        notes=notes,
    )


def _application(app: Mapping[str, Any], lock: Mapping[str, Any] | None, source: Source) -> Component:
    """Return the component of an application in the release."""
    name, vsn = app["name"], app["vsn"]
    notes: tuple[tuple[str, str], ...] = ()
    if app["kind"] == "dependency" and vsn.startswith(_NO_VERSION):
        # As a version it would be before every fix, for ever.
        notes, vsn = (("application-version", vsn),), ""
    texts = tuple(dict.fromkeys(filter(None, map(concluded, app.get("texts", ())))))
    component = Component(
        kind=Kind.OTHER,
        name=name,
        version=vsn,
        # It names no registry: nobody's advisories are about it, though a package there may have its name.
        purl=purl.make("generic", name, version=vsn),
        description=app["description"],
        licenses=tuple(license_of(text) for text in app["licenses"]),
        concluded=texts,
        concluded_by=_BY_TEXT if texts else "",
        copyright=copyrights(app.get("texts", ())),
        links=tuple(link["url"] for link in app["links"] if re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", link["url"])),
    )
    supplier, contact = _maker(component, app.get("maintainers", ()))
    content = Content(app["content"], f"the files of {app['folder']}", app["folder"]) if app.get("content") else None
    component = dataclasses.replace(
        component,
        supplier=supplier,
        contact=contact,
        content=content,
        filename=app["folder"].rpartition("/")[2],
        executable=True,
    )
    if app["kind"] == "own":
        return _own(component, source)
    if app["kind"] == "otp":
        return _of_otp(component)
    if app["checkout"]:
        return _checkout(component, lock, app, notes)
    if lock is None:
        if app["hex"]:
            # Its own metadata says what it is; of a profile's dependencies rebar3 locks none.
            package, version = app["hex"]["name"], app["hex"]["version"]
            component = dataclasses.replace(
                component, kind=Kind.HEX, name=package, version=version, purl=purl.of_hex(package, version, "hexpm", "")
            )
        return dataclasses.replace(component, notes=(("origin", "not in rebar.lock"), *notes))
    return _from_lock(component, lock, app)


def _of_otp(component: Component) -> Component:
    """Return an application that was beside those of Erlang/OTP: one of them, or one that was put there."""
    name, version = component.name, component.version
    if name not in _APPLICATIONS:
        return dataclasses.replace(component, kind=Kind.OTP, purl=purl.make("otp", name, version=version))
    stated = _APPLICATIONS[name]
    return dataclasses.replace(
        component,
        kind=Kind.OTP,
        purl=purl.make("otp", name, version=version, qualifiers=_OTP_QUALIFIERS),
        licenses=component.licenses or stated or (_APACHE,),
        concluded=component.concluded or stated,
        concluded_by=component.concluded_by or (LICENCE_FILE if stated else ""),
        cpes=_cpes(name, version),
        supplier=_OTP_SUPPLIER,
        contact=_OTP_HOME,
        vcs=_OTP_SOURCES,
    )


def _cpes(name: str, version: str) -> tuple[str, ...]:
    """Return the names that the National Vulnerability Database has for applications of Erlang/OTP."""
    products = (name, f"erlang\\/{name}")
    return tuple(f"cpe:2.3:a:erlang:{product}:{version}:*:*:*:*:*:*:*" for product in products)


def _own(component: Component, source: Source) -> Component:
    """Return an application of the project: it is of the project's repository, where that is known."""
    supplier = source.supplier or component.supplier
    component = dataclasses.replace(component, contact=source.contact if source.supplier else component.contact)
    # Without its folder two of them would have one package URL.
    if not source.url or component.name not in source.folders:
        return dataclasses.replace(component, kind=Kind.OWN, supplier=supplier)
    name, folder = component.name, source.folders[component.name]
    folder = "" if folder == "." else folder
    page = purl.plain_url(source.url)
    if source.revision:
        named = purl.of_git(source.url, source.revision, name, folder)
    else:
        where = {"vcs_url": f"git+{purl.repository(source.url)[2]}"}
        named = purl.make("generic", name, version=component.version, qualifiers=where, subpath=folder)
    return dataclasses.replace(
        component, kind=Kind.OWN, purl=named, supplier=supplier, links=component.links or (page,), vcs=page
    )


def _maker(component: Component, maintainers: Iterable[str]) -> tuple[str, str]:
    """Return who makes an application, and an address, by what it says itself: a registry makes nothing.

    The first maintainer that it names, or else the owner of a repository that it links to, or whose copyright it is.
    Who names no address is found where that repository is.
    """
    owners = (purl.repository(link)[:2] for link in component.links)
    owner = next((f"{host}/{path.split('/')[0]}" for host, path in owners if host in _FORGES and "/" in path), "")
    page = f"https://{owner}" if owner else ""
    for maintainer in maintainers:
        name, address = _named(maintainer)
        return name, address or page
    if owner:
        return owner, page
    for line in component.copyright:
        name = re.sub(_NO_NAME, "", line)
        if name.strip(" ,.:;-"):
            return _named(name)
    return "", ""


def _named(text: str) -> tuple[str, str]:
    """Return a name, and the address that stands behind it in angle brackets."""
    address = re.search(r"<([^<>\s]+@[^<>\s]+)>", text)
    return re.sub(r"<[^>]*>", "", text).strip(" ,.:;-"), address[1] if address else ""


def _checkout(
    component: Component, lock: Mapping[str, Any] | None, app: Mapping[str, Any], notes: tuple[tuple[str, str], ...]
) -> Component:
    """Return a dependency that was taken from `_checkouts`: its name is the lock's, its version and content are not."""
    origin = "_checkouts" if lock else "_checkouts, not in rebar.lock"
    if not component.version and app["hex"]:
        # A package of Hex that was unpacked there: what it was made from had a version.
        version = app["hex"]["version"]
        component = dataclasses.replace(
            component, version=version, purl=purl.make("generic", component.name, version=version)
        )
    if lock is None:
        return dataclasses.replace(component, notes=(("origin", origin), *notes))
    notes = (("application", component.name), ("origin", origin), *notes)
    component = dataclasses.replace(component, direct=lock.get("direct"))
    if lock["kind"] != "hex":
        return dataclasses.replace(component, notes=notes)
    package, repository = lock["package"], lock.get("repository", "hexpm")
    named = purl.of_hex(package, component.version, repository, lock.get("repository_url", ""))
    return dataclasses.replace(
        component,
        kind=Kind.HEX if named.startswith("pkg:hex/") else Kind.OTHER,
        name=package,
        purl=named,
        notes=(*notes, *_of_repository(repository)),
    )


def _from_lock(component: Component, lock: Mapping[str, Any], app: Mapping[str, Any]) -> Component:
    """Return a dependency with the lock's identity; what the application says of itself stays as a note."""
    notes = [("application", component.name)]
    locked = _locked(lock)
    # A plugin's source may name no revision.
    version = locked.version or component.version
    if not lock.get("fetched", True):
        raise InputError(
            f"rebar.lock: it has {locked.name} {version}, which was not fetched, but the release has "
            f"{component.name} {app['vsn']} from an unknown source: run `rebar3 lock`, commit the file, and build again"
        )
    if lock["kind"] == "hex" and app["hex"] and app["hex"]["version"] != version:
        raise InputError(
            f"rebar.lock: it has {locked.name} {version}, but the release was built with {app['hex']['version']}; "
            "build again"
        )
    if app["vsn"] != version:
        # Some packages are published with an older version in their .app file.
        notes.append(("application-version", app["vsn"]))
    return dataclasses.replace(
        locked,
        version=version,
        purl=locked.purl if locked.version else component.purl,
        description=component.description,
        licenses=component.licenses,
        concluded=component.concluded,
        concluded_by=component.concluded_by,
        copyright=component.copyright,
        links=component.links or locked.links,
        supplier=locked.supplier or component.supplier,
        contact=locked.contact if locked.supplier else component.contact,
        content=component.content,
        filename=component.filename,
        executable=component.executable,
        vcs=_vcs(component.links) or _vcs(locked.links),
        shipped=True,
        notes=(*notes, *(note for note in locked.notes if note[0] != "application")),
    )


def _locked(lock: Mapping[str, Any]) -> Component:
    """Return what the lock says of a dependency."""
    component = {"hex": _locked_hex, "git": _locked_git}.get(lock["kind"], _locked_other)(lock)
    return dataclasses.replace(component, direct=lock.get("direct"))


def _locked_hex(lock: Mapping[str, Any]) -> Component:
    name, version = lock["package"], lock["version"]
    repository, url = lock.get("repository", "hexpm"), purl.plain_url(lock.get("repository_url", ""))
    main, _, organisation = repository.partition(":")
    # Of hexpm's own packages the address is known, whatever mirror they came by.
    root = purl.HEX if repository == "hexpm" else url or (purl.HEX if main == "hexpm" else "")
    folder = f"{root}/repos/{organisation}" if organisation else root
    page = "/".join(filter(None, ("https://hex.pm/packages", organisation, name)))
    named = purl.of_hex(name, version, repository, url)
    return Component(
        kind=Kind.HEX if named.startswith("pkg:hex/") else Kind.OTHER,
        name=name,
        version=version,
        purl=named,
        # The registry makes nothing; who keeps one of their own is the maker.
        supplier="" if repository == "hexpm" else organisation or repository,
        # The outer checksum is that of the archive; the inner one is of its parts and deprecated.
        sha256=lock["outer"].lower(),
        sha512=lock.get("sha512", ""),
        download=f"{folder}/tarballs/{name}-{version}.tar" if root else "",
        links=(page,) if main == "hexpm" else (),
        shipped=False,
        notes=(("application", lock["name"]), *_of_repository(repository)),
    )


def _of_repository(repository: str) -> tuple[tuple[str, str], ...]:
    return () if repository == "hexpm" else (("repository", repository),)


def _locked_git(lock: Mapping[str, Any]) -> Component:
    name, ref = lock["name"], lock["ref"]
    host, path, clean = purl.repository(lock["url"])
    return Component(
        kind=Kind.GIT,
        name=name,
        version=ref,
        purl=purl.of_git(lock["url"], ref, name, lock.get("subdir", "")),
        supplier=f"{host}/{path.split('/')[0]}" if host else "",
        contact=f"https://{host}/{path.split('/')[0]}" if host in _FORGES else "",
        download=f"git+{clean}@{ref}",
        links=_page(host, path),
        shipped=False,
        notes=(("application", name),),
    )


def _locked_other(lock: Mapping[str, Any]) -> Component:
    """Return what is known of a dependency of a source type of its own: perhaps its address, perhaps a revision."""
    name, ref, url = lock["name"], lock["ref"], lock["url"]
    host, path, clean = purl.repository(url)
    # An address may hold a token; a path of the developer's machine says nothing.
    where = (purl.plain_url(url) if "://" in url else clean) if host else ""
    known = (("application", name), ("source-type", lock.get("type", "")), ("source", where))
    return Component(
        kind=Kind.OTHER,
        name=name,
        version=ref,
        purl=purl.make("generic", name, version=ref),
        supplier=f"{host}/{path.split('/')[0]}" if host else "",
        contact=f"https://{host}/{path.split('/')[0]}" if host in _FORGES else "",
        links=_page(host, path),
        shipped=False,
        notes=tuple(note for note in known if note[1]),
    )


def _vcs(links: Iterable[str]) -> str:
    """Return the first link to a repository."""
    for link in links:
        host, path, _ = purl.repository(link)
        if host in _FORGES and "/" in path:
            return link
    return ""


def _page(host: str, path: str) -> tuple[str, ...]:
    return (f"https://{host}/{path}",) if host in _FORGES else ()
