"""The `sys.config` and the `vm.args` of the release."""

from collections.abc import Iterable

import dagger

from pipeline.errors import InputError
from pipeline.handover import script_text
from pipeline.project import vm_args
from pipeline.project.application import Application
from pipeline.project.project import Project


async def faults(project: Project, application: Application) -> list[str]:
    """Return the faults of the two files, before anything is built: the file, the line, and what to do."""
    given = {"sys.config": project.sys_config, "vm.args": project.vm_args}
    named = {"sys.config": application.sys_config, "vm.args": application.vm_args}
    found = []
    for kind, file in named.items():
        if file is None or not file.path or given[kind]:
            continue
        if not await project.source.glob(file.path):
            found.append(
                f"rebar.config: relx names {file.path} as {kind}, but that file is not in --source; add it (files that "
                f".gitignore or .dockerignore excludes are missing there), or give it with --{kind.replace('.', '-')}"
            )
        elif kind == "vm.args":
            text = await project.source.file(file.path).contents()
            found.extend(faults_of(text, file.path, replaced=project.cookie_from_environment))
    if project.vm_args:
        text = await project.vm_args.contents()
        found.extend(faults_of(text, "--vm-args", replaced=project.cookie_from_environment))
    return found


def faults_of(text: str, name: str, *, replaced: bool = False) -> list[str]:
    """Return the faults of a `vm.args`: cookies that would be in the image, and options that stop the node.

    Parameters
    ----------
    text
        The file's text.
    name
        What the user calls it.
    replaced
        Whether its cookies are replaced.
    """
    cookies = [] if replaced else [line for line, _ in vm_args.literal_cookies(text)]
    return [
        *(
            f"{name}:{line}: this cookie would be readable in the image; write -setcookie ${{RELX_COOKIE}} instead, or "
            "give --cookie-from-environment, which makes that change in the image only"
            for line in cookies
        ),
        *(f"{name}:{line}: {what}" for line, what in vm_args.problems(text)),
    ]


def refuse(found: Iterable[str]) -> None:
    """Raise `InputError` with all that was found, if anything."""
    if text := "\n".join(found):
        raise InputError(text)


async def checked(project: Project, application: Application) -> dict[str, str]:
    """Check the two files before anything is built; return the texts of those that change, by path.

    Raises
    ------
    InputError
        If one is not in the source, contains a cookie, or has an option with which no node starts.
    """
    refuse(await faults(project, application))
    file = application.vm_args
    if not project.cookie_from_environment or project.vm_args or file is None or not file.path:
        return {}
    return {file.path: vm_args.without_cookies(await project.source.file(file.path).contents())}


async def made(project: Project, application: Application) -> dict[str, str]:
    """Return the files that we give relx: those of the arguments, and a default where the project has none."""
    files = {}
    for kind, given, found in (
        ("sys.config", project.sys_config, application.sys_config),
        ("vm.args", project.vm_args, application.vm_args),
    ):
        if given:
            files[f"{kind}.src"] = await given.contents()
        elif found is None:
            upper = application.name.upper().replace("-", "_")
            text = script_text(f"build/resources/{kind}.src").replace("@NODE_NAME@", f"{upper}_NODE_NAME")
            files[f"{kind}.src"] = text.replace("@NAME@", application.name)
    if project.cookie_from_environment and "vm.args.src" in files:
        files["vm.args.src"] = vm_args.without_cookies(files["vm.args.src"])
    return files


async def proved(release: dagger.Container, application: Application) -> None:
    """Check the files in the assembled release: an overlay or a hook may have written them.

    Raises
    ------
    InputError
        If there is no start script, no `vm.args`, or one with a cookie in it.
    """
    script_of_start = f"bin/{application.name}"
    if not await release.directory(f"/opt/{application.name}").glob(script_of_start):
        raise InputError(
            f"rebar.config: the release has no start script {script_of_start}, which the image needs; "
            "remove {generate_start_script, false} from relx"
        )
    folder = f"releases/{application.version}"
    there = release.directory(f"/opt/{application.name}/{folder}")
    names = [name for name in await there.entries() if name in ("vm.args", "vm.args.src")]
    if not names:
        raise InputError(
            f"rebar.config: the release has no {folder}/vm.args, which the node needs to start; name a vm.args in "
            "relx, or give one with --vm-args"
        )
    for name in names:
        text = await there.file(name).contents()
        refuse(
            f"{folder}/{name}:{line}: an overlay or a hook wrote a cookie into the release, where it would be "
            "readable; change it to write -setcookie ${RELX_COOKIE}"
            for line, _ in vm_args.literal_cookies(text)
        )
