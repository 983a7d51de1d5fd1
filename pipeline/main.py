"""The Dagger object: a table of contents, each function a call of a plain one."""

import datetime as dt
import enum
from typing import Annotated

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, dag, enum_type, field, function, object_type

from pipeline import (
    handover,
)
from pipeline.build.applications import compiled
from pipeline.build.dependencies import LIB, fetched
from pipeline.build.release import assembled
from pipeline.image.base import bases
from pipeline.image.export import layout, tarball
from pipeline.image.health import health
from pipeline.image.labels import labels
from pipeline.image.layout import parse_time
from pipeline.image.platforms import parse_platforms
from pipeline.image.runtime import runtime
from pipeline.image.size import size
from pipeline.project.application import Application
from pipeline.project.images import Images, check_reference, default_images, parse_images, render_images
from pipeline.project.project import Project
from pipeline.project.reader import read
from pipeline.project.source import SOURCE_IGNORE, filtered
from pipeline.registry.content import digests_of, existing_tags, layout_content, registry_content, resolve
from pipeline.registry.promote import promote
from pipeline.registry.provenance import provenance_of
from pipeline.registry.publish import Order, carry_out, publish_actions, render_dry_run
from pipeline.registry.reference import Reference, parse_repository
from pipeline.registry.rescan import rescan
from pipeline.registry.signing import CYCLONEDX, FINDINGS, PROVENANCE, SPDX, Signing
from pipeline.registry.tags import check_moves, choose_tags
from pipeline.registry.tools import Login, Tools, tools_for
from pipeline.registry.verify import Signer, verify
from pipeline.report.compliance import checks, compliance
from pipeline.report.documents import documents
from pipeline.report.findings import findings_json
from pipeline.report.report import Report, reported
from pipeline.report.terminal import conclude
from pipeline.sbom.containers import Subject, describe
from pipeline.sbom.cyclonedx import cyclonedx
from pipeline.sbom.sbom import Image
from pipeline.sbom.spdx import spdx
from pipeline.scan.databases import Databases
from pipeline.scan.policy import Criteria
from pipeline.scan.scanners import Results, scan, scan_document
from pipeline.scan.scout import Scout

_SOURCE = "org.opencontainers.image.source"


@enum_type
class Flavor(enum.Enum):
    """The distribution of builder and runtime."""

    alpine = "alpine"
    """musl: the smallest image."""

    debian = "debian"
    """glibc: for native code that wants it."""


# What is asked of an image: the same for every function that judges one.
FailOn = Annotated[str, Doc("The least severity that breaks the policy: CRITICAL, HIGH, MEDIUM or LOW.")]
OnlyFixed = Annotated[bool, Doc("Count only findings for which there is a fixed version.")]
Vex = Annotated[list[dagger.File], Doc("OpenVEX documents; what they call not affected or fixed breaks nothing.")]
OtpVex = Annotated[bool, Doc("Fetch Erlang/OTP's own OpenVEX document and use it too.")]
Accept = Annotated[
    dagger.File | None, Doc("TOML list of accepted findings, instead of the project's accept.toml (see docs).")
]
AcceptOldDb = Annotated[bool, Doc("Accept a vulnerability database that is older than five days.")]


# How a registry is reached, and who must have signed what lies there.
User = Annotated[str, Doc("Who logs in to the registry.")]
Password = Annotated[dagger.Secret | None, Doc("Password or token of that user.")]
Move = Annotated[bool, Doc("Let version tags that exist name another image from now on.")]
PublicKey = Annotated[dagger.File | None, Name("key"), Doc("Public key (PEM) of who must have signed it.")]
Identity = Annotated[
    str, Doc("Instead of a key: identity in the certificate; a regular expression if it starts with ^.")
]
Issuer = Annotated[str, Doc("Who vouches for that identity, such as https://token.actions.githubusercontent.com.")]
TransparencyLog = Annotated[bool, Doc("Use Sigstore's transparency log; private sites say --transparency-log=false.")]


@object_type
class Published:
    """An image in a registry."""

    reference: Annotated[str, Doc("Repository and digest.")] = field()
    digest: Annotated[str, Doc("Digest of the manifest or index.")] = field()
    refs: Annotated[list[str], Doc("Every tag of the repository that names it.")] = field()
    platforms: Annotated[list[str], Doc("Such as linux/amd64.")] = field()
    # The CLI shows a big number as 3.8e+07.
    sizes: Annotated[list[str], Doc("Bytes to pull, as PLATFORM BYTES.")] = field()


@object_type
class Erlmcp:
    """Build, check and ship the container image of an Erlang release (rebar3), with real layer caching."""

    source: Annotated[
        dagger.Directory,
        Doc("Root of the rebar3 project; its .dockerignore is honoured."),
        DefaultPath("/"),
        Ignore(list(SOURCE_IGNORE)),
    ]
    flavor: Annotated[Flavor, Doc("Distribution of builder and runtime.")] = Flavor.alpine
    image_table: Annotated[
        dagger.File | None,
        Name("images"),
        Doc("TOML file whose [images] replaces image references (see the function images)."),
    ] = None
    builder_image: Annotated[str, Doc("Image with Erlang/OTP and rebar3, instead of the table's.")] = ""
    runtime_image: Annotated[str, Doc("Base of the runtime image, instead of the table's.")] = ""
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
    hex_mirror: Annotated[str, Doc("URL of a Hex repository instead of https://repo.hex.pm.")] = ""
    hex_mirror_key: Annotated[
        dagger.File | None, Doc("Public key (PEM) of that repository, if it signs with one of its own.")
    ] = None
    git_config: Annotated[
        dagger.File | None, Doc("git configuration for git dependencies, such as url.MIRROR.insteadOf.")
    ] = None
    mirror: Annotated[
        dagger.Service | None, Doc("A service that the dependency stage reaches as http://mirror:PORT.")
    ] = None
    health_url: Annotated[
        str, Doc("URL that the health check asks inside the container, if the release serves one.")
    ] = ""
    revision: Annotated[str, Doc("Source revision (git commit), for the labels.")] = ""
    created: Annotated[str, Doc("Time of that revision (RFC 3339), for labels and image configuration.")] = ""
    labels: Annotated[list[str], Doc("Further labels as KEY=VALUE; they win over what the pipeline sets.")] = ()  # type: ignore[assignment] # as above
    repository: Annotated[
        str, Doc("Where the image is published and what reports call it; default ghcr.io/banyan-platform/RELEASE.")
    ] = ""
    db_date: Annotated[str, Doc("Day (2026-02-04) whose vulnerability databases are fetched; today by default.")] = ""
    trivy_db: Annotated[
        dagger.Directory | None, Doc("Cache directory of Trivy with its database: nothing is fetched then.")
    ] = None
    grype_db: Annotated[
        dagger.Directory | None, Doc("Cache directory of Grype with its database: nothing is fetched then.")
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
    platforms: Annotated[
        list[str], Doc("Platforms of the image archive: linux/amd64, linux/arm64 or both (default: the engine's own).")
    ] = ()  # type: ignore[assignment] # as above

    @function
    async def application(self) -> str:
        """Show what was read from rebar.config, rebar.lock and the applications."""
        return (await self._read())[1].summary()

    @function
    async def images(self) -> str:
        """Show the table of image references in use, as TOML that --images reads."""
        return render_images(await self._images())

    @function
    async def deps(self) -> dagger.Container:
        """Fetch and compile the locked dependencies; they lie in /build/lib."""
        return await fetched(*await self._read())

    @function
    async def compile(self) -> dagger.Container:
        """Compile the applications of the project that the release needs; they lie in /build/lib."""
        base, built = await compiled(*await self._read())
        for name, directory in built.items():
            base = base.with_directory(f"{LIB}/{name}", directory)
        return base.with_label("stage", "compile")

    @function
    async def release(self) -> dagger.Container:
        """Assemble the release with ERTS, stripped; it lies in /opt/NAME."""
        return await assembled(*await self._read())

    @function
    async def build_runtime(self) -> dagger.Container:
        """Build the runtime image; chain export-image, as-service up, terminal or publish on it."""
        return (await self._runtime())[2]

    @function
    async def image_tarball(self) -> dagger.File:
        """Build the runtime image as an OCI archive, for each of --platforms: one digest for one input."""
        project, application = await self._read()
        images, bases = await self._variants(project, application, await assembled(project, application))
        return await tarball(images, project.created, bases)

    @function
    @check
    async def health(self) -> str:
        """Start the image, wait until it is healthy, prove each level of its health check, and stop it."""
        _, application, image = await self._runtime()
        return await health(image, application)

    @function
    @check
    async def size(self) -> str:
        """Show the size of the image by component; fail over 100 MB in all (compressed, as pushed and pulled)."""
        return await size((await self._runtime())[2])

    @function
    async def sbom(self) -> dagger.Directory:
        """Write the SBOM of the image, as sbom.spdx.json (SPDX 2.3) and sbom.cdx.json (CycloneDX 1.6)."""
        _, sbom = await describe(await self._subject(*await self._read()))
        return handover.directory({"sbom.spdx.json": spdx(sbom), "sbom.cdx.json": cyclonedx(sbom)})

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # the SDK's typing forgot it
    @check
    async def scan(
        self,
        *,
        fail_on: FailOn = "HIGH",
        only_fixed: OnlyFixed = False,
        vex: Vex = (),  # type: ignore[assignment] # as above
        otp_vex: OtpVex = False,
        accept: Accept = None,
        accept_old_db: AcceptOldDb = False,
    ) -> str:
        """Scan the image with Trivy and Grype and show one verdict; fail unless the policy holds."""
        criteria = Criteria(fail_on, only_fixed, tuple(vex), otp_vex, accept, accept_old_db)
        _, report = await self._judged(await self._subject(*await self._read()), criteria)
        return conclude(report)

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # as above
    async def reports(
        self,
        *,
        fail_on: FailOn = "HIGH",
        only_fixed: OnlyFixed = False,
        vex: Vex = (),  # type: ignore[assignment] # as above
        otp_vex: OtpVex = False,
        accept: Accept = None,
        accept_old_db: AcceptOldDb = False,
    ) -> dagger.Directory:
        """Write every report of the scan, SBOMs and compliance, whatever the verdict; chain export --path=reports."""
        criteria = Criteria(fail_on, only_fixed, tuple(vex), otp_vex, accept, accept_old_db)
        subject = await self._subject(*await self._read())
        results, report = await self._judged(subject, criteria)
        files = documents(report, results)
        files["compliance.md"] = compliance(report.image, report.digest, await checks(subject, results))
        return handover.directory(files)

    async def _images(self) -> Images:
        images = default_images()
        if self.image_table:
            images = images.override(parse_images(await self.image_table.contents(), "--images"))
        given = {"builder": self.builder_image, "runtime": self.runtime_image}
        return images.override(
            {
                f"{kind}-{self.flavor.value}": check_reference(reference, f"--{kind}-image")
                for kind, reference in given.items()
                if reference
            }
        )

    async def _project(self) -> Project:
        images = await self._images()
        return Project(
            source=await filtered(self.source),
            builder=images[f"builder-{self.flavor.value}"],
            runtime=images[f"runtime-{self.flavor.value}"],
            release=self.release_name,
            release_version=self.release_version,
            apps=tuple(self.apps),
            rebar_config=self.rebar_config,
            sys_config=self.sys_config,
            vm_args=self.vm_args,
            hex_mirror=self.hex_mirror,
            hex_mirror_key=self.hex_mirror_key,
            git_config=self.git_config,
            mirror=self.mirror,
            health_url=self.health_url,
            revision=self.revision,
            created=self.created,
            labels=tuple(self.labels),
        )

    async def _read(self) -> tuple[Project, Application]:
        project = await self._project()
        return project, await read(project)

    async def _runtime(self) -> tuple[Project, Application, dagger.Container]:
        project, application = await self._read()
        release = await assembled(project, application)
        return project, application, await runtime(project, application, release)

    async def _variants(
        self, project: Project, application: Application, release: dagger.Container
    ) -> tuple[dict[str, dagger.Container], dict[str, dagger.Directory]]:
        """Return the image for each platform, and its base as the registry has it."""
        platforms = parse_platforms(self.platforms, await dag.default_platform())
        images = {name: await runtime(project, application, release, platform) for name, platform in platforms.items()}
        crane = (await self._images())["crane"]
        return images, await bases(crane, project.runtime, platforms, self.registry_service)

    async def _subject(self, project: Project, application: Application) -> Subject:
        release = await assembled(project, application)
        variants, bases = await self._variants(project, application, release)
        published, digest = await layout(variants, project.created, bases)
        native = variants.get(await dag.default_platform()) or await runtime(project, application, release)
        image = Image(
            self._repository(application),
            application.version,
            digest,
            parse_time(project.created),
            project.runtime,
        )
        return Subject(
            await self._images(),
            project,
            application,
            release,
            native,
            published,
            # Scanners want one image; the others differ from it in machine code alone.
            published if len(variants) == 1 else (await layout(native, project.created))[0],
            image,
        )

    async def _judged(self, subject: Subject, criteria: Criteria) -> tuple[Results, Report]:
        results = await scan(
            subject.images,
            self._databases(),
            lambda: describe(subject),
            subject.layout,
            own=tuple(app.name for app in subject.application.apps),
            scout=Scout(self.scout_user, self.scout_token) if self.scout_token else None,
        )
        return results, await reported(results, criteria, subject.image, subject.project.source)

    # Publishing: what reaches outside is never answered by the cache.

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # as above
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
        cosign_key: Annotated[dagger.Secret | None, Doc("Private key of cosign, to sign with.")] = None,
        cosign_password: Annotated[dagger.Secret | None, Doc("Password of that key.")] = None,
        identity_token: Annotated[
            dagger.Secret | None, Doc("OpenID Connect token of a CI to sign with instead.")
        ] = None,
        transparency_log: TransparencyLog = True,
        unsigned: Annotated[bool, Doc("Neither sign nor attest; verify will refuse the image.")] = False,
        builder_id: Annotated[str, Doc("URI of who runs this, for the provenance, such as the workflow's.")] = "",
        invocation: Annotated[str, Doc("Which run of it, such as its address.")] = "",
        fail_on: FailOn = "HIGH",
        only_fixed: OnlyFixed = False,
        vex: Vex = (),  # type: ignore[assignment] # as above
        otp_vex: OtpVex = False,
        accept: Accept = None,
        accept_old_db: AcceptOldDb = False,
    ) -> str:
        """Push the image if its scan passes, sign and attest it, then move the tags; print repository@digest alone."""
        criteria = Criteria(fail_on, only_fixed, tuple(vex), otp_vex, accept, accept_old_db)
        signing = (
            None
            if unsigned
            else Signing(cosign_key, cosign_password, identity_token, transparency_log=transparency_log)
        )
        project, application = await self._read()
        repository = parse_repository(self._repository(application), "--repository")
        tools = await self._tools({repository.host: Login(user, password)})

        def choose(existing: tuple[str, ...] = ()) -> tuple[str, ...]:
            return choose_tags(
                version=version,
                branch=branch,
                pull_request=pull_request,
                revision=self.revision if sha_tag else "",
                given=tags,
                existing=existing,
            )

        choose()  # before anything is asked, for its errors
        existing = await existing_tags(tools, repository)
        subject = await self._subject(project, application)
        results, report = await self._judged(subject, criteria)
        conclude(report)
        chosen, digest = choose(existing), subject.image.digest
        standing = await digests_of(tools, repository, chosen, existing)
        check_moves(standing, digest, move=move)
        provenance = await provenance_of(
            project,
            tools.images,
            source=labels(project, application).get(_SOURCE, ""),
            flavor=self.flavor.value,
            builder=builder_id,
            invocation=invocation,
        )
        written = documents(report, results)
        predicates = {
            SPDX: written["sbom.spdx.json"],
            CYCLONEDX: written["sbom.cdx.json"],
            FINDINGS: written["findings.json"],
            PROVENANCE: provenance.predicate(),
        }
        order = Order(repository, subject.published, digest, chosen, signing, predicates)
        steps = publish_actions(tools, order)
        if dry_run:
            return render_dry_run(steps, await layout_content(subject.published, digest), standing)
        await carry_out(steps)
        return repository.at(digest)

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # as above
    async def published(
        self,
        reference: Annotated[str, Doc("What to look at: by tag or by digest.")],
        *,
        user: User = "",
        password: Password = None,
    ) -> Published:
        """Look at a published image: its digest, tags, platforms and sizes."""
        image = Reference.parse(reference, "--reference")
        tools = await self._tools({image.host: Login(user, password)})
        digest = await resolve(tools, image)
        content = await registry_content(tools, image, digest)
        existing = await existing_tags(tools, image)
        named = await digests_of(tools, image, existing, existing)
        return Published(  # type: ignore[call-arg] # the SDK makes it a dataclass, which mypy does not see
            reference=image.at(digest),
            digest=digest,
            refs=[f"{image.repository}:{tag}" for tag, its in named.items() if its == digest],
            platforms=list(content.sizes),
            sizes=[f"{platform} {size}" for platform, size in content.sizes.items()],
        )

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # as above
    async def verify(
        self,
        reference: Annotated[str, Doc("What to verify: by digest, or by a tag, which is looked up first.")],
        *,
        key: PublicKey = None,
        identity: Identity = "",
        issuer: Issuer = "",
        transparency_log: TransparencyLog = True,
        user: User = "",
        password: Password = None,
    ) -> str:
        """Prove that an image is signed and attested (SPDX, CycloneDX, verdict, provenance); show what was proved."""
        image = Reference.parse(reference, "--reference")
        signer = Signer(key, identity, issuer, transparency_log=transparency_log)
        tools = await self._tools({image.host: Login(user, password)})
        return (await verify(tools, image, signer)).render()

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # as above
    async def promote(
        self,
        reference: Annotated[str, Doc("The image, by digest.")],
        tags: Annotated[list[str], Doc("Tags that it gets.")],
        *,
        to: Annotated[str, Doc("Another repository; by default it gets the tags where it is.")] = "",
        move: Move = False,
        fresh_scan: Annotated[bool, Doc("Scan it against today's databases first.")] = True,
        key: PublicKey = None,
        identity: Identity = "",
        issuer: Issuer = "",
        transparency_log: TransparencyLog = True,
        user: User = "",
        password: Password = None,
        to_user: Annotated[str, Doc("Who logs in to the other registry; the same user, if it is the same one.")] = "",
        to_password: Annotated[dagger.Secret | None, Doc("Password or token of that user.")] = None,
        fail_on: FailOn = "HIGH",
        only_fixed: OnlyFixed = False,
        vex: Vex = (),  # type: ignore[assignment] # as above
        accept: Accept = None,
        accept_old_db: AcceptOldDb = False,
    ) -> str:
        """Copy an image, byte for byte with signature and attestations, and tag it; after verify and a fresh scan."""
        image = Reference.parse(reference, "--reference")
        target = parse_repository(to or image.repository, "--to")
        signer = Signer(key, identity, issuer, transparency_log=transparency_log)
        logins = {target.host: Login(to_user, to_password), image.host: Login(user, password)}
        tools = await self._tools(logins)
        criteria = Criteria(fail_on, only_fixed, tuple(vex), accept=accept, accept_old_db=accept_old_db)
        return await promote(
            tools,
            image,
            target,
            choose_tags(given=tags),
            signer,
            move=move,
            scan=(lambda text: self._today(image, text, criteria)) if fresh_scan else None,
        )

    @function(cache="never")  # type: ignore[call-overload,untyped-decorator] # as above
    async def rescan(
        self,
        reference: Annotated[str, Doc("The published image.")],
        *,
        key: PublicKey = None,
        identity: Identity = "",
        issuer: Issuer = "",
        transparency_log: TransparencyLog = True,
        user: User = "",
        password: Password = None,
        fail_on: FailOn = "HIGH",
        only_fixed: OnlyFixed = False,
        vex: Vex = (),  # type: ignore[assignment] # as above
        accept: Accept = None,
        accept_old_db: AcceptOldDb = False,
    ) -> str:
        """Judge a published image by today's databases; fail on what is new and breaks the policy."""
        image = Reference.parse(reference, "--reference")
        signer = Signer(key, identity, issuer, transparency_log=transparency_log)
        tools = await self._tools({image.host: Login(user, password)})
        criteria = Criteria(fail_on, only_fixed, tuple(vex), accept=accept, accept_old_db=accept_old_db)
        return await rescan(tools, image, signer, lambda text: self._today(image, text, criteria))

    async def _tools(self, logins: dict[str, Login]) -> Tools:
        return await tools_for(await self._images(), logins, self.registry_service)

    def _repository(self, application: Application) -> str:
        return self.repository or f"ghcr.io/banyan-platform/{application.name}"

    async def _today(self, image: Reference, cyclonedx: str, criteria: Criteria) -> str:
        results = await scan_document(await self._images(), self._databases(), cyclonedx)
        about = Image(image.repository, image.tag, image.digest, "")
        return findings_json(await reported(results, criteria, about, self.source))

    def _databases(self) -> Databases:
        return Databases(
            self.db_date or dt.datetime.now(dt.UTC).date().isoformat(),
            self.trivy_db,
            self.grype_db,
            self.trivy_db_repository,
            self.grype_db_url,
        )
