"""Every command of the documents is run by `tests/e2e/test_documents.py`, or listed with the reason why not."""

import re
from pathlib import Path

import documents
import pytest
from documents import DOCUMENTS, LEFT_OUT, ROOT


def test_no_command_that_is_left_out_is_gone_from_the_documents() -> None:
    assert sorted(LEFT_OUT.keys() - documents.commands().keys()) == []


def test_what_is_run_are_the_commands_of_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("""Type `ci/run scan`, `dagger call --help` or `scan`:

    ci/run size

1. Then

   ```sh
   export A="b c"
   ci/run health
   uv run pytest -n auto
   ```

```toml
ci/run no
```
""")
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    found = list(documents.scripts(page))
    assert [str(script) for script in found] == ["page.md:1", "page.md:3", "page.md:7"]
    assert [script.run for script in found] == [("ci/run scan",), ("ci/run size",), ('export A="b c"', "ci/run health")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_shell_block_has_commands_alone(document: Path) -> None:
    lines = [line for script in documents.scripts(document) for line in script.lines]
    programs = r"(ci/run|dagger|docker|export|trivy|grype|GRYPE_\w+=|cosign|gh|kubectl|helm|sed|find|uv) ?"
    assert [line for line in lines if not re.match(programs, line)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_tests_that_the_threat_model_names_are_there() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    file = ""
    named = re.findall(r"`((?:e2e|plan|unit)/test_\w+\.py)?(?:::)?(test_\w+)?`", text)
    for path, name in ((path, name) for path, name in named if path or name):
        file = path or file
        assert f"def {name}(" in (ROOT / "tests" / file).read_text() if name else (ROOT / "tests" / file).exists(), name
    assert sum(bool(name) for _, name in named) > 20


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
