"""The rule that names a checkpoint: voice, floor, words, quality; by hand, and what holds for all input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.benchmarks.statistics import selection as study
from vceval.results.outcomes import Outcomes, Speakers
from vceval.results.selection import FLOOR, Selection, select
from vceval.results.views import MeasureView

VOICE = MeasureView("cos", "sv", "SV cos.", "", "higher", 1.0, 3, question="voice")
WORDS = MeasureView("wer", "wer", "WER", "%", "lower", 100.0, 1, question="words")
QUALITY = MeasureView("mos", "mos", "MOS", "", "higher", 1.0, 2, question="quality")
ALL = [("voice", VOICE), ("words", WORDS), ("quality", QUALITY)]
#: Five target and five source speakers, four pairs of every two.
PAIRS = [(f"t{t}", f"s{s}", f"x{n}", "d", "") for n, (t, s) in enumerate(np.ndindex(5, 20))]
NOISE = np.random.default_rng(0).normal(0.0, 1.0, (3, 40, 100))


def chosen(
    levels: Mapping[str, Sequence[float | None]], measures: Sequence[tuple[str, MeasureView]] = ALL,
    floor: float | None = None, noise: float = 0.01, kin: Mapping[tuple[str, str], str] | None = None,
) -> Selection:  # fmt: skip
    """Select among checkpoints by their levels on voice, words and quality; all differ by a little noise."""
    sums = np.full((len(levels), 100, len(measures), 2), 1.0)
    for n, values in enumerate(levels.values()):
        for m, value in enumerate(values):
            sums[n, :, m, 0] = np.nan if value is None else value + noise * NOISE[m, n]
    speakers = Speakers.of((t, f"s{int(s[1:]) % 5}", x, d, e) for t, s, x, d, e in PAIRS)
    outcomes = Outcomes.of_sums(speakers, list(levels), [one.name for _, one in measures], sums)
    return select(outcomes, list(levels), measures, floor, kin=kin, plan=True)


def test_the_best_voice_wins_where_it_can_be_told() -> None:
    found = chosen({"a": (0.5, 0.1, 3.0), "b": (0.7, 0.3, 2.0), "c": (0.6, 0.0, 4.0)})
    assert (found.named, list(found.tied)) == ("b", [])
    assert {name: by for name, (by, _) in found.out.items()} == {"a": "voice", "c": "voice"}
    assert found.out["a"][1] == "worse than b on SV cos. (p < 0.001)"
    assert found.names == ["b", "c", "a"]
    assert found.behind == 0.0


def test_among_equal_voices_words_guard_and_quality_decides() -> None:
    """Who is bad in words is out, however natural; who is bad in voice has no say on words."""
    levels = {"natural": (0.7, 0.1, 4.0), "dull": (0.7, 0.1, 3.0), "mumbles": (0.7, 0.4, 5.0), "copy": (0.2, 0.0, 5.0)}
    found = chosen(levels)
    assert (found.named, list(found.tied)) == ("natural", [])
    assert {name: by for name, (by, _) in found.out.items()} == {"dull": "quality", "mumbles": "words", "copy": "voice"}
    assert found.verdicts[1].ranking.best == {"natural", "dull"}
    assert found.verdicts[2].ranking.order == ["natural", "dull"]
    assert chosen({name: one[:1] for name, one in levels.items()}, ALL[:1]).named in ("natural", "dull", "mumbles")


def test_where_nothing_tells_the_figure_of_the_voice_names() -> None:
    same = dict.fromkeys("abcdef", (0.7, 0.1, 3.0))
    found = chosen(same, noise=0.2)
    voice = found.figures[0]
    assert found.named == max(voice, key=voice.__getitem__)
    assert list(found.tied) == sorted(set(same) - {found.named}, key=lambda name: -voice[name])
    assert not found.out
    assert found.cell is not None
    assert found.cell.low < voice[found.named] < found.cell.high  # type: ignore[operator]
    # corrected: towards the mean of all
    mean = np.mean(list(voice.values()))
    assert mean - 1e-12 <= found.corrected < voice[found.named]  # type: ignore[operator]
    assert found.behind is not None
    assert found.behind > 0.0
    assert "can't be told apart" in found.verdicts[0].sentence
    assert "would tell" in found.verdicts[0].sentence or "No corpus" in found.verdicts[0].sentence


def test_a_floor_puts_out_whom_nobody_beats() -> None:
    found = chosen({"a": (0.5,), "b": (0.5,)}, ALL[:1], floor=0.6)
    assert (found.named, found.cell, found.behind) == ("", None, None)
    assert {by for by, _ in found.out.values()} == {FLOOR}
    assert found.out["a"][1] == "SV cos. is worse than the floor of 0.600"
    assert chosen({"a": (0.5,), "b": (0.5,)}, ALL[:1], floor=0.4).out == {}
    near = chosen({"a": (0.5,), "b": (0.5,)}, ALL[:1], floor=0.501, noise=0.2)  # not significantly below
    assert near.named


def test_who_can_not_be_ranked_is_out_and_costs_others_nothing() -> None:
    found = chosen({"a": (0.7, 0.1, 3.0), "b": (0.7, 0.1, None), "c": (0.2, 0.1, 3.0)})
    assert found.named == "a"
    assert found.out["b"] == ("quality", "has no MOS")
    assert found.out["c"][0] == "voice"


def test_nobody_is_named_by_an_encoder_that_is_its_own() -> None:
    kin = {("a", "sv"): "conditioned on this encoder"}
    found = chosen({"a": (0.9, 0.1, 3.0), "b": (0.5, 0.1, 3.0), "c": (0.7, 0.1, 3.0)}, kin=kin)
    assert found.named == "c"
    assert found.out["a"] == ("voice", "conditioned on this encoder")
    assert "a" not in found.figures[0]


def test_one_checkpoint_is_named_without_a_test() -> None:
    found = chosen({"a": (0.7, 0.1, 3.0)})
    assert (found.named, list(found.tied), found.out, found.corrected, found.behind) == ("a", [], {}, None, 0.0)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.52, 0.7]), st.sampled_from([0.1, 0.3]), st.sampled_from([3.0, 3.5])),
             min_size=1, max_size=8),
    st.sampled_from([None, 0.4, 0.6]), st.sampled_from([0.01, 0.1]), st.randoms(),
)  # fmt: skip
def test_every_checkpoint_is_named_tied_or_out_and_order_changes_nothing(
    levels: list[tuple[float, float, float]], floor: float | None, noise: float, random: object
) -> None:
    given_ = {f"c{n}": one for n, one in enumerate(levels)}
    found = chosen(given_, floor=floor, noise=noise)
    assert sorted(found.names) == sorted(given_)
    assert len({found.named, *found.tied} & set(found.out)) == 0
    if found.named:
        voice = found.figures[0]
        assert all(voice[found.named] >= voice[name] for name in found.tied)
    if floor == 0.6 and noise == 0.01:
        assert not found.named or given_[found.named][0] == 0.7
    # more noise than told the first apart tells less: nobody is out by voice who is first in it
    assert next(iter(found.figures[0])) not in {n for n, (by, _) in found.out.items() if by == "voice"}


def test_simulated_trainings_hold_what_the_page_promises() -> None:
    """A few of the trainings of the page's table: the shares hold within what so few draws can show."""
    for number in (3, 5, 6):
        found = study.study(study.CASES[number], 12, [number, 1], study.Found())
        assert found.trainings == 12
        assert found.equal >= 11
        assert found.wrongly <= 2
        assert found.within >= 11
