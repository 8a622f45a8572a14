"""Answers as they come back: from browsers' files and the server's, once or twice, right or made up."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from listeners import listener, make_run, saved

from vceval.errors import UsageError
from vceval.listen.answers import Answer, Session, merged, read_answers
from vceval.listen.export import Exported, Look, export
from vceval.listen.key import Key, ratings, read_key
from vceval.listen.pages import PageFacts, page_facts
from vceval.listen.plan import Settings, Trial
from vceval.listen.screening import Rules, Screened, screen


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("answers")
    wanted = Settings(("mos", "smos", "abx", "ab"), forms=6, pairs=12, each=3, checks=2)
    return export(make_run(folder), folder / "test", wanted, Look())


@pytest.fixture(scope="module")
def facts(made: Exported) -> PageFacts:
    return page_facts(made.folder / "page" / "index.html")


@pytest.fixture(scope="module")
def key(made: Exported) -> Key:
    return read_key(made.folder / "key.json")


@pytest.fixture
def session(facts: PageFacts, key: Key) -> Session:
    return listener(1, facts, key, np.random.default_rng(1), rater="P01", comment='a "quoted", text\nof two lines')


def as_csv(session: Session, plan: str) -> str:
    columns = "plan,session,form,rater,started,finished,device,hearing,language,comment,trial,answer,seconds,plays"
    rows = [columns]
    for one in session.answers:
        cells: list[object] = [plan, session.id, session.form, session.rater, session.started, session.finished]
        cells += [session.about.get("device", ""), "", "", '"hel\nlo"']
        cells += [one.trial, one.answer, one.seconds, one.plays]
        rows.append(",".join('"' + str(cell).replace('"', '""') + '"' for cell in cells))
    return "\n".join(rows) + "\n"


def test_files_of_browsers_are_read_as_they_were_saved(session: Session, facts: PageFacts, tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text(saved(session, facts.plan))
    [found] = read_answers(tmp_path / "answers.json", facts)
    assert found == replace(session, origin="answers.json", comment='a "quoted", text of two lines')
    (tmp_path / "answers.csv").write_text(as_csv(session, facts.plan))
    [found] = read_answers(tmp_path / "answers.csv", facts)
    assert (found.id, found.form, found.answers) == (session.id, session.form, session.answers)
    assert found.about == {"device": "headphones"}
    assert found.comment == '"hel lo"'


@pytest.mark.parametrize(
    "change",
    [
        {"plan": "another"}, {"form": 0}, {"form": 99}, {"form": "1"}, {"form": True}, {"session": 5},
        {"answers": None}, {"answers": {"a": 1}}, {"answers": [5]},
        {"answers": [{"trial": "x", "answer": "3", "seconds": 1, "plays": 1}]},
    ],
)  # fmt: skip
def test_files_that_a_page_can_not_have_saved_are_refused_with_their_name(
    session: Session, facts: PageFacts, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({**json.loads(saved(session, facts.plan)), **change}))
    with pytest.raises(UsageError, match=r"answers\.json"):
        read_answers(path, facts)


@pytest.mark.parametrize("field", ["plays", "seconds"])
@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "NaN", "1e999", "9" * 400, "9" * 6000])
def test_numbers_out_of_all_range_are_refused_with_the_name_of_their_file(
    session: Session, facts: PageFacts, tmp_path: Path, field: str, value: str
) -> None:
    document = json.loads(saved(session, facts.plan))
    document["answers"][0][field] = "HERE"
    (tmp_path / "answers.json").write_text(json.dumps(document).replace('"HERE"', value))
    with pytest.raises(UsageError, match=r"answers\.json: no answers to this test"):
        read_answers(tmp_path / "answers.json", facts)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"no json"), ("a.json", b"\xff\xfe\x00"), ("a.json", b"[" * 50_000), ("a.json", b"[]"),
        ("a.csv", b"session,trial\n1,2\n"), ("a.csv", b"session,form\nx,NaN\n"), ("a.sqlite", b"no database"),
        ("a.txt", b""), ("a.json", b" " * (5 << 20)),
    ],
)  # fmt: skip
def test_other_files_are_refused_with_their_name(name: str, content: bytes, facts: PageFacts, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        read_answers(tmp_path / name, facts)


def test_a_database_of_something_else_is_refused(facts: PageFacts, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.sqlite") as database:
        database.execute("CREATE TABLE about (name, value)")
    with pytest.raises(UsageError, match=r"other\.sqlite"):
        read_answers(tmp_path / "other.sqlite", facts)


def test_the_same_answers_twice_are_one_session_and_the_first_answer_counts(session: Session) -> None:
    first, *others = session.answers
    other = "1" if first.answer != "1" else "2"
    again = replace(session, answers=(replace(first, answer=other), *others), origin="later.json")
    found, differing = merged([replace(session, answers=session.answers[:5]), again, session])
    assert [one.id for one in found] == [session.id]
    assert set(found[0].answers) == set(session.answers)
    assert differing == 1
    with pytest.raises(UsageError, match="form"):
        merged([session, replace(session, form=2)])


def screened(sessions: list[Session], facts: PageFacts, key: Key, rules: Rules | None = None) -> list[Screened]:
    expected = {number: len(trials) for number, trials in enumerate(facts.forms, 1)}
    return screen(sessions, expected, key, rules or Rules())


@pytest.fixture(scope="module")
def crowd(facts: PageFacts, key: Key) -> list[Session]:
    """Twenty careful listeners."""
    rng = np.random.default_rng(7)
    return [listener(number, facts, key, rng) for number in range(1, 21)]


def changed(session: Session, key: Key, **changes: object) -> Session:
    """Change every answer of a session: answer and seconds by functions of the trial and the answer."""
    answers = []
    for one in session.answers:
        values = {name: change(key.trials[one.trial], one) for name, change in changes.items()}  # type: ignore[operator]
        answers.append(replace(one, **values))
    return replace(session, answers=tuple(answers))


def test_careful_listeners_count(crowd: list[Session], facts: PageFacts, key: Key) -> None:
    found = screened(crowd, facts, key)
    assert all(one.kept for one in found)
    assert all((one.checks, one.right, one.fast) == (8, 8, 0) for one in found)
    assert min(one.agreement or 0 for one in found) > 0.7


def wrong_checks(trial: Trial, one: Answer) -> str:
    wrong = {"1": "2", "2": "3", "3": "4", "4": "5", "5": "1", "a": "b", "b": "a", "tie": "a"}
    return wrong[one.answer] if trial.kind == "check" else one.answer


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("attention checks", lambda s, k: changed(s, k, answer=wrong_checks)),
        ("too fast", lambda s, k: changed(s, k, seconds=lambda trial, one: 0.5 * k.seconds[trial.id])),
        ("incomplete", lambda s, k: replace(s, answers=s.answers[: len(s.answers) // 2])),
        (
            "all answers the same",
            lambda s, k: changed(
                s, k, answer=lambda t, one: "3" if t.kind == "item" and t.test == "mos" else one.answer
            ),
        ),
        (
            "anchors not told apart",
            lambda s, k: changed(
                s, k, answer=lambda t, one: "5" if t.conditions == ("anchor:mnru",) and t.test == "mos" else one.answer
            ),
        ),
        (
            "unlike everybody else",
            lambda s, k: changed(
                s, k,
                answer=lambda t, one: str(6 - int(one.answer)) if t.kind == "item" and t.test in ("mos", "smos")
                else one.answer,
            ),
        ),
    ],
)  # fmt: skip
def test_careless_listeners_are_left_out_for_what_they_did(
    crowd: list[Session], facts: PageFacts, key: Key, rule: str, spoil: object
) -> None:
    bad = spoil(crowd[4], key)  # type: ignore[operator]
    found = screened([*crowd[:4], bad, *crowd[5:]], facts, key)
    assert [one.kept for one in found] == [at != 4 for at in range(20)]
    assert rule in [reason.rule for reason in found[4].reasons]
    assert all(reason.text for reason in found[4].reasons)


def test_one_missed_check_of_eight_is_forgiven(crowd: list[Session], facts: PageFacts, key: Key) -> None:
    first = next(one for one in crowd[0].answers if key.trials[one.trial].kind == "check")
    slip = changed(crowd[0], key, answer=lambda t, one: wrong_checks(t, one) if one is first else one.answer)
    [one, *_] = screened([slip, *crowd[1:]], facts, key)
    assert (one.right, one.kept) == (7, True)


def test_a_code_that_comes_back_counts_once_with_its_fullest_session(
    crowd: list[Session], facts: PageFacts, key: Key
) -> None:
    short = replace(crowd[0], rater="P01", answers=crowd[0].answers[:-1])
    full = replace(crowd[1], rater="P01")
    found = screened([short, full, *crowd[2:]], facts, key)
    assert [reason.rule for reason in found[0].reasons] == ["answered twice"]
    assert found[1].kept


def test_loudspeakers_are_left_out_on_demand_only(crowd: list[Session], facts: PageFacts, key: Key) -> None:
    loud = [replace(crowd[0], about={"device": "loudspeakers"}), *crowd[1:]]
    assert screened(loud, facts, key)[0].kept
    assert not screened(loud, facts, key, Rules(headphones=True))[0].kept
    assert Rules().signature() != Rules(headphones=True).signature()


def test_who_only_looked_is_no_listener(crowd: list[Session], facts: PageFacts, key: Key) -> None:
    assert len(screened([replace(crowd[0], answers=()), *crowd[1:]], facts, key)) == 19


def test_ratings_say_what_an_answer_is_worth(facts: PageFacts, key: Key, session: Session) -> None:
    found = ratings([session], key)
    counted = [one for one in session.answers if key.trials[one.trial].kind == "item"]
    assert len(found) == len(counted)
    for answer, rating in zip(counted, found, strict=True):
        trial = key.trials[answer.trial]
        if trial.test in ("mos", "smos"):
            assert rating.value == float(answer.answer)
        elif trial.test == "abx":
            target = "a" if trial.swapped else "b"
            assert rating.value == (answer.answer == target)
        else:
            assert rating.conditions == ("alpha", "beta")
            chosen = {"a": trial.conditions[0], "b": trial.conditions[1]}.get(answer.answer)
            assert rating.value == {"alpha": 1, "beta": -1, None: 0}[chosen]
            assert rating.first == (trial.conditions[0] == "alpha")
