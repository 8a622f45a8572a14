"""Items of unequal length that go together: few shapes on a GPU, each item once and in its place."""

from __future__ import annotations

import math

import pytest

from vceval.networks.shapes import roomy, together


def test_lengths_are_rounded_up_to_sixteen_an_octave() -> None:
    assert [roomy(n) for n in (0, 1, 31, 32, 33, 200, 201, 1_000)] == [0, 1, 31, 32, 34, 200, 208, 1_024]
    assert all(n <= roomy(n) <= math.ceil(n * 17 / 16) for n in range(1, 5_000))
    assert len({roomy(n) for n in range(256, 512)}) == 17


@pytest.mark.parametrize(("device", "largest"), [("cpu", 2), ("cuda:0", 8)])
def test_every_item_has_its_result(device: str, largest: int) -> None:
    lengths = [200, 7, 190, 205, 3, 198, 100, 201, 203, 202, 199, 90, 1]
    shapes = []

    def run(part: list[int], size: int) -> list[str]:
        shapes.append((len(part), size))
        assert max(part) <= size
        assert 4 * min(part) >= 3 * max(part), "what is much shorter waits"
        return [f"made of {n}" for n in part]

    found = together(lengths, int, run, device=device, most=8, on_processors=2, in_all=2_000)
    assert found == [f"made of {n}" for n in lengths]
    assert max(count for count, _ in shapes) == largest
    if device != "cpu":
        assert shapes == [(8, 208), (2, 100), (1, 7), (1, 3), (1, 1)]


def test_the_lengths_of_a_batch_are_bounded() -> None:
    counts: list[int] = []

    def run(part: list[int], size: int) -> list[int]:
        counts.append(len(part) * size)
        return part

    assert together([300] * 9, int, run, device="cuda", most=16, on_processors=1, in_all=1_500) == [300] * 9
    assert max(counts) <= 1_500
    assert together([3_000], int, run, device="cuda", most=16, on_processors=1, in_all=1_500) == [3_000]
    assert together([], int, run, device="cuda", most=16, on_processors=1, in_all=1_500) == []
