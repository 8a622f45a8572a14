"""Numbers of pairs and speakers stand beside figures, and captions say what they keep a figure from saying."""

from __future__ import annotations

import pytest

from vceval.reports.tables import Block, Column, Row, Table, _counts, _entry, _often
from vceval.results.marks import interval_words
from vceval.results.views import Cell, MeasureView, SystemView

MCD = MeasureView("mcd", "mcd", "MCD", "dB", "lower", 1.0, 2)
SYSTEM = SystemView("a", "A", False, "converter", "a", None, "", "", 20, 20, 0)


def cell(n: int = 20, targets: int = 5, sources: int = 4) -> Cell:
    return Cell(6.5, 6.0, 7.0, n, 20, 20 - n, 0, targets, sources)


def table(*cells: Cell) -> Table:
    rows = [Row(SYSTEM, [_entry(one, MCD, "", ("20/20", "5×4"))]) for one in cells]
    columns = [Column("MCD", "dB", "lower", MCD)]
    return Table("main", "Results", "", "demo", columns, [Block("", rows)], [], "20/20 · 5×4", [])


def test_a_count_names_pairs_and_speakers() -> None:
    assert cell().count == "20/20 · 5×4"
    assert cell(targets=0).count == "20/20 · ?×4"
    assert cell(targets=0, sources=0).count == "20/20"
    assert Cell(None, None, None, 0, 0, 0, 7).count == "0/7"
    assert Cell(6.5, 6.0, 7.0, 7, 7, 0, 3, 5, 4).count == "7/10 · 5×4", "a pair that was skipped is not left out"


@pytest.mark.parametrize(
    ("one", "brief"),
    [(cell(), ""), (cell(19), "19/20"), (cell(sources=3), "5×3"), (cell(18, 2, 2), "18/20 · 2×2")],
)
def test_figures_state_what_the_caption_does_not(one: Cell, brief: str) -> None:
    entry = _entry(one, MCD, "", ("20/20", "5×4"))
    assert (entry.brief, entry.usual) == (brief, not brief)
    assert _counts(one) == tuple(entry.count.split(" · "))


def test_what_half_of_the_figures_have_is_usual() -> None:
    assert _often(["a", "b", "a"]) == "a"
    assert _often(["a", "b", "c"]) == ""


def test_words_for_intervals_name_what_there_is() -> None:
    assert interval_words(["t", "t"]) == "t from variance components of speakers and texts"
    assert interval_words(["skewed t"]).endswith("texts, skewness-corrected")
    assert interval_words(["t", "skewed t", "clopper-pearson", "bootstrap"]) == (
        "t from variance components of speakers and texts, partly skewness-corrected; rates: Clopper-Pearson at the "
        "effective number of pairs; EER, AUC: bootstrap over target speakers"
    )
    assert interval_words([""]) == "over speakers and texts"  # of a run before it was said


def test_captions_say_what_few_speakers_can_not() -> None:
    assert table(cell(sources=5)).speaker_notes == []
    assert table(cell()).speaker_notes == ["Fewer than 5 source speakers: all intervals are rough."]
    both = table(cell(targets=2), cell(20))
    assert both.speaker_notes == ["Fewer than 5 target and source speakers: all intervals are rough."]
    assert table(cell(sources=1), cell(sources=1)).speaker_notes == [
        "One source speaker: the figures say nothing of others."
    ]
    assert table(cell(targets=1, sources=5), cell(sources=5)).speaker_notes == [
        "One target speaker: some figures say nothing of others."
    ]
    assert table(cell(targets=0, sources=0)).speaker_notes == [
        "No speaker is known: intervals take recordings for independent."
    ]
    assert "One source speaker" in table(cell(sources=1)).caption
    assert table(cell()).count_note == (
        "n = 20/20 · 5×4 (pairs scored/in all · target×source speakers) unless stated otherwise."
    )
    assert table(Cell(None, None, None, 0, 20, 20, 0)).speaker_notes == []
