"""From suites to conversion pairs, over corpora in memory and, where they are at hand, real ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from vceval import registry
from vceval.corpora.base import Corpus, CorpusInfo
from vceval.errors import UsageError
from vceval.protocol import grid, pairlist, suite
from vceval.protocol.pairlist import FrozenPair
from vceval.protocol.suite import DrawSpec, Expected, NaturalSpec, Suite
from vceval.records import DIRECTIONS, Utterance

SHARED = os.environ.get("VCEVAL_SHARED", "")


class Memory(Corpus):
    """A corpus that holds the utterances it is given, whatever is on disk."""

    info = CorpusInfo("memory", "In memory", ("en",), 16_000, "none", "", "")

    def __init__(self, root: Path, utterances: Sequence[Utterance]) -> None:
        super().__init__(root)
        self._given = utterances

    def read(self) -> Iterator[Utterance]:
        yield from self._given


def recordings(root: Path, genders: str = "FFMM", own: int = 9, common: int = 6) -> list[Utterance]:
    """Speakers s0, s1, ...: ``common`` texts that all read, ``own`` of each speaker's own; 4 s each."""
    made = []
    for index, gender in enumerate(genders):
        texts = [f"Common {n}." for n in range(common)] + [f"Own {index} {n}." for n in range(own)]
        for n, text in enumerate(texts):
            name = f"s{index}_{n:03}"
            known: Any = gender if gender in "FM" else None
            made.append(Utterance(name, root / f"{name}.wav", "memory", f"s{index}", known, "en", text, 4.0))
    return made


def protocol(root: Path, pairs: Sequence[FrozenPair] = (), draw: DrawSpec | None = None, **changes: Any) -> Suite:
    """Make a suite; with pairs, their list is written to ``root``."""
    frozen: dict[str, Any] = {}
    if pairs:
        file = root / "list.csv"
        file.write_text(pairlist.render(pairs), encoding="utf-8", newline="")
        frozen = {"pairs_file": file, "pairs_sha256": pairlist.digest(pairs), "pairs_count": len(pairs)}
    values: dict[str, Any] = {
        "name": "test", "version": 1, "title": "Test", "description": "x", "corpus": "memory",
        "corpus_options": MappingProxyType({}), "language": "en", "metrics": ("sv",), "systems": ("source",),
        "published": (), "natural": NaturalSpec(utterances_per_speaker=4, seed=0, trials=100),
        "file": root / "test.yaml", "draw": draw,
    }  # fmt: skip
    return Suite(**(values | frozen | changes))


PAIRS = [
    FrozenPair("s0_000-s1_007", "F2F", "s0_000", ("s1_007", "s1_008"), "s1_000", "s1_000"),
    FrozenPair("s0_001-s2_009", "F2M", "s0_001", ("s2_009",), "s2_001", "s2_001"),
    FrozenPair("s3_008-s0_010", "M2F", "s3_008", ("s0_010",), None, "s0_011"),
]
RULE = DrawSpec(
    seed=1, pairs_per_direction=6, targets_per_gender=10, prompts_per_target=3, prompt_seconds=(3.0, 8.0),
    source_seconds=(2.0, 10.0), min_utterances=4, expected=Expected(utterances=60, speakers=4),
)  # fmt: skip


# Frozen lists


def test_pairs_are_filled_completely(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, recordings(tmp_path))
    made = grid.build(protocol(tmp_path, PAIRS), corpus)
    assert [p.id for p in made.pairs] == [p.pair for p in PAIRS]
    assert (made.missing, made.partial, made.custom, made.label) == ((), False, False, "test@1")
    first, _, last = made.pairs
    assert first.source is not None
    assert (first.source.id, [p.id for p in first.prompts]) == ("s0_000", ["s1_007", "s1_008"])
    assert first.reference is not None
    assert first.reference.id == "s1_000"
    assert first.natural == first.reference
    assert (first.source_speaker, first.source_gender) == ("s0", "F")
    assert (first.target_speaker, first.target_gender, first.direction) == ("s1", "F", "F2F")
    assert (first.transcript, first.language, first.dataset) == ("Common 0.", "en", "In memory")
    assert last.reference is None
    assert last.natural is not None
    # calibration is per dataset, so pairs and natural speech must call it alike
    assert {u.dataset for u in made.natural} == {first.dataset} == {first.source.dataset}


def test_hash_is_that_of_the_list_until_a_pair_is_left_out(tmp_path: Path) -> None:
    protocol_ = protocol(tmp_path, PAIRS)
    everything = recordings(tmp_path)
    assert grid.build(protocol_, Memory(tmp_path, everything)).pairs_sha256 == protocol_.pairs_sha256
    fewer = [u for u in everything if u.id != "s0_001"]
    partial = grid.build(protocol_, Memory(tmp_path, fewer), allow_missing=True)
    assert partial.pairs_sha256 != protocol_.pairs_sha256


def test_missing_utterances_are_refused_with_count_and_names(tmp_path: Path) -> None:
    few = [u for u in recordings(tmp_path) if u.id in ("s0_000", "s1_007", "s1_008", "s1_000")]
    with pytest.raises(UsageError) as caught:
        grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, few))
    message = str(caught.value)
    assert "6 of the 10 utterances of test@1 are missing" in message
    assert "s0_001, s2_009, s3_008, s0_010, s2_001 and 1 more" in message
    assert "--allow-missing" in message
    partial = grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, few), allow_missing=True)
    assert [p.id for p in partial.pairs] == ["s0_000-s1_007"]
    assert partial.partial
    assert len(partial.missing) == 6


def test_pair_without_its_reference_is_kept_with_other_natural_speech(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, [u for u in recordings(tmp_path) if u.id != "s1_000"])
    with pytest.raises(UsageError, match="1 of the 10 utterances"):
        grid.build(protocol(tmp_path, PAIRS), corpus)
    made = grid.build(protocol(tmp_path, PAIRS), corpus, allow_missing=True)
    assert len(made.pairs) == 3
    assert (made.missing, made.partial) == (("s1_000",), True)
    pair = made.pairs[0]
    assert pair.reference is None
    assert pair.natural is not None
    assert pair.natural.speaker == "s1"
    assert pair.natural.id not in {p.id for p in pair.prompts}
    assert pair.natural.transcript not in {"Common 0.", *(p.transcript for p in pair.prompts)}


def test_optional_references_do_not_block(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, [u for u in recordings(tmp_path) if u.id not in ("s1_000", "s2_001")])
    made = grid.build(protocol(tmp_path, PAIRS, references="optional"), corpus)
    assert [p.reference for p in made.pairs] == [None, None, None]
    assert all(p.natural for p in made.pairs)
    assert (made.missing, made.partial, made.label) == (("s1_000", "s2_001"), False, "test@1")


def test_nothing_left_of_a_list(tmp_path: Path) -> None:
    others = [replace(u, id=f"x{u.id}") for u in recordings(tmp_path)]
    with pytest.raises(UsageError, match=r"none of the 3 pairs .* --draw-pairs"):
        grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, others), allow_missing=True)


def test_a_corpus_with_nothing_says_why(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, [])
    with pytest.raises(UsageError, match=r"holds no utterances of [^\n]*$"):
        grid.build(protocol(tmp_path, PAIRS), corpus, allow_missing=True)
    corpus.note(tmp_path, "every gender is unknown")
    for number in range(4):
        corpus.note(tmp_path / f"{number}.wav", "is empty; left out")
    with pytest.raises(UsageError) as caught:
        grid.build(protocol(tmp_path, PAIRS), corpus, allow_missing=True)
    assert str(caught.value).splitlines()[1:] == [
        *(f"  {tmp_path}/{number}.wav: is empty; left out" for number in range(3)),
        "  and 2 more",
    ]


def test_another_corpus_under_the_same_ids_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pair s0_000-s1_007: .* says M2M, the pair list F2F"):
        grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, recordings(tmp_path, "MMMM")))
    mixed = [FrozenPair("a", None, "s0_000", ("s1_007", "s2_007"))]
    with pytest.raises(UsageError, match="s2_007 is of speaker s2"):
        grid.build(protocol(tmp_path, mixed), Memory(tmp_path, recordings(tmp_path)))


def test_direction_of_the_list_stands_where_genders_are_unknown(tmp_path: Path) -> None:
    made = grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, recordings(tmp_path, "????")))
    assert [p.direction for p in made.pairs] == ["F2F", "F2M", "M2F"]
    assert made.pairs[0].source_gender is None


# Natural speech


def test_natural_speech(tmp_path: Path) -> None:
    everything = recordings(tmp_path)
    made = grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, everything)).natural
    assert Counter(u.speaker for u in made) == {"s0": 4, "s1": 4, "s2": 4, "s3": 4}
    assert made == grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, everything[::-1])).natural
    finnish = [replace(u, language="fi") if u.speaker == "s3" else u for u in everything]
    spoken = grid.build(protocol(tmp_path, PAIRS), Memory(tmp_path, finnish)).natural
    assert Counter(u.speaker for u in spoken) == {"s0": 4, "s1": 4, "s2": 4}


def test_natural_speech_of_vctk_stays_small() -> None:
    for name in suite.names():
        spec = suite.load(name).natural
        speakers = {"vctk_seen": 110, "vctk_unseen": 110, "libritts_unseen": 39, "librispeech_unseen": 40}.get(name, 8)
        assert speakers * spec.utterances_per_speaker <= 3000


# Lists drawn by a suite


def test_drawn_suite(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, recordings(tmp_path))
    made = grid.build(protocol(tmp_path, draw=RULE), corpus)
    assert Counter(p.direction for p in made.pairs) == dict.fromkeys(DIRECTIONS, 6)
    assert (made.missing, made.partial, made.custom, made.label) == ((), False, False, "test@1")
    for pair in made.pairs:
        assert pair.source is not None
        assert pair.natural is not None
        assert pair.reference is None
        assert pair.source_speaker != pair.target_speaker == pair.natural.speaker
        assert len({u.transcript for u in (pair.source, pair.natural, *pair.prompts)}) == 3
    assert len({p.id for p in made.pairs}) == 24
    again = grid.build(protocol(tmp_path, draw=RULE), Memory(tmp_path, recordings(tmp_path)[::-1]))
    assert again.pairs == made.pairs
    assert again.pairs_sha256 == made.pairs_sha256


def test_drawn_suite_refuses_another_inventory(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, recordings(tmp_path)[1:])
    with pytest.raises(UsageError, match=r"has 59 utterances \(official release: 60\)\. test@1 .*--allow-missing"):
        grid.build(protocol(tmp_path, draw=RULE), corpus)
    with pytest.raises(UsageError, match=r"5 speakers \(official release: 4\)"):
        grid.build(protocol(tmp_path, draw=RULE), Memory(tmp_path, recordings(tmp_path, "FFMMM", 6)))
    assert grid.build(protocol(tmp_path, draw=RULE), corpus, allow_missing=True).partial
    unchecked = RULE.model_copy(update={"expected": Expected()})
    assert not grid.build(protocol(tmp_path, draw=unchecked), corpus).partial


def test_drawn_suite_that_falls_short_is_partial(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, recordings(tmp_path))
    made = grid.build(protocol(tmp_path, draw=RULE.model_copy(update={"pairs_per_direction": 500})), corpus)
    assert 24 < len(made.pairs) < 2000
    assert made.partial


def test_lengths_come_from_headers_and_damaged_files_are_told(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    made = [replace(u, duration=None) for u in recordings(tmp_path)]
    for index, utterance in enumerate(made):
        soundfile.write(utterance.path, np.zeros(16_000 * (4 if index % 3 else 1), dtype=np.float32), 16_000)
    corpus = Memory(tmp_path, made)
    built = grid.build(protocol(tmp_path, draw=RULE), corpus)
    prompts = {u.id for p in built.pairs for u in p.prompts}
    short = {u.id for index, u in enumerate(made) if index % 3 == 0}
    assert not short & (prompts | {p.source.id for p in built.pairs if p.source})
    damaged = sorted(prompts)[0]
    corpus.find(damaged).path.write_bytes(b"not audio")
    with pytest.raises(UsageError, match=f"1 recordings can't be read: {damaged}"):
        grid.build(protocol(tmp_path, draw=RULE), corpus)
    rest = grid.build(protocol(tmp_path, draw=RULE), corpus, allow_missing=True)
    assert rest.partial
    assert rest.missing == (damaged,)


@pytest.mark.parametrize(
    ("genders", "rule", "message"),
    [
        ("F", RULE, "all utterances are of one speaker"),
        ("FM", RULE.model_copy(update={"min_utterances": 99}), "no speaker has 99 utterances or more"),
        ("FM", RULE.model_copy(update={"prompt_seconds": (5.0, 8.0)}), "has a prompt of 5 to 8 s"),
    ],
)
def test_why_nothing_can_be_drawn(tmp_path: Path, genders: str, rule: DrawSpec, message: str) -> None:
    corpus = Memory(tmp_path, recordings(tmp_path, genders))
    with pytest.raises(UsageError, match=f"no pair can be drawn: .*{message}"):
        grid.build(protocol(tmp_path, draw=rule), corpus, allow_missing=True)


# Lists drawn by the user


def test_custom_draw(tmp_path: Path) -> None:
    corpus = Memory(tmp_path, recordings(tmp_path))
    made = grid.build(protocol(tmp_path, PAIRS), corpus, draw_pairs=20, seed=5)
    assert Counter(p.direction for p in made.pairs) == dict.fromkeys(DIRECTIONS, 5)
    assert (made.label, made.custom, made.partial) == ("custom", True, False)
    # texts agree here, so the references are there
    assert all(p.reference and p.source and p.reference.transcript == p.source.transcript for p in made.pairs)
    other = grid.build(protocol(tmp_path, PAIRS), corpus, draw_pairs=20, seed=6)
    assert other.pairs_sha256 != made.pairs_sha256


def test_custom_draw_without_genders_texts_or_lengths_that_fit(tmp_path: Path) -> None:
    bare = [replace(u, transcript=None, language=None, duration=0.5) for u in recordings(tmp_path, "???")]
    made = grid.build(protocol(tmp_path, draw=RULE), Memory(tmp_path, bare), draw_pairs=10)
    assert len(made.pairs) == 10
    assert {(p.direction, p.reference, p.transcript, p.language) for p in made.pairs} == {(None, None, None, "en")}


def test_custom_draw_names_are_files_whatever_the_ids(tmp_path: Path) -> None:
    odd = [replace(u, id=f"my voices/{u.id} é") for u in recordings(tmp_path, "FM")]
    made = grid.build(protocol(tmp_path, draw=RULE), Memory(tmp_path, odd), draw_pairs=10)
    assert len({p.id for p in made.pairs}) == 10
    assert not any(set(p.id) & set("/ é") for p in made.pairs)


def test_custom_draw_without_speakers(tmp_path: Path) -> None:
    nameless = [replace(u, speaker=None) for u in recordings(tmp_path)]
    with pytest.raises(UsageError, match="none of the 60 utterances has a known speaker"):
        grid.build(protocol(tmp_path, draw=RULE), Memory(tmp_path, nameless), draw_pairs=4)
    with pytest.raises(UsageError, match="--draw-pairs must be at least 1"):
        grid.build(protocol(tmp_path, draw=RULE), Memory(tmp_path, nameless), draw_pairs=0)


@pytest.mark.skipif(not SHARED, reason="VCEVAL_SHARED is not set: no real corpora here")
@pytest.mark.parametrize(
    ("name", "folder", "kind"),
    [
        ("vctk_unseen", "VCTK-Corpus-0.92", "vctk"),
        ("vcc2020", "VCC2020", "vcc2020"),
        ("libritts_unseen", "LibriTTS", "libritts"),
        ("librispeech_unseen", "LibriSpeech", "librispeech"),
        ("aishell3", "AISHELL-3", "aishell3"),
    ],
)
def test_small_pieces_of_real_corpora(name: str, folder: str, kind: str) -> None:
    loaded = suite.load(name)
    corpus = registry.load("corpus", kind)(Path(SHARED) / "mini_corpora" / folder)
    with pytest.raises(UsageError, match="--allow-missing"):
        grid.build(loaded, corpus)
    made = grid.build(loaded, corpus, draw_pairs=24)
    assert Counter(p.direction for p in made.pairs) == dict.fromkeys(DIRECTIONS, 6)
    assert made.label == "custom"
    for pair in made.pairs:
        assert pair.source is not None
        assert pair.source_speaker != pair.target_speaker
        assert all(u.path.is_file() for u in (pair.source, *pair.prompts))


def test_demo_suite_over_the_demo_corpus() -> None:
    loaded = suite.load("demo")
    made = grid.build(loaded, registry.load("corpus", loaded.corpus)(**loaded.corpus_options))
    assert Counter(p.direction for p in made.pairs) == dict.fromkeys(DIRECTIONS, 12)
    assert made.pairs_sha256 == loaded.pairs_sha256
    assert made.missing == ()
    assert len(made.natural) == 144
