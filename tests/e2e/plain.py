"""What plain rebar3 makes of a project, to hold the pipeline's own against."""

import hashlib
from pathlib import Path

import dagger
from dagger import dag


def by_rebar3(image: str, source: dagger.Directory, *command: str, flags: str = "") -> dagger.Container:
    """Run a command of rebar3 as a user does, in the builder, with these flags of Erlang; whatever comes of it."""
    return (
        dag.container()
        .from_(image)
        .with_workdir("/build")
        .with_directory("/build", source)
        .with_new_file("/root/.gitconfig", "[safe]\n\tdirectory = *\n")
        .with_env_variable("TERM", "dumb")
        .with_env_variable("ERL_COMPILER_OPTIONS", "deterministic")
        .with_env_variable("REBAR_OFFLINE", "1")
        .with_env_variable("ERL_FLAGS", flags)
        .with_exec(["rebar3", *command], expect=dagger.ReturnType.ANY)
    )


def tree(root: Path) -> dict[str, str]:
    """Return what each path is: the digest of a file, where a link leads, a folder."""
    files = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            files[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            files[f"{name}/"] = "folder"
        else:
            runs = "program" if path.stat().st_mode & 0o111 else "file"
            files[name] = f"{runs} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return files
