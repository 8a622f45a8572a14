"""The strips on top of the page: places in order of merit, round ticks, folded rows, words for who is not ranked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from report_runs import GENDERS, HOSTILE, FakeRun, demo

from vceval.reports import report_page
from vceval.reports.verdict_panels import MOST, each_measure, panels, ticks
from vceval.results import views
from vceval.results.views import Report


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Fifteen systems one a little worse than the other before it, one that failed on half of its pairs."""
    folder = tmp_path_factory.mktemp("many")
    fake = FakeRun(folder / "run", folder / "corpus")
    speakers = list(GENDERS)
    for number in range(40):
        fake.pair(f"p{number:02d}", speakers[number % 4], speakers[(number + 1 + number // 16) % 4])
    names = [pair.id for pair in fake.pairs]
    for place in range(MOST + 3):
        fake.system(f"s{place:02d}", names, f"System {place:02d}", level=0.5 + 0.1 * place)
    fake.system("broken", names, "Broken", fail=tuple(names[:20]))
    return views.load(fake.finish())


def test_rows_stand_in_order_and_better_is_to_the_right(many: Report) -> None:
    voice, words, quality = panels(many)
    assert [panel.asked for panel in (voice, words, quality)] == [
        "Is it the target's voice?", "Are these the source's words?", "Does it sound good?",
    ]  # fmt: skip
    assert voice.rows[0].title == f"System {MOST + 2:02d}"
    assert words.rows[0].title == "System 00"
    assert words.rows[0].figure.endswith(" %")
    for panel in (voice, words):
        places = [row.place for row in panel.rows]
        assert places[0] == panel.zero == max(places)
        assert places == sorted(places, reverse=True)
        assert (len(panel.shown), len(panel.folded)) == (MOST, len(panel.rows) - MOST)
        assert dict(panel.ticks)[panel.zero] == "0"
    assert all(row.figure.startswith("−") for row in voice.rows[1:])
    assert all(row.figure.startswith("+") for row in words.rows[1:]), "more errors, drawn to the left"
    assert words.unranked == [("Broken", "failed on 20 of 40 pairs")]
    assert (quality.rows, quality.verdict.headline) == ((), "Not measured")


def test_the_page_holds_a_strip_per_system_and_says_all_in_text(many: Report, tmp_path: Path) -> None:
    for report in (many, views.load(demo(tmp_path))):
        page = report_page.page(report, [])
        answer = page.partition('<section id="answer"')[2].partition("</section>")[0]
        shown = panels(report)
        assert answer.count('<article class="claim"') == 3
        assert answer.count("<circle") == sum(len(panel.rows) for panel in shown)
        assert answer.count("<svg") == answer.count("</svg>")
        assert "style=" not in answer, "the policy of the page allows no style in a tag"
        assert "<script" not in answer
        for panel in shown:
            assert str(escape(panel.verdict.headline)) in answer
            for row in panel.rows:
                assert str(escape(row.title)) in answer
                assert row.interval in answer
        assert "better →" in answer
    assert HOSTILE not in page
    assert str(escape(HOSTILE)) in page
    assert "3 more systems</summary>" in report_page.page(many, [])
    assert "Not ranked: Broken (failed on 20 of 40 pairs)" in report_page.page(many, [])


def test_measure_by_measure_follows_the_same_rule(many: Report) -> None:
    found = {line.measure.name: line for line in each_measure(many)}
    assert found.keys() == {measure.name for measure in many.primary_measures}
    for name, line in found.items():
        ranking = many.ranking(name)
        assert line.verdict.winners == [one for one in ranking.order if one in ranking.best]
        assert re.fullmatch("(yes|no), p (=|<) [0-9.]+", line.sure)
        assert line.sure.startswith("yes") == bool(line.verdict.winners)


@given(st.floats(1e-3, 1e3), st.floats(0, 1e3))
def test_ticks_are_few_round_and_hold_zero(reach: float, other: float) -> None:
    for low, high in ((-reach, other), (-other, reach)):
        found = ticks(low, high)
        assert 1 <= len(found) <= 5
        assert (0.0, "0") in found
        assert all(low - 1e-6 * reach <= value <= high + 1e-6 * reach for value, _ in found)
        assert len({text for _, text in found}) == len(found)
        assert all(float(text.replace("−", "-")) == pytest.approx(value) for value, text in found)
