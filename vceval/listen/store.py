"""Answers in SQLite: sessions, their forms, and the first answer to each trial."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vceval.errors import UsageError
from vceval.listen.answers import Answer

__all__ = ["Full", "Progress", "Store"]

#: Sessions that one test takes; more are no listeners.
MAX_SESSIONS = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, form INTEGER NOT NULL, rater TEXT NOT NULL, started TEXT NOT NULL,
    finished TEXT NOT NULL DEFAULT '', about TEXT NOT NULL DEFAULT '{}', comment TEXT NOT NULL DEFAULT '',
    link TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS answers (
    session TEXT NOT NULL REFERENCES sessions, trial TEXT NOT NULL, answer TEXT NOT NULL, seconds REAL NOT NULL,
    plays INTEGER NOT NULL, received TEXT NOT NULL, PRIMARY KEY (session, trial)
);
"""


class Full(Exception):
    """No more sessions are taken."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is: its secret name, its form, the trials that are answered, whether it is finished."""

    session: str
    form: int
    answered: tuple[str, ...]
    finished: bool


class Store:
    """The file of answers to one test; may be used by several threads.

    Args:
        path: of the SQLite file, made where there is none, readable by its owner alone.
        plan: identity of the plan that is answered.
        forms: number of forms to give out.

    Raises:
        UsageError: the file is no such file, or holds answers to another plan.
    """

    def __init__(self, path: Path, plan: str, forms: int) -> None:
        self._forms = forms
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(path, check_same_thread=False)
            with self._database:
                self._database.executescript(_SCHEMA)
                if "link" not in {row[1] for row in self._database.execute("PRAGMA table_info(sessions)")}:
                    self._database.execute("ALTER TABLE sessions ADD COLUMN link TEXT NOT NULL DEFAULT '{}'")
                self._database.execute("INSERT OR IGNORE INTO about VALUES ('plan', ?)", (plan,))
            [found] = self._database.execute("SELECT value FROM about WHERE name = 'plan'").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"{path}: can't hold answers ({error})") from error
        if found != plan:
            self._database.close()
            raise UsageError(
                f"{path}: holds answers to plan {found}, this test is plan {plan}; give another file with --answers"
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def begin(self, rater: str, link: Mapping[str, str]) -> Progress:
        """Begin a session, on the form that fewest listeners have got so far.

        A participant who has one goes on with it; of several, with the fullest. Sessions without an answer do not count
        after three hours: somebody looked and went away.

        Raises:
            Full: there are too many sessions.
        """
        with self._lock, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            known = self._database.execute(
                "SELECT session FROM sessions WHERE rater = ? AND rater != '' ORDER BY (SELECT count(*) FROM answers"
                " WHERE answers.session = sessions.session) DESC, rowid LIMIT 1",
                (rater,),
            ).fetchone()
            if known and (found := self._progress(known[0])):
                return found
            [count] = self._database.execute("SELECT count(*) FROM sessions").fetchone()
            if count >= MAX_SESSIONS:
                raise Full
            rows = self._database.execute(
                "SELECT form, count(*) FROM sessions WHERE started > strftime('%Y-%m-%dT%H:%M:%S', 'now', '-3 hours')"
                " OR EXISTS (SELECT 1 FROM answers WHERE answers.session = sessions.session) GROUP BY form"
            )
            given = dict(rows.fetchall())
            form = min(range(1, self._forms + 1), key=lambda number: given.get(number, 0))
            session = secrets.token_hex(16)
            self._database.execute(
                "INSERT INTO sessions (session, form, rater, started, link) VALUES (?, ?, ?, ?, ?)",
                (session, form, rater, _now(), json.dumps(link, sort_keys=True)),
            )
        return Progress(session, form, (), False)

    def progress(self, session: str) -> Progress | None:
        """How far a session is; None where there is no such session."""
        with self._lock:
            return self._progress(session)

    def _progress(self, session: str) -> Progress | None:
        row = self._database.execute("SELECT form, finished FROM sessions WHERE session = ?", (session,)).fetchone()
        answers = self._database.execute("SELECT trial FROM answers WHERE session = ? ORDER BY rowid", (session,))
        return Progress(session, int(row[0]), tuple(name for [name] in answers), bool(row[1])) if row else None

    def add(self, session: str, answers: Sequence[Answer], about: Mapping[str, str]) -> int:
        """Store answers and return how many were new; a trial that was answered before keeps its first answer."""
        now = _now()
        rows = [(session, one.trial, one.answer, one.seconds, one.plays, now) for one in answers]
        with self._lock, self._database:
            before = self._database.total_changes
            self._database.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)", rows)
            added = self._database.total_changes - before
            if about:
                text = json.dumps(about, sort_keys=True)
                self._database.execute("UPDATE sessions SET about = ? WHERE session = ?", (text, session))
        return added

    def finish(self, session: str, comment: str) -> bool:
        """Mark a session as finished; False where it was so before."""
        with self._lock, self._database:
            done = self._database.execute(
                "UPDATE sessions SET finished = ?, comment = ? WHERE session = ? AND finished = ''",
                (_now(), comment, session),
            )
        return done.rowcount == 1

    def counts(self) -> tuple[int, int, int]:
        """Sessions with an answer, finished sessions, answers."""
        with self._lock:
            row = self._database.execute(
                "SELECT (SELECT count(DISTINCT session) FROM answers), "
                "(SELECT count(*) FROM sessions WHERE finished != ''), (SELECT count(*) FROM answers)"
            ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
