"""Make the frozen pair lists of VCTK: ``vctk_unseen@1.csv`` and ``vctk_seen@1.csv``.

    python benchmarks/drawing/build_vctk.py UTTERANCES SPEAKERS TRAINING OUT

UTTERANCES is a CSV (may be gzipped) with utterance, speaker, gender, text; SPEAKERS one with speaker, gender;
TRAINING one with system, corpus, split, speakers (blank-separated). The same tables give the same bytes.

Who is unseen. No VCTK speaker is held out by every system. VQMIVC's authors publish 20 held-out speakers, YourTTS's 11;
p225, p302 and p326 stand in both. FreeVC's lists hold all speakers but p280 and p315. AdaIN-VC and AGAIN-VC do not
publish theirs. ``vctk_unseen`` takes its targets from the held-out lists: all 11 of YourTTS, filled up to 10 women and
10 men from VQMIVC's by rank; sources come from both lists. ``vctk_seen`` takes targets and sources from the speakers
that VQMIVC, YourTTS and FreeVC all trained on. Which system has heard which target is for the leakage audit to say.

Left out altogether: p280 (no second microphone), p315 (no texts), p362 (some recordings lack) and s5 (in no list).

The draw (``vceval.protocol.sampling``): 300 pairs in each of F2F, F2M, M2F, M2M, 30 for each target speaker, each with
a parallel reference: the target reading the same text (matched by text, never by number: above 24 a number means
another text for nearly every speaker). Sources have 4 to 25 words. Ten prompts of 9 to 20 words per target (3 to 8
seconds at the 2.7 words a second measured on 42 recordings of the corpus) serve in turn; what serves as a prompt of
a speaker is never a reference of that speaker.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from vceval.protocol import pairlist
from vceval.protocol.sampling import Candidate, Rule, draw, normalise, ranked, words
from vceval.records import Gender

__all__ = ["LEFT_OUT", "main", "make", "seen_speakers", "unseen_speakers"]

LEFT_OUT = frozenset({"p280", "p315", "p362", "s5"})
SEEDS = {"vctk_unseen": 1, "vctk_seen": 2}
PER_DIRECTION, TARGETS, PROMPTS = 300, 10, 10
SOURCE_WORDS, PROMPT_WORDS = (4, 25), (9, 20)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, gzipped or not, into rows."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def held_out(training: Sequence[dict[str, str]]) -> dict[str, frozenset[str]]:
    """Return the published held-out speakers of each system."""
    rows = [row for row in training if row["corpus"] == "VCTK" and row["split"] == "unseen"]
    return {row["system"]: frozenset(row["speakers"].split()) for row in rows}


def unseen_speakers(
    training: Sequence[dict[str, str]], genders: dict[str, Gender], seed: int
) -> tuple[list[str], list[str]]:
    """Return targets and sources of ``vctk_unseen``."""
    lists = held_out(training)
    first, second = lists["YourTTS"] - LEFT_OUT, lists["VQMIVC"] - LEFT_OUT
    targets: list[str] = []
    for gender in ("F", "M"):
        order = ranked(first, seed, "speaker") + ranked(second - first, seed, "speaker")
        targets += [s for s in order if genders[s] == gender][:TARGETS]
    return sorted(targets), sorted(first | second)


def seen_speakers(
    training: Sequence[dict[str, str]], genders: dict[str, Gender], seed: int
) -> tuple[list[str], list[str]]:
    """Return targets and sources of ``vctk_seen``."""
    lists = held_out(training)
    seen = set(genders) - LEFT_OUT - lists["VQMIVC"] - lists["YourTTS"] - lists["FreeVC"]
    targets: list[str] = []
    for gender in ("F", "M"):
        targets += [s for s in ranked(seen, seed, "speaker") if genders[s] == gender][:TARGETS]
    return sorted(targets), sorted(seen)


def make(
    utterances: Sequence[dict[str, str]],
    genders: dict[str, Gender],
    targets: Collection[str],
    sources: Collection[str],
    seed: int,
) -> list[pairlist.FrozenPair]:
    """Draw one list."""
    pool = [
        Candidate(row["utterance"], row["speaker"], genders[row["speaker"]], normalise(row["text"]))
        for row in utterances
        if row["speaker"] in targets or row["speaker"] in sources
    ]
    length = {item.id: words(item.text) or 0 for item in pool}
    rule = Rule(
        pairs=4 * PER_DIRECTION,
        seed=seed,
        per_direction=PER_DIRECTION,
        targets_per_gender=TARGETS,
        prompts=PROMPTS,
        parallel="required",
    )
    drawn = draw(
        pool,
        rule,
        targets=targets,
        sources=sources,
        fits_prompt=lambda u: PROMPT_WORDS[0] <= length[u] <= PROMPT_WORDS[1],
        fits_source=lambda u: SOURCE_WORDS[0] <= length[u] <= SOURCE_WORDS[1],
    )
    return pairlist.from_draw(drawn)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both lists and print their hashes."""
    parser = argparse.ArgumentParser(description="Make the frozen pair lists of VCTK.")
    for name in ("utterances", "speakers", "training", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(arguments)
    utterances, training = read_table(given.utterances), read_table(given.training)
    genders: dict[str, Gender] = {r["speaker"]: "F" if r["gender"] == "F" else "M" for r in read_table(given.speakers)}
    chosen = {
        "vctk_unseen": unseen_speakers(training, genders, SEEDS["vctk_unseen"]),
        "vctk_seen": seen_speakers(training, genders, SEEDS["vctk_seen"]),
    }
    for name, (targets, sources) in chosen.items():
        pairs = make(utterances, genders, targets, sources, SEEDS[name])
        path = given.out / f"{name}@1.csv"
        path.write_text(pairlist.render(pairs), encoding="utf-8", newline="")
        print(f"{path.name}: {len(pairs)} pairs, sha256 {pairlist.digest(pairs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
