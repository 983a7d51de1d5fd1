"""The commands of README.md and docs/, as their text has them: `test_documents.py` runs them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: Commands that no test runs, by the reason.
NOT_RUN = {
    "Docker or Podman, into which the image is loaded": [
        "dagger call --mod=github.com/banyan-platform/erlmcp --source=. build-runtime export-image --name=erlmcp:dev",
        "ci/run build-runtime export-image --name=erlmcp:dev",
        "ci/run --direct build-runtime export-image --name=erlmcp:dev",
        "ci/run build-runtime export-image --name=erlmcp:3.0.0",
        "docker run --rm -e RELX_COOKIE=secret -p 8080:8080 erlmcp:dev",
        "docker run -it IMAGE console",
        (
            'docker run --detach --privileged --name dagger-engine --volume "$PWD/dagger-state:/var/lib/dagger"'
            " registry.dagger.io/engine:v0.21.8"
        ),
        "export _EXPERIMENTAL_DAGGER_RUNNER_HOST=container://dagger-engine",
        "ci/run --direct assess reports export --path=reports",
        "docker stop -t 60 dagger-engine",
    ],
    "the internet: databases and records of today": [
        "trivy image --download-db-only --cache-dir db/trivy",
        "GRYPE_DB_CACHE_DIR=db/grype grype db update",
        "ci/run advisories export --path=db/eef",
        "ci/run assess --otp-vex verdict",
    ],
    "the internet: the registries of the image table": ["dagger check", "dagger generate"],
    "GitHub, and the public Sigstore": [
        (
            "ci/run published --reference=ghcr.io/banyan-platform/erlmcp:main verified"
            " --issuer=https://token.actions.githubusercontent.com"
            " --identity=https://github.com/banyan-platform/erlmcp/.github/workflows/pipeline.yml@refs/heads/main"
            " summary"
        ),
        (
            "gh attestation verify oci://ghcr.io/banyan-platform/erlmcp:3.0.0 --bundle-from-oci"
            " --repo=banyan-platform/erlmcp"
            " --signer-workflow=banyan-platform/erlmcp/.github/workflows/pipeline.yml"
        ),
        "cosign verify-attestation --type=openvex --key=cosign.pub ghcr.io/banyan-platform/erlmcp:3.0.0",
    ],
    "a Kubernetes cluster": [
        "kubectl label node NODE erlmcp.dev/builds=true",
        (
            "helm upgrade --install dagger oci://registry.dagger.io/dagger-helm --version 0.21.8 --namespace dagger"
            " --create-namespace --values ci/kubernetes/engine.values.yaml"
            " --set-file engine.configJson=ci/engine.json"
        ),
        "kubectl --namespace erlmcp create secret generic erlmcp-cookie --from-file=cookie",
        'sed "s|image: .*|image: $(cat image.txt)|" ci/kubernetes/erlmcp.yaml | kubectl apply --filename -',
    ],
    "a part of a command, which another page has whole": [
        "ci/run assess publish --version=…",
        "ci/run published --reference=… verified --key=… rescan",
        "ci/run assess reports export --path=…",
    ],
    "these tests themselves": ["uv run pytest -n auto"],
}
LEFT_OUT = {command: reason for reason, commands in NOT_RUN.items() for command in commands}
_PROGRAMS = re.compile(r"(ci/run|dagger (call|check|up|generate)|docker run|helm|kubectl)( (?!--help)\S|$)")


@dataclass(frozen=True)
class Script:
    """Some commands that a document has in one place."""

    document: str
    line: int
    lines: tuple[str, ...]

    @property
    def run(self) -> tuple[str, ...]:
        """Its commands that are run."""
        return tuple(line for line in self.lines if line not in LEFT_OUT)

    def __str__(self) -> str:
        """Say where it is."""
        return f"{self.document}:{self.line}"


def scripts(document: Path) -> Iterator[Script]:
    """Yield the commands of a document in its order: shell blocks, indented lines, and what is in backquotes."""
    name = document.relative_to(ROOT).as_posix()
    block: list[str] | None = None
    begin = 0
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text.startswith("```"):
            if block is None:
                block, begin, shell = [], number, text == "```sh"
            else:
                if shell:
                    yield Script(name, begin, tuple(block))
                block = None
        elif block is not None:
            block += [text] if text else []
        elif line.startswith("    ") and _is_command(text):
            yield Script(name, number, (text,))
        else:
            for quoted in re.findall(r"`([^`]+)`", line):
                if _PROGRAMS.match(quoted) and " " in quoted.strip() and quoted not in _NAMES:
                    yield Script(name, number, (quoted,))


#: What the documents call a command, without running it.
_NAMES = {"dagger call", "ci/run --direct"}


def _is_command(text: str) -> bool:
    return bool(text) and not text.startswith(("-", "|", "#"))


def commands() -> dict[str, list[Script]]:
    """Return every command, with where it is."""
    found: dict[str, list[Script]] = {}
    for document in DOCUMENTS:
        for script in scripts(document):
            for line in script.lines:
                found.setdefault(line, []).append(script)
    return found
