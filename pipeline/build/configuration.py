"""The `sys.config` and the `vm.args` of the release."""

from pipeline.errors import InputError
from pipeline.project.application import Application
from pipeline.project.project import Project
from pipeline.scripts import script


async def configuration(project: Project, application: Application, kind: str) -> str:
    """Return `sys.config` or `vm.args`: the given one, the project's own, or the pipeline's default."""
    given, path = {
        "sys.config": (project.sys_config, application.sys_config),
        "vm.args": (project.vm_args, application.vm_args),
    }[kind]
    if given:
        text, name = await given.contents(), f"--{kind.replace('.', '-')}"
    elif path and await project.source.glob(path):
        text, name = await project.source.file(path).contents(), path
    else:
        upper = application.name.upper().replace("-", "_")
        return (
            script(f"build/resources/{kind}.src")
            .replace("@NODE_NAME@", f"{upper}_NODE_NAME")
            .replace("@NAME@", application.name)
        )
    if kind == "vm.args":
        check_cookie(text, name)
    return text


def check_cookie(text: str, name: str) -> None:
    """Raise `InputError` if a `vm.args` holds a cookie: it would be readable in the image."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words[:1] == ["-setcookie"] and not line.partition("-setcookie")[2].strip().startswith("${"):
            raise InputError(
                f"{name}:{number}: a cookie written down here would be in the image; write -setcookie ${{RELX_COOKIE}}"
            )
