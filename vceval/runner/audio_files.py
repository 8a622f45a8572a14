"""The conversions of a run: where the audio of a system and a pair lies, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vceval.records import Conversion, Failure, System
from vceval.results.rundir import RunDirectory
from vceval.runner.factory import make_converter
from vceval.runner.journal import Ledger
from vceval.runner.plan import Plan

__all__ = ["GONE", "Conversions", "audio_file", "stamp"]

#: The stamp of a file that is not there.
GONE = (0, 0)


class Conversions:
    """Looks conversions up in the journal of the stage that converts, or among those that were given.

    Args:
        plan: of the run.
        run: its folder.
        ledger: of that journal; None where all conversions were given.
    """

    def __init__(self, plan: Plan, run: RunDirectory, ledger: Ledger | None) -> None:
        self._plan, self._run, self._ledger = plan, run, ledger
        self._text_from = {} if plan.given is not None else {s.name: make_converter(s).text_from for s in plan.systems}
        self._given = {(one.system, one.pair.id): one for one in plan.given or ()}

    def __len__(self) -> int:
        """Number of conversions that the plan asks for, whether they are there or not."""
        return len(self._given) if self._ledger is None else len(self._plan.systems) * len(self._plan.pairs)

    def slots(self) -> Iterator[Conversion | None]:
        """All conversions in the plan's order; None for one that is not there."""
        if self._ledger is None:
            yield from self._plan.given or ()
            return
        for system in self._plan.systems:
            for pair in self._plan.pairs:
                yield self.find(system.name, pair)

    def find(self, system: str, pair: str) -> Conversion | None:
        """One conversion; None where there is none."""
        if self._ledger is None:
            return self._given.get((system, pair))
        if self._ledger.state(system, pair) != "ok":
            return None
        asked = self._plan.pairs[pair]
        transcript = asked.transcript
        if self._text_from[system] == "natural" and asked.natural is not None:
            transcript = asked.natural.transcript
        path = audio_file(self._run.root, self._ledger.record(system, pair)["path"])
        return Conversion(system, asked, path, transcript, asked.language)

    def fault(self, system: str, pair: str) -> Failure | None:
        """Why a conversion failed; None for one that did not."""
        if self._ledger is None or self._ledger.state(system, pair) != "failed":
            return None
        return Failure(system, pair, "convert", "", self._ledger.record(system, pair)["reason"])

    def absence(self, system: str, pair: str) -> tuple[str, str] | None:
        """What a control lacks that does not exist for a pair: (need, reason); None for one that does."""
        if self._ledger is None or self._ledger.state(system, pair) != "skipped":
            return None
        record = self._ledger.record(system, pair)
        return record["need"], record["reason"]

    def absent(self, system: System) -> int:
        """Number of pairs for which a control does not exist."""
        return sum(self.absence(system.name, pair) is not None for pair in self._plan.pairs)


def audio_file(root: Path, path: str) -> Path:
    """Turn a journalled path into a real one: those inside of the run directory are stored relative to it."""
    return Path(path) if Path(path).is_absolute() else root / path


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change of a file: one that was replaced is scored again; :data:`GONE` for none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return GONE
    return stat.st_size, stat.st_mtime_ns
