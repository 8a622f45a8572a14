"""What a run says first: whose voice it is, whose words, how good it sounds; the winners, or that nobody can be told.

A verdict reads the ranking of one measure and adds no rule of its own: its winners are those that tables print bold.
Which measure decides is fixed before any result. It is passed over only where it can't rank two systems, and never for
whom it favours.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vceval.languages import same_language
from vceval.metrics.base import QUESTIONS
from vceval.metrics.text import UNSPACED
from vceval.records import NEEDS
from vceval.results.marks import NOBODY, UNDECIDED, Comparison, Ranking, p_text
from vceval.results.terminal import clean, paragraph
from vceval.results.views import MeasureView, Report
from vceval.statistics.planning import counted

__all__ = ["ASKED", "PREFERENCE", "Verdict", "as_json", "judged", "lines", "verdicts"]

#: The questions in words.
ASKED: Mapping[str, str] = {
    "voice": "Is it the target's voice?",
    "words": "Are these the source's words?",
    "quality": "Does it sound good?",
}
#: Measures of each question by their names before any colon, the one that decides first.
#:
#: People stand before models of people. An acceptance rate stands before the cosine that it was made from: its scale is
#: that of natural speech of the same corpus, and a failed conversion is rejected, while a cosine means what its encoder
#: makes of it. Errors in words stand before those in characters, since that is what is understood, except in languages
#: without blanks between words. Capped rates stand before uncapped ones, which one hallucinated tail decides. UTMOS
#: learnt from ratings of converted speech, DistillMOS from those of many kinds, DNSMOS from those of denoised speech.
#: What others declare comes last.
PREFERENCE: Mapping[str, Sequence[str]] = {
    "voice": ("listening_smos", "sv_accept", "sv_cosine"),
    "words": ("wer_capped", "cer_capped", "wer", "cer"),
    "quality": ("listening_mos", "utmos", "mos_distill", "distillmos", "dnsmos_ovrl"),
}
_UNSPACED_WORDS = ("cer_capped", "wer_capped", "cer", "wer")
#: What would tell where no metric does.
_WOULD_TELL = {"voice": "sv", "words": "wer or cer", "quality": "mos or listeners (vceval listen)"}
#: Systems that a sentence names; more are counted.
_NAMED = 3
_INDENT = 9


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is ahead on one measure.

    question: empty where the measure stands for itself. measure: None where the run has none of the question.
    lacking: why it decides nothing, where no two systems could be compared. Names are those of systems; ``titles`` has
    what they are called. dispute: what the encoders of a panel say against each other; nobody wins then. agreed: that
    they say the same. trained: systems that were trained on speakers of some pairs, ``12 of 48 pairs``.
    """

    question: str
    measure: MeasureView | None
    ranking: Ranking = NOBODY
    lacking: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    trained: Mapping[str, str] = field(default_factory=dict)
    dispute: str = ""
    agreed: str = ""

    @property
    def winners(self) -> list[str]:
        """Those that tables print bold, the first one first; none where it is undecided, or encoders disagree."""
        if self.dispute:
            return []
        return [name for name in self.ranking.order if name in self.ranking.best]

    @property
    def tied(self) -> list[str]:
        """The first, and those that can't be told from it; none where it stands alone or nothing was compared."""
        tied = self.winners or ([] if self.lacking else list(self.ranking.order))
        return tied if len(tied) > 1 else []

    @property
    def ahead(self) -> Comparison | None:
        """By how much the first is better than the first that is worse; where nobody is, than the nearest to that."""
        if self.lacking:
            return None
        if self.winners:
            return self._lead(self.ranking.order[len(self.winners)])
        return self.nearest or self._lead(self.ranking.order[1])

    @property
    def nearest(self) -> Comparison | None:
        """The tie with the first that fewest more speakers would break; positive where the first is ahead."""
        leads = [lead for name in self.tied[1:] if (lead := self._lead(name)) and lead.enough]
        return min(leads, key=lambda one: one.enough.burden if one.enough else 0, default=None)

    @property
    def differences(self) -> list[tuple[str, Comparison | None]]:
        """The ranked systems, each with its difference from the first, as stored; the first has none."""
        return [(name, self.ranking.between(name, self.ranking.order[0])) for name in self.ranking.order]

    def _lead(self, name: str) -> Comparison | None:
        """By how much the first is better than another."""
        found = self.ranking.between(self.ranking.order[0], name)
        higher = self.measure is not None and self.measure.best is None and self.measure.better == "higher"
        return found if higher or found is None else replace(found.turned(), first=found.first, second=found.second)

    @property
    def headline(self) -> str:
        """The winners by their titles, or in a word that there are none."""
        if self.lacking:
            return "Not compared" if self.measure else "Not measured"
        if self.dispute:
            return "The encoders disagree"
        return self._listed(self.winners) if self.winners else "Undecided"

    @property
    def reason(self) -> str:
        """What the headline rests on, or what is missing, in a sentence or two."""
        if self.dispute:
            return self.dispute
        ahead = self.ahead
        if self.lacking or ahead is None:
            return f"{self.lacking or self.ranking.reason}".rstrip(".") + "."
        first, second = self._name(ahead.first), self._name(ahead.second)
        if not self.winners:
            who = "the first ahead by " if len(self.tied) == 2 else f"{first} ahead of {second} by "
            who = who if ahead.difference else ""
            said = f"{self._listed(self.tied)} can't be told apart ({who}{self.lead(ahead)})."
        elif self.tied:
            said = f"can't be told apart; {first} ahead of {second} by {self.lead(ahead)}."
        else:
            said = f"ahead of {second} by {self.lead(ahead)}."
        return " ".join(filter(None, [said, self.agreed, *self._what_would_do(), *self._trained()]))

    @property
    def sentence(self) -> str:
        """The verdict as every format prints it."""
        return f"{self.headline}: {self.reason}"

    def lead(self, one: Comparison) -> str:
        """By how much the first is better than another, how sure that is, and on what it rests."""
        measure, ranking = self.measure, self.ranking
        if measure is None:
            return ""
        closer = f" closer to {measure.text(measure.best)}" if measure.best is not None else ""
        interval = f" [{self._text(one.low)}, {self._text(one.high)}]" if one.low is not None else ""
        known = ranking.targets or ranking.sources
        speakers = f" of {ranking.targets or '?'}×{ranking.sources or '?'} speakers" if known else ""
        pairs = f"{one.n:,} pair{'s' if one.n != 1 else ''}{speakers}"
        amount = f"{self.amount(one.difference)} of {measure.label}{closer}{interval}"
        return ", ".join(filter(None, (amount, p_text(one.p_value), pairs)))

    def _amounts(self, one: Comparison) -> str:
        """A difference of two systems with its interval and p-value."""
        interval = f" [{self._text(one.low)}, {self._text(one.high)}]" if one.low is not None else ""
        return ", ".join(filter(None, (f"{self.amount(one.difference)}{interval}", p_text(one.p_value))))

    @property
    def unit(self) -> str:
        """What differences are counted in: percents differ by points."""
        unit = self.measure.unit if self.measure else ""
        return "points" if unit == "%" else unit

    def amount(self, difference: float) -> str:
        """A difference in its unit, ``4.2 points``."""
        return f"{self._text(difference)} {self.unit}".rstrip()

    def _trained(self) -> Iterator[str]:
        for name in self.winners:
            if name in self.trained:
                who = self._name(name) if len(self.winners) > 1 else "It"
                yield f"{who} was trained on speakers of {self.trained[name]}."

    def _what_would_do(self) -> Iterator[str]:
        one = self.nearest
        if one is None or one.enough is None:
            return
        if one.enough.pairs is not None:
            more = counted(one.enough.more, "more ") or f"{one.enough.pairs - one.n:,} more pairs"
            first, second = self._name(one.first), self._name(one.second)
            would = "do" if len(self.tied) == 2 else f"tell {first} from {second}"
            yield f"About {more} would {would}, if the difference is as large as it looks."
            return
        seen = "No difference was seen" if not one.difference else "No corpus of usual size would show one so small"
        if one.enough.threshold:
            seen = "More pairs alone would not tell: the threshold is learnt from too little natural speech"
        most = max((abs(end) for end in (one.low, one.high) if end is not None), default=0.0)
        still = f"; it can still be as large as {self.amount(most)}" if self._text(most).strip("0.") else ""
        yield f"{seen}{still}."

    def _text(self, value: float | None) -> str:
        return "" if self.measure is None else self.measure.text(value).replace("-", "−")

    def _name(self, system: str) -> str:
        return " ".join(self.titles.get(system, system).split())

    def _listed(self, names: Sequence[str]) -> str:
        told = [self._name(name) for name in names]
        if len(told) > _NAMED + 1:
            told = [*told[:_NAMED], f"{len(told) - _NAMED} more"]
        return " and ".join(filter(None, (", ".join(told[:-1]), *told[-1:])))


def verdicts(report: Report) -> list[Verdict]:
    """Answer the three questions, each by the first of its measures that ranks at least two systems."""
    return [_answered(report, question) for question in QUESTIONS]


def judged(report: Report, measure: MeasureView, question: str = "") -> Verdict:
    """Say who is ahead on one measure."""
    ranking = report.ranking(measure.name)
    trained = {
        str(entry["system"]): f"{entry['pairs'] - entry['left']:,} of {entry['pairs']:,} pairs"
        for entry in (report.training or {}).get("systems", ())
        if entry["pairs"] > entry["left"]
    }
    return Verdict(question, measure, ranking, _lacking(report, measure, ranking), report.titles, trained)


def _answered(report: Report, question: str) -> Verdict:
    names = list(PREFERENCE[question])
    tags = {row.get("language") or "" for row in report.pairs}
    if question == "words" and tags and all(any(same_language(tag, code) for code in UNSPACED) for tag in tags):
        names = list(_UNSPACED_WORDS)

    def place(measure: MeasureView) -> int:
        name = measure.name.split(":")[0]
        return names.index(name) if name in names else len(names)

    found = sorted((one for one in report.measures if one.question == question), key=place)
    if not found:
        lacking = f"this run has no metric for it; {_WOULD_TELL[question]} would tell"
        return Verdict(question, None, lacking=lacking, titles=report.titles)
    told = [judged(report, measure, question) for measure in found]
    if (panel := _panel(report, told)) is not None:
        return panel
    # Ears that are too weak for words are not asked about characters instead
    weak = {one.measure.judge for one in told if one.measure and one.ranking.weak}
    return next((one for one in told if not one.lacking and not (one.measure and one.measure.judge in weak)), told[0])


def _panel(report: Report, told: Sequence[Verdict]) -> Verdict | None:
    """Answer by a panel of encoders: what they all say, or that they disagree, and on whom; None without a panel.

    Those that rank fewer systems than others, as they are kin to one, and those that rank nobody have no voice.
    """
    first = next((one for one in told if not one.lacking), None)
    if first is None or first.measure is None:
        return None
    names = {m["measure"]: m["encoder"] for p in report.panels for m in p["judges"] if m["metric"].partition(":")[0]
             == first.measure.metric.partition(":")[0]}  # fmt: skip
    judges = [one for one in told if one.measure and one.measure.name in names and not one.lacking]
    if len(judges) < 2 or first.measure.name not in names:
        return None
    most = max(len(one.ranking.order) for one in judges)
    full = [one for one in judges if len(one.ranking.order) == most]
    silent = [names[one.measure.name] for one in judges if one.measure and one not in full]
    without = f" Without {' and '.join(silent)}, to which a system is kin." if silent else ""
    if len(full) < 2:
        return replace(full[0], agreed=f"That is what one encoder says.{without}")
    for one, other in itertools.permutations(full, 2):
        for winner, loser in itertools.product(one.winners, other.winners):
            ours, theirs = one.ranking.between(winner, loser), other.ranking.between(winner, loser)
            if winner in other.winners or loser in one.winners or ours is None or theirs is None:
                continue
            said = [
                f"{one._name(a)} is ahead of {one._name(b)} by {names[v.measure.name]} ({v._amounts(c)})"
                for v, a, b, c in ((one, winner, loser, ours), (other, loser, winner, theirs.turned()))
                if v.measure
            ]
            return replace(full[0], dispute=f"{said[0]}, and {said[1]}.{without}")
    if all(set(one.winners) == set(full[0].winners) for one in full):
        count = "Both" if len(full) == 2 else f"All {len(full)}"
        return replace(full[0], agreed=f"{count} encoders say so.{without}")
    said = [f"{names[v.measure.name]}: {v._listed(v.winners) or 'nobody'}" for v in full if v.measure]
    return replace(full[0], dispute=f"First are, by {'; by '.join(said)}.{without}")


def _lacking(report: Report, measure: MeasureView, ranking: Ranking) -> str:
    """Why no two systems can be compared on a measure; empty where they can."""
    if measure.ranked_by or (len(ranking.order) > 1 and not ranking.best and ranking.reason != UNDECIDED):
        return ranking.reason or "another measure ranks"
    if len(ranking.order) > 1:
        failed = all(ranking.counted.get(name, 0) >= ranking.pairs - ranking.left_out for name in ranking.order)
        return "every conversion failed" if failed else ""
    if len(report.converters) < 2:
        return "there is one system, and none to compare it with" if report.converters else "there is no system"
    told = dict.fromkeys(_missing(report, measure, ranking))
    return "; ".join(told) or "no pair has a value"


def _missing(report: Report, measure: MeasureView, ranking: Ranking) -> Iterator[str]:
    """What pairs lack for a measure, and who could not be ranked."""
    names = {system.name for system in report.converters}
    needs = Counter(row["need"] for row in report.skips if row["measure"] == measure.name and row["system"] in names)
    for need, count in needs.most_common(1):
        yield f"{count:,} values could not be made, for lack of {NEEDS.get(need, need)}"
    if ranking.reason and not needs and len(names) - len(ranking.unranked) > 1:
        yield ranking.reason
    for system, reason in list(ranking.unranked.items())[:_NAMED]:
        yield f"{report.titles.get(system, system)} {reason}"


def lines(found: Sequence[Verdict], columns: int) -> list[str]:
    """Print verdicts for a terminal of so many columns."""
    return [
        line for one in found for line in paragraph(clean(one.sentence), one.question, _INDENT, columns).split("\n")
    ]


def as_json(found: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as numbers and words; differences in the unit of the measure, positive where the first is better."""
    return {"schema": 1, "verdicts": [_entry(one) for one in found]}


def _entry(one: Verdict) -> dict[str, Any]:
    ahead, measure = one.ahead, one.measure
    scale = measure.scale if measure else 1.0
    entry: dict[str, Any] = {
        "question": one.question, "measure": measure and measure.name, "unit": measure and measure.unit,
        "winners": one.winners, "tied": one.tied, "lacking": one.lacking, "sentence": one.sentence, "ahead": None,
    }  # fmt: skip
    if ahead is not None:
        ends = (ahead.difference, ahead.low, ahead.high)
        difference, low, high = (None if end is None else end * scale for end in ends)
        entry["ahead"] = {
            "first": ahead.first, "second": ahead.second, "difference": difference, "low": low, "high": high,
            "p_holm": ahead.p_value, "n": ahead.n, "targets": one.ranking.targets, "sources": one.ranking.sources,
        }  # fmt: skip
    if (near := one.nearest) is not None and near.enough is not None:
        entry["enough"] = {
            "first": near.first, "second": near.second, "more": dict(near.enough.more), "pairs": near.enough.pairs,
        }  # fmt: skip
    return entry
