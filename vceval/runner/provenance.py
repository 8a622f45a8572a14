"""The circumstances of a run, written down so that its numbers can be checked again."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vceval.converters import certificates
from vceval.runner.factory import make_converter
from vceval.runner.options import Options
from vceval.runner.plan import Plan
from vceval.runner.score import learning
from vceval.version import VERSION

__all__ = ["facts_of"]

_PACKAGES = (
    "numpy", "scipy", "torch", "pyworld", "soxr", "soundfile", "numba", "resemblyzer", "openai-whisper", "pocketsphinx",
    "faster-whisper", "ctranslate2", "jiwer", "opencc", "zhconv", "speechmos", "onnxruntime", "speechbrain",
    "distillmos",
)  # fmt: skip


def facts_of(plan: Plan, options: Options, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what ``run.json`` says besides the plan: versions, machine, command line, state of the repository."""
    versions = {"python": platform.python_version(), "vceval": VERSION}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "name": plan.name,
        "suite": plan.label,
        "expected": _expected(plan),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(options.command),
        "versions": versions,
        "platform": platform.platform(),
        "device": ", ".join(options.devices),
        "executor": options.executor,
        "seed": plan.seed,
        **({"seeds": plan.seeds} if plan.seeds > 1 else {}),
        **({"channel": plan.reading.channel} if plan.reading.channel else {}),
        "max_seconds": plan.reading.max_seconds,
        "data": plan.data,
        "partial": plan.partial,
        "custom": plan.custom,
        "missing": list(plan.missing),
        "notes": list(plan.notes),
        "pairs_sha256": plan.pairs_sha256,
        "systems": asked["systems"],
        "metrics": asked["metrics"],
        **({"certificates": certified} if (certified := _certificates(plan)) else {}),
        "git": _git_state(),
        "plan": asked,
    }


def _expected(plan: Plan) -> dict[str, int]:
    """Count conversions that are made here and elsewhere, and the natural recordings that metrics learn from."""
    made = len(plan.takes(plan.converting)) * len(plan.pairs_to_convert()) if plan.converting else 0
    natural = len(plan.natural) if learning(plan.metrics, plan.metric_options) else 0
    return {"conversions": made, "given": len(plan.given), "natural": natural}


def _certificates(plan: Plan) -> dict[str, dict[str, Any]]:
    """What ``vceval reproduce`` has found of the systems that convert here, with the same weight files and options."""
    found = {one.name: certificates.summary(make_converter(one), one.options) for one in plan.converting}
    return {name: one for name, one in found.items() if one}


def _git_state() -> dict[str, str] | None:
    """Commit and state of the tree from which the command was given; None outside of a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    found = []
    for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")):
        done = subprocess.run([git, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        found.append(done.stdout.strip())
    return {"commit": found[0], "tree": "changed" if found[1] else "clean"}
