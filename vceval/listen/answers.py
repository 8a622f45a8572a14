"""Answers of listeners: what one may hold, and reading them from files that a browser or the server wrote.

Whatever comes in is checked the same way: the form must exist, a trial must belong to it, an answer must be one of
its options. Nothing else is kept.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from vceval.errors import UsageError
from vceval.listen.kinds import KINDS
from vceval.listen.pages import QUESTIONS, PageFacts
from vceval.storage.csv_files import as_written
from vceval.storage.paths import no_such_file

__all__ = ["LINK", "Answer", "Session", "checked_about", "checked_answers", "checked_link", "merged", "read_answers"]

#: No answer takes longer than this, in seconds: a page that was left open over night says nothing about care.
_LONGEST = 86_400.0
#: Larger files hold no answers of a listener.
_FILE_LIMIT = 4 << 20
#: Longest text that a listener may write.
COMMENT, CODE = 2000, 64
#: What the link of a crowd platform says beside its participant, and is kept.
LINK = ("STUDY_ID", "SESSION_ID", "assignmentId", "hitId")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the option's value, seconds from the sight of the question to the answer, recordings played."""

    trial: str
    answer: str
    seconds: float
    plays: int


@dataclass(frozen=True, slots=True)
class Session:
    """One listener's way through one form.

    origin: the file that it came from. link: what the listener's link said of study and task. served: whether a server
    gave it out.
    """

    id: str
    form: int
    rater: str
    started: str
    finished: str
    about: Mapping[str, str]
    comment: str
    answers: tuple[Answer, ...]
    origin: str = ""
    link: Mapping[str, str] = field(default_factory=dict)
    served: bool = False


def checked_answers(entries: Any, form: int, facts: PageFacts) -> list[Answer]:
    """Check answers to one form as they came out of JSON or CSV.

    Raises:
        ValueError: the form does not exist, or an entry is none of its answers.
    """
    if not 1 <= form <= len(facts.forms):
        raise ValueError(f"there is no form {form}")
    if not isinstance(entries, list):
        raise ValueError("answers must be a list")
    allowed = frozenset(facts.forms[form - 1])
    return [_answer(entry, form, allowed, facts) for entry in entries]


def _answer(entry: Any, form: int, allowed: frozenset[str], facts: PageFacts) -> Answer:
    if not isinstance(entry, Mapping):
        raise ValueError("an answer must be an object")
    trial, answer = entry.get("trial"), entry.get("answer")
    if not isinstance(trial, str) or trial not in allowed:
        raise ValueError(f"form {form} has no trial {trial!r:.40}")
    if not isinstance(answer, str) or answer not in (option.value for option in KINDS[facts.trials[trial]].options):
        raise ValueError(f"trial {trial} can't be answered by {answer!r:.40}")
    seconds, plays = entry.get("seconds"), entry.get("plays")
    if not _is_number(seconds) or not 0 <= seconds < 1e15:
        raise ValueError(f"trial {trial}: seconds must be a number")
    if not _is_number(plays) or not 0 <= plays < 1e6 or plays != int(plays):
        raise ValueError(f"trial {trial}: plays must be a whole number")
    return Answer(trial, answer, min(float(seconds), _LONGEST), int(plays))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def checked_about(given: Any) -> dict[str, str]:
    """Keep what a listener said about headphones, hearing and language; what no question has asked is dropped."""
    if not isinstance(given, Mapping):
        return {}
    return {name: given[name] for name, values in QUESTIONS.items() if given.get(name) in values}


def checked_link(given: Any) -> dict[str, str]:
    """Keep what a link said of study and task."""
    found = {name: plain(given.get(name), CODE) for name in LINK} if isinstance(given, Mapping) else {}
    return {name: value for name, value in found.items() if value}


def plain(text: Any, longest: int) -> str:
    """Keep a text's printable characters, up to a length; empty for anything that is no text."""
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:longest]


def read_answers(path: Path, facts: PageFacts) -> list[Session]:
    """Read a file of answers: the server's SQLite file, or JSON or CSV that a browser saved.

    Raises:
        UsageError: it can't be read, belongs to another test, or holds what the page can't have sent.
    """
    try:
        if path.stat().st_size > _FILE_LIMIT and path.suffix not in (".sqlite", ".db"):
            raise UsageError(f"{path}: {path.stat().st_size:,} bytes are more than a listener's answers can be")
        if path.suffix in (".sqlite", ".db"):
            return _from_sqlite(path, facts)
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return [_session(json.loads(text), facts, path)]
        if path.suffix == ".csv":
            return [_session(document, facts, path) for document in _documents(text)]
    except FileNotFoundError:
        raise UsageError(no_such_file(path)) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error, sqlite3.Error) as error:
        raise UsageError(f"{path}: no answers to this test ({error})") from error
    raise UsageError(f"{path}: answers are read from .sqlite, .json and .csv files")


def _session(document: Any, facts: PageFacts, path: Path) -> Session:
    if not isinstance(document, Mapping) or not isinstance(document.get("session"), str):
        raise ValueError("not a file that a listening test saved")
    if document.get("plan") != facts.plan:
        raise ValueError(f"it answers plan {document.get('plan')!r:.40}, this test is plan {facts.plan!r}")
    form = document.get("form")
    if not isinstance(form, int) or isinstance(form, bool):
        raise ValueError("its form must be a whole number")
    answers = checked_answers(document.get("answers"), form, facts)
    return Session(
        id=plain(document["session"], CODE),
        form=form,
        rater=plain(document.get("rater"), CODE),
        started=plain(document.get("started"), CODE),
        finished=plain(document.get("finished"), CODE),
        about=checked_about(document.get("about")),
        comment=plain(document.get("comment"), COMMENT),
        answers=tuple(answers),
        origin=path.name,
        link=checked_link(document.get("link")),
        served=document.get("served") is True,
    )


def _documents(text: str) -> list[dict[str, Any]]:
    """Turn rows of CSV, one an answer, into the documents that JSON files are."""
    found: dict[str, dict[str, Any]] = {}
    # Comments may hold line breaks, so this is no table of one row a line; a page writes it, not a person
    for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
        if None in row or None in row.values():
            raise ValueError("a row with more or fewer cells than the header")
        row = {name: as_written(cell) for name, cell in row.items()}
        document = found.setdefault(row["session"], {
            **row, "form": int(row["form"]), "served": row.get("served") == "true", "about": row, "link": row,
            "answers": [],
        })  # fmt: skip
        answer = {"seconds": float(row["seconds"]), "plays": int(row["plays"])}
        document["answers"].append({"trial": row["trial"], "answer": row["answer"], **answer})
    return list(found.values())


def _from_sqlite(path: Path, facts: PageFacts) -> list[Session]:
    if not path.is_file():
        raise FileNotFoundError
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        [plan] = database.execute("SELECT value FROM about WHERE name = 'plan'").fetchone() or [None]
        answers: dict[str, list[dict[str, Any]]] = {}
        for row in database.execute("SELECT session, trial, answer, seconds, plays FROM answers ORDER BY rowid"):
            answers.setdefault(row["session"], []).append(dict(row))
        return [
            _session({**row, "plan": plan, "served": True, "about": json.loads(row["about"]),
                      "link": json.loads(row.get("link", "{}")), "answers": answers.get(row["session"], [])},
                     facts, path)
            for row in map(dict, database.execute("SELECT * FROM sessions ORDER BY rowid"))
        ]  # fmt: skip


def merged(sessions: Iterable[Session]) -> tuple[list[Session], int]:
    """Put together what is known of each session; the first answer to a trial counts.

    The same answers may come twice, from the server and from a file that the listener saved besides.

    Returns:
        The sessions, and how many later answers differed from the first.

    Raises:
        UsageError: two files give one session two forms.
    """
    found: dict[str, Session] = {}
    differing = 0
    for session in sessions:
        known = found.get(session.id)
        if known is None:
            first, extra = _firsts(session.answers)
            found[session.id] = _with(session, first, session)
        else:
            if known.form != session.form:
                raise UsageError(
                    f"{session.origin}: session {session.id} answers form {session.form}, but form {known.form} in "
                    f"{known.origin}"
                )
            first, extra = _firsts((*known.answers, *session.answers))
            found[session.id] = _with(known, first, session)
        differing += extra
    return list(found.values()), differing


def _firsts(answers: Sequence[Answer]) -> tuple[tuple[Answer, ...], int]:
    kept: dict[str, Answer] = {}
    differing = 0
    for answer in answers:
        differing += kept.setdefault(answer.trial, answer).answer != answer.answer
    return tuple(kept.values()), differing


#: What any of several files may know of a session.
_KNOWN = ("rater", "started", "finished", "about", "comment", "link", "served")


def _with(one: Session, answers: tuple[Answer, ...], other: Session) -> Session:
    kept = {name: getattr(one, name) or getattr(other, name) for name in _KNOWN}
    return replace(one, answers=answers, **kept)
