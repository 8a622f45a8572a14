"""Commands where the system gives less than usual: closed streams, few files, little memory, no room, odd names."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import report_runs
from faults.table import Row

__all__ = ["Case", "Surroundings", "long_cases", "short_cases"]

PATIENCE = 600
#: A name that is no UTF-8.
ODD = os.fsdecode(b"n\xe4")
VCEVAL = f"{shlex.quote(sys.executable)} -m vceval"
#: A run that converts, scores and reports in seconds.
RUN = f"{VCEVAL} run --converters source --metrics sanity --limit 1 --workers 1"


@dataclass(frozen=True)
class Case:
    """A command for the shell, the exit codes that it may have, and what must be said."""

    kind: str
    command: str
    codes: tuple[int, ...]
    said: str = ""
    environment: dict[str, str] = field(default_factory=dict)


class Surroundings:
    """A folder with a finished run ``whole`` in it, where commands are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        report_runs.single(folder / "made")
        (folder / "file").write_text("no folder")
        (folder / ODD).mkdir()
        shutil.copytree(folder / "made" / "run", folder / ODD / "run")

    def attack(self, case: Case) -> tuple[str, str]:
        """Give the command; what came of it, and its exit code and last words."""
        (self.folder / "damaged").exists() and shutil.rmtree(self.folder / "damaged")
        shutil.copytree(self.folder / "made" / "run", self.folder / "damaged")
        environment = {**os.environ, "VCEVAL_CACHE": "off", "TMPDIR": str(self.folder), **case.environment}
        try:
            done = subprocess.run(
                ["bash", "-c", case.command], cwd=self.folder, env=environment, capture_output=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return "no end", ""
        said = (done.stderr + done.stdout).decode(errors="replace")
        words = f"exit code {done.returncode}: {said[-300:]}"
        if "Traceback" in said or done.returncode not in case.codes or case.said not in said:
            return "trace", words
        return ("said in words" if done.returncode else "done"), words

    def rows(self, cases: Iterator[Case]) -> list[Row]:
        """The rows of the table."""
        rows: dict[str, Row] = {}
        for case in cases:
            what, words = self.attack(case)
            rows.setdefault(case.kind, Row(case.kind)).add(what, f"{case.command}: {words}")
        return list(rows.values())


def short_cases() -> Iterator[Case]:
    """Those that end before any work."""
    yield Case("place for a run", f"{RUN} --out file/x", (2,), "file/x: Not a directory")
    yield Case("place for a run", f"{RUN} --out {'x' * 300}", (2,), "File name too long")
    yield Case("streams", f"{VCEVAL} list metrics <&- >&- 2>&-", (0,))
    yield Case("streams", f"{VCEVAL} list metrics > /dev/full", (2,), "No space left")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    yield Case("locales and homes", f"{VCEVAL} list metrics", (0,), environment=ascii_only)
    damaged = f"rm damaged/pairs.csv; mkdir damaged/pairs.csv; {VCEVAL} report damaged"
    yield Case("file of a run that is a folder", damaged, (2,), "damaged/pairs.csv")
    yield Case("names that are no UTF-8", f"{VCEVAL} report {ODD}/run", (0,))
    yield Case("command line", f"{VCEVAL} run --suite $'\\xff' --out c", (2,))


def long_cases() -> Iterator[Case]:
    """Those that work."""
    yield from short_cases()
    report = f"{VCEVAL} report"
    yield Case("place for a run", f"{RUN} --out /proc/x", (2,), "/proc/x: ")
    yield Case("streams", f"{VCEVAL} list metrics >&-", (0,))
    yield Case("streams", f"{VCEVAL} status nowhere 2>/dev/full", (2,))
    # A reader that leaves when all is written, and one that leaves before
    yield Case("streams", f"{VCEVAL} list suites | (sleep 20; head -c 1); exit ${{PIPESTATUS[0]}}", (0,))
    yield Case("streams", f"{VCEVAL} list metrics | true; exit ${{PIPESTATUS[0]}}", (141,))
    for name in ("run.json", "summary.json", "audio.csv"):
        damaged = f"rm damaged/{name}; mkdir damaged/{name}; {report} damaged"
        yield Case("file of a run that is a folder", damaged, (2,), f"damaged/{name}")
    for name in ("run.json", "summary.json"):
        damaged = rf"printf '\xff\xfe{{}}' > damaged/{name}; {report} damaged"
        yield Case("file of a run that is no UTF-8", damaged, (2,), f"damaged/{name}")
    yield Case("command line", f'{VCEVAL} run --system "x=command:\'open" --out c', (2,), "divided into words")
    for setting in (
        "PYTHONIOENCODING=ascii", "LC_ALL=C", "LC_ALL=POSIX PYTHONUTF8=0", "LC_ALL=nowhere.XYZ", "HOME=/nowhere",
        "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0", "TZ=nowhere",
    ):  # fmt: skip
        environment = dict(one.split("=") for one in setting.split())
        yield Case("locales and homes", f"{report} damaged", (0,), environment=environment)
    yield Case("names that are no UTF-8", f"{VCEVAL} compare {ODD}/run damaged", (0, 1, 2))
    yield Case(
        "names that are no UTF-8",
        f"mkdir -p mixed; cp damaged/audio/*/*.flac mixed/A_sTOt.flac; cp mixed/A_sTOt.flac mixed/$'A_s\\xe4TOt.flac'; "
        f"rm -rf scored; {VCEVAL} score mixed --pattern '{{system}}_{{source}}TO{{target}}.flac' --metrics sanity "
        "--out scored",
        (0, 1),
    )
    for most in (12, 16, 20, 24, 32, 48, 64):
        yield Case("few open files (ulimit -n)", f"ulimit -n {most}; rm -rf r; {RUN} --out r", (0, 1, 2))
    for kilobytes in (200_000, 400_000, 600_000, 900_000, 1_500_000, 4_000_000):
        yield Case(
            "little memory (ulimit -v)", f"ulimit -v {kilobytes}; rm -rf r; {RUN} --out r", (0, 1, 2, 127, 134, 139)
        )
    for blocks in (0, 8, 64, 512):
        yield Case(
            "files of limited length (ulimit -f)", f"ulimit -f {blocks}; rm -rf r; {RUN} --out r", (0, 1, 2, 153)
        )
    for cache in ("file", "file/x", "/proc", "/proc/x", "/sys"):
        yield Case("cache that can't be written", f"rm -rf r; {RUN} --out r", (0,), environment={"VCEVAL_CACHE": cache})
    if os.geteuid() == 0 and shutil.which("mount"):
        small = "mkdir -p small; mount -t tmpfs -o size={}k tmpfs small"
        for size in (16, 64, 256, 1024):
            after = "code=$?; umount -l small; exit $code"
            yield Case("full disk", f"{small.format(size)}; {RUN} --out small/r; {after}", (0, 2))
            yield Case(
                "full cache", f"{small.format(size)}; rm -rf r; VCEVAL_CACHE=$PWD/small {RUN} --out r; {after}", (0,)
            )
        locked = "mkdir -p small; mount -t tmpfs -o ro tmpfs small"
        yield Case(
            "disk that can only be read", f"{locked}; {RUN} --out small/r; code=$?; umount -l small; exit $code", (2,)
        )
        yield Case(
            "cache that can't be written",
            f"{locked}; rm -rf r; VCEVAL_CACHE=$PWD/small {RUN} --out r; code=$?; umount -l small; exit $code",
            (0,),
        )
