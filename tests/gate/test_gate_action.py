"""The steps of the GitHub action and of the GitLab example, run in a shell; the project's own baseline."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_runs import MadeRun, write_rules
from places import ROOT

from vceval.cli.main import main
from vceval.gate.baseline import SCHEMA, read, render, resolve
from vceval.gate.check import check
from vceval.gate.preconditions import refuse_unless_comparable
from vceval.gate.rules import read_rules

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}


def run_step(name: str, folder: Path, **inputs: str) -> tuple[int, str, dict[str, str], str]:
    """Run one step as a runner does: exit code, job summary, outputs, what it printed."""
    step = STEPS[name]
    known = {key: str(entry.get("default", "")) for key, entry in ACTION["inputs"].items()}
    environment = {
        variable: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: {**known, **inputs}[found[1]], text)
        for variable, text in step["env"].items()
    }
    summary, outputs = folder / "summary.md", folder / "outputs"
    for path in (summary, outputs):
        path.touch()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            **os.environ, **environment, "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs),
            "GITHUB_ACTION_PATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return done.returncode, summary.read_text(encoding="utf-8"), told, done.stdout + done.stderr


def test_no_input_is_pasted_into_a_script() -> None:
    """An expression within a script would let an input write commands."""
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
        assert step.get("shell", "bash") == "bash"
    assert {name for name, entry in ACTION["inputs"].items() if entry.get("required")} == {"baseline"}
    used = re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text(encoding="utf-8"))
    assert set(used) == set(ACTION["inputs"])


def test_the_gate_step(tmp_path: Path) -> None:
    MadeRun().fill().write(tmp_path / "before")
    MadeRun().fill().worsen("mcd", 1.0, 0.1).write(tmp_path / "a run; touch pwned")
    assert main(["baseline", "save", str(tmp_path / "before"), str(tmp_path / "base.json")]) == 0
    given = {"baseline": "base.json", "run": "a run; touch pwned", "rules": write_rules(tmp_path).name}
    code, summary, told, printed = run_step("Gate", tmp_path, **given)
    assert code == 1, printed
    assert told == {"outcome": "regress", "folder": "gate-result"}
    assert summary.startswith("## ❌ regress")
    assert not (tmp_path / "pwned").exists()
    assert {path.name for path in (tmp_path / "gate-result").iterdir()} == {"gate.xml", "gate.md", "gate.json"}
    code, _, told, _ = run_step("Gate", tmp_path, **{**given, "run": "before"})
    assert (code, told["outcome"]) == (0, "pass")
    code, summary, told, _ = run_step("Gate", tmp_path, **{**given, "run": "before", "rules": ""})
    assert (code, told["outcome"]) == (1, "blind")
    assert "## 🙈 blind" in summary
    assert "more target speakers" in summary
    code, summary, told, _ = run_step("Gate", tmp_path, **{**given, "baseline": "nothing.json"})
    assert (code, told["outcome"]) == (2, "refused")
    assert "no such run or baseline" in summary


def test_the_run_step_converts_and_scores(tmp_path: Path) -> None:
    suite = yaml.safe_load((ROOT / "benchmarks" / "suites" / "demo.yaml").read_text(encoding="utf-8"))
    suite.update(metrics=["sanity"], systems=["target"])
    lines = (ROOT / "benchmarks" / "pairs" / "demo@1.csv").read_text(encoding="utf-8").splitlines()[:5]
    (tmp_path / "few.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sha256 = hashlib.sha256((tmp_path / "few.csv").read_bytes()).hexdigest()
    suite["pairs"] = {"file": "few.csv", "count": 4, "sha256": sha256}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    worker = (
        "import json,sys\nfor line in sys.stdin:\n print(json.dumps({'id': json.loads(line)['id'], 'error': 'no'}))\n"
    )
    (tmp_path / "worker.py").write_text(worker, encoding="utf-8")
    systems = {
        "systems": {"broken": {"converter": "command", "command": [sys.executable, str(tmp_path / "worker.py")]}}
    }
    (tmp_path / "systems.yaml").write_text(yaml.safe_dump(systems), encoding="utf-8")
    code, _, _, printed = run_step("Convert and score", tmp_path, suite="few.yaml", systems="systems.yaml")
    assert code == 0, printed  # failed pairs are for the gate to judge
    assert (tmp_path / "runs" / "gate" / "summary.json").is_file()
    code, _, _, printed = run_step("Convert and score", tmp_path, suite="nothing")
    assert code == 2, printed


def test_the_gitlab_example_calls_what_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = yaml.safe_load((ROOT / "examples" / "gitlab-ci.yml").read_text(encoding="utf-8"))
    [job] = job.values()
    assert job["artifacts"]["reports"]["junit"] == "gate.xml"
    [gate] = [line for line in job["script"] if line.startswith("vceval gate")]
    made = MadeRun(targets=16, sources=12, suite="gate@1").fill().write(tmp_path / "runs" / "gate")
    assert main(["baseline", "save", str(made), str(tmp_path / "baseline.json")]) == 0
    words = gate.replace("$CI_JOB_URL", "https://git.example/-/jobs/1").replace('"', "").split()
    work = [str(tmp_path / word) if word.startswith(("runs/", "gate.", "baseline")) else word for word in words[1:]]
    assert main(work) == 0
    assert {"gate.xml", "gate.md", "gate.json"} <= {path.name for path in tmp_path.iterdir()}


def test_our_own_baseline_is_readable_and_of_todays_signatures() -> None:
    from vceval.protocol.suite import frozen_pairs, load
    from vceval.runner.score import make_metric

    ours = read(ROOT / "vceval" / "benchmarks" / "baselines" / "demo.json")
    assert render(resolve(Path("demo"))) == render(ours)
    assert ours.suite == "demo@1"
    assert [pair.name for pair in ours.pairs.values()] == [pair.pair for pair in frozen_pairs(load("demo"))]
    assert ours.failures == frozenset()
    for metric in ("mcd", "sv", "sanity"):
        assert ours.metrics[metric] == make_metric(metric, {"trials": 3000, "seed": 0}).signature()
    refuse_unless_comparable(ours, ours, read_rules().measures)
    assert SCHEMA == 3
    assert all(system.seeds == 1 for system in ours.systems.values())
    assert all(pair.text for pair in ours.pairs.values())


@pytest.mark.parametrize("suite", ["demo", "gate"])
def test_the_rules_of_our_own_suites_see(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "plan", suite]) == 0
    assert "blind" not in capsys.readouterr().out
    mine = {rule.measure: rule for rule in read_rules(suite=f"{suite}@1").measures}
    usual = {rule.measure: rule for rule in read_rules().measures}
    assert mine.keys() == usual.keys()
    assert not any(rule.accept_blind for rule in (*mine.values(), *usual.values()))


def test_our_own_baseline_passes_against_itself() -> None:
    ours = resolve(Path("demo"))
    result = check(ours, ours, read_rules(suite=ours.suite))
    assert (result.outcome, result.said()) == ("pass", "26 pass")
    assert check(ours, ours, read_rules()).outcome == "blind"
