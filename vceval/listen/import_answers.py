"""Imports answers: screens listeners, computes what follows, writes ``listening.json`` and ``listening.csv``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.listen import differences, opinion_scores
from vceval.listen.answers import LINK, merged, read_answers
from vceval.listen.completion import Completion, codes_in
from vceval.listen.correlation import agreement
from vceval.listen.key import KEY, Key, Rating, ratings, read_key
from vceval.listen.kinds import KINDS
from vceval.listen.pages import page_facts
from vceval.listen.recordings import ANCHOR_TITLES, PREFIX
from vceval.listen.screening import Rules, Screened, screen
from vceval.results.listening import FILE, RATINGS, heard
from vceval.results.rundir import RunDirectory, write_atomically
from vceval.storage.csv_files import csv_text

if TYPE_CHECKING:
    import pandas

__all__ = ["VERSION", "Imported", "import_answers"]

#: Changes with anything that changes a value.
VERSION = "1.0"
#: The file in the folder of a test that says who has finished.
COMPLETION = "completion.csv"
_COMPLETION = (
    "listener", "participant", *LINK, "code", "finished", "answers", "expected", "checks_right", "checks", "counts",
    "reasons", "code_reported",
)  # fmt: skip
_SOURCES = {
    "mos": "ITU-T P.800, Methods for subjective determination of transmission quality, 1996 (absolute category rating)",
    "smos": "ITU-T P.800, 1996, asked of the similarity to a reference of the target speaker",
    "abx": "Munson and Gardner, Standardizing auditory tests, J. Acoust. Soc. Am. 22, 1950, with the voices of source "
    "and target as A and B",
    "ab": "Paired comparison with ties, as in Figure 4b of ClsVC",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found: all of ``listening.json``, the listeners, and how many repeated answers differed.

    completed: who has finished, for a test with codes or a link back; None for another.
    """

    found: dict[str, Any]
    listeners: Sequence[Screened]
    differing: int
    completed: Completed | None


@dataclass(frozen=True, slots=True)
class Completed:
    """Who has finished: the file that names them, how many, and what became of the codes that a platform reported.

    unknown: codes of nobody who has finished. silent: how many have finished, and their code was not reported.
    """

    path: Path
    finished: int
    reported: int
    unknown: Sequence[str]
    silent: int


def import_answers(
    run: RunDirectory,
    test: Path,
    files: Sequence[Path],
    rules: Rules,
    keep_all: bool = False,
    codes: Path | None = None,
) -> Imported:
    """Analyse the answers to a listening test and write the results into the run.

    Args:
        run: that the test was made from.
        test: folder of the test.
        files: answers: the server's SQLite file, JSON and CSV files that browsers saved.
        rules: whose answers count.
        keep_all: count everybody's answers, whatever the rules say; reasons are kept all the same.
        codes: any file that holds the codes which listeners have given to their platform.

    Raises:
        UsageError: a file is none of this test's, the run is another one, nobody has answered or nobody is left.
    """
    key = read_key(test / KEY)
    facts = page_facts(test / "page" / "index.html")
    if facts.plan != key.plan:
        raise UsageError(f"{test}: page and key belong to different tests ({facts.plan}, {key.plan}); export again")
    pairs = {row["pair"]: row for row in run.read_pairs()}
    summary = run.read_json("summary.json")
    rows = {str(row["name"]): bool(row.get("control")) for row in summary.get("systems", ())}
    _check_run(run, key, pairs, rows)
    given_codes = _reported(codes, key)
    sessions, differing = merged(session for path in files for session in read_answers(path, facts))
    expected = {number: len(trials) for number, trials in enumerate(facts.forms, 1)}
    listeners = screen(sessions, expected, key, rules)
    if not listeners:
        raise UsageError(f"{', '.join(map(str, files))}: nobody has answered yet")
    kept = [one.session for one in listeners if one.kept or keep_all]
    completed = _completed(test / COMPLETION, listeners, key, given_codes)
    if not kept:
        raise UsageError(
            f"none of {len(listeners)} listeners passes the screening, such as: {listeners[0].reasons[0].text}; "
            "--keep-all counts their answers all the same"
        )
    given = ratings(kept, key)
    groups = {name: opinion_scores.Group(row["dataset"], row["direction"]) for name, row in pairs.items()}
    cells = opinion_scores.cells(given, groups, key.planned)
    human = opinion_scores.per_pair(given)
    converters = [name for name, control in rows.items() if not control]
    tests = [test_name for test_name in KINDS if any(rating.test == test_name for rating in given)]
    tested = differences.comparisons(given, converters, key.planned)
    found = {
        "schema": 1,
        "plan": key.plan,
        "metrics": [_metric(name, key, given, len(kept), len(listeners), rules, keep_all) for name in tests],
        "measures": opinion_scores.measure_rows(tests),
        "cells": [cell for cell in cells if cell["system"] in rows],
        "comparisons": tested,
        "rankings": differences.rankings(cells, converters, tested),
        "pairs": [row for row in human if row["system"] in rows],
        "anchors": [{**cell, "title": ANCHOR_TITLES[cell["system"]]} for cell in opinion_scores.anchors(cells)],
        "preferences": differences.preferences(given, converters),
        "first_preferred": differences.share_of_first(given),
        "agreement": agreement(human, cells, summary, _heard_scores(run), rows),
        "listeners": [one.facts() for one in listeners],
        "left_out": dict(Counter(rule for one in listeners for rule in {reason.rule for reason in one.reasons})),
        "kept": len(kept),
        "keep_all": keep_all,
        "differing": differing,
        "heard": heard(run, {(row["system"], row["pair"]) for row in human}),
        "audio": dict(key.audio),
        "settings": dict(key.settings),
    }
    run.write_json(FILE, found)
    write_atomically(run.root / RATINGS, _csv(given, {one.session.id: at for at, one in enumerate(listeners, 1)}))
    run.hashes.write(FILE, RATINGS)
    return Imported(found, listeners, differing, completed)


def _reported(path: Path | None, key: Key) -> Sequence[str] | None:
    if path is None:
        return None
    if not key.completion.secret:
        raise UsageError(f"--codes {path}: listeners had no codes of their own; export the test with --own-codes")
    return codes_in(path)


def _completed(path: Path, listeners: Sequence[Screened], key: Key, reported: Sequence[str] | None) -> Completed | None:
    """Write down who has finished, beside the test: it names participants, and stays out of the run."""
    if key.completion == Completion() and not any(one.session.link for one in listeners):
        return None
    rows, codes = [], []
    for at, one in enumerate(listeners, 1):
        session = one.session
        finished = bool(session.finished) and len(session.answers) == one.expected
        code = key.completion.of(session) if finished else ""
        codes += [code] if finished else []
        rows.append((
            at, session.rater, *(session.link.get(name, "") for name in LINK), code, "yes" if finished else "no",
            len(session.answers), one.expected, one.right, one.checks, "yes" if one.kept else "no",
            "; ".join(reason.text for reason in one.reasons),
            "" if reported is None else "yes" if code in reported else "no",
        ))  # fmt: skip
    write_atomically(path, csv_text(_COMPLETION, rows))
    given = reported or ()
    unknown = [code for code in given if code not in codes]
    return Completed(path, len(codes), len(given), unknown, sum(code not in given for code in codes))


def _heard_scores(run: RunDirectory) -> pandas.DataFrame:
    """The scores of the recordings that listeners hear: those of seed 0."""
    takes = run.read_takes()
    return takes[takes["seed"] == 0]


def _check_run(run: RunDirectory, key: Key, pairs: dict[str, Any], rows: dict[str, bool]) -> None:
    """Make sure that what was rated is what the run holds."""
    for trial in key.trials.values():
        systems = [name for name in trial.conditions if not name.startswith(PREFIX)]
        if trial.pair not in pairs or any(name not in rows for name in systems):
            missing = trial.pair if trial.pair not in pairs else next(name for name in systems if name not in rows)
            raise UsageError(
                f"{run.root}: has no {missing!r}, which listeners heard; the test was made from another run"
            )
    if changed := key.changed():
        raise UsageError(
            f"{changed[0]}: not what listeners heard any more ({len(changed)} recordings have changed since the test "
            "was made); their ratings say nothing of this run"
        )


def _metric(
    test: str, key: Key, given: Sequence[Rating], kept: int, all_: int, rules: Rules, keep_all: bool
) -> dict[str, Any]:
    """Say what a test measured in the shape of ``summary.json``'s metrics.

    The plan is part of the signature: listeners judge by what else they hear, so scores of two tests can't be
    compared. It says too what intervals are taken over, which is not what captions say of the other metrics.
    """
    kind = KINDS[test]
    count = sum(rating.test == test for rating in given)
    scale = f"acr{len(kind.options)}" if kind.scale else "/".join(option.value for option in kind.options)
    screening = "none" if keep_all else rules.signature()
    signature = "|".join([
        f"LISTEN-{test.upper()}", f"scale:{scale}", f"texts:{key.texts}", f"test:{key.plan}",
        f"sr:{key.audio['sample_rate']}",
        f"level:{key.audio['loudness_lufs']}LUFS", f"screen:{screening}",
        f"listeners:{kept}/{all_}", "interval:listeners*pairs", f"v:{VERSION}",
    ])  # fmt: skip
    return {
        "metric": opinion_scores.MEASURES[test].name,
        "title": f"{kind.title}: {count:,} ratings by {kept} of {all_} listeners, intervals over listeners and pairs",
        "signature": signature,
        "long_signature": signature,
        "source": _SOURCES[test],
        "needs": [],
    }


def _csv(given: Sequence[Rating], numbers: dict[str, int]) -> str:
    """All ratings that count; listeners are numbered, since the names of their sessions are secret."""
    return csv_text(
        ("listener", "test", "system", "other", "pair", "value"),
        ((numbers[one.rater], one.test, *(*one.conditions, "")[:2], one.pair, f"{one.value:g}") for one in given),
    )
