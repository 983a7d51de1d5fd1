"""The Dagger objects: a table of contents, each function a call of a plain one."""

import dataclasses
import datetime as dt
import functools
import json
from typing import Annotated

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, function, generate, object_type

from pipeline import (
    handover,
    sdk,  # noqa: F401 # what it is imported for is what it does to the SDK
)
from pipeline.arguments import (
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
)
from pipeline.build import applications, configuration, dependencies, release
from pipeline.image import export, health, runtime, size
from pipeline.project import images, reader, source
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

#: How many names of files a line shows.
_SHOWN = 5


@object_type
class Erlmcp:
    """Build, check and ship the container image of an Erlang release (rebar3), with real layer caching."""

    source: Annotated[
        dagger.Directory,
        Doc("Root of the rebar3 project; its .dockerignore is honoured."),
        DefaultPath("/"),
        Ignore(list(source.SOURCE_IGNORE)),
    ]
    flavor: Annotated[Flavor, Doc("Distribution of builder and runtime.")] = Flavor.alpine
    otp: Annotated[str, Doc("Major version of Erlang/OTP: 29 (default on alpine), 28 (on debian) or 27.")] = ""
    image_table: Annotated[
        dagger.File | None,
        Name("images"),
        Doc("TOML file whose [images] and [otp.N] replace image references (see the function images)."),
    ] = None
    builder_image: Annotated[str, Doc("Image with Erlang/OTP and rebar3, instead of the table's.")] = ""
    runtime_image: Annotated[str, Doc("Base of the runtime image, instead of the table's.")] = ""
    profile: Annotated[str, Doc("Profile of rebar3 that the release is built under.")] = "prod"
    release_name: Annotated[
        str, Name("release"), Doc("Which release of rebar.config; needed only if it has several.")
    ] = ""
    release_version: Annotated[str, Doc("Version of the release, instead of the one in rebar.config.")] = ""
    apps: Annotated[
        list[str], Doc("Applications of the release in starting order, as NAME or NAME:load, instead of relx's.")
    ] = ()  # type: ignore[assignment] # immutable; the SDK makes a list of it
    rebar_config: Annotated[dagger.File | None, Doc("A rebar.config to use instead of the project's.")] = None
    sys_config: Annotated[
        dagger.File | None, Doc("sys.config of the release; ${VAR:-default} is replaced at start.")
    ] = None
    vm_args: Annotated[dagger.File | None, Doc("vm.args of the release; ${VAR:-default} is replaced at start.")] = None
    cookie_from_environment: Annotated[
        bool, Doc("Replace a cookie that is written down in vm.args by ${RELX_COOKIE}, in the image alone.")
    ] = False
    hex_mirror: Annotated[str, Doc("URL of a Hex repository instead of https://repo.hex.pm.")] = ""
    hex_mirror_secret: Annotated[
        dagger.Secret | None, Doc("That URL with a login in it (env:NAME), instead; nothing of it lasts.")
    ] = None
    hex_mirror_key: Annotated[
        dagger.File | None, Doc("Public key (PEM) of that repository, if it signs with one of its own.")
    ] = None
    hex_key: Annotated[
        dagger.Secret | None, Doc("Key of the private Hex organisations that rebar.config names; nothing of it lasts.")
    ] = None
    git: Annotated[
        dagger.Directory | None, Doc("The checkout's git folder (--git=.git), for versions and scripts that ask it.")
    ] = None
    git_config: Annotated[
        dagger.Secret | None,
        Doc("git configuration for git dependencies (file:PATH): url.MIRROR.insteadOf, http.extraHeader with a token."),
    ] = None
    ssh: Annotated[dagger.Socket | None, Doc("SSH agent with keys for git dependencies (--ssh=$SSH_AUTH_SOCK).")] = None
    known_hosts: Annotated[dagger.File | None, Doc("Keys of the hosts that are reached by SSH.")] = None
    mirror: Annotated[
        dagger.Service | None, Doc("A service that the dependency stage reaches as http://mirror:PORT.")
    ] = None
    init: Annotated[
        dagger.File | None, Doc("Static init of the image (tini-static), instead of the one that is fetched.")
    ] = None
    certificates: Annotated[
        dagger.File | None, Doc("Certificates (PEM) that the image trusts, instead of its base's or Mozilla's.")
    ] = None
    health_url: Annotated[
        str, Doc("URL that the health check asks inside the container, if the release serves one.")
    ] = ""
    revision: Annotated[str, Doc("Source revision (git commit), for the labels.")] = ""
    created: Annotated[str, Doc("Time of that revision (RFC 3339), for labels and image configuration.")] = ""
    labels: Annotated[list[str], Doc("Further labels as KEY=VALUE; they win over what the pipeline sets.")] = ()  # type: ignore[assignment] # as above
    repository: Annotated[
        str, Doc("Where the image is published, and what reports call it, such as ghcr.io/OWNER/NAME.")
    ] = ""
    trivy_db: Annotated[
        dagger.Directory | None, Doc("Cache directory of Trivy with its database: nothing is fetched then.")
    ] = None
    grype_db: Annotated[
        dagger.Directory | None, Doc("Cache directory of Grype with its database: nothing is fetched then.")
    ] = None
    eef_db: Annotated[
        dagger.Directory | None,
        Doc(
            "Directory that the function advisories wrote, with what the EEF and OSV publish: nothing is fetched then."
        ),
    ] = None
    trivy_db_repository: Annotated[str, Doc("OCI repository of Trivy's database, instead of its makers'.")] = ""
    grype_db_url: Annotated[str, Doc("URL of Grype's database listing, instead of its makers'.")] = ""
    scout_user: Annotated[str, Doc("Docker Hub user, to ask Docker Scout too (image key scout, see --images).")] = ""
    scout_token: Annotated[dagger.Secret | None, Doc("Docker Hub token of that user.")] = None
    registry_service: Annotated[
        dagger.Service | None,
        Doc(
            "A registry of this machine (tcp://127.0.0.1:PORT): that of the base image, or the one to publish to, "
            "which references call registry.localhost:PORT."
        ),
    ] = None
    docker_config: Annotated[
        dagger.Secret | None,
        Doc("Docker's config.json (file:PATH) with the logins of registries, for crane and cosign."),
    ] = None
    sigstore_services: Annotated[
        dagger.File | None,
        Doc("Where the services of a Sigstore of your own are (cosign signing-config create), to sign without a key."),
    ] = None
    sigstore_root: Annotated[
        dagger.File | None, Doc("By what the work of that Sigstore is known (cosign trusted-root create).")
    ] = None
    platforms: Annotated[
        list[str], Doc("Platforms of the image archive: linux/amd64, linux/arm64 or both (default: the engine's own).")
    ] = ()  # type: ignore[assignment] # as above

    @function
    async def application(self) -> str:
        """Show what was read from rebar.config, rebar.lock and the applications."""
        project = await self.project()
        application = await reader.read(project)
        native = await dependencies.told(project, application)
        refused = [f"refused: {fault}" for fault in await configuration.faults(project, application)]
        keys = await source.secrets(project.source)
        told = []
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            told = [f"may hold keys or passwords, and is sent to the engine: {', '.join(keys[:_SHOWN])}{more}"]
        if "_checkouts/" in set(await self.source.entries()) - set(await project.source.entries()):
            told.append("left out, since .gitignore or .dockerignore names it: _checkouts")
        return "\n".join([application.summary(native), *refused, *told])

    @fresh
    async def images(self) -> str:
        """Show the image references in use for the chosen Erlang/OTP, as TOML that --images reads."""
        table = await self.table()
        return images.render_images(table) + await outdated.warnings(table, self.databases(dt.datetime.now(dt.UTC)))

    @fresh
    async def advisories(self) -> dagger.Directory:
        """Fetch what is published on Erlang/OTP (by the EEF) and on Hex packages (by OSV): a directory for --eef-db."""
        fetched = dataclasses.replace(self.databases(dt.datetime.now(dt.UTC)), eef=None)
        return handover.directory({EEF_FILE: await eef_database(fetched)})

    @fresh
    async def outdated(self, *, user: User = "", password: Password = None) -> str:
        """Show for each image in use whether there is a newer one, and what is published on its Erlang/OTP."""
        access = Access(user, password, self.registry_service, self.docker_config)
        return await outdated.outdated(await self.table(), access, self.databases(dt.datetime.now(dt.UTC)))

    @fresh
    @generate
    async def refresh_images(self, *, user: User = "", password: Password = None) -> dagger.Changeset:
        """Move the images of the table (--images, or the module's own) to the newest of their lines, pairs together."""
        access = Access(user, password, self.registry_service, self.docker_config)
        return await refresh.changes(await self.table(), access, self.source, self.image_table)

    @function
    async def deps(self) -> dagger.Container:
        """Fetch and compile the locked dependencies; they lie in /build/_build."""
        return await dependencies.fetched(*await self.opened())

    @function
    async def compile(self) -> dagger.Container:
        """Compile the applications of the project that the release needs; they lie in /build/_build."""
        return await applications.compiled(*await self.opened())

    @function
    async def release(self) -> dagger.Container:
        """Assemble the release with ERTS, stripped; it lies in /opt/NAME."""
        return await release.assembled(*await self.opened())

    @function
    async def build_runtime(self) -> dagger.Container:
        """Build the runtime image; chain export-image, as-service --use-entrypoint up, terminal or publish on it."""
        return (await runtime.built(await self.project())).image

    @function
    async def image_tarball(self) -> dagger.File:
        """Build the runtime image as an OCI archive, for each of --platforms: one digest for one input."""
        return await export.archive(await self.project())

    @function
    @check
    async def health(self) -> str:
        """Start the image, wait until it is healthy, prove each level of its health check, and stop it."""
        return await health.health(await runtime.built(await self.project()))

    @function
    @check
    async def size(self) -> str:
        """Show the size of the image by component; fail over 100 MB in all (compressed, as pushed and pulled)."""
        return await size.size((await runtime.built(await self.project())).image)

    @function
    async def sbom(self) -> dagger.Directory:
        """Write the SBOM of the image as SPDX 2.3 (sbom.spdx.json), SPDX 3.0.1 and CycloneDX 1.6 (sbom.cdx.json)."""
        return handover.directory(await containers.documents_of(await self.project()))

    @fresh
    @check
    async def scan(self) -> str:
        """Scan the image with Trivy and Grype and show one verdict; fail unless the project's policy holds."""
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
        """Judge the image by a policy, once: chain verdict, reports or publish on it."""
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
        reference: Annotated[str, Doc("The image, by tag or by digest.")],
        *,
        user: User = "",
        password: Password = None,
    ) -> "Published":
        """Look at a published image: chain digest, refs, sizes or verified on it."""
        Reference.parse(reference, "--reference")
        return Published(erlmcp=self, reference=reference, user=user, password=password)  # type: ignore[call-arg] # as above

    # What the functions share: the constructor's arguments, as the plain parts take them.

    async def table(self) -> Images:
        """Return the image references in use."""
        given = await self.image_table.contents() if self.image_table else ""
        flavor = self.flavor.value
        own = {f"builder-{flavor}": self.builder_image, f"runtime-{flavor}": self.runtime_image}
        # One that was given is taken, whatever there is to compile.
        own[f"builder-{flavor}-full"] = self.builder_image
        return images.images_in_use(given, own, self.otp)

    async def project(self) -> Project:
        """Return what is built; a wrong argument is told before anything is run."""
        return dataclasses.replace(await self.given(), source=await source.filtered(self.source))

    async def given(self) -> Project:
        """Return the arguments; a wrong one is told. The source is not looked at."""
        given = Project(
            source=self.source,
            images=await self.table(),
            image_table=self.image_table,
            flavor=self.flavor.value,
            profile=self.profile,
            git=self.git,
            release=self.release_name,
            release_version=self.release_version,
            apps=tuple(self.apps),
            rebar_config=self.rebar_config,
            sys_config=self.sys_config,
            vm_args=self.vm_args,
            cookie_from_environment=self.cookie_from_environment,
            hex_mirror=self.hex_mirror,
            hex_mirror_secret=self.hex_mirror_secret,
            hex_mirror_key=self.hex_mirror_key,
            hex_key=self.hex_key,
            git_config=self.git_config,
            ssh=self.ssh,
            known_hosts=self.known_hosts,
            mirror=self.mirror,
            init=self.init,
            certificates=self.certificates,
            health_url=self.health_url,
            revision=self.revision,
            created=self.created,
            labels=tuple(self.labels),
            platforms=tuple(self.platforms),
            repository=self.repository,
            registry_service=self.registry_service,
            docker_config=self.docker_config,
        )
        return await checked(given)

    async def opened(self) -> tuple[Project, Application]:
        """Return what is built, with the builder that it takes, and what was read of it."""
        project = await self.project()
        application = await reader.read(project)
        return await dependencies.equipped(project, application), application

    @property
    def sigstore(self) -> Sigstore:
        """The Sigstore that signatures are made and known by."""
        return Sigstore(self.sigstore_services, self.sigstore_root)

    async def scanners(self, project: Project, time: dt.datetime) -> Scanners:
        """Return what scans, with the databases of a day; what is wrong with it is told before anything is run."""
        scout = scout_of(self.scout_user, self.scout_token, project.images)
        return await prepared(Scanners(project.images, self.databases(time), scout, project))

    def databases(self, time: dt.datetime) -> Databases:
        """Return where the vulnerability databases of a day come from."""
        day = time.date().isoformat()
        check_url("--grype-db-url", self.grype_db_url)
        return Databases(day, self.trivy_db, self.grype_db, self.eef_db, self.trivy_db_repository, self.grype_db_url)


@object_type
class Assessment:
    """An image and the policy that it is judged by."""

    erlmcp: Erlmcp
    #: Of the verdict, RFC 3339: all that is asked of an assessment is of one time, and of one day's databases.
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
        """Scan the image with Trivy and Grype and show one verdict; fail unless the policy holds."""
        return terminal.conclude((await self.assessed()).report)

    @fresh
    async def reports(self) -> dagger.Directory:
        """Write every report of the scan, SBOMs and compliance, whatever the verdict; chain export --path=reports."""
        return handover.directory(await (await self.assessed()).reports())

    @fresh
    async def publish(
        self,
        *,
        user: User = "",
        password: Password = None,
        tags: Annotated[list[str], Doc("Tags, instead of those that the next four make.")] = (),  # type: ignore[assignment] # as above
        version: Annotated[str, Doc("A release: 3.0.0 makes 3.0.0, 3.0, 3 and latest.")] = "",
        branch: Annotated[str, Doc("A branch: makes its name, as a tag can hold it.")] = "",
        pull_request: Annotated[str, Doc("Number of a pull request: makes pr-NUMBER.")] = "",
        sha_tag: Annotated[bool, Doc("Make sha-REVISION too, if --revision is given.")] = True,
        move: Move = False,
        dry_run: Annotated[bool, Doc("Say what would be pushed, and push nothing.")] = False,
        require: Annotated[
            list[str],
            Doc("Checks of compliance.md without which nothing is pushed, instead of the policy's; none for none."),
        ] = (),  # type: ignore[assignment] # as above
        cosign_key: Annotated[dagger.Secret | None, Doc("Private key of cosign, to sign with.")] = None,
        cosign_password: Annotated[dagger.Secret | None, Doc("Password of that key.")] = None,
        identity_token: Annotated[
            dagger.Secret | None, Doc("OpenID Connect token of a CI to sign with instead.")
        ] = None,
        identity_url: Annotated[
            dagger.Secret | None,
            Doc("Or where cosign fetches one when it signs, as in GitHub: env:ACTIONS_ID_TOKEN_REQUEST_URL."),
        ] = None,
        identity_url_token: Annotated[
            dagger.Secret | None, Doc("With what: env:ACTIONS_ID_TOKEN_REQUEST_TOKEN.")
        ] = None,
        transparency_log: TransparencyLog = True,
        unsigned: Annotated[bool, Doc("Neither sign nor attest; verify will refuse the image.")] = False,
        builder_id: Annotated[str, Doc("URI of who runs this, for the provenance, such as the workflow's.")] = "",
        invocation: Annotated[str, Doc("Which run of it, such as its address.")] = "",
    ) -> str:
        """Push the image if the policy holds, sign and attest it, then move the tags; print repository@digest alone."""
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
        """Return the image judged."""
        project = await self.erlmcp.project()
        assess = await self.judge(project)
        return await assess(await reader.read(project))

    async def judge(self, project: Project, require: tuple[str, ...] = ()) -> Assess:
        """Return what builds, scans and judges; what is wrong with the policy is told before anything is run."""
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
        places = await read_places(project, self.erlmcp.source, self.erlmcp.image_table)

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
        """Show the digest of the manifest, or of the index."""
        return await content.resolve(await self.tools(), self.image)

    @fresh
    async def refs(self) -> list[str]:
        """Show every tag of the repository that names it."""
        tools = await self.tools()
        return await content.refs_of(tools, self.image, await content.resolve(tools, self.image))

    @fresh
    async def sizes(self) -> list[str]:
        """Show the bytes to pull by platform, as PLATFORM BYTES."""
        return await content.sizes_of(await self.tools(), self.image)

    @function
    def verified(
        self,
        *,
        key: PublicKey = None,
        identity: Annotated[
            str, Doc("Instead of a key: identity in the certificate; a regular expression if it starts with ^.")
        ] = "",
        issuer: Annotated[
            str, Doc("Who vouches for that identity, such as https://token.actions.githubusercontent.com.")
        ] = "",
        transparency_log: TransparencyLog = True,
    ) -> "Verified":
        """Say who must have signed it: chain summary, promote or rescan on it, each of which proves it first."""
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
        """Who asks its registry."""
        return Login(self.user, self.password)


@object_type
class Verified:
    """A published image, and who must have signed it."""

    published: Published
    key: dagger.Secret | None
    identity: str
    issuer: str
    transparency_log: bool

    @fresh
    async def summary(self) -> str:
        """Prove that it is signed and attested (SPDX, CycloneDX, verdict, provenance); show what was proved."""
        return (await verify.verify(await self.published.tools(), self.published.image, self.signer)).render()

    @fresh
    async def findings(self) -> dagger.File:
        """Write the verdict that it was published with (findings.json), proved; assess takes it as --baseline."""
        proof = await verify.verify(await self.published.tools(), self.published.image, self.signer)
        return handover.file("findings.json", json.dumps(proof.verdict, indent=2) + "\n")

    @fresh
    async def promote(
        self,
        tags: Annotated[list[str], Doc("Tags that it gets.")],
        *,
        to: Annotated[str, Doc("Another repository; by default it gets the tags where it is.")] = "",
        to_user: Annotated[
            str, Doc("Who logs in to the other one; by default the same user, if it is in the same registry.")
        ] = "",
        to_password: Annotated[dagger.Secret | None, Doc("Password or token of that user.")] = None,
        move: Move = False,
        fresh_scan: Annotated[bool, Doc("Scan it against today's databases first.")] = True,
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
        """Copy it, byte for byte with signature and attestations, and tag it; after proof and a fresh scan."""
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
        """Judge it by today's databases and by the policy it was published with; fail on what is new and breaks it."""
        exploited = fail_on_known_exploited
        criteria = Criteria(
            fail_on, only_fixed, unknown_as, exploited, grace_days, tuple(vex), otp_vex, accept, accept_old_db
        )
        scan = await self.scan(criteria)
        return await rescan.rescan(await self.published.tools(), self.published.image, self.signer, scan)

    @property
    def signer(self) -> Signer:
        """Who must have signed it."""
        return Signer(
            self.key,
            self.identity,
            self.issuer,
            transparency_log=self.transparency_log,
            sigstore=self.published.erlmcp.sigstore,
        )

    async def scan(self, criteria: Criteria) -> SbomScan:
        """Return what judges an image by today's databases, its SBOM and the policy that it was published with."""
        erlmcp, image, now = self.published.erlmcp, self.published.image, dt.datetime.now(dt.UTC)
        given = await policy.read_criteria(criteria)
        about = Image(image.repository, image.tag, image.digest, "")
        scanners = await erlmcp.scanners(await erlmcp.given(), now)
        return functools.partial(assessment.assess_document, scanners, given, about, time=now)
