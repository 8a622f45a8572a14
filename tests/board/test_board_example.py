"""The workflows of ``examples/board``: least rights, and a check that no name of a file and no content gets out of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT
from published_boards import METRICS, put
from published_runs import published_run

from vceval.publish import keys

FOLDER = ROOT / "examples" / "board" / ".github" / "workflows"
NASTY = ("$(touch hacked).json", "-rf.json", "a\n# @everybody `x`.json", "; touch hacked;.json", "<img src=x>.json")


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    return found


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.yml")):
        for job in workflow(path.stem)["jobs"].values():
            yield from ((path.stem, step) for step in job["steps"])


def test_rights_are_the_least() -> None:
    rights = {}
    for path in sorted(FOLDER.glob("*.yml")):
        whole = workflow(path.stem)
        for name, job in whole["jobs"].items():
            rights[f"{path.stem} {name}"] = job.get("permissions", whole["permissions"])
    assert rights == {
        "check check": {"contents": "read"},
        "comment comment": {"actions": "read", "pull-requests": "write"},
        "pages board": {"contents": "read"},
        "pages publish": {"pages": "write", "id-token": "write"},
    }
    assert all("pull_request_target" not in workflow(path.stem)[True] for path in FOLDER.glob("*.yml"))


def test_no_value_of_an_event_enters_a_script() -> None:
    scripts = [text for _, step in steps() for text in (step.get("run"), step.get("with", {}).get("script")) if text]
    assert len(scripts) >= 4
    assert not [text for text in scripts if "${{" in text]
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in used)
    assert all(
        step["with"]["persist-credentials"] is False for _, step in steps() if "checkout" in step.get("uses", "")
    )


@pytest.fixture
def pull(tmp_path: Path) -> Path:
    """What the job has after its checkouts: the main branch, and a merge of the pull request."""
    for name in ("pull", "base"):
        (tmp_path / name).mkdir()
    (tmp_path / "pull" / "results").mkdir()
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "before")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    who = {f"GIT_{role}_{what}": "somebody@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *words], cwd=folder / "pull", check=True, env={**os.environ, **who})


def checked(folder: Path) -> tuple[int, str]:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "after")
    [script] = [step["run"] for name, step in steps() if name == "check" and step.get("id") == "check"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env={**os.environ, "PATH": path, "NUMBER": "7"}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert (folder / "verdict" / "number").read_text() == "7\n"
    return done.returncode, (folder / "verdict" / "verdict.md").read_text()


def test_the_check_says_what_it_found(pull: Path) -> None:
    key = keys.make("Somebody", pull / "key.json")
    run = published_run(pull / "run", metrics=METRICS[:1], limit=12)
    (pull / "base" / "trusted.txt").write_text(f"{key.public} The house\n")
    put(run.root, key, pull / "pull" / "results", ("mine",))
    code, verdict = checked(pull)
    assert code == 0
    assert verdict.startswith("All result files are fine:\n\n    results/demo@1-mine-")
    assert "Also changed" not in verdict


def test_what_is_taken_away_or_replaced_is_named(pull: Path) -> None:
    key = keys.make("Somebody", pull / "key.json")
    run = published_run(pull / "run", metrics=METRICS[:1], limit=12)
    (pull / "base" / "trusted.txt").write_text(f"{key.public}\n")
    results = pull / "pull" / "results"
    [mine] = put(run.root, key, results, ("mine",)).values()
    for name in ("gone", "moved", "stays"):
        (results / f"{name}.json").write_text(name)
    git(pull, "add", "--all")
    git(pull, "commit", "--quiet", "--message", "theirs")
    (results / "gone.json").unlink()
    (results / "moved.json").rename(results / "there.json")
    mine.rename(results / "stays.json")
    code, verdict = checked(pull)
    assert code == 123
    head, _, gone = verdict.partition("Stood there, and is taken away or another one now:\n\n")
    assert head.startswith("Some result files are refused:")
    assert "results/stays.json: fine" in head
    assert "results/there.json: refused" in head
    assert gone.split() == [f"results/{name}" for name in sorted((mine.name, "gone.json", "moved.json", "stays.json"))]


def test_names_and_contents_of_files_get_out_of_nothing(pull: Path) -> None:
    key = keys.make("Somebody", pull / "key.json")
    # The pull request trusts its own key, which does not count
    (pull / "base" / "trusted.txt").write_text("")
    (pull / "pull" / "trusted.txt").write_text(f"{key.public}\n")
    run = published_run(pull / "run", metrics=METRICS[:1], limit=12, titles={"mine": "@everybody\u202f```<b>"})
    [path] = put(run.root, key, pull / "pull" / "results", ("mine",)).values()
    for name in NASTY:
        (pull / "pull" / "results" / name).write_text("{}\n@everybody\n")
    (pull / "pull" / "`evil`\n@everybody").write_text("x")
    code, verdict = checked(pull)
    assert code == 123  # xargs: a command failed
    assert not list(pull.rglob("hacked"))
    ours = ("Some result files are refused:", "Also changed, and not looked at:", "")
    assert [line for line in verdict.split("\n") if not line.startswith("    ") and line not in ours] == []
    assert verdict.count("refused: is no result file") == len(NASTY)
    assert re.search(rf"    results/{re.escape(path.name)}: refused: signed by .*none of the trusted keys", verdict)
