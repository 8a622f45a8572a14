"""Order-independent sampling: which pairs are drawn depends on ids, texts, rule and seed, never on an order of files.

Every choice is made by rank, and the rank of a name is a hash of the seed and the name (SHA-256). So the same
corpus gives the same draw on every machine, whatever its file system lists first, and one more recording moves
few pairs.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from vceval.records import DIRECTIONS, Gender, direction_of

__all__ = ["Candidate", "Drawn", "Rule", "draw", "normalise", "pick", "rank", "ranked", "words"]

T = TypeVar("T")
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`]")
_NOT_WORDS = re.compile(r"[\W_]+")


def rank(seed: int, *names: str) -> int:
    """Give a name its place in the order of one seed: the first 8 bytes of SHA-256 over seed and names."""
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def ranked(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Sort names by their rank; ``purpose`` keeps the orders of different choices apart."""
    return sorted(names, key=lambda name: (rank(seed, purpose, name), name))


def pick(groups: Mapping[str, Iterable[str]], count: int, seed: int) -> list[str]:
    """Take up to ``count`` names of every group, by rank; groups come in alphabetical order."""
    return [name for key in sorted(groups) for name in ranked(set(groups[key]), seed, "pick")[:count]]


def normalise(text: str | None) -> str | None:
    """Reduce a text to what makes two readings parallel: its words, without case, punctuation and extra spaces.

    Apostrophes vanish (``don't`` gives ``dont``), other punctuation separates. None where no word is left.
    """
    if text is None:
        return None
    plain = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join(_NOT_WORDS.sub(" ", plain).split()) or None


def words(text: str | None) -> int | None:
    """Count the words of a normalised text; None where the text is not known."""
    return None if text is None else len(text.split())


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the sampler knows of an utterance. ``text`` is normalised (see :func:`normalise`)."""

    id: str
    speaker: str
    gender: Gender | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is to be drawn.

    pairs: how many in all, spread evenly over the directions that the speakers allow.
    per_direction: the most that one direction may get; None where another may make up for what it lacks.
    targets_per_gender: target speakers of each gender at most.
    prompts: utterances set apart per target, to serve as prompts in turn; a third of what it has at most.
    parallel: ``required``: only pairs whose target reads the source's text; ``preferred``: those first;
        ``none``: texts are not compared.
    min_utterances: speakers with fewer are no targets.
    strict: utterances that do not fit are never used; otherwise they serve where nothing better is there.
    """

    pairs: int
    seed: int
    per_direction: int | None = None
    targets_per_gender: int = 10
    prompts: int = 10
    parallel: Literal["required", "preferred", "none"] = "preferred"
    min_utterances: int = 1
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn pair, as utterance ids; ``direction`` is None where a gender is not known."""

    direction: str | None
    source: str
    prompt: str
    reference: str | None
    natural: str | None


def _any(_utterance: str) -> bool:
    return True


def draw(
    pool: Iterable[Candidate],
    rule: Rule,
    *,
    targets: Collection[str] | None = None,
    sources: Collection[str] | None = None,
    fits_prompt: Callable[[str], bool] = _any,
    fits_source: Callable[[str], bool] = _any,
) -> list[Drawn]:
    """Draw conversion pairs, balanced over directions, then target speakers, then source speakers, then texts.

    At every step the least used choice is taken, ties by rank. A prompt's text is never that of the source, and an
    utterance that serves as a prompt is no reference and no natural speech of the same target. The predicates are
    asked lazily, only for utterances whose turn has come.

    Args:
        pool: all utterances, in any order.
        rule: how many, and how.
        targets: the speakers that may be targets; any by default.
        sources: the speakers that may be sources; any by default.
        fits_prompt: whether an utterance may be a prompt (say, 3 to 8 seconds long).
        fits_source: whether an utterance may be a source or natural speech.

    Returns:
        At most ``rule.pairs`` pairs in the order F2F, F2M, M2F, M2M, unknown; fewer where the pool gives no more.
    """
    return _Drawing(pool, rule, targets, sources, fits_prompt, fits_source).run()


class _Drawing:
    def __init__(
        self,
        pool: Iterable[Candidate],
        rule: Rule,
        targets: Collection[str] | None,
        sources: Collection[str] | None,
        fits_prompt: Callable[[str], bool],
        fits_source: Callable[[str], bool],
    ) -> None:
        self.rule = rule
        self.fits_prompt, self.fits_source = fits_prompt, fits_source
        self.items = {item.id: item for item in pool}
        self.rank = {key: rank(rule.seed, "utterance", key) for key in self.items}
        self.speakers: dict[str, list[str]] = defaultdict(list)
        for key in sorted(self.items, key=lambda k: (self.rank[k], k)):
            self.speakers[self.items[key].speaker].append(key)
        self.gender = {speaker: self.items[keys[0]].gender for speaker, keys in self.speakers.items()}
        self.by_text = {
            s: {text: key for key in reversed(keys) if (text := self.items[key].text) is not None}
            for s, keys in self.speakers.items()
        }
        readers = Counter(text for texts in self.by_text.values() for text in texts)
        self.shared = {text for text, count in readers.items() if count > 1}
        self.prompts: dict[str, list[str]] = {}
        self.spare: dict[str, list[str]] = {}
        self.parallel: dict[str, dict[str, str]] = {}
        self._choose_targets(targets)
        self.sources = [s for s in self.speakers if sources is None or s in sources]
        self.used: Counter[tuple[str, ...]] = Counter()
        self.done: set[tuple[str, ...]] = set()

    def _choose_targets(self, allowed: Collection[str] | None) -> None:
        chosen: Counter[Gender | None] = Counter()
        for speaker in ranked(self.speakers, self.rule.seed, "target"):
            keys, gender = self.speakers[speaker], self.gender[speaker]
            if (allowed is not None and speaker not in allowed) or len(keys) < self.rule.min_utterances:
                continue
            # without genders there is one group, as large as two
            most = self.rule.targets_per_gender * (1 if gender else 2)
            if chosen[gender] >= most or not (prompts := self._choose_prompts(keys)):
                continue
            chosen[gender] += 1
            taken = {text for p in prompts if (text := self.items[p].text) is not None}
            self.prompts[speaker] = prompts
            self.spare[speaker] = [k for k in keys if k not in prompts and self.items[k].text not in taken]
            if self.rule.parallel != "none":
                self.parallel[speaker] = {t: k for t, k in self.by_text[speaker].items() if t not in taken}

    def _choose_prompts(self, keys: list[str]) -> list[str]:
        """Set prompts apart, texts that nobody else reads first: the others may be wanted as references."""
        count = min(self.rule.prompts, max(1, len(keys) // 3))
        order = sorted(keys, key=lambda k: self.items[k].text in self.shared)
        chosen = _first(order, self.fits_prompt, count)
        return chosen if chosen or self.rule.strict else order[:count]

    def run(self) -> list[Drawn]:
        cells: dict[str | None, list[str]] = {}
        for direction in (*DIRECTIONS, None):
            able = [t for t in self.prompts if any(self._partners(direction, t))]
            if able:
                cells[direction] = able
        drawn: dict[str | None, list[Drawn]] = {direction: [] for direction in cells}
        alive = list(cells)
        while alive and sum(map(len, drawn.values())) < self.rule.pairs:
            direction = min(alive, key=lambda d: len(drawn[d]))
            full = self.rule.per_direction is not None and len(drawn[direction]) >= self.rule.per_direction
            pair = None if full else self._next(direction, cells[direction])
            if pair is None:
                alive.remove(direction)
            else:
                drawn[direction].append(pair)
        return [pair for pairs in drawn.values() for pair in pairs]

    def _partners(self, direction: str | None, target: str) -> Iterable[str]:
        gender = self.gender[target]
        return (s for s in self.sources if s != target and direction_of(self.gender[s], gender) == direction)

    def _next(self, direction: str | None, targets: list[str]) -> Drawn | None:
        where = str(direction)

        def target_order(target: str) -> tuple[int, int]:
            return self.used["target", where, target], rank(self.rule.seed, "turn", where, target)

        for target in sorted(targets, key=target_order):
            if ("target", where, target) in self.done:
                continue

            def source_order(speaker: str, target: str = target) -> tuple[int, int, int]:
                return (
                    self.used["pair", target, speaker],
                    self.used["source", where, speaker],
                    rank(self.rule.seed, "partner", target, speaker),
                )

            for speaker in sorted(self._partners(direction, target), key=source_order):
                pair = self._pair(direction, target, speaker)
                if pair is not None:
                    self.used.update([("target", where, target), ("pair", target, speaker), ("source", where, speaker)])
                    return pair
            self.done.add(("target", where, target))
        return None

    def _pair(self, direction: str | None, target: str, speaker: str) -> Drawn | None:
        if ("partner", target, speaker) in self.done:
            return None
        references = self.parallel.get(target, {})

        def order(key: str) -> tuple[bool, int, int, int]:
            text = self.items[key].text
            name = key if text is None else text
            missing = self.rule.parallel != "none" and text not in references
            return missing, self.used["text", target, name], self.used["text", name], self.rank[key]

        fresh = [k for k in self.speakers[speaker] if ("drawn", k, target) not in self.done]
        if self.rule.parallel == "required":
            fresh = [k for k in fresh if self.items[k].text in references]
        fresh.sort(key=order)
        for relaxed in (False,) if self.rule.strict else (False, True):
            for key in fresh:
                text = self.items[key].text
                prompt = self._prompt(target, text)
                if prompt is None or not (relaxed or self.fits_source(key)):
                    continue
                reference = None if text is None else references.get(text)
                natural = reference or self._natural(target, text)
                name = key if text is None else text
                self.used.update([("text", target, name), ("text", name), ("prompt", prompt)])
                self.done.add(("drawn", key, target))
                return Drawn(direction, key, prompt, reference, natural)
        self.done.add(("partner", target, speaker))
        return None

    def _prompt(self, target: str, text: str | None) -> str | None:
        usable = [p for p in self.prompts[target] if text is None or self.items[p].text != text]
        return min(usable, key=lambda p: (self.used["prompt", p], self.rank[p]), default=None)

    def _natural(self, target: str, text: str | None) -> str | None:
        others = [k for k in self.spare[target] if text is None or self.items[k].text != text]
        others.sort(key=lambda k: self.used["natural", k])
        found = _first(others, self.fits_source, 1) or ([] if self.rule.strict else others[:1])
        self.used.update(("natural", key) for key in found)
        return found[0] if found else None


def _first(items: Iterable[T], fits: Callable[[T], bool], count: int) -> list[T]:
    """Take the first ``count`` items that fit, asking no further than needed."""
    found: list[T] = []
    for item in items:
        if len(found) >= count:
            break
        if fits(item):
            found.append(item)
    return found
