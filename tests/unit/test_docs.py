"""Every command of the documents is run by a test, or listed with the reason why it is not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

CI = "tests/e2e/test_three_places.py::"
BUILD = "tests/e2e/test_build.py::"
DIRECT = "tests/e2e/test_direct_mode.py::"
UNIT = "tests/unit/test_ci.py::"
VEX = "tests/e2e/test_vex.py::test_trivy_and_grype_come_to_our_verdict_by_our_document"
PUBLISHING = "tests/e2e/test_publishing.py::test_an_image_is_judged_later_by_what_it_was_published_by"

KEYLESS = (
    "ci/run published --reference=ghcr.io/banyan-platform/erlmcp:main verified"
    " --issuer=https://token.actions.githubusercontent.com"
    " --identity=https://github.com/banyan-platform/erlmcp/.github/workflows/pipeline.yml@refs/heads/main"
    " summary"
)
GH = (
    "gh attestation verify oci://ghcr.io/banyan-platform/erlmcp:3.0.0 --bundle-from-oci --repo=banyan-platform/erlmcp"
    " --signer-workflow=banyan-platform/erlmcp/.github/workflows/pipeline.yml"
)
BASELINE = (
    "ci/run published --reference=ghcr.io/banyan-platform/erlmcp:main verified --key=file:cosign.pub"
    " findings export --path=main.json"
)
CHART = (
    "helm upgrade --install dagger oci://registry.dagger.io/dagger-helm --version 0.21.8 --namespace dagger"
    " --create-namespace --values ci/kubernetes/engine.values.yaml --set-file engine.configJson=ci/engine.json"
)

#: Commands that a test runs, with other values, and which.
RUN = {
    "ci/run build-runtime": CI + "test_a_ci_and_a_laptop_find_the_same_of_the_same_image",
    "export ERLMCP_DIRECT=…": UNIT + "test_direct_runs_python_with_the_words_that_the_module_would_get",
    "ci/run --direct": DIRECT + "test_the_answer_is_the_same_and_nothing_runs_for_it_again",
    "ci/run build-runtime sync": CI + "test_a_ci_and_a_laptop_find_the_same_of_the_same_image",
    "ci/run assess reports export --path=reports": CI + "test_a_ci_and_a_laptop_find_the_same_of_the_same_image",
    "ci/run scan": CI + "test_a_gate_that_fails_fails_the_job_and_its_reports_are_there",
    "ci/run --flavor=debian scan": CI + "test_a_gate_that_fails_fails_the_job_and_its_reports_are_there",
    'export ERLMCP_ARGUMENTS="…"': CI + "test_a_ci_and_a_laptop_find_the_same_of_the_same_image",
    "ci/run assess verdict": CI + "test_a_gate_that_fails_fails_the_job_and_its_reports_are_there",
    "export _EXPERIMENTAL_DAGGER_RUNNER_HOST=…": CI + "test_a_ci_and_a_laptop_find_the_same_of_the_same_image",
    'export REGISTRY_USER=… REGISTRY_PASSWORD="…" COSIGN_KEY="…" COSIGN_PASSWORD=…': UNIT
    + "test_a_key_is_named_too_and_takes_the_place_of_the_token",
    "ci/run size": BUILD + "test_the_size_is_told_by_component",
    "ci/run health": BUILD + "test_starts_turns_healthy_and_shows_each_level",
    "dagger call build-runtime": BUILD + "test_a_second_call_runs_nothing_and_one_line_reruns_one_application",
    "ci/run deps": BUILD + "test_fetches_hex_and_git_dependencies_over_a_mirror",
    "ci/run compile": BUILD + "test_a_second_call_runs_nothing_and_one_line_reruns_one_application",
    "ci/run release": BUILD + "test_a_second_call_runs_nothing_and_one_line_reruns_one_application",
    "ci/run images >images.toml": CI + "test_the_commands_of_the_documents_run",
    "ci/run outdated": "tests/e2e/test_image_table.py::test_says_what_is_newer_and_what_the_erlang_suffers_from",
    "ci/run refresh-images export --path=.": "tests/e2e/test_image_table.py::"
    "test_a_table_is_refreshed_and_a_pair_moves_together_or_stays",
    "ci/run --git-config=file:gitconfig build-runtime": "tests/e2e/test_fetching.py::"
    "test_a_repository_that_wants_a_token_is_refused_without_it_and_by_name",
    "ci/run application": CI + "test_the_commands_of_the_documents_run",
    "ci/run sbom export --path=sbom": CI + "test_the_commands_of_the_documents_run",
    "ci/run assess --fail-on=CRITICAL verdict": CI + "test_the_commands_of_the_documents_run",
    "ci/run assess --only-fixed verdict": CI + "test_the_commands_of_the_documents_run",
    "ci/run assess --accept-old-db verdict": CI + "test_the_commands_of_the_documents_run",
    "ci/run assess --accept=accept.toml --vex=vex/erlmcp.openvex.json verdict": CI
    + "test_the_commands_of_the_documents_run",
    "ci/run assess --baseline=main.json verdict": "tests/e2e/test_publishing.py::"
    "test_a_change_is_held_against_what_was_published",
    "trivy image --vex=reports/vex.openvex.json ghcr.io/banyan-platform/erlmcp:3.0.0": VEX,
    "grype --vex=reports/vex.openvex.json registry:ghcr.io/banyan-platform/erlmcp:3.0.0": VEX,
    "trivy image --vex=oci ghcr.io/banyan-platform/erlmcp:3.0.0": PUBLISHING,
    "cosign verify-attestation --type=openvex --key=cosign.pub ghcr.io/banyan-platform/erlmcp:3.0.0": PUBLISHING,
    "find . -type f | LC_ALL=C sort | xargs sha256sum | sha512sum": "tests/unit/test_sbom.py::"
    "test_the_hash_of_a_folder_is_what_everybody_can_compute",
    "uv run pytest": ".ci/run",
}

#: Commands that need what a test cannot have, and what that is.
NOT_RUN = {
    "a terminal": ["ci/run release terminal", "dagger call release terminal"],
    "a service that stays": ["ci/run build-runtime as-service --use-entrypoint up --ports=8080:8080"],
    "Docker or Podman": [
        'export REGISTRY_USER=… REGISTRY_PASSWORD="…"',
        "ci/run build-runtime export-image --name=erlmcp:dev",
        "ci/run --direct build-runtime export-image --name=erlmcp:dev",
        "ci/run build-runtime export-image --name=erlmcp:3.0.0",
        "docker run --rm -e RELX_COOKIE=secret -p 8080:8080 erlmcp:dev",
        "docker run -it IMAGE console",
    ],
    "the internet (the module's address, erlang.org, databases)": [
        "dagger call --mod=github.com/banyan-platform/erlmcp --source=. build-runtime export-image --name=erlmcp:dev",
        "dagger call --mod=github.com/banyan-platform/erlmcp --source=. scan",
        "dagger call --mod=github.com/banyan-platform/erlmcp --source=. build-runtime",
        "dagger call --mod=github.com/banyan-platform/erlmcp --source=. application",
        "ci/run assess --otp-vex verdict",
        "trivy image --download-db-only --cache-dir db/trivy",
        "GRYPE_DB_CACHE_DIR=db/grype grype db update",
        "ci/run advisories export --path=db/eef",
    ],
    "ghcr.io and a login there (with a registry of its own: tests/e2e/test_publishing.py)": [
        "ci/run assess publish --branch=main --unsigned --dry-run",
        "ci/run assess publish --version=3.0.0",
        'ci/run --docker-config="file:$HOME/.docker/config.json" assess publish --version=3.0.0',
        "ci/run assess publish --version=…",
        "ci/run assess publish --transparency-log=false",
        "ci/run published --reference=ghcr.io/banyan-platform/erlmcp:3.0.0 verified --key=file:cosign.pub summary",
        BASELINE,
        KEYLESS,
        'ci/run published --reference="$(cat image.txt)" verified --key=file:cosign.pub promote --tags=production',
        "ci/run published --reference=ghcr.io/banyan-platform/erlmcp:production verified --key=file:cosign.pub rescan",
        "ci/run published --reference=… verified --key=… rescan",
        'export ERLMCP_PROMOTE="…"',
        GH,
    ],
    "a repository behind SSH": [
        'ci/run --ssh="$SSH_AUTH_SOCK" --known-hosts="$HOME/.ssh/known_hosts" build-runtime',
    ],
    "a Kubernetes cluster": [
        "kubectl label node NODE erlmcp.dev/builds=true",
        CHART,
        "kubectl --namespace erlmcp create secret generic erlmcp-cookie --from-file=cookie",
        'sed "s|image: .*|image: $(cat image.txt)|" ci/kubernetes/erlmcp.yaml | kubectl apply --filename -',
    ],
}


def commands(text: str) -> set[str]:
    """Return the commands of a document: its shell blocks, indented blocks, and what stands in backquotes."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += [line.strip() for line in re.findall(r"^ {4}(\S.*)$", rest, re.MULTILINE)]
    lines += [
        quoted
        for quoted in re.findall(r"`([^`\n]+)`", rest)
        if re.match(r"(ci/run|dagger call|docker run|helm|kubectl) (?=\S)(?!--help)", quoted)
    ]
    return {general(line) for line in lines if line and " " in line}


def general(line: str) -> str:
    """Leave the values of variables out."""
    if line.startswith("export "):
        line = re.sub(r'="[^"]*"(?= [A-Z_]+=|$)', '="…"', line)
        line = re.sub(r"=[^\s\"…]\S*", "=…", line)
    return re.sub(r"--path=…", "--path=reports", line)


LISTED = RUN.keys() | {command for group in NOT_RUN.values() for command in group}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_is_run_by_a_test_or_needs_what_none_has(document: Path) -> None:
    assert sorted(commands(document.read_text()) - LISTED) == []


def test_no_listed_command_is_gone_from_the_documents() -> None:
    written = set().union(*(commands(document.read_text()) for document in DOCUMENTS))
    assert sorted(LISTED - written) == []


@pytest.mark.parametrize("place", sorted(set(RUN.values())))
def test_the_tests_that_run_them_are_there(place: str) -> None:
    path, _, name = place.partition("::")
    assert not name or f"def {name}(" in (ROOT / path).read_text()
    assert (ROOT / path).exists()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


#: Every target, script, option and artefact of the old files.
OLD = """
Dockerfile.optimized .dockerignore .dockerignore.optimized docker/buildkit.toml build-optimized-image.sh
docker-security-scan.sh docker-security-scan.yml
deps compile release security-scan sbom runtime OTP_VERSION ALPINE_VERSION BUILD_DATE VCS_REF VERSION
erlmcp:scan erlmcp:sbom erlmcp:3.0.0 /sbom.json /erlmcp.sbom.json /erlmcp.cyclonedx.json rebar3-noshell
ERL_COMPILER_OPTIONS REBAR_NO_USER_CONFIG REBAR_GLOBAL_CONFIG_DIR TERM TERMINFO
healthcheck.sh HEALTH_URL start-cluster.sh /etc/erlmcp/environment ERLMCP_NODE_NAME ERL_DIST_PORT
ERLANG_DISTRIBUTION_PORT_RANGE ERLMCP_DISTRIBUTION_MODE ERLMCP_ENV ERLMCP_VERSION LANG HOME PATH ERL_CRASH_DUMP
ERL_MAX_PORTS ERL_MAX_ETS_TABLES ERL_AFLAGS ERL_FLAGS HEALTHCHECK /var/log/erlmcp /var/lib/erlmcp /var/run/erlmcp
maintainer description stage
frontend.syntaxfeatures rebar3-cache hex-cache mirrors allow-pull enforce-nonroot scan-layers network security-insecure
github-token
scan all IMAGE_NAME REGISTRY DOCKERFILE CACHE_DIR DOCKER_BUILDKIT BUILDKIT_PROGRESS latest buildcache reports/sbom/
reports/optimization/report.md
erlmcp:latest SEVERITY_THRESHOLD OUTPUT_DIR sbom-spdx.json sbom-cyclonedx.json sbom.txt trivy-report.json
trivy-report.txt grype-report.json grype-report.txt scout-report.json scout-report.txt image-size.txt image-layers.txt
compliance-report.md --only-fixed
main develop workflow_dispatch image_tag build-image trivy-scan grype-scan sbom-generation docker-scout
image-size-check security-summary type=gha
"""


@pytest.mark.parametrize("name", OLD.split())
def test_the_table_has_every_old_name_on_its_left(name: str) -> None:
    text = (ROOT / "docs" / "moving.md").read_text()
    rows = re.findall(r"^(?:\| (.*?) \||## (.*)|((?:The old files|`scripts).*))", text, re.MULTILINE)
    assert any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "".join(row)) for row in rows)
