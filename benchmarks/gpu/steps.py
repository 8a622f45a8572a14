"""The steps of run.sh, each a process of its own with a time limit; results are on disk after every step.

Written into --out: ``results.json`` (facts and rows), ``table.md`` (the same to read) and ``log.txt`` (what the steps
printed). A step that fails, hangs or is left out is a row that says so. Nothing but the standard library is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from xml.etree import ElementTree

#: Converters in the order of measuring; those that draw sample after sample come late.
CONVERTERS = (
    "freevc", "knnvc", "yourtts", "vqmivc", "maevc", "mediumvc", "autovc", "againvc", "adainvc", "freevc-24",
    "freevc-s",
)  # fmt: skip
DRAWING = ("fragmentvc", "adainvc-cyhuang")
TINY = ("adainvc",)


@dataclass
class Step:
    """One step: a command, what it may take in seconds, and where it leaves its rows (JSON lines or JUnit XML)."""

    name: str
    command: list[str]
    limit: float
    rows: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)


class Runner:
    """Runs steps within a budget and keeps what came of them."""

    def __init__(self, out: Path, ends: float, facts: dict[str, Any]) -> None:
        self.out, self.ends, self.results = out, ends, {**facts, "rows": []}
        self._lock = Lock()
        (out / "log.txt").write_text("", encoding="utf-8")

    def run(self, step: Step) -> str:
        """Run one step; its standard output."""
        left = self.ends - time.time()
        if left < min(10.0, step.limit):
            self.keep(step.name, "skipped", reason="no time is left")
            return ""
        limit, began, late = min(step.limit, left), time.time(), False
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                step.command, stdout=printed, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **step.environment}, start_new_session=True,
            )  # fmt: skip
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                late = True
            with contextlib.suppress(ProcessLookupError):  # children must not outlive a step and disturb the next one
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            printed.seek(0)
            text = printed.read().decode("utf-8", "replace")
        seconds = time.time() - began
        with self._lock, open(self.out / "log.txt", "a", encoding="utf-8") as log:
            log.write(f"\n=== {step.name} ({seconds:.0f} s): {' '.join(step.command)}\n{text}")
        reason = ""
        if late:
            reason = f"took longer than {limit:.0f} s"
        elif process.returncode:
            last = next((line for line in reversed(text.splitlines()) if line.strip()), "nothing was printed")
            reason = f"exit code {process.returncode}: {last[:300]}"
        self._collect(step, reason, seconds)
        return text

    def _collect(self, step: Step, reason: str, seconds: float) -> None:
        if step.rows is None or not step.rows.is_file():
            self.keep(
                step.name, "failed" if reason or step.rows else "ok", reason or "it left no rows", seconds=seconds
            )
        elif step.rows.suffix == ".xml":
            found = _tests(step.rows)
            for name, status, told, values in found:
                self.keep(f"{step.name}: {name}", status, told, **values)
            if reason and not any(status == "failed" for _, status, _, _ in found):
                self.keep(step.name, "failed", reason, seconds=seconds)
        else:
            for line in step.rows.read_text(encoding="utf-8").splitlines():
                values = json.loads(line)
                for key, value in values.items():
                    if isinstance(value, float) and not math.isfinite(value):
                        values[key] = "not measured"
                self.keep(step.name, "ok", **values)
            if reason:
                self.keep(step.name, "failed", reason, seconds=seconds)

    def keep(self, step: str, status: str, reason: str = "", **values: Any) -> None:
        """Add a row, print it and write everything."""
        row = {"step": step, "status": status, **({"reason": reason} if reason and status != "ok" else {}), **values}
        with self._lock:
            self.results["rows"].append(row)
            print(_line(row), flush=True)
            for name, text in (("results.json", json.dumps(self.results, indent=1)), ("table.md", self.table())):
                partial = self.out / f".{name}"
                partial.write_text(text + "\n", encoding="utf-8")
                partial.replace(self.out / name)

    def table(self) -> str:
        """All that is known, to read."""
        facts = [f"- {key}: {value}" for key, value in self.results.items() if key != "rows"]
        rows = [f"| {row['step']} | {_told(row)} | {_values(row)} |" for row in self.results["rows"]]
        return "\n".join([*facts, "", "| step | result | values |", "|---|---|---|", *rows])


def _tests(path: Path) -> list[tuple[str, str, str, dict[str, Any]]]:
    found = []
    for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        if "[NOTSET" in str(case.get("name")) or _left_out(case):
            continue
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        status, told = (
            ("failed", bad) if bad is not None else ("skipped", skipped) if skipped is not None else ("ok", None)
        )
        values: dict[str, Any] = {"seconds": float(case.get("time", "nan"))}
        values |= {str(item.get("name")): item.get("value") for item in case.iter("property")}
        message = "" if told is None else " ".join(str(told.get("message")).split())[:300]
        found.append((str(case.get("name")), status, message, values))
    return found


def _left_out(case: ElementTree.Element) -> bool:
    """Whether it is the turn of another process."""
    skipped = case.find("skipped")
    return skipped is not None and skipped.get("message") == "some converters only"


def _told(row: dict[str, Any]) -> str:
    return f"{row['status']}: {row['reason']}".replace("|", "/") if "reason" in row else str(row["status"])


def _values(row: dict[str, Any]) -> str:
    shown = {key: value for key, value in row.items() if key not in ("step", "status", "reason")}
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in shown.items()
    )


def _line(row: dict[str, Any]) -> str:
    return f"{row['step']:40s} {_told(row)}  {_values(row)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all steps; 1 where a row failed."""
    parser = argparse.ArgumentParser(prog="run.sh", description="Check and measure vceval on a GPU.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small converters, few recordings, one round")
    parser.add_argument("--out", type=Path, help="folder of the results (default: a new one)")
    parser.add_argument(
        "--budget", type=float, default=540.0, help="seconds after which nothing is begun (default 540)"
    )
    parser.add_argument("--only", default="", metavar="NAME[,NAME]", help="steps whose names hold one of these words")
    for hidden in ("--root", "--work", "--began"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    out = options.out or Path(tempfile.mkdtemp(prefix="vceval-gpu-"))
    out.mkdir(parents=True, exist_ok=True)
    root, work = Path(options.root), Path(options.work)
    ends = float(options.began) + options.budget
    commit = _commit(root)
    runner = Runner(out, ends, {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit})
    runner.results["device"] = options.device

    here, speed = root / "benchmarks" / "gpu", root / "benchmarks" / "speed"
    python, weights = sys.executable, work / "weights"
    facts = runner.run(Step("facts", [python, str(here / "facts.py"), "--device", options.device], 60.0))
    try:
        runner.results |= json.loads(facts.splitlines()[-1])
    except (ValueError, IndexError):
        print(facts)
        print(f"results: {out}")
        return 1
    names = TINY if options.tiny else CONVERTERS + DRAWING
    runner.run(Step("weight files", [python, str(here / "facts.py"), "--write", str(weights), *names], 150.0))
    os.environ["VCEVAL_CHECKPOINTS"] = os.environ["VCEVAL_TEST_WEIGHTS"] = str(weights)
    os.environ["VCEVAL_CACHE"] = "off"

    cores = os.cpu_count() or 1
    order = sorted(names, key=lambda name: name not in DRAWING)
    tests = [_test_step(root, work, name, options.device) for name in (*order, "")]
    only = tuple(options.only.split(","))
    with ThreadPoolExecutor(max(1, min(7, cores // 2))) as pool:
        list(pool.map(runner.run, (step for step in tests if any(word in step.name for word in only))))
    for step in _speed_steps(options, speed, here, work, python, cores):
        if any(word in step.name for word in only):
            runner.run(step)
    print()
    print(runner.table())
    print(f"results: {out}")
    return 1 if any(row["status"] == "failed" for row in runner.results["rows"]) else 0


def _test_step(root: Path, work: Path, name: str, device: str) -> Step:
    rows = work / f"tests-{name or 'other'}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "--rootdir", str(root)]
    files = [
        "runner/test_gpu.py",
        *([] if name else ["signal/test_world.py", "metrics/test_dtw_torch.py", "metrics/test_judges_on_a_device.py"]),
    ]
    command += ["-o", "junit_family=xunit1", f"--junitxml={rows}", *(str(root / "tests" / file) for file in files)]
    environment = {"VCEVAL_TEST_DEVICE": device, "VCEVAL_TEST_CONVERTERS": name}
    return Step(f"tests {name or 'other'}", command, 150.0, rows, environment)


def _speed_steps(
    options: argparse.Namespace, speed: Path, here: Path, work: Path, python: str, cores: int
) -> list[Step]:
    def step(name: str, limit: float, script: Path, *arguments: str) -> Step:
        rows = work / f"{name.replace(' ', '-')}.jsonl"
        return Step(name, [python, str(script), *arguments, "--json", str(rows)], limit, rows)

    def converter(name: str, limit: float, *arguments: str) -> Step:
        common = ("--device", options.device, "--weights", str(work / "weights"))
        return step(f"speed {name}", limit, speed / "converters.py", name, *common, *arguments)

    def grid(name: str, sources: int, loop: int, *arguments: str, precision: str = "") -> Step:
        size = ("--sources", str(sources), "--targets", str(sources), "--loop", str(loop), "--rounds", "1")
        place = ("--converter", name, "--device", options.device)
        how = ("--precision", precision) if precision else ()
        title = f"grid {name} {precision}".strip()
        return step(title, 150.0 if options.tiny else 60.0, speed / "grid.py", *size, *place, *how, *arguments)

    def analysis(limit: float, recordings: int, rounds: int) -> Step:
        size = ("--recordings", str(recordings), "--rounds", str(rounds))
        return step("analysis", limit, here / "analysis.py", "--device", options.device, *size)

    whisper = ("--whisper-only", "--device", options.device)
    workers = ("--workers", str(cores))
    if options.tiny:
        small = ("--utterances", "2", "--rounds", "1")
        return [
            *(converter(name, 60.0, *small) for name in TINY[:1]),
            grid("adainvc-demo", 2, 2, "--workers", "1"),
            grid("adainvc", 2, 2, "--workers", "1", precision="tf32"),
            analysis(200.0, 4, 1),
            step("whisper", 150.0, speed / "text.py", *whisper, "--files", "2", "--rounds", "1"),
            step(
                "streaming",
                100.0,
                here / "streaming.py",
                "--device",
                options.device,
                "--pairs",
                "1",
                "--converters",
                "adainvc-demo",
                "--hops",
                "320",
            ),
            step("scoring", 200.0, here / "scoring.py", "--recordings", "8", *workers),
        ]
    several = ("--batches", "16,64", "--alone", "8", "--rounds", "2", "--budget", "4")
    # Its Griffin-Lim is computed on the processor
    sixteen = ("--utterances", "16", "--alone", "4", "--rounds", "2", "--budget", "6")
    places = ",".join(dict.fromkeys(("cpu", options.device)))
    voices = ("--metrics", "sv", "--recordings", "2000")
    heard = "sv:dvector,sv:campplus,mos,mos:utmos"
    judges = ("--metrics", heard, "--recordings", "500", "--weights", str(work / "weights"))
    hearing = ("--whisper", "--metrics", "sanity", "--recordings", "300", "--device", options.device)
    return [
        grid("freevc", 20, 40),
        grid("knnvc", 20, 40),
        step("scoring judges device", 80.0, here / "scoring.py", *workers, *judges, "--device", options.device),
        step("scoring judges cpu", 80.0, here / "scoring.py", *workers, *judges),
        step("streaming", 100.0, here / "streaming.py", "--device", options.device),
        *(converter(name, 40.0, *(sixteen if name == "adainvc" else several)) for name in CONVERTERS),
        step("whisper", 60.0, speed / "text.py", *whisper, "--files", "64", "--rounds", "2"),
        grid("freevc", 20, 40, precision="tf32"),
        grid("knnvc", 20, 40, precision="tf32"),
        *(converter(name, 60.0, "--batches", "16,64", "--alone", "1", "--rounds", "1") for name in DRAWING),
        step("scoring voices", 60.0, here / "scoring.py", *workers, *voices, "--device", places),
        analysis(60.0, 400, 2),
        step("scoring", 110.0, here / "scoring.py", *workers, "--device", places),
        step("scoring words", 50.0, here / "scoring.py", *workers, *hearing),
    ]


def _commit(root: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    found = subprocess.run([git, "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
