"""The samples of a report: per pair the source, the target and what every system made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vceval.reports.audio_links import AudioLinks
from vceval.reports.data import PairScores, Report, SystemView

__all__ = ["Recording", "Sample", "samples"]


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a sample: a player or the reason why there is none, what is said, scores, sanity flags."""

    label: str
    kind: str
    href: str | None
    problem: str
    text: str
    scores: Sequence[str]
    flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair with its recordings: source and target first, then systems, then controls."""

    pair: str
    dataset: str
    direction: str
    source_speaker: str
    target_speaker: str
    transcript: str
    recordings: Sequence[Recording]


def samples(report: Report, links: AudioLinks) -> list[Sample]:
    """List the samples of a run in the order of its pairs, linking their recordings on the way."""
    reasons: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in report.failures:
        reasons[row["system"], row["pair"]].setdefault(row["stage"], row["reason"])
    return [
        Sample(
            pair=pair["pair"],
            dataset=pair["dataset"],
            direction=pair["direction"],
            source_speaker=pair["source_speaker"],
            target_speaker=pair["target_speaker"],
            transcript=pair["transcript"],
            recordings=[
                *_given(pair, links),
                *(
                    recording
                    for system in [*report.converters, *report.controls]
                    if (recording := _converted(report, system, pair["pair"], links, reasons)) is not None
                ),
            ],
        )
        for pair in report.pairs
    ]


def _given(pair: Mapping[str, str], links: AudioLinks) -> list[Recording]:
    prompts = [path for path in pair["prompt_paths"].split("|") if path]
    wanted = [("Source", pair["source_path"], pair["transcript"])]
    if pair["reference_path"]:
        wanted.append(("Target, same text", pair["reference_path"], pair["transcript"]))
    elif pair["natural_path"]:
        wanted.append(("Target", pair["natural_path"], pair["natural_transcript"]))
    if prompts:
        label = "Prompt" if len(prompts) == 1 else f"Prompt 1 of {len(prompts)}"
        wanted.append((label, prompts[0], ""))
    return [
        Recording(label, "given", href, "" if href else f"not found: {Path(path).name}", text, ())
        for label, path, text in wanted
        if path
        for href in [links.href(path)]
    ]


def _converted(
    report: Report,
    system: SystemView,
    pair: str,
    links: AudioLinks,
    reasons: Mapping[tuple[str, str], Mapping[str, str]],
) -> Recording | None:
    key = (system.name, pair)
    path, scores, why = report.audio.get(key, ""), report.scores.get(key, PairScores({}, None)), reasons.get(key, {})
    if not path and not scores.values and not why:
        return None
    href = links.href(path)
    problem = " ".join(f"{stage} failed: {reason}" for stage, reason in why.items())
    if not href and not problem:
        problem = f"not found: {Path(path).name}" if path else "no recording"
    return Recording(
        label=system.title,
        kind="control" if system.control else "system",
        href=href,
        problem=problem,
        text=scores.heard or "",
        scores=[measure.text(scores.values.get(measure.name)) for measure in report.sample_measures],
        # The source control is the same as the source; of controls the table of flags says enough
        flags=() if system.control else report.flags.get(key, ()),
    )
