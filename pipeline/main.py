"""The Dagger object: a table of contents, each function a call of a plain one."""

import enum
from typing import Annotated

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, dag, enum_type, function, object_type

from pipeline import _build, _health, _image, _platforms, _runtime, _size, _source
from pipeline._application import Application
from pipeline._images import Images, check_reference, default_images, parse_images, render_images


@enum_type
class Flavor(enum.Enum):
    """The distribution of builder and runtime."""

    alpine = "alpine"
    """musl: the smallest image."""

    debian = "debian"
    """glibc: for native code that wants it."""


@object_type
class Erlmcp:
    """Build, check and ship the container image of an Erlang release (rebar3), with real layer caching."""

    source: Annotated[
        dagger.Directory,
        Doc("Root of the rebar3 project; its .dockerignore is honoured."),
        DefaultPath("/"),
        Ignore(list(_source.SOURCE_IGNORE)),
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
    registry_service: Annotated[
        dagger.Service | None,
        Doc("The registry of the base image, if it is on the engine's own machine (tcp://127.0.0.1:PORT)."),
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
        return await _build.deps(*await self._read())

    @function
    async def compile(self) -> dagger.Container:
        """Compile the applications of the project that the release needs; they lie in /build/lib."""
        base, built = await _build.compiled(*await self._read())
        for name, directory in built.items():
            base = base.with_directory(f"{_build.LIB}/{name}", directory)
        return base.with_label("stage", "compile")

    @function
    async def release(self) -> dagger.Container:
        """Assemble the release with ERTS, stripped; it lies in /opt/NAME."""
        return await _build.release(*await self._read())

    @function
    async def build_runtime(self) -> dagger.Container:
        """Build the runtime image; chain export-image, as-service up, terminal or publish on it."""
        return (await self._runtime())[2]

    @function
    async def image_tarball(self) -> dagger.File:
        """Build the runtime image as an OCI archive, for each of --platforms: one digest for one input."""
        project, images, bases = await self._variants()
        return await _image.tarball(images, project.created, bases)

    @function
    @check
    async def health(self) -> str:
        """Start the image, wait until it is healthy, prove each level of its health check, and stop it."""
        _, application, image = await self._runtime()
        return await _health.health(image, application)

    @function
    @check
    async def size(self) -> str:
        """Show the size of the image by component; fail over 100 MB in all (compressed, as pushed and pulled)."""
        return await _size.size((await self._runtime())[2])

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

    async def _project(self) -> _build.Project:
        images = await self._images()
        return _build.Project(
            source=await _source.filtered(self.source),
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

    async def _read(self) -> tuple[_build.Project, Application]:
        project = await self._project()
        return project, await _build.read(project)

    async def _variants(self) -> tuple[_build.Project, dict[str, dagger.Container], dict[str, dagger.Directory]]:
        """Return the image for each platform, and its base as the registry has it."""
        platforms = _platforms.parse_platforms(self.platforms, await dag.default_platform())
        project, application = await self._read()
        release = await _build.release(project, application)
        images = {
            name: await _runtime.runtime(project, application, release, platform)
            for name, platform in platforms.items()
        }
        crane = (await self._images())["crane"]
        return project, images, await _image.bases(crane, project.runtime, platforms, self.registry_service)

    async def _runtime(self) -> tuple[_build.Project, Application, dagger.Container]:
        project, application = await self._read()
        release = await _build.release(project, application)
        return project, application, await _runtime.runtime(project, application, release)
