"""Makes a listening test from a run: the page with its recordings, the plan, and the key that listeners never see.

page/index.html   what listeners open, from disk or from a server; with page/audio/ it is all that they are given
page/audio/       the recordings, under random names
key.json          which recording is which system's, the right answers of checks, what the test was made with
plan.csv          who hears what, to look at
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.listen.answers import LINK
from vceval.listen.completion import PARTICIPANT, Completion
from vceval.listen.key import KEY
from vceval.listen.pages import page, page_facts
from vceval.listen.plan import Plan, Settings, Trial, make_plan, queues
from vceval.listen.recordings import Condition, Pool, Recording, read_pool
from vceval.listen.stimuli import Measured, measure, recordings_of, write
from vceval.listen.texts import Texts, texts_in
from vceval.results.rundir import RunDirectory, write_atomically
from vceval.signal.audio import read_as
from vceval.storage.cache import file_digest
from vceval.storage.csv_files import csv_text
from vceval.version import VERSION

__all__ = ["LEVEL", "Exported", "Look", "export"]

SCHEMA = 1
#: Loudness of all recordings in LUFS, about the -26 dB below overload that ITU-T P.800 tests are played at.
LEVEL = -26.0
#: Beeps of the recording by which listeners set their volume.
_VOLUME_BEEPS = 2
#: Seconds that a listener needs for an answer, beside the recordings; only to say how long a test takes.
_THINKING = 4.0


@dataclass(frozen=True, slots=True)
class Look:
    """How the test is presented.

    title: of the first page; empty for that of the texts.
    intro: text before the test.
    level: loudness in LUFS. sample_rate: in Hz; None for the highest needed.
    texts: what listeners read.
    completion: what they are shown at the end. participant: parameters of their link that say who they are.
    """

    title: str = ""
    intro: str = ""
    level: float = LEVEL
    sample_rate: int | None = None
    texts: Texts = field(default_factory=lambda: texts_in("en"))
    completion: Completion = field(default_factory=Completion)
    participant: tuple[str, ...] = PARTICIPANT


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made: folder, plan, recordings with their loudness and rate, minutes a listener needs, what is left out.

    ``left_out`` are (system, pair, reason).
    """

    folder: Path
    plan: Plan
    recordings: int
    level: float
    sample_rate: int
    minutes: int
    left_out: tuple[tuple[str, str, str], ...]


def export(run: RunDirectory, folder: Path, settings: Settings, look: Look, systems: tuple[str, ...] = ()) -> Exported:
    """Make a listening test from a finished run; recordings are read as the run reads them.

    Recordings that can't be used are left out and said; the test is planned around them.

    Raises:
        UsageError: the run is not finished, a test can't be made from it, or answers lie in the folder already.
    """
    with read_as(run.reading):
        return _export(run, folder, settings, look, systems)


def _export(run: RunDirectory, folder: Path, settings: Settings, look: Look, systems: tuple[str, ...]) -> Exported:
    if found := sorted(path.name for path in folder.glob("answers*") if path.exists()):
        raise UsageError(f"{folder}: there are answers to an earlier test ({found[0]}); give another folder with --out")
    if (folder / "page").exists():
        page_facts(folder / "page" / "index.html")  # nothing but an earlier test is ever replaced
    pool = read_pool(run, systems)
    given = queues(pool, settings)
    measured, bad = measure(_candidates(pool, given))
    left_out = tuple(
        (name, pair, bad[recording]) for (name, pair), recording in sorted(pool.audio.items()) if recording in bad
    )
    if bad:
        pool = _without(pool, set(bad))
        given = queues(pool, settings)
        more, still_bad = measure(r for r in _candidates(pool, given) if r not in measured)
        measured |= more
        if still_bad:
            raise UsageError(f"too many recordings can't be used, such as {next(iter(still_bad.values()))}")
    plan = make_plan(pool, given, settings, {file_digest(recording.path) for recording in measured})
    heard = {trial.id: recordings_of(pool, trial) for trial in plan.trials.values()}
    volume = Recording(_speech(pool, plan), beeps=_VOLUME_BEEPS)
    used = {recording for recordings in heard.values() for recording in recordings} | {volume}
    measured |= _all(measure(used - measured.keys()))
    measured = {recording: measured[recording] for recording in used}
    rate = look.sample_rate or min(48_000, max(one.sample_rate for one in measured.values()))
    shutil.rmtree(folder / "page", ignore_errors=True)
    names, level = write(folder / "page" / "audio", measured, rate, look.level, settings.seed)
    minutes = _minutes(plan, {name: _seconds(measured, all_) for name, all_ in heard.items()})
    content = {
        "id": plan.id,
        "title": look.title or look.texts["page.title"],
        "intro": look.intro,
        "minutes": minutes,
        "volume": {"file": names[volume], "beeps": _VOLUME_BEEPS},
        # Sorted by name: the order in which trials were made would tell which belong to one system
        "trials": {name: _for_listeners(plan.trials[name], heard, names) for name in sorted(plan.trials)},
        "forms": [[asdict(part) for part in form.parts] for form in plan.forms],
        "completion": {"url": look.completion.url, "code": look.completion.code, "own": bool(look.completion.secret)},
        "participant": look.participant,
        "link": LINK,
    }
    write_atomically(folder / "page" / "index.html", page(content, look.texts))
    write_atomically(folder / "plan.csv", _plan_csv(pool, plan))
    key = {
        "schema": SCHEMA,
        "plan": plan.id,
        "vceval": VERSION,
        "run": str(run.read_json("summary.json").get("name", "")),
        "settings": asdict(settings),
        "audio": {"sample_rate": rate, "format": "FLAC, 16 bit", "loudness_lufs": round(level, 2)},
        "trials": {
            trial.id: {
                **{name: value for name, value in asdict(trial).items() if name != "id"},
                "seconds": round(_seconds(measured, heard[trial.id]), 3),
            }
            for trial in plan.trials.values()
        },
        "forms": [asdict(form) for form in plan.forms],
        "files": {names[one]: {**asdict(one), "sha256": file_digest(one.path)} for one in sorted(names, key=names.get)},  # type: ignore[arg-type]
        "texts": look.texts.name,
        "completion": asdict(look.completion),
        "left_out": [dict(zip(("system", "pair", "reason"), row, strict=True)) for row in left_out],
    }
    write_atomically(folder / KEY, json.dumps(key, indent=1, ensure_ascii=False) + "\n")
    return Exported(folder, plan, len(names), level, rate, minutes, left_out)


def _all(found: tuple[dict[Recording, Measured], dict[Recording, str]]) -> dict[Recording, Measured]:
    good, bad = found
    for reason in bad.values():
        raise UsageError(f"a recording for practice and checks can't be used: {reason}")
    return good


def _candidates(pool: Pool, given: Mapping[str, Mapping[Condition, Iterable[str]]]) -> set[Recording]:
    """Everything that trials of these queues could need."""
    found: set[Recording] = set()
    for test, conditions in given.items():
        for condition, pairs in conditions.items():
            for pair in pairs:
                found |= {pool.audio[name, pair] for name in condition} | set(pool.beside(test, pair) or ())
    return found


def _without(pool: Pool, bad: set[Recording]) -> Pool:
    """Leave recordings out of a pool."""

    def kept(recordings: Mapping[Any, Recording]) -> dict[Any, Recording]:
        return {key: recording for key, recording in recordings.items() if recording not in bad}

    return Pool(
        pool.pairs, pool.systems, pool.converters, kept(pool.audio), kept(pool.references), kept(pool.sources),
        kept(pool.natural),
    )  # fmt: skip


def _speech(pool: Pool, plan: Plan) -> str:
    """The recording by which listeners set their volume: natural speech where there is some."""
    pairs = [trial.pair for trial in plan.trials.values()]
    natural = next((pool.natural[pair].path for pair in pairs if pair in pool.natural), None)
    return natural or next(r.path for (_, pair), r in sorted(pool.audio.items()) if pair in pairs)


def _seconds(measured: Mapping[Recording, Measured], recordings: Iterable[Recording]) -> float:
    return sum(measured[recording].seconds for recording in recordings)


def _minutes(plan: Plan, seconds: Mapping[str, float]) -> int:
    """How long a listener needs, by the longest form, in whole minutes and two more for everything around it."""
    needed = (
        sum(seconds[name] + _THINKING for part in form.parts for name in (*part.training, *part.trials))
        for form in plan.forms
    )
    return 2 + round(max(needed) / 60)


def _for_listeners(
    trial: Trial, heard: Mapping[str, tuple[Recording, ...]], names: Mapping[Recording, str]
) -> dict[str, Any]:
    """What the page says of a trial: its files; of the practice check, which is no secret, its answer too."""
    entry: dict[str, Any] = {"test": trial.test, "files": [names[recording] for recording in heard[trial.id]]}
    return {**entry, "expect": trial.answer} if trial.kind == "training" and trial.answer else entry


def _plan_csv(pool: Pool, plan: Plan) -> str:
    columns = ("form", "test", "place", "trial", "kind", "heard", "pair", "dataset", "direction", "answer")
    rows: list[tuple[object, ...]] = []
    for form in plan.forms:
        for part in form.parts:
            for place, name in enumerate((*part.training, *part.trials), 1):
                trial = plan.trials[name]
                row = pool.pairs[trial.pair]
                heard = " | ".join(trial.conditions) + (" (A is the target)" if trial.swapped else "")
                rows.append((
                    form.number, part.test, place, name, trial.kind, heard, trial.pair, row["dataset"],
                    row["direction"], trial.answer,
                ))  # fmt: skip
    return csv_text(columns, rows)
