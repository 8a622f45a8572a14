"""The conversions of a run: where the audio of a system and a pair lies, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vceval.records import Conversion, Failure, System
from vceval.results.rundir import RunDirectory
from vceval.runner.factory import make_converter
from vceval.runner.journal import Ledger, Take
from vceval.runner.plan import Plan
from vceval.storage.cache import file_digest

__all__ = ["GONE", "Conversions", "audio_file", "marks", "stamp"]

#: The stamp of a file that is not there.
GONE = (0, 0)


class Conversions:
    """Looks conversions of takes up in the journal of the stage that converts, or among those that were given.

    Args:
        plan: of the run.
        run: its folder.
        ledger: of that journal; None where all conversions were given.

    Of each system, the conversions are found in one of the two.
    """

    def __init__(self, plan: Plan, run: RunDirectory, ledger: Ledger | None) -> None:
        self._plan, self._run, self._ledger = plan, run, ledger
        self._text_from = {s.name: make_converter(s).text_from for s in plan.converting}
        self._given = {(Take(one.system, one.seed), one.pair.id): one for one in plan.given}
        self._pairs = plan.pairs_to_convert()
        self.takes = plan.takes()

    def __len__(self) -> int:
        """Number of conversions that the plan asks for, whether they are there or not."""
        return len(self._given) + sum(take.system in self._text_from for take in self.takes) * len(self._pairs)

    def slots(self) -> Iterator[Conversion | None]:
        """All conversions in the plan's order; None for one that is not there."""
        yield from self._plan.given
        for take in self.takes:
            if take.system in self._text_from:
                for pair in self._pairs:
                    yield self.find(take, pair)

    def find(self, take: Take, pair: str) -> Conversion | None:
        """One conversion; None where there is none."""
        if (ledger := self._of(take, pair)) is None:
            return self._given.get((take, pair))
        if ledger.state(take, pair) != "ok":
            return None
        asked = self._plan.pairs[pair]
        transcript = asked.transcript
        if self._text_from[take.system] == "natural" and asked.natural is not None:
            transcript = asked.natural.transcript
        record = ledger.record(take, pair)
        path = audio_file(self._run.root, record["path"])
        return Conversion(
            take.system, asked, path, transcript, asked.language, take.seed, record.get("sha256", "")
        )  # fmt: skip

    def fault(self, take: Take, pair: str) -> Failure | None:
        """Why a conversion failed; None for one that did not."""
        if (ledger := self._of(take, pair)) is None or ledger.state(take, pair) != "failed":
            return None
        reason = ledger.record(take, pair)["reason"]
        return Failure(take.system, pair, "convert", "", reason, take.seed)

    def absence(self, take: Take, pair: str) -> tuple[str, str] | None:
        """What a control lacks that does not exist for a pair: (need, reason); None for one that does."""
        if (ledger := self._of(take, pair)) is None or ledger.state(take, pair) != "skipped":
            return None
        record = ledger.record(take, pair)
        return record["need"], record["reason"]

    def expected(self, system: System) -> int:
        """Number of conversions that a system should have made: controls do not exist for every pair."""
        if system.name not in self._text_from:
            given = sum(conversion.system == system.name for conversion in self._plan.given)
            return given + sum(failure.system == system.name for failure in self._plan.broken)
        takes = [take for take in self.takes if take.system == system.name]
        return sum(self.absence(take, pair) is None for take in takes for pair in self._pairs)

    def _of(self, take: Take, pair: str) -> Ledger | None:
        """The journal that knows a conversion; None where it is none of this run's."""
        return self._ledger if take.system in self._text_from and pair in self._pairs else None


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


def marks(path: Path, sha256: str = "") -> dict[str, Any]:
    """What a record says of the recording that it is about: its SHA-256, read where it is not known, and its stamp.

    Raises:
        OSError: it can't be read.
    """
    return {"sha256": sha256 or file_digest(path), "stamp": list(stamp(path))}
