"""Signs that a recogniser made up what it wrote."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.metrics.hallucination import compression_ratio, repeats, signs


def flags(heard: str, said: str, seconds: float, unspaced: bool = False) -> list[str]:
    split = list if unspaced else str.split
    return list(signs(heard, split(heard), split(said), seconds, unspaced).get("text_flags", []))


def test_a_loop_is_flagged():
    said = "eustace made the discovery by accident"
    assert flags("you spit it " * 60, said, 3.0) == ["repeated words", "too many words"]
    assert flags("thank you thank you thank you thank you", said, 3.0) == ["repeated words"]
    assert flags("i am not here i am not here i am not here", said, 3.0) == ["repeated words"]
    assert flags("i am not here i am not here", said, 3.0) == []
    assert flags("你好" * 5, "你去", 2.0, unspaced=True) == ["repeated words"]


def test_more_than_anybody_says_is_flagged():
    said = "a cat sat"
    heard = " ".join(f"word{n}" for n in range(20))
    assert flags(heard, said, 3.0) == ["too many words"]
    assert flags(heard, heard, 3.0) == []  # the reader was as fast
    assert flags(heard, said, 4.0) == []
    assert flags("天地玄黄宇宙洪荒日月盈昃辰宿列张", "天地", 1.0, unspaced=True) == ["too many words"]


def test_what_should_be_repeated_may_be():
    assert flags("no no no no", "no no no no", 2.0) == []
    assert flags("no no no no", "no no", 2.0) == ["repeated words"]
    assert flags("no no no", "no", 2.0) == []
    assert flags("", "a cat", 2.0) == []


def test_details_are_numbers():
    assert signs("a b a b", ["a", "b", "a", "b"], ["a"], 2.0, unspaced=False) == {
        "compression_ratio": pytest.approx(7 / len(zlib.compress(b"a b a b")), abs=1e-3), "repeats": 2,
        "words_per_second": 2.0,
    }  # fmt: skip
    assert compression_ratio("") == 0.0


words = st.lists(st.sampled_from("ab"), min_size=1, max_size=8)


@given(words, st.integers(2, 5))
def test_repeats_are_counted(phrase, times):
    assert repeats(["c", *(phrase * times), "d"]) >= times
    assert repeats([str(n) for n in range(len(phrase))]) == 1
    assert repeats([]) == 0
