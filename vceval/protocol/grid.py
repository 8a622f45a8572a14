"""From protocol to conversion pairs: the utterances of a suite's pairs, found on the user's disk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vceval.corpora.base import Corpus
from vceval.errors import ItemError, UsageError
from vceval.languages import same_language
from vceval.protocol import pairlist
from vceval.protocol.known import other_speech
from vceval.protocol.pairlist import FrozenPair
from vceval.protocol.sampling import Candidate, Rule, draw, normalise, pick
from vceval.protocol.suite import DrawSpec, Expected, NaturalSpec, Suite, frozen_pairs
from vceval.records import ConversionPair, Utterance, direction_of
from vceval.signal import audio

__all__ = ["Grid", "as_in_tables", "build", "check_filled", "drawn_list", "natural_speech"]

#: Problems that are printed where a corpus has nothing.
_REASONS = 3
#: What a list drawn by the user holds, beyond its length and seed. Fewer utterances do than a suite may ask for.
_CUSTOM = DrawSpec.model_construct(
    seed=0, pairs_per_direction=1, targets_per_gender=10, prompts_per_target=10, prompt_seconds=(3.0, 8.0),
    source_seconds=(1.0, 12.0), min_utterances=1, expected=Expected(),
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """The conversion pairs of one run and the natural speech for its calibration.

    missing: ids of utterances that the list names and the disk lacks (or that can't be read, where lengths matter).
    partial: the pairs are not all those of the suite, so figures do not stand under its name without saying so.
    custom: the list was drawn by the user and is nobody else's; ``label`` is then ``custom``.
    pairs_sha256: of the pairs as used, in the form of a pair list; that of the suite's file when all are there.
    """

    pairs: list[ConversionPair]
    natural: list[Utterance]
    missing: tuple[str, ...]
    partial: bool
    custom: bool
    label: str
    pairs_sha256: str


def build(
    suite: Suite, corpus: Corpus, *, allow_missing: bool = False, draw_pairs: int | None = None, seed: int = 0
) -> Grid:
    """Make the conversion pairs of a suite from a corpus on disk.

    A pair whose source or prompt is missing is left out. One that lacks its reference alone is kept: it can be
    converted and scored, but not by what needs the reference. Its natural speech is then another utterance of the
    target, chosen by rank, with a text other than those of source and prompts.

    Args:
        suite: the protocol.
        corpus: the corpus that the suite names, opened with the suite's options.
        allow_missing: go on with the pairs that can be made; the result is then partial.
        draw_pairs: draw a list of this length over what is on disk, instead of the suite's own.
        seed: of that draw.

    Raises:
        UsageError: utterances of the list are missing, or the corpus is not the official release that pairs must be
            drawn from, and ``allow_missing`` is not set; no pair at all can be made.
    """
    if draw_pairs is not None and draw_pairs < 1:
        raise UsageError(f"--draw-pairs must be at least 1, not {draw_pairs}")
    check_filled(corpus)
    if draw_pairs is not None:
        rows, missing = _draw(corpus, _CUSTOM.model_copy(update={"seed": seed}), draw_pairs, strict=False)
        partial = False
    elif suite.draw is not None:
        rows, missing, partial = _draw_official(suite, suite.draw, corpus, allow_missing)
    else:
        rows, missing, partial = _frozen(suite, corpus, allow_missing)
    custom = draw_pairs is not None
    natural = natural_speech(corpus, suite.natural, None if custom else suite.language)
    return Grid(
        pairs=[_pair(row, corpus, suite) for row in rows],
        natural=natural,
        missing=tuple(missing),
        partial=partial,
        custom=custom,
        label="custom" if custom else suite.label,
        pairs_sha256=pairlist.digest(rows),
    )


def check_filled(corpus: Corpus) -> None:
    """Refuse a corpus without an utterance, saying why its reader found none."""
    if not len(corpus):
        # What was left out tells more than what is unknown of it
        reasons = sorted(map(str, corpus.problems), key=lambda reason: "left out" not in reason)
        rest = len(reasons) - _REASONS
        more = [f"and {rest} more"] if rest > 0 else []
        raise UsageError(
            "\n  ".join([f"{corpus.root}: holds no utterances of {corpus.info.title}", *reasons[:_REASONS], *more])
        )


# Frozen lists


def _frozen(suite: Suite, corpus: Corpus, allow_missing: bool) -> tuple[list[FrozenPair], list[str], bool]:
    listed = frozen_pairs(suite)
    needed = _absent(corpus, (u for p in listed for u in (p.source, *p.prompts)))
    helpful = _absent(corpus, (u for p in listed for u in (p.reference, p.natural) if u is not None))
    missing = list(dict.fromkeys(needed + helpful))
    blocking = needed if suite.references == "optional" else missing
    if blocking and not allow_missing:
        raise UsageError(
            f"{corpus.root}: {len(blocking)} of the {_named(listed)} utterances of {suite.label} are missing: "
            f"{_few(blocking)}. Complete {corpus.info.title}, or pass --allow-missing to run the pairs that are left "
            "(the result is marked partial)"
        )
    gone = set(missing)
    rows = [_repair(p, gone, corpus, suite) for p in listed if gone.isdisjoint((p.source, *p.prompts))]
    if not rows:
        raise UsageError(
            f"{corpus.root}: none of the {len(listed)} pairs of {suite.label} can be made: {len(missing)} utterances "
            f"are missing ({_few(missing)}). Is this {suite.corpus}? --draw-pairs N draws a list over what is there"
        )
    return rows, missing, bool(blocking)


def _absent(corpus: Corpus, utterances: Iterable[str]) -> list[str]:
    return [u for u in dict.fromkeys(utterances) if u not in corpus]


def _named(pairs: Sequence[FrozenPair]) -> int:
    return len({u for p in pairs for u in (p.source, *p.prompts, p.reference, p.natural) if u is not None})


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _repair(row: FrozenPair, gone: set[str], corpus: Corpus, suite: Suite) -> FrozenPair:
    """Take out a missing reference, and find other natural speech for the pair."""
    if row.reference not in gone and row.natural not in gone:
        return row
    reference = None if row.reference in gone else row.reference
    natural = row.natural if row.natural not in gone else reference
    if natural is None:
        speaker = corpus.find(row.prompts[0]).speaker
        said = [normalise(corpus.find(u).transcript) for u in (row.source, *row.prompts)]
        spoken = (u for u in corpus.utterances() if u.speaker == speaker)
        other = other_speech(spoken, row.prompts, said, suite.natural.seed, row.pair)
        natural = None if other is None else other.id
    return replace(row, reference=reference, natural=natural)


# Drawn lists


def _draw_official(
    suite: Suite, spec: DrawSpec, corpus: Corpus, allow_missing: bool
) -> tuple[list[FrozenPair], list[str], bool]:
    wrong = _other_inventory(spec, corpus)
    if wrong and not allow_missing:
        raise UsageError(
            f"{corpus.root}: {corpus.info.title} has {wrong}. {suite.label} draws its pairs from the "
            "official release, and another inventory gives another list: complete the corpus, or pass --allow-missing "
            "(the result is marked partial)"
        )
    rows, unreadable = _draw(corpus, spec, 4 * spec.pairs_per_direction, strict=True)
    if unreadable and not allow_missing:
        raise UsageError(
            f"{corpus.root}: {len(unreadable)} recordings can't be read: {_few(unreadable)}. Replace them, or pass "
            "--allow-missing to draw without them (the result is marked partial)"
        )
    return rows, unreadable, bool(wrong or unreadable) or len(rows) < 4 * spec.pairs_per_direction


def _other_inventory(spec: DrawSpec, corpus: Corpus) -> str:
    """Say in what a corpus differs from the release that pairs are drawn from; empty where it does not."""
    counts = {"utterances": len(corpus), "speakers": len({u.speaker for u in corpus.utterances()})}
    official = spec.expected.model_dump()
    return " and ".join(
        f"{counts[what]} {what} (official release: {count})"
        for what, count in official.items()
        if count is not None and count != counts[what]
    )


def drawn_list(suite: Suite, spec: DrawSpec, corpus: Corpus) -> list[FrozenPair]:
    """Draw the pairs of a suite, to be frozen: those that a run of it uses.

    Raises:
        UsageError: the corpus is not the release that the suite expects, recordings can't be read, or no pair can be
            drawn.
    """
    check_filled(corpus)
    wrong = _other_inventory(spec, corpus)
    if wrong:
        raise UsageError(
            f"{corpus.root}: {corpus.info.title} has {wrong}. Another inventory gives another list than that of "
            f"{suite.label}: complete the corpus, or change draw.expected in a suite with a name of its own"
        )
    rows, unreadable = _draw(corpus, spec, 4 * spec.pairs_per_direction, strict=True)
    if unreadable:
        raise UsageError(
            f"{corpus.root}: {len(unreadable)} recordings can't be read: {_few(unreadable)}; replace them first"
        )
    return rows


def _draw(corpus: Corpus, spec: DrawSpec, pairs: int, *, strict: bool) -> tuple[list[FrozenPair], list[str]]:
    unreadable: list[str] = []
    lengths: dict[str, float] = {}

    def within(utterance: str, bounds: tuple[float, float]) -> bool:
        if utterance not in lengths:
            found = corpus.find(utterance)
            try:
                lengths[utterance] = audio.duration(found.path) if found.duration is None else found.duration
            except ItemError:
                unreadable.append(utterance)
                lengths[utterance] = -1.0
        return bounds[0] <= lengths[utterance] <= bounds[1]

    pool = [
        Candidate(u.id, u.speaker, u.gender, normalise(u.transcript))
        for u in corpus.utterances()
        if u.speaker is not None
    ]
    rule = Rule(
        pairs=pairs,
        seed=spec.seed,
        per_direction=spec.pairs_per_direction if strict else None,
        targets_per_gender=spec.targets_per_gender,
        prompts=spec.prompts_per_target,
        parallel="none" if strict else "preferred",
        min_utterances=spec.min_utterances,
        strict=strict,
    )
    drawn = draw(
        pool,
        rule,
        fits_prompt=lambda u: within(u, spec.prompt_seconds),
        fits_source=lambda u: within(u, spec.source_seconds),
    )
    if not drawn:
        raise UsageError(f"{corpus.root}: no pair can be drawn: {_why(pool, corpus, spec, strict)}")
    return pairlist.from_draw(drawn), unreadable


def _why(pool: Sequence[Candidate], corpus: Corpus, spec: DrawSpec, strict: bool) -> str:
    per_speaker = Counter(item.speaker for item in pool)
    if not pool:
        return f"none of the {len(corpus)} utterances has a known speaker"
    if len(per_speaker) < 2:
        return f"all utterances are of one speaker ({pool[0].speaker}); source and target must be two"
    if max(per_speaker.values()) < spec.min_utterances:
        return f"no speaker has {spec.min_utterances} utterances or more; --draw-pairs N asks for less"
    if strict:
        low, high = spec.prompt_seconds
        return f"no speaker with {spec.min_utterances} utterances has a prompt of {low:g} to {high:g} s"
    return "all speakers read the same texts only, and a prompt's text must differ from the source's"


# Both


def natural_speech(corpus: Corpus, wanted: NaturalSpec, language: str | None) -> list[Utterance]:
    """Natural speech for calibration: so many utterances of every speaker, in one language where one is given."""
    groups: dict[str, list[str]] = defaultdict(list)
    for utterance in corpus.utterances():
        tag = utterance.language
        foreign = language is not None and tag is not None and not same_language(tag, language)
        if utterance.speaker is not None and not foreign:
            groups[utterance.speaker].append(utterance.id)
    chosen = pick(groups, wanted.utterances_per_speaker, wanted.seed)
    return [_find(corpus, name) for name in chosen]


def _find(corpus: Corpus, name: str) -> Utterance:
    return as_in_tables(corpus.find(name), corpus)


def as_in_tables(found: Utterance, corpus: Corpus) -> Utterance:
    """An utterance of a corpus, its dataset called as tables call it.

    Pairs and natural speech must agree on that name: calibration is per dataset. A manifest may hold several
    datasets and names them itself.
    """
    return replace(found, dataset=corpus.info.title) if found.dataset == corpus.info.name else found


def _pair(row: FrozenPair, corpus: Corpus, suite: Suite) -> ConversionPair:
    source = _find(corpus, row.source)
    prompts = tuple(_find(corpus, prompt) for prompt in row.prompts)
    reference = None if row.reference is None else _find(corpus, row.reference)
    natural = None if row.natural is None else _find(corpus, row.natural)
    target = prompts[0]
    for other in (*prompts, reference, natural):
        if other is not None and other.speaker != target.speaker:
            raise UsageError(
                f"pair {row.pair}: {other.id} is of speaker {other.speaker}, but the prompt {target.id} of "
                f"{target.speaker}; all of them must be of the target speaker"
            )
    direction = direction_of(source.gender, target.gender)
    if direction is not None and row.direction is not None and direction != row.direction:
        raise UsageError(
            f"pair {row.pair}: {corpus.info.title} in {corpus.root} says {direction}, the pair list {row.direction}; "
            "is this the corpus that the list was made for?"
        )
    return ConversionPair(
        id=row.pair,
        dataset=source.dataset,
        source=source,
        prompts=prompts,
        reference=reference,
        natural=natural,
        source_speaker=source.speaker,
        source_gender=source.gender,
        target_speaker=target.speaker,
        target_gender=target.gender,
        direction=row.direction or direction,
        transcript=source.transcript,
        language=source.language or suite.language,
    )
