"""The layers of the base image as its registry has them; an engine would pack them again, with other bytes."""

import re
import sys
from collections.abc import Mapping

import dagger
from dagger import dag

from pipeline.errors import BuildError, excerpt, gathered
from pipeline.image.platforms import Platform, container
from pipeline.project.logins import Login, docker_config, logged_in

_BASE = "/base"
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}):\d+")


async def base_layers(
    crane: dagger.Container, reference: str, platform: str, registry: dagger.Service | None = None
) -> dagger.Directory | None:
    """Return an image's OCI layout from its registry, with the layers as the registry has them.

    Parameters
    ----------
    crane
        An image of crane.
    reference
        The image, pinned by digest.
    platform
        Its platform, such as `linux/amd64`.
    registry
        The registry, if it runs on the engine's own machine, where a container cannot reach it otherwise.

    Returns
    -------
        The layout; nothing for an image on the engine's machine without its `registry`.

    Raises
    ------
    BuildError
        If crane cannot pull the image.
    """
    options = ["--format=oci", f"--platform={platform}"]
    host, _, name = reference.partition("/")
    address = reference
    if _LOOPBACK.fullmatch(host):
        if not registry or int(host.rpartition(":")[2]) not in [await port.port() for port in await registry.ports()]:
            return None
        crane = crane.with_service_binding("registry", registry)
        # As the engine does for 127.0.0.1: over plain HTTP, if the registry uses it.
        options.append("--insecure")
        address = f"registry:{host.rpartition(':')[2]}/{name}"
    command = ["pull", *options, address, _BASE]
    # The user of crane's image may not write anywhere.
    pulled = crane.with_user("0").with_exec(command, use_entrypoint=True).directory(_BASE)
    try:
        return await pulled.sync()
    except dagger.QueryError as error:
        raise BuildError(f"{reference}: crane cannot pull its layers for {platform}:\n{excerpt(error)}") from None


async def bases(
    crane: str,
    reference: str,
    platforms: Mapping[str, Platform | None],
    registry: dagger.Service | None,
    config: dagger.Secret | None = None,
) -> dict[str, dagger.Directory]:
    """Return the result of `base_layers` for each platform; `crane` is the reference of crane's image.

    The engine pulls with the user's own login, crane with the logins of `config`. Without these, crane cannot pull from
    a private registry; then the image has the same content, but maybe another digest, and a warning says so.
    """
    logins = await docker_config({reference.partition("/")[0]: Login()}, config) if config else None

    async def pulled(name: str, platform: Platform | None) -> dagger.Directory | None:
        pinned = await container(platform, reference).image_ref()
        try:
            return await base_layers(logged_in(dag.container().from_(crane), logins), pinned, name, registry)
        except BuildError as error:
            # This goes to the log of the run.
            sys.stderr.write(
                f"warning: {error}\nThe image has the base layers as this engine packs them, so another engine may "
                "give it another digest. For a private registry give the login with --docker-config.\n"
            )
            return None

    found = await gathered(*(pulled(name, platform) for name, platform in platforms.items()))
    return {name: layers for name, layers in zip(platforms, found, strict=True) if layers}
