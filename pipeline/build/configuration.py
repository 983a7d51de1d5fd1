"""The `sys.config` and the `vm.args` of the release."""

from pipeline.errors import InputError
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.scripts import script


async def checked(project: Project, application: Application) -> dict[str, str]:
    """Check the files that rebar.config names before anything is built; return those that change, by path.

    Raises
    ------
    InputError
        If one is not in the source, or holds a cookie.
    """
    given = {"sys.config": project.sys_config, "vm.args": project.vm_args}
    named = {"sys.config": application.sys_config, "vm.args": application.vm_args}
    for kind, file in named.items():
        if file is None or not file.path or given[kind]:
            continue
        if not await project.source.glob(file.path):
            raise InputError(
                f"rebar.config: its {kind} is {file.path}, which is not in --source; add it "
                f"(what .gitignore or .dockerignore names is left out), or give one with --{kind.replace('.', '-')}"
            )
        if kind == "vm.args":
            check_cookie(await project.source.file(file.path).contents(), file.path)
    if project.vm_args:
        check_cookie(await project.vm_args.contents(), "--vm-args")
    return {}


async def made(project: Project, application: Application) -> dict[str, str]:
    """Return the files that relx takes from us: what was given, and a default where the project has none."""
    files = {}
    for kind, given, found in (
        ("sys.config", project.sys_config, application.sys_config),
        ("vm.args", project.vm_args, application.vm_args),
    ):
        if given:
            files[f"{kind}.src"] = await given.contents()
        elif found is None:
            upper = application.name.upper().replace("-", "_")
            text = script(f"build/resources/{kind}.src").replace("@NODE_NAME@", f"{upper}_NODE_NAME")
            files[f"{kind}.src"] = text.replace("@NAME@", application.name)
    return files


def check_cookie(text: str, name: str) -> None:
    """Raise `InputError` if a `vm.args` holds a cookie: it would be readable in the image."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words[:1] == ["-setcookie"] and not line.partition("-setcookie")[2].strip().startswith("${"):
            raise InputError(
                f"{name}:{number}: a cookie written down here would be in the image; write -setcookie ${{RELX_COOKIE}}"
            )
