"""Verdicts: which measure decides, who wins, what a tie needs, what is missing; sentences fit a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import HOSTILE, RUNS, FakeRun, demo, single

from vceval.benchmarks.speed.scale import Zero
from vceval.metrics.base import QUESTIONS, Measure
from vceval.records import ConversionPair, Failure, Score, Skip
from vceval.results import views
from vceval.results.marks import UNDECIDED, Comparison, Enough, Ranking
from vceval.results.summary import summarise
from vceval.results.table import Tally
from vceval.results.verdicts import ASKED, PREFERENCE, as_json, judged, lines, p_text, verdicts
from vceval.results.views import MeasureView, Report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return views.load(demo(tmp_path_factory.mktemp("demo")))


def measure(name: str, question: str, better: str = "higher", **facts: object) -> MeasureView:
    return MeasureView(name, name, name.upper(), "%", better, 100.0, 1, question=question, **facts)  # type: ignore[arg-type]


def compared(first: str, second: str, difference: float, p: float | None, enough: Enough | None = None) -> Comparison:
    return Comparison(first, second, 48, difference, difference - 0.1, difference + 0.2, p, enough)


def ranked(report: Report, measures: Sequence[MeasureView], **rankings: Ranking) -> Report:
    found = {(name, "all", "all"): ranking for name, ranking in rankings.items()}
    return replace(report, measures=measures, rankings=found, training=None)


def decided(report: Report, p: float = 0.01) -> Ranking:
    good, hostile, _ = (system.name for system in report.converters)
    one = compared(good, hostile, 0.3, p)
    return Ranking([good, hostile], {good: 0.8, hostile: 0.5}, 48, 0, 4, 3, best=frozenset({good}),
                   second=frozenset({hostile}), comparisons=[one])  # fmt: skip


def tie(report: Report, enough: Enough | None, count: int = 2) -> Ranking:
    order = [system.name for system in report.converters][:count]
    pairs = [compared(order[0], name, 0.01 * n, 0.5 / n, enough if n == count - 1 else None)
             for n, name in enumerate(order[1:], 1)]  # fmt: skip
    return Ranking(order, dict.fromkeys(order, 0.5), 48, 0, 4, 4, reason=UNDECIDED, comparisons=pairs)


# Which measure decides


def test_the_order_of_preference_is_kept_and_only_what_ranks_decides(report: Report) -> None:
    names = ["other", "sv_cosine", "sv_accept:ecapa", "sv_accept", "listening_smos"]
    measures = [measure(name, "voice") for name in names]
    ranking = decided(report)
    for expected in ("listening_smos", "sv_accept:ecapa", "sv_accept", "sv_cosine", "other"):
        run = ranked(report, measures, **{one.name: ranking for one in measures})
        found = verdicts(run)[0].measure
        assert found is not None
        assert found.name == expected
        measures = [one for one in measures if one.name != expected]


def test_who_wins_does_not_choose_the_measure(report: Report) -> None:
    """The rate can't tell them apart, the cosine can: it is undecided."""
    measures = [measure("sv_accept", "voice"), measure("sv_cosine", "voice")]
    run = ranked(report, measures, sv_accept=tie(report, None), sv_cosine=decided(report))
    assert verdicts(run)[0].headline == "Undecided"
    one_ranked = Ranking(["good"], {"good": 0.5}, reason="fewer than two systems to rank")
    untested = replace(tie(report, None), reason="no difference could be tested")
    for nothing in (one_ranked, untested, Ranking()):
        run = ranked(report, measures, sv_accept=nothing, sv_cosine=decided(report))
        assert verdicts(run)[0].measure == measures[1]


def test_ears_too_weak_for_words_do_not_judge_by_characters(report: Report) -> None:
    measures = [measure(name, "words", "lower", judge="PocketSphinx") for name in ("wer_capped", "cer_capped")]
    reason = "PocketSphinx too weak to rank: 31.0 % on natural speech, at most 15.0 %"
    weak = replace(decided(report), best=frozenset(), second=frozenset(), reason=reason, weak=True)
    found = verdicts(ranked(report, measures, wer_capped=weak, cer_capped=decided(report)))[1]
    assert (found.measure, found.headline, found.reason) == (measures[0], "Not compared", f"{reason}.")


def test_languages_without_blanks_are_judged_by_characters(report: Report) -> None:
    measures = [measure("wer_capped", "words", "lower"), measure("cer_capped", "words", "lower")]
    run = ranked(report, measures, wer_capped=decided(report), cer_capped=decided(report))
    for language, place in (("en", 0), ("cmn", 1), ("zh-CN", 1), ("", 0)):
        rows = [{**row, "language": language} for row in report.pairs]
        assert verdicts(replace(run, pairs=rows))[1].measure == measures[place]


def test_measures_of_vceval_answer_the_questions_that_the_order_names() -> None:
    assert set(PREFERENCE) == set(ASKED) == set(QUESTIONS)
    faults = Measure("m", "M", "", "lower", question="looks").declaration_faults()  # type: ignore[arg-type]
    assert "question" in faults[0]
    assert "voice, words, quality" in faults[0]
    assert Measure("m", "M", "", "lower", question="words", ranked_by="c").declaration_faults()
    assert not Measure("m", "M", "", "lower", question="words").declaration_faults()


# What is said


def test_a_winner_with_lead_interval_p_and_counts(report: Report) -> None:
    run = ranked(report, [measure("sv_accept", "voice")], sv_accept=decided(report))
    found = verdicts(run)[0]
    facts = "[20.0, 50.0], p = 0.010, 48 pairs of 4×3 speakers."
    assert found.sentence == f"Good system: ahead of {HOSTILE} by 30.0 points of SV_ACCEPT {facts}"
    assert (found.winners, found.tied, found.nearest) == (["good"], [], None)
    entry = as_json([found])["verdicts"][0]
    assert entry["ahead"]["difference"] == pytest.approx(30.0)
    assert (entry["ahead"]["targets"], entry["ahead"]["sources"], entry["winners"]) == (4, 3, ["good"])


def test_the_lead_is_positive_whichever_way_the_measure_goes(report: Report) -> None:
    """WER: first minus second is negative where the first is better; the lead is not, and names stay in place."""
    ranking = decided(report)
    one = ranking.comparisons[0]
    lower = replace(ranking, comparisons=[replace(one.turned(), first=one.first, second=one.second)])
    run = ranked(report, [measure("wer_capped", "words", "lower")], wer_capped=lower)
    found = verdicts(run)[1]
    assert found.ahead == one
    turned = replace(ranking, comparisons=[one.turned()])
    assert verdicts(ranked(report, [measure("sv_accept", "voice")], sv_accept=turned))[0].ahead == one


def test_of_a_measure_with_a_best_value_it_says_how_much_closer(report: Report) -> None:
    eer = measure("eer", "voice", reduction="eer", best=0.5)
    closer = [compared("good", HOSTILE, -0.12, 0.01)]
    run = ranked(report, [eer], eer=replace(decided(report), comparisons=closer))
    assert "by 12.0 points of EER closer to 50.0 [" in verdicts(run)[0].sentence


def test_a_tie_says_what_would_do(report: Report) -> None:
    one = measure("sv_accept", "voice")

    def sentence(enough: Enough | None, count: int = 2) -> str:
        return verdicts(ranked(report, [one], sv_accept=tie(report, enough, count)))[0].sentence

    start = f"Undecided: Good system and {HOSTILE} can't be told apart (the first ahead by 1.0 points of SV_ACCEPT "
    assert sentence(Enough({"target": 12, "text": 1}, 700)) == (
        f"{start}[−9.0, 21.0], p = 0.50, 48 pairs of 4×4 speakers). About 12 more target speakers and 1 more text "
        "would do, if the difference is as large as it looks."
    )
    assert "About 252 more pairs would do" in sentence(Enough({}, 300))
    assert sentence(Enough({}, None)).endswith(
        "No corpus of usual size would show one so small; it can still be as large as 21.0 points."
    )
    assert sentence(Enough({}, None, threshold=True)).endswith(
        "More pairs alone would not tell: the threshold is learnt from too little natural speech; it can still be as "
        "large as 21.0 points."
    )
    three = sentence(Enough({"listener": 1}, 700), 3)
    assert "long_name_" in three
    assert "(Good system ahead of long_name_" in three
    assert "About 1 more listener would tell Good system from long_name_" in three


def test_several_winners_can_not_be_told_apart(report: Report) -> None:
    good, hostile, long = (system.name for system in report.converters)
    pairs = [compared(good, hostile, 0.1, 0.4, Enough({"source": 5}, 90)), compared(good, long, 0.3, 0.0004)]
    ranking = Ranking([good, hostile, long], dict.fromkeys((good, hostile, long), 0.5), 48, 0, 4, 4,
                      best=frozenset({good, hostile}), second=frozenset({long}), comparisons=pairs)  # fmt: skip
    found = verdicts(ranked(report, [measure("sv_accept", "voice")], sv_accept=ranking))[0]
    assert found.headline == f"Good system and {HOSTILE}"
    assert found.reason.startswith("can't be told apart; Good system ahead of long_name_")
    assert "p < 0.001" in found.reason
    assert "About 5 more source speakers would do" in found.reason


def test_training_on_the_pairs_speakers_stands_beside_a_win(report: Report) -> None:
    run = ranked(report, [measure("sv_accept", "voice")], sv_accept=decided(report))
    heard = {"systems": [{"system": "good", "pairs": 48, "left": 36}, {"system": HOSTILE, "pairs": 48, "left": 0}]}
    assert verdicts(replace(run, training=heard))[0].sentence.endswith("It was trained on speakers of 12 of 48 pairs.")


def test_what_is_not_measured_is_said_with_what_would_tell(report: Report) -> None:
    found = verdicts(ranked(report, []))
    assert [one.headline for one in found] == ["Not measured"] * 3
    for one, metric in zip(found, ("sv", "wer or cer", "mos or listeners"), strict=True):
        assert metric in one.reason
    assert [line.split()[0] for line in lines(found, 80) if not line.startswith(" ")] == ["voice", "words", "quality"]


def summed_up(tmp_path: Path, tally: Tally, names: Sequence[str], one: Measure) -> Report:
    """The report of a run with one measure and what became of its pairs."""
    rows = [{"name": name, "title": name, "control": False, "expected": len(tally.pairs)} for name in names]
    metric = type("Only", (Zero,), {"measures": (one,)})()
    summary = summarise(tally, rows, [metric])
    base = views.load(single(tmp_path))
    view = replace(base, systems=[], measures=[MeasureView.of(entry) for entry in summary["measures"]])
    rankings = views.rankings_of(summary["rankings"], summary["comparisons"])
    systems = [replace(base.systems[0], name=name, title=name) for name in names]
    return replace(view, systems=systems, rankings=rankings)


PAIRS = {
    f"p{n}": ConversionPair(f"p{n}", "d", source_speaker=f"s{n % 4}", target_speaker=f"t{n // 4}") for n in range(24)
}
WORDS = Measure("wer_capped", "WER cap.", "%", "lower", 100.0, 1, worst=1.0, rate=True, question="words")


def test_without_transcripts_there_are_no_words(tmp_path: Path) -> None:
    skips = [Skip(name, pair, "zero", "wer_capped", "transcript", "why") for name in "AB" for pair in PAIRS]
    run = summed_up(tmp_path, Tally(PAIRS, skips=skips), "AB", WORDS)
    rows = [{"system": s.system, "pair": s.pair, "measure": s.measure, "need": s.need} for s in skips]
    found = verdicts(replace(run, skips=rows))[1]
    assert found.headline == "Not compared"
    assert found.reason == "48 values could not be made, for lack of a transcript of what is said."


def test_what_controls_lack_is_no_reason_not_to_compare(tmp_path: Path) -> None:
    """Systems of two papers on different pairs; natural speech of the targets is missing for the control alone."""
    pairs = dict(zip(PAIRS, itertools.cycle("ABC"), strict=False))
    scores = [Score(name, pair, "zero", "wer_capped", 0.1, 0.1, 1.0) for pair, name in pairs.items()]
    run = summed_up(tmp_path, Tally(PAIRS, scores), "ABC", WORDS)
    control = replace(run.systems[0], name="target", control=True)
    rows = [{"system": "target", "pair": pair, "measure": "wer_capped", "need": "natural"} for pair in PAIRS]
    run = replace(run, systems=[*run.systems, control], skips=rows)
    assert verdicts(run)[1].reason == "the systems have different pairs, and none is common to all."
    apart = replace(run.ranking("wer_capped"), unranked={"C": "conditioned on GE2E"})
    told = judged(ranked(run, list(run.measures), wer_capped=apart), run.measures[0]).reason
    assert told == "the systems have different pairs, and none is common to all; C conditioned on GE2E."


def test_where_every_conversion_failed_nobody_is_level(tmp_path: Path) -> None:
    failures = [Failure(name, pair, "convert", "", "why") for name in "AB" for pair in PAIRS]
    found = verdicts(summed_up(tmp_path, Tally(PAIRS, failures=failures), "AB", WORDS))[1]
    assert found.sentence == "Not compared: every conversion failed."
    worst = replace(WORDS, worst=None)
    found = verdicts(summed_up(tmp_path / "more", Tally(PAIRS, failures=failures), "AB", worst))[1]
    assert found.sentence == "Not compared: A failed on 24 of 24 pairs; B failed on 24 of 24 pairs."


def test_one_system_has_nobody_to_be_compared_with(tmp_path: Path) -> None:
    scores = [Score("A", pair, "zero", "wer_capped", 0.1, 0.1, 1.0) for pair in PAIRS]
    found = verdicts(summed_up(tmp_path, Tally(PAIRS, scores), "A", WORDS))[1]
    assert found.sentence == "Not compared: there is one system, and none to compare it with."


def test_systems_that_are_alike_are_undecided_and_no_corpus_would_show_more(tmp_path: Path) -> None:
    scores = [Score(name, pair, "zero", "wer_capped", 0.1, 0.1, 1.0) for name in "ABC" for pair in PAIRS]
    found = verdicts(summed_up(tmp_path, Tally(PAIRS, scores), "ABC", WORDS))[1]
    assert found.tied == ["A", "B", "C"]
    assert "A, B and C can't be told apart (0.0 points of WER cap." in found.sentence
    assert found.sentence.endswith("No difference was seen.")


def test_every_kind_of_run_has_three_verdicts(tmp_path: Path) -> None:
    for name, make in RUNS.items():
        found = verdicts(views.load(make(tmp_path / name)))
        assert [one.question for one in found] == list(QUESTIONS)
        assert all(len(line) <= 80 for line in lines(found, 80)), name


def test_a_measure_that_another_one_ranks_has_no_verdict(report: Report) -> None:
    errors = replace(report.measures[1], ranked_by="capped", question="")
    ranking = replace(decided(report), best=frozenset(), second=frozenset(), reason="ranked by WER cap.")
    assert judged(ranked(report, [errors], wer=ranking), errors).sentence == "Not compared: ranked by WER cap."


def test_p_values() -> None:
    assert [p_text(p) for p in (None, 0.0004, 0.031, 0.45)] == ["", "p < 0.001", "p = 0.031", "p = 0.45"]


@given(st.floats(-5, 5), st.floats(0, 1) | st.none())
def test_a_comparison_turned_twice_is_itself(difference: float, p: float | None) -> None:
    one = compared("a", "b", difference, p)
    assert one.turned().turned() == one
    ranking = Ranking(comparisons=[one])
    assert ranking.between("b", "a") == one.turned()
    assert ranking.between("a", "c") is None


def test_more_speakers_are_asked_for_where_they_would_help(tmp_path: Path) -> None:
    """From scores to a sentence: eight target speakers differ, texts do not repeat."""
    fake = FakeRun(tmp_path / "run", tmp_path / "corpus")
    for number in range(24):
        fake.pair(f"p{number:02d}", ("p1", "p2")[number % 2], ("p3", "p4")[number // 2 % 2])
    names = [pair.id for pair in fake.pairs]
    fake.system("one", names, level=1.0)
    fake.system("other", names, level=1.02)
    run = fake.finish()
    entries = [e for e in run.read_json("summary.json")["comparisons"] if "enough" in e]
    assert {(e["measure"], e["direction"]) for e in entries} <= {("sv", "all"), ("wer", "all")}
    assert entries
    for entry in entries:
        assert entry["enough"] is None or entry["enough"]["pairs"] > entry["n"]


# Panels of encoders


def by_panel(report: Report, first: Ranking, second: Ranking) -> str:
    """The verdict on the voice of two encoders, One and Two, that rank so."""
    measures = [replace(measure(name, "voice"), metric=metric) for name, metric in
                (("sv_accept", "sv"), ("sv_accept:x", "sv:x"))]  # fmt: skip
    judges = [{"metric": one.metric, "encoder": title, "measure": one.name} for one, title in
              zip(measures, ("One", "Two"), strict=True)]  # fmt: skip
    run = ranked(report, measures, **{"sv_accept": first, "sv_accept:x": second})
    return verdicts(replace(run, panels=[{"family": "sv", "judges": judges}]))[0].sentence


def test_a_panel_that_agrees_names_the_winner(report: Report) -> None:
    told = by_panel(report, decided(report), decided(report))
    assert told.startswith("Good system: ahead of ")
    assert "Both encoders say so." in told


def test_a_panel_that_does_not_says_on_whom(report: Report) -> None:
    one = decided(report)
    good, hostile = one.order
    turned = Ranking(
        [hostile, good], {good: 0.5, hostile: 0.8}, 48, 0, 4, 3, best=frozenset({hostile}), second=frozenset({good}),
        comparisons=[compared(good, hostile, -0.3, 0.01)],
    )  # fmt: skip
    told = by_panel(report, one, turned)
    assert told.startswith("The encoders disagree: Good system is ahead of ")
    assert "by One (30.0 points [20.0, 50.0], p = 0.010), and " in told
    assert " is ahead of Good system by Two (30.0 points" in told
    assert by_panel(report, one, tie(report, None)).startswith(
        "The encoders disagree: First are, by One: Good system; by Two: nobody."
    )


def test_an_encoder_that_is_kin_to_a_system_has_no_voice(report: Report) -> None:
    three = tie(report, None, count=3)
    told = by_panel(report, three, decided(report))
    assert told.startswith("Undecided: ")
    assert "That is what one encoder says. Without Two, to which a system is kin." in told
