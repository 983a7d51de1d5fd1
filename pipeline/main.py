"""The Dagger objects. Each function only calls a plain function of another module."""

import dataclasses
import datetime as dt
import functools
import json
from typing import Annotated, Any, Self

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, function, generate, object_type, up

from pipeline import (
    handover,
    sdk,  # noqa: F401 # imported for its effect on the SDK
)
from pipeline.arguments import (
    NOT_GIVEN,
    Accept,
    AcceptOldDb,
    Baseline,
    FailOn,
    FailOnKnownExploited,
    Flavor,
    GraceDays,
    Move,
    OnlyFixed,
    OtpVex,
    Password,
    PublicKey,
    TransparencyLog,
    UnknownAs,
    User,
    Vex,
    check_url,
    checked,
    fresh,
    once,
    take_fields,
)
from pipeline.build import applications, configuration, dependencies, release
from pipeline.image import export, health, runtime, size
from pipeline.project import images, reader, settings, source
from pipeline.project.application import Application
from pipeline.project.images import Images
from pipeline.project.logins import Login
from pipeline.project.project import Project
from pipeline.registry import content, outdated, promote, publish, refresh, rescan, verify
from pipeline.registry.lines import Access
from pipeline.registry.provenance import Origin
from pipeline.registry.publish import Assess, Request
from pipeline.registry.reference import Reference, parse_repository
from pipeline.registry.rescan import SbomScan
from pipeline.registry.signing import Signing, Sigstore
from pipeline.registry.tags import choose_tags, followed
from pipeline.registry.tools import Tools, tools_for
from pipeline.registry.verify import Signer
from pipeline.report import assessment, terminal
from pipeline.report.assessment import Assessed
from pipeline.report.places import read_places
from pipeline.sbom import containers
from pipeline.sbom.sbom import Image
from pipeline.scan import policy
from pipeline.scan.baseline import read_baseline
from pipeline.scan.databases import EEF_FILE, Databases, eef_database
from pipeline.scan.policy import Criteria
from pipeline.scan.scanners import Scanners, prepared
from pipeline.scan.scout import scout_of

#: How many file names one line shows.
_SHOWN = 5


@object_type
class Erlmcp:
    """Build, scan, sign and publish the container image of an Erlang release (rebar3), with real layer caching."""

    source: Annotated[
        dagger.Directory,
        Doc("Root directory of the rebar3 project; its .dockerignore applies."),
        DefaultPath("/"),
        Ignore(list(source.SOURCE_IGNORE)),
    ]
    flavor: Annotated[
        Flavor | None, Doc("Linux distribution of the builder and of the image: alpine (default) or debian.")
    ] = None
    otp: Annotated[str | None, Doc("Major version of Erlang/OTP: 29 (default on alpine), 28 (on debian) or 27.")] = None
    image_table: Annotated[
        dagger.File | None,
        Name("images"),
        Doc("TOML file whose tables [images] and [otp.N] replace image references; the function images shows them."),
    ] = None
    builder_image: Annotated[
        str | None, Doc("Image with Erlang/OTP and rebar3 to build in, instead of the one in the table.")
    ] = None
    runtime_image: Annotated[str | None, Doc("Base image of the runtime image, instead of the one in the table.")] = (
        None
    )
    profile: Annotated[str | None, Doc("The rebar3 profile to build the release with (default prod).")] = None
    release_name: Annotated[
        str | None, Name("release"), Doc("Name of the release in rebar.config; needed only if there are several.")
    ] = None
    release_version: Annotated[str | None, Doc("Version of the release, instead of the version in rebar.config.")] = (
        None
    )
    apps: Annotated[
        list[str] | None,
        Doc("Applications of the release in starting order, as NAME or NAME:TYPE, instead of the list in relx."),
    ] = None
    rebar_config: Annotated[dagger.File | None, Doc("A rebar.config to use instead of the one in the project.")] = None
    sys_config: Annotated[
        dagger.File | None, Doc("The sys.config of the release; ${VAR:-default} is replaced when it starts.")
    ] = None
    vm_args: Annotated[
        dagger.File | None, Doc("The vm.args of the release; ${VAR:-default} is replaced when it starts.")
    ] = None
    cookie_from_environment: Annotated[
        bool | None,
        Doc("In the image, replace a cookie that vm.args contains with ${RELX_COOKIE}; the project is not changed."),
    ] = None
    incremental: Annotated[
        bool | None,
        Doc("Compile only modules that changed since the engine last compiled them; not for scan, sbom or assess."),
    ] = None
    hex_mirror: Annotated[str | None, Doc("URL of a Hex repository to use instead of https://repo.hex.pm.")] = None
    hex_mirror_secret: Annotated[
        dagger.Secret | None,
        Doc("The same URL with a login in it, as a secret (env:NAME); it is never stored or shown."),
    ] = None
    hex_mirror_key: Annotated[
        dagger.File | None, Doc("Public key (PEM) of that Hex repository, if it does not sign with the key of hex.pm.")
    ] = None
    hex_key: Annotated[
        dagger.Secret | None,
        Doc("API key for the private Hex organisations in rebar.config (env:NAME); it is never stored or shown."),
    ] = None
    git: Annotated[
        dagger.Directory | None,
        Doc("The .git directory of the checkout (--git=.git), for versions and scripts that read it."),
    ] = None
    git_config: Annotated[
        dagger.Secret | None,
        Doc(
            "git configuration for fetching git dependencies (file:PATH), for example with url.MIRROR.insteadOf or "
            "with a token in http.extraHeader."
        ),
    ] = None
    ssh: Annotated[
        dagger.Socket | None, Doc("SSH agent with the keys for git dependencies (--ssh=$SSH_AUTH_SOCK).")
    ] = None
    known_hosts: Annotated[
        dagger.File | None, Doc("Known-hosts file with the host keys of the git servers reached over SSH.")
    ] = None
    mirror: Annotated[
        dagger.Service | None, Doc("A service that the fetching of dependencies can reach as http://mirror:PORT.")
    ] = None
    init: Annotated[
        dagger.File | None,
        Doc("Static init program for the image (tini-static), instead of the one that is downloaded."),
    ] = None
    certificates: Annotated[
        dagger.File | None,
        Doc("CA certificates (PEM) that the image trusts, instead of those of its base image or of Mozilla."),
    ] = None
    health_url: Annotated[
        str | None,
        Doc("URL that the health check requests inside the container, if the release has a health endpoint."),
    ] = None
    revision: Annotated[str, Doc("Source revision (git commit) to record in the labels.")] = ""
    created: Annotated[
        str, Doc("Time of that revision (RFC 3339) to record in the labels and the image configuration.")
    ] = ""
    labels: Annotated[
        list[str] | None, Doc("More labels as KEY=VALUE; these override the labels that the pipeline sets.")
    ] = None
    repository: Annotated[
        str | None,
        Doc("Repository to publish the image to, such as ghcr.io/OWNER/NAME; reports use it as the image's name."),
    ] = None
    trivy_db: Annotated[
        dagger.Directory | None, Doc("Trivy's cache directory with its database, to use instead of downloading one.")
    ] = None
    grype_db: Annotated[
        dagger.Directory | None, Doc("Grype's cache directory with its database, to use instead of downloading one.")
    ] = None
    eef_db: Annotated[
        dagger.Directory | None,
        Doc(
            "Directory with the EEF and OSV records, written by the function advisories, to use instead of "
            "downloading them."
        ),
    ] = None
    trivy_db_repository: Annotated[
        str | None, Doc("OCI repository to download Trivy's database from, instead of Trivy's own.")
    ] = None
    grype_db_url: Annotated[
        str | None, Doc("URL of the listing to download Grype's database from, instead of Grype's own.")
    ] = None
    scout_user: Annotated[
        str | None, Doc("Docker Hub user name, to run Docker Scout too; its image is scout in --images.")
    ] = None
    scout_token: Annotated[dagger.Secret | None, Doc("Docker Hub access token of that user.")] = None
    registry_service: Annotated[
        dagger.Service | None,
        Doc(
            "A registry on this machine (tcp://127.0.0.1:PORT), to pull the base image from or to publish to; write it "
            "as registry.localhost:PORT in image references."
        ),
    ] = None
    docker_config: Annotated[
        dagger.Secret | None,
        Doc("Docker's config.json (file:PATH) with registry logins, for crane and cosign."),
    ] = None
    sigstore_services: Annotated[
        dagger.File | None,
        Doc("Signing configuration of a private Sigstore (cosign signing-config create), to sign without a key."),
    ] = None
    sigstore_root: Annotated[
        dagger.File | None,
        Doc("Trusted root of that private Sigstore (cosign trusted-root create), to verify its signatures."),
    ] = None
    platforms: Annotated[
        list[str] | None,
        Doc("Platforms to build the image for: linux/amd64, linux/arm64 or both (default: the engine's platform)."),
    ] = None
    #: Those of them that the project's erlmcp.toml gave, as the command line calls them; of a file NAME=PATH.
    #: The engine keeps this object for later sessions, but no file that is made with it.
    from_file: list[str] = ()  # type: ignore[assignment] # immutable; the SDK makes a list of it

    @classmethod
    async def create(cls, **given: Any) -> Self:  # noqa: ANN401 # each of its own type, see below
        """Take the arguments that a call gives, and those of erlmcp.toml that it does not give."""
        given = {name: None if value is NOT_GIVEN else value for name, value in given.items()}
        known = settings.arguments(cls.create)
        said = await settings.read(given["source"], known)
        taken = {name: value for name, value in said.items() if given.get(known[name].python) is None}
        paths = {name: value for name, value in taken.items() if known[name].type is dagger.File}
        every = given | {known[name].python: value for name, value in taken.items() if name not in paths}
        told = [f"{name}={paths[name]}" if name in paths else name for name in taken]
        return cls(**every, from_file=told)  # type: ignore[call-arg] # the SDK makes it a dataclass

    def file(self, name: str, given: dagger.File | None) -> dagger.File | None:
        """Return the file that a call gave for an argument, or that erlmcp.toml names."""
        paths = dict(each.split("=", 1) for each in self.from_file if "=" in each)
        return given or (self.source.file(paths[name]) if name in paths else None)

    @property
    def table_file(self) -> dagger.File | None:
        """The table of images that the user gave."""
        return self.file("images", self.image_table)

    @function
    async def application(self) -> str:
        """Show what the project contains, how it will be built and what would be refused; nothing is compiled."""
        project = await self.project()
        application = await reader.read(project)
        native = await dependencies.told(project, application)
        refused = [f"refused: {fault}" for fault in await configuration.faults(project, application)]
        keys = await source.secrets(project.source)
        told = []
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            told = [f"may contain keys or passwords, and is sent to the engine: {', '.join(keys[:_SHOWN])}{more}"]
        if "_checkouts/" in set(await self.source.entries()) - set(await project.source.entries()):
            told.append("not built, because .gitignore or .dockerignore excludes it: _checkouts")
        if self.from_file:
            told.insert(0, f"set in {settings.SETTINGS}: {', '.join(self.from_file)}")
        return "\n".join([application.summary(native), *refused, *told])

    @fresh
    async def images(self) -> str:
        """Show the image references that are used for this --otp and --flavor, as TOML for --images."""
        table = await self.table()
        return images.render_images(table) + await outdated.warnings(table, self.databases(dt.datetime.now(dt.UTC)))

    @fresh
    async def advisories(self) -> dagger.Directory:
        """Download the records on Erlang/OTP (EEF) and on Hex packages (OSV) as a directory for --eef-db."""
        fetched = dataclasses.replace(self.databases(dt.datetime.now(dt.UTC)), eef=None)
        return handover.directory({EEF_FILE: await eef_database(fetched)})

    @fresh
    async def outdated(self, *, user: User = "", password: Password = None) -> str:
        """Show which images in use have a newer version, and the advisories on their Erlang/OTP."""
        access = Access(user, password, self.registry_service, self.docker_config)
        return await outdated.outdated(await self.table(), access, self.databases(dt.datetime.now(dt.UTC)))

    @fresh
    @generate
    async def refresh_images(self, *, user: User = "", password: Password = None) -> dagger.Changeset:
        """Update the image table (--images, or the module's own) to the newest image of each release line."""
        access = Access(user, password, self.registry_service, self.docker_config)
        return await refresh.changes(await self.table(), access, self.source, self.table_file)

    @function
    async def deps(self) -> dagger.Container:
        """Fetch and compile the locked dependencies into /build/_build."""
        return await dependencies.fetched(*await self.opened())

    @function
    async def compile(self) -> dagger.Container:
        """Compile the project's applications that the release needs into /build/_build."""
        return (await applications.compiled(*await self.opened())).container

    @function
    async def release(self) -> dagger.Container:
        """Assemble the stripped release, with ERTS, in /opt/NAME."""
        return await release.assembled(*await self.opened())

    @function
    async def build_runtime(self) -> dagger.Container:
        """Build the runtime image; chain export-image, terminal or publish on it."""
        return (await runtime.built(await self.project())).image

    @function
    @up
    async def serve(self) -> dagger.Service:
        """Run the image as a service: dagger up, or chain up on it, publishes ports 8080 and 9090 on this machine."""
        image = (await runtime.built(await self.project())).image
        # A single node needs no distribution, and on many machines another program has its port.
        return image.without_exposed_port(runtime.DISTRIBUTION_PORT).as_service(use_entrypoint=True)

    @function
    async def image_tarball(self) -> dagger.File:
        """Build the runtime image for each of --platforms, as an OCI archive; the same input gives the same digest."""
        return await export.archive(await self.project())

    @function
    @check
    async def health(self) -> str:
        """Start the image, wait until it is healthy, test each level of its health check, and stop it."""
        return await health.health(await runtime.built(await self.project()))

    @function
    @check
    async def size(self) -> str:
        """Show the size of the image by component; fail if it is over 100 MB compressed, as pushed and pulled."""
        return await size.size((await runtime.built(await self.project())).image)

    @function
    async def sbom(self) -> dagger.Directory:
        """Write the SBOM of the image as SPDX 2.3 (sbom.spdx.json), SPDX 3.0.1 and CycloneDX 1.6 (sbom.cdx.json)."""
        return handover.directory(await containers.documents_of(await self.project()))

    @fresh
    @check
    async def scan(self) -> str:
        """Scan the image with Trivy, Grype and the Erlang advisories; show one verdict, and fail if it is negative."""
        return await self.assess().verdict()

    @once
    def assess(
        self,
        *,
        fail_on: FailOn = "",
        only_fixed: OnlyFixed = None,
        unknown_as: UnknownAs = "",
        fail_on_known_exploited: FailOnKnownExploited = None,
        grace_days: GraceDays = None,
        vex: Vex = (),  # type: ignore[assignment] # as above
        otp_vex: OtpVex = None,
        accept: Accept = None,
        accept_old_db: AcceptOldDb = None,
        baseline: Baseline = None,
    ) -> "Assessment":
        """Scan the image once and apply a policy; chain verdict, reports or publish on it."""
        time = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        return Assessment(  # type: ignore[call-arg] # the SDK makes it a dataclass, which mypy does not see
            erlmcp=self,
            time=time,
            fail_on=fail_on,
            only_fixed=only_fixed,
            unknown_as=unknown_as,
            fail_on_known_exploited=fail_on_known_exploited,
            grace_days=grace_days,
            vex=list(vex),
            otp_vex=otp_vex,
            accept=accept,
            accept_old_db=accept_old_db,
            baseline=baseline,
        )

    @function
    def published(
        self,
        reference: Annotated[str, Doc("Image reference, by tag or by digest.")],
        *,
        user: User = "",
        password: Password = None,
    ) -> "Published":
        """Inspect a published image; chain digest, refs, sizes or verified on it."""
        Reference.parse(reference, "--reference")
        return Published(erlmcp=self, reference=reference, user=user, password=password)  # type: ignore[call-arg] # as above

    # Shared by the functions: the constructor's arguments in the form that the plain parts take.

    async def table(self) -> Images:
        """Return the image references in use."""
        given = await self.table_file.contents() if self.table_file else ""
        flavor = self.distribution
        builder, runtime = self.builder_image or "", self.runtime_image or ""
        own = {f"builder-{flavor}": builder, f"runtime-{flavor}": runtime}
        # An image given as argument is used whatever there is to compile.
        own[f"builder-{flavor}-full"] = builder
        with settings.naming(self.from_file):
            return images.images_in_use(given, own, self.otp or "")

    @property
    def distribution(self) -> str:
        """The flavor, by its name in the table of images."""
        return (self.flavor or Flavor.alpine).value

    async def project(self) -> Project:
        """Return the project to build; a wrong argument is refused before anything runs."""
        return dataclasses.replace(await self.given(), source=await source.filtered(self.source))

    async def given(self) -> Project:
        """Return the arguments as a project, and refuse a wrong one; the source is not read."""
        given = Project(
            source=self.source,
            images=await self.table(),
            image_table=self.table_file,
            flavor=self.distribution,
            profile=self.profile or "prod",
            git=self.git,
            release=self.release_name or "",
            release_version=self.release_version or "",
            apps=tuple(self.apps or ()),
            rebar_config=self.file("rebar-config", self.rebar_config),
            sys_config=self.file("sys-config", self.sys_config),
            vm_args=self.file("vm-args", self.vm_args),
            cookie_from_environment=bool(self.cookie_from_environment),
            incremental=bool(self.incremental),
            hex_mirror=self.hex_mirror or "",
            hex_mirror_secret=self.hex_mirror_secret,
            hex_mirror_key=self.file("hex-mirror-key", self.hex_mirror_key),
            hex_key=self.hex_key,
            git_config=self.git_config,
            ssh=self.ssh,
            known_hosts=self.file("known-hosts", self.known_hosts),
            mirror=self.mirror,
            init=self.file("init", self.init),
            certificates=self.file("certificates", self.certificates),
            health_url=self.health_url or "",
            revision=self.revision,
            created=self.created,
            labels=tuple(self.labels or ()),
            platforms=tuple(self.platforms or ()),
            repository=self.repository or "",
            registry_service=self.registry_service,
            docker_config=self.docker_config,
        )
        with settings.naming(self.from_file):
            return await checked(given)

    async def opened(self) -> tuple[Project, Application]:
        """Return the project with the builder that it needs, and the application that was read from it."""
        project = await self.project()
        application = await reader.read(project)
        return await dependencies.equipped(project, application), application

    @property
    def sigstore(self) -> Sigstore:
        """The Sigstore that signs and verifies."""
        return Sigstore(
            self.file("sigstore-services", self.sigstore_services), self.file("sigstore-root", self.sigstore_root)
        )

    async def scanners(self, project: Project, time: dt.datetime) -> Scanners:
        """Return the scanners with the databases of a day; a wrong argument is refused before anything runs."""
        with settings.naming(self.from_file):
            scout = scout_of(self.scout_user or "", self.scout_token, project.images)
        return await prepared(Scanners(project.images, self.databases(time), scout, project))

    def databases(self, time: dt.datetime) -> Databases:
        """Return the sources of the vulnerability databases of a day."""
        with settings.naming(self.from_file):
            check_url("--grype-db-url", self.grype_db_url or "")
        return Databases(
            time.date().isoformat(),
            self.trivy_db,
            self.grype_db,
            self.eef_db,
            self.trivy_db_repository or "",
            self.grype_db_url or "",
        )


take_fields(Erlmcp.create, Erlmcp, "from_file")


@object_type
class Assessment:
    """An image and the policy that applies to it."""

    erlmcp: Erlmcp
    #: Time of the verdict (RFC 3339): all functions of one assessment have the same time and the same databases.
    time: str
    fail_on: str
    only_fixed: bool | None
    unknown_as: str
    fail_on_known_exploited: bool | None
    grace_days: int | None
    vex: list[dagger.File]
    otp_vex: bool | None
    accept: dagger.File | None
    accept_old_db: bool | None
    baseline: dagger.File | None

    @fresh
    async def verdict(self) -> str:
        """Scan the image with Trivy, Grype and the Erlang advisories; show one verdict, and fail if it is negative."""
        return terminal.conclude((await self.assessed()).report)

    @fresh
    async def reports(self) -> dagger.Directory:
        """Write all reports, SBOMs and compliance, whatever the verdict; chain export --path=reports on it."""
        return handover.directory(await (await self.assessed()).reports())

    @fresh
    async def publish(
        self,
        *,
        user: User = "",
        password: Password = None,
        tags: Annotated[
            list[str], Doc("Tags to set, instead of those from --version, --branch and --pull-request.")
        ] = (),  # type: ignore[assignment] # as above
        version: Annotated[str, Doc("Version that is released: 3.0.0 sets the tags 3.0.0, 3.0, 3 and latest.")] = "",
        branch: Annotated[
            str, Doc("Name of the branch: sets a tag of that name, with the characters a tag allows.")
        ] = "",
        pull_request: Annotated[str, Doc("Number of the pull request: sets the tag pr-NUMBER.")] = "",
        sha_tag: Annotated[bool, Doc("Also set the tag sha-REVISION, if --revision is given.")] = True,
        move: Move = False,
        dry_run: Annotated[bool, Doc("Show what would be pushed, and push nothing.")] = False,
        require: Annotated[
            list[str],
            Doc(
                "Checks of compliance.md that must pass before anything is pushed, instead of those in the policy; "
                "'none' for no check."
            ),
        ] = (),  # type: ignore[assignment] # as above
        cosign_key: Annotated[
            dagger.Secret | None, Doc("Private key of cosign to sign with (env:NAME or file:PATH).")
        ] = None,
        cosign_password: Annotated[dagger.Secret | None, Doc("Password of that key.")] = None,
        identity_token: Annotated[
            dagger.Secret | None, Doc("OpenID Connect token of the CI job, to sign without a key.")
        ] = None,
        identity_url: Annotated[
            dagger.Secret | None,
            Doc("URL to request that token from when signing, as in GitHub: env:ACTIONS_ID_TOKEN_REQUEST_URL."),
        ] = None,
        identity_url_token: Annotated[
            dagger.Secret | None, Doc("Bearer token for that URL: env:ACTIONS_ID_TOKEN_REQUEST_TOKEN.")
        ] = None,
        transparency_log: TransparencyLog = True,
        unsigned: Annotated[
            bool, Doc("Push without signature and attestations; verified will refuse the image.")
        ] = False,
        builder_id: Annotated[str, Doc("URI of the builder for the provenance, such as that of the CI workflow.")] = "",
        invocation: Annotated[
            str, Doc("Identifier of this run for the provenance, such as the URL of the CI run.")
        ] = "",
    ) -> str:
        """Push the image if the policy passes, sign and attest it, and set the tags last; print REPOSITORY@DIGEST."""
        key = (cosign_key, cosign_password, identity_token, identity_url, identity_url_token)
        choose = functools.partial(
            choose_tags,
            version=version,
            branch=branch,
            pull_request=pull_request,
            revision=self.erlmcp.revision if sha_tag else "",
            given=tags,
        )
        request = Request(
            choose,
            bool(version and not tags),
            Login(user, password),
            None if unsigned else Signing(*key, transparency_log=transparency_log, sigstore=self.erlmcp.sigstore),
            Origin(builder_id, invocation),
            follows=() if tags else followed(branch, pull_request),
            move=move,
            dry_run=dry_run,
        )
        project = await self.erlmcp.project()
        return await publish.publish(project, request, await self.judge(project, tuple(require)))

    async def assessed(self) -> Assessed:
        """Return the image with its verdict."""
        project = await self.erlmcp.project()
        assess = await self.judge(project)
        return await assess(await reader.read(project))

    async def judge(self, project: Project, require: tuple[str, ...] = ()) -> Assess:
        """Return the function that builds, scans and judges; a wrong policy is refused before anything runs."""
        project.refuse_incremental()
        time = dt.datetime.fromisoformat(self.time)
        criteria = Criteria(
            self.fail_on,
            self.only_fixed,
            self.unknown_as,
            self.fail_on_known_exploited,
            self.grace_days,
            tuple(self.vex),
            self.otp_vex,
            self.accept,
            self.accept_old_db,
            require,
        )
        earlier = await read_baseline(self.baseline)
        rules = (await policy.read_criteria(criteria)).over(await policy.project_rules(self.erlmcp.source))
        scanners = await self.erlmcp.scanners(project, time)
        places = await read_places(project, self.erlmcp.source, self.erlmcp.table_file)

        async def assess(application: Application) -> Assessed:
            return await assessment.assess(project, application, scanners, rules, time, places=places, baseline=earlier)

        return assess


@object_type
class Published:
    """An image in a registry."""

    erlmcp: Erlmcp
    reference: str
    user: str
    password: dagger.Secret | None

    @fresh
    async def digest(self) -> str:
        """Show the digest of the image: that of its manifest, or of its index."""
        return await content.resolve(await self.tools(), self.image)

    @fresh
    async def refs(self) -> list[str]:
        """Show all tags of the repository that point to the image."""
        tools = await self.tools()
        return await content.refs_of(tools, self.image, await content.resolve(tools, self.image))

    @fresh
    async def sizes(self) -> list[str]:
        """Show how many bytes a pull transfers for each platform, as PLATFORM BYTES."""
        return await content.sizes_of(await self.tools(), self.image)

    @function
    def verified(
        self,
        *,
        key: PublicKey = None,
        identity: Annotated[
            str,
            Doc(
                "Identity that the signing certificate must have, instead of --key; a regular expression if it starts "
                "with ^."
            ),
        ] = "",
        issuer: Annotated[
            str, Doc("OpenID Connect issuer of that identity, such as https://token.actions.githubusercontent.com.")
        ] = "",
        transparency_log: TransparencyLog = True,
    ) -> "Verified":
        """Name the required signer; chain summary, findings, promote or rescan, each of which verifies the image."""
        Signer(key, identity, issuer, transparency_log=transparency_log)
        return Verified(  # type: ignore[call-arg] # as above
            published=self, key=key, identity=identity, issuer=issuer, transparency_log=transparency_log
        )

    @property
    def image(self) -> Reference:
        """The reference, parsed."""
        return Reference.parse(self.reference, "--reference")

    async def tools(self, logins: dict[str, Login] | None = None) -> Tools:
        """Return crane and cosign, with the login of the image's registry, or those given."""
        erlmcp = self.erlmcp
        logins = logins or {self.image.host: self.login}
        return await tools_for(await erlmcp.table(), logins, erlmcp.registry_service, erlmcp.docker_config)

    @property
    def login(self) -> Login:
        """The login for its registry."""
        return Login(self.user, self.password)


@object_type
class Verified:
    """A published image and the signer that it must have."""

    published: Published
    key: dagger.Secret | None
    identity: str
    issuer: str
    transparency_log: bool

    @fresh
    async def summary(self) -> str:
        """Verify the signature and the attestations (SPDX, CycloneDX, verdict, provenance), and show what they say."""
        return (await verify.verify(await self.published.tools(), self.published.image, self.signer)).render()

    @fresh
    async def findings(self) -> dagger.File:
        """Write the verified verdict that the image was published with (findings.json), for assess --baseline."""
        proof = await verify.verify(await self.published.tools(), self.published.image, self.signer)
        return handover.file("findings.json", json.dumps(proof.verdict, indent=2) + "\n")

    @fresh
    async def promote(
        self,
        tags: Annotated[list[str], Doc("Tags to set.")],
        *,
        to: Annotated[
            str, Doc("Repository to copy the image to; by default the tags are set in its own repository.")
        ] = "",
        to_user: Annotated[
            str, Doc("Registry user name for --to; by default the same user, if it is the same registry.")
        ] = "",
        to_password: Annotated[dagger.Secret | None, Doc("Password or token of that user.")] = None,
        move: Move = False,
        fresh_scan: Annotated[bool, Doc("Scan the image against today's databases first.")] = True,
        fail_on: FailOn = "",
        only_fixed: OnlyFixed = None,
        unknown_as: UnknownAs = "",
        fail_on_known_exploited: FailOnKnownExploited = None,
        grace_days: GraceDays = None,
        vex: Vex = (),  # type: ignore[assignment] # as above
        otp_vex: OtpVex = None,
        accept: Accept = None,
        accept_old_db: AcceptOldDb = None,
    ) -> str:
        """Verify and rescan the image, then copy it unchanged, with signature and attestations, and tag the copy."""
        image = self.published.image
        target = parse_repository(to or image.repository, "--to")
        exploited = fail_on_known_exploited
        criteria = Criteria(
            fail_on, only_fixed, unknown_as, exploited, grace_days, tuple(vex), otp_vex, accept, accept_old_db
        )
        return await promote.promote(
            await self.published.tools(
                promote.logins(image, self.published.login, target, Login(to_user, to_password))
            ),
            image,
            target,
            choose_tags(given=tags),
            self.signer,
            move=move,
            scan=await self.scan(criteria) if fresh_scan else None,
        )

    @fresh
    async def rescan(
        self,
        *,
        fail_on: FailOn = "",
        only_fixed: OnlyFixed = None,
        unknown_as: UnknownAs = "",
        fail_on_known_exploited: FailOnKnownExploited = None,
        grace_days: GraceDays = None,
        vex: Vex = (),  # type: ignore[assignment] # as above
        otp_vex: OtpVex = None,
        accept: Accept = None,
        accept_old_db: AcceptOldDb = None,
    ) -> str:
        """Scan it against today's databases by the policy it was published with; fail if a new finding breaks that."""
        exploited = fail_on_known_exploited
        criteria = Criteria(
            fail_on, only_fixed, unknown_as, exploited, grace_days, tuple(vex), otp_vex, accept, accept_old_db
        )
        scan = await self.scan(criteria)
        return await rescan.rescan(await self.published.tools(), self.published.image, self.signer, scan)

    @property
    def signer(self) -> Signer:
        """The signer that it must have."""
        return Signer(
            self.key,
            self.identity,
            self.issuer,
            transparency_log=self.transparency_log,
            sigstore=self.published.erlmcp.sigstore,
        )

    async def scan(self, criteria: Criteria) -> SbomScan:
        """Return the function that judges an SBOM by today's databases and the policy of the image's publication."""
        erlmcp, image, now = self.published.erlmcp, self.published.image, dt.datetime.now(dt.UTC)
        given = await policy.read_criteria(criteria)
        about = Image(image.repository, image.tag, image.digest, "")
        scanners = await erlmcp.scanners(await erlmcp.given(), now)
        return functools.partial(assessment.assess_document, scanners, given, about, time=now)
