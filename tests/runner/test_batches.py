"""Which pairs are converted together."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vceval.records import ConversionPair, Utterance
from vceval.runner.batches import SECONDS, Lengths, batches


def pairs(lengths: list[float], targets: int = 1) -> list[ConversionPair]:
    sources = [
        Utterance(f"s{k:03d}", Path(f"{k}.wav"), "toy", "a", duration=length) for k, length in enumerate(lengths)
    ]
    return [ConversionPair(f"{s.id}-{t}", "toy", source=s) for t in range(targets) for s in sources]


@given(st.lists(st.floats(0.1, 70.0), max_size=40), st.integers(1, 9), st.sampled_from(["cpu", "cuda:0"]))
def test_every_pair_is_in_one_batch_of_bounded_length(lengths: list[float], most: int, device: str) -> None:
    asked = pairs(lengths)
    found = list(batches(asked, Lengths(), device, most))
    assert sorted(pair.id for batch in found for pair in batch) == sorted(pair.id for pair in asked)
    for batch in found:
        seconds = [pair.source.duration for pair in batch]
        assert len(batch) <= most
        assert len(batch) == 1 or sum(seconds) <= SECONDS[device.partition(":")[0]]
        assert seconds == sorted(seconds, reverse=True)


@given(st.permutations(range(12)))
def test_the_order_of_the_plan_changes_nothing(order: list[int]) -> None:
    asked = pairs([3.0, 1.0, 2.0], targets=4)
    assert list(batches([asked[place] for place in order], Lengths(), "cpu", 3)) == list(
        batches(asked, Lengths(), "cpu", 3)
    )


def test_pairs_of_a_source_stand_side_by_side() -> None:
    found = list(batches(pairs([2.0, 2.0, 2.0], targets=4), Lengths(), "cpu", 4))
    assert [{pair.source.id for pair in batch} for batch in found] == [{"s000"}, {"s001"}, {"s002"}]


def test_lengths_are_read_from_files_once(make_sound, monkeypatch) -> None:
    path = make_sound("a.wav", seconds=1.5)
    pair = ConversionPair("p", "toy", source=Utterance("s", path, "toy", "a"))
    gone = ConversionPair("q", "toy", source=Utterance("t", path.with_name("none.wav"), "toy", "a"))
    lengths = Lengths()
    assert (lengths(pair), lengths(gone), lengths(ConversionPair("r", "toy"))) == (1.5, 0.0, 0.0)
    path.unlink()
    assert lengths(pair) == 1.5
