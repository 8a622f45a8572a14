"""The key of a test read back: what each trial was, so that answers become ratings of systems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.listen.answers import Session
from vceval.listen.completion import Completion
from vceval.listen.kinds import KINDS
from vceval.listen.plan import Trial
from vceval.storage.cache import file_digest
from vceval.storage.paths import no_such_file

__all__ = ["KEY", "Key", "Rating", "ratings", "read_key"]

#: The file that listeners never see.
KEY = "key.json"


@dataclass(frozen=True, slots=True)
class Key:
    """What a test was: its trials, how long each plays in seconds, how recordings were made, the settings.

    ``texts`` names what listeners read, by language.

    ``planned`` is how many pairs were to be heard, by test and condition (a preference in the order of the results).
    """

    plan: str
    trials: Mapping[str, Trial]
    seconds: Mapping[str, float]
    forms: int
    audio: Mapping[str, Any]
    settings: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    texts: str
    completion: Completion

    @property
    def planned(self) -> dict[tuple[str, tuple[str, ...]], set[str]]:
        """The pairs of each test and condition."""
        found: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        for trial in self.trials.values():
            if trial.kind == "item":
                found.setdefault((trial.test, tuple(sorted(trial.conditions))), set()).add(trial.pair)
        return found

    def changed(self) -> list[str]:
        """The recordings of the run that are no longer what listeners heard; missing ones are passed over."""
        return sorted({
            str(entry["path"])
            for entry in self.files.values()
            if Path(entry["path"]).is_file() and file_digest(entry["path"]) != entry["sha256"]
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rating:
    """One answer that counts: who gave it, to what, and what it is worth.

    ``value`` is the score on a scale; for ABX 1 where the voice of the target was heard, else 0; for a preference 1
    for ``conditions[0]``, -1 for ``conditions[1]``, 0 for neither. ``first`` says whether ``conditions[0]`` was A.
    """

    rater: str
    test: str
    conditions: tuple[str, ...]
    pair: str
    value: float
    first: bool = True


def read_key(path: Path) -> Key:
    """Read ``key.json``.

    Raises:
        UsageError: it is missing or no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        trials = {
            name: Trial(
                name, entry["test"], entry["kind"], tuple(entry["conditions"]), entry["pair"], entry["swapped"],
                entry["answer"],
            )
            for name, entry in content["trials"].items()
        }  # fmt: skip
        unknown = {trial.test for trial in trials.values()} - set(KINDS)
        if unknown:
            raise ValueError(f"unknown test {sorted(unknown)[0]}")
        completion = Completion(**content.get("completion", {}))
        bytes.fromhex(completion.secret)
        return Key(
            plan=content["plan"],
            trials=trials,
            seconds={name: float(entry["seconds"]) for name, entry in content["trials"].items()},
            forms=len(content["forms"]),
            audio=content["audio"],
            settings=content["settings"],
            files=content["files"],
            texts=str(content.get("texts", "en")),
            completion=completion,
        )
    except FileNotFoundError:
        raise UsageError(f"{no_such_file(path)}; was the test made by vceval listen export?") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: not the key of a listening test ({type(error).__name__}: {error})") from error


def ratings(sessions: Iterable[Session], key: Key) -> list[Rating]:
    """Turn answers into ratings; checks are no ratings."""
    found = []
    for session in sessions:
        for answer in session.answers:
            trial = key.trials[answer.trial]
            if trial.kind != "item":
                continue
            conditions, first = trial.conditions, True
            if trial.test == "abx":
                value = float((answer.answer == "a") == trial.swapped)
            elif trial.test == "ab":
                conditions = tuple(sorted(trial.conditions))
                first = conditions == trial.conditions
                value = {"a": 1.0, "b": -1.0, "tie": 0.0}[answer.answer] * (1 if first else -1)
            else:
                value = float(answer.answer)
            found.append(Rating(session.id, trial.test, conditions, trial.pair, value, first))
    return found
