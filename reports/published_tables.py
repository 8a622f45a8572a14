"""Tables of what is not measured on conversions: published results, and calibrations on natural speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vceval.protocol.published import words_of
from vceval.reports.tables import PlainTable, suite_label
from vceval.results.marks import interval_words
from vceval.results.published import Beside, beside
from vceval.results.views import MeasureView, Report, with_interval

__all__ = ["calibration_details", "calibration_table", "comparison_tables", "published_table"]

#: What stands beside the figures of all trials of a calibration.
_SAME_GENDER = ("EER, same gender (%)", "Threshold, same gender")
#: Counts of a calibration: trials of the same speaker, of different speakers.
_TRIALS = ("target_trials", "nontarget_trials")


def comparison_tables(report: Report) -> list[PlainTable]:
    """Build per paper the table of measured systems and, apart from them, what the paper prints of the same measures.

    What may stand there, and what differs all the same: :func:`vceval.results.published.beside`. A paper with nothing
    of the kind has no table; all its figures are in :func:`published_table`.
    """
    by_paper: dict[str, list[Mapping[str, Any]]] = {}
    for row in report.published:
        if not _of_verifier(row):
            by_paper.setdefault(str(row["paper"]), []).append(row)
    found = {paper: [(row, beside(row, report)) for row in rows] for paper, rows in by_paper.items()}
    shown = {paper: rows for paper, rows in found.items() if any(not verdict.refused for _, verdict in rows)}
    single = len(shown) == 1
    return [
        _comparison(report, paper, rows, "comparison" if single else f"comparison-{number}")
        for number, (paper, rows) in enumerate(shown.items(), 1)
    ]


def _comparison(
    report: Report, paper: str, judged: Sequence[tuple[Mapping[str, Any], Beside]], identity: str
) -> PlainTable:
    rows = [row for row, verdict in judged if not verdict.refused]
    measures = {_column(row): verdict.measure for row, verdict in judged if verdict.measure and not verdict.refused}
    decimals: dict[tuple[str, str], int] = {}
    for row in rows:
        key = _column(row)
        decimals[key] = max(decimals.get(key, 0), _decimals(row.get("value")), _decimals(row.get("plus_minus")))
    heads = [name + (f" ({unit})" if unit else "") + measures[name, unit].arrow for name, unit in decimals]
    body: list[list[str]] = []
    shown = [
        [system.title, "control" if system.control else "", *cells]
        for system in [*report.converters, *report.controls]
        if any(cells := [_measured(report, system.name, measures[column]) for column in decimals])
    ]
    if shown:
        body += [[f"Measured: suite {suite_label(report)}"], *(_filled(row, 2) for row in shown)]
    notes: dict[str, None] = {}
    for (table, _), entries in _grouped(rows, "table", "paper").items():
        body.append([f"Published: {paper}, {table}"])
        for (task, system), figures in _grouped(entries, "task", "system").items():
            values = {_column(row): _value(row, decimals[_column(row)]) for row in figures}
            body.append(_filled([system, task, *(values.get(column, "") for column in decimals)], 2))
        notes |= dict.fromkeys(
            f"{table}: {'; '.join(verdict.differs)}."
            for row, verdict in judged
            if not verdict.refused and str(row.get("table") or "") == table and verdict.differs
        )
    caption = (
        f"Measured results and those that {paper} prints. Suite {suite_label(report)}. Published figures (± as "
        "printed) come from other data, tools and listeners: they are no part of a ranking with measured ones."
    )
    if notes:
        caption += f" What is known to differ: {' '.join(notes)}"
    refused = Counter(verdict.refused for _, verdict in judged if verdict.refused)
    if refused:
        reasons = "; ".join(f"{count}: {reason}" for reason, count in refused.items())
        caption += f" Figures of the paper that may not stand here ({reasons}) are in the list of published results."
    if any("[" in cell for row in shown for cell in row[2:]):
        used = {measure.name for measure in measures.values()}
        methods = (cell.method for (_, measure, *_), cell in report.cells.items() if measure in used)
        caption += f" Below measured figures: 95 % interval ({interval_words(methods)})."
    headings = ["System", "Task", *heads]
    return PlainTable(
        identity, f"Measured and published results: {paper}", caption, headings, body,
        frozenset(range(2, len(headings))),
    )  # fmt: skip


def _column(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row["metric"]), str(row.get("unit") or "")


def _decimals(number: Any) -> int:
    return len(f"{number:.6g}".partition(".")[2]) if isinstance(number, float) else 0


def _of_verifier(row: Mapping[str, Any]) -> bool:
    """Whether a published figure is about a verifier, and not about a converter."""
    return "calibration" in str(row["task"]) or row["metric"] == "threshold"


def _measured(report: Report, system: str, measure: MeasureView) -> str:
    """Print a system's figure, empty where the run has none."""
    cell = report.cell(system, measure.name)
    if cell is None or cell.value is None:
        return ""
    return with_interval(cell.value, cell.low, cell.high, measure.text)


def _filled(row: Sequence[str], start: int) -> list[str]:
    return [text or "–" if column >= start else text for column, text in enumerate(row)]


def _grouped(
    rows: Iterable[Mapping[str, Any]], first: str, second: str
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((str(row.get(first) or ""), str(row.get(second) or "")), []).append(row)
    return found


def _value(row: Mapping[str, Any], decimals: int) -> str:
    """Print a published figure with the decimals of its column."""
    value, spread = row.get("value"), row.get("plus_minus")
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{decimals}f}" + (f" ± {spread:.{decimals}f}" if isinstance(spread, float) else "")


def published_table(report: Report) -> PlainTable | None:
    """Build the table of what papers report, apart from what was measured here; None where there is none."""
    if not report.published:
        return None
    headings = ("Paper", "Table", "Task", "System", "Metric", "Value", "Notes")
    rows = []
    for entry in report.published:
        notes = [str(entry.get(key) or "") for key in ("corpus", "evaluator", "apart", "notes")]
        if entry.get("better"):
            notes.append(f"{entry['better']} is better")
        if entry.get("plus_minus") is not None and entry.get("interval"):
            notes.append(f"±: {entry['interval']}")
        rows.append(
            [str(entry.get(key) or "") for key in ("paper", "table", "task", "system", "metric")]
            + [words_of(entry), "; ".join(filter(None, notes))]
        )
    caption = "Published by the papers named, on their own data and with their own tools; not measured here."
    return PlainTable("published", "Published results", caption, headings, rows, frozenset({5}))


def calibration_table(report: Report) -> PlainTable | None:
    """Build the table of EER and threshold per corpus, published calibrations below it; None where there is neither."""
    body: list[list[str]] = []
    notes: list[str] = []
    for metric, datasets in sorted(report.calibration.items()):
        found = [(name, facts) for name, facts in sorted(datasets.items()) if "unavailable" not in facts]
        lacking = [name for name, facts in sorted(datasets.items()) if "unavailable" in facts]
        title = report.metrics[metric].title if metric in report.metrics else metric
        if lacking:
            notes.append(f"{title}: too little natural speech of {', '.join(lacking)}.")
        if not found:
            continue
        encoders = dict.fromkeys(str(facts.get("encoder") or "") for _, facts in found)
        body.append([f"{title}, {', '.join(encoders)}".rstrip(", ")])
        body += [_calibrated(name, facts) for name, facts in found]
    published = [row for row in report.published if "calibration" in str(row["task"])]
    for (paper, table), entries in _grouped(published, "paper", "table").items():
        body.append([f"Published: {paper}, {table}"])
        for (task, system), rows in _grouped(entries, "task", "system").items():
            values = {str(row["metric"]): float(row["value"]) for row in rows}
            body.append([
                f"{task.partition(' calibration ')[2] or task} ({system})",
                *(_plain(values.get(name), style) for name, style in (("EER", ".2f"), ("threshold", ".3f"))),
                "–", "–", _plain(values.get("trials"), ",.0f"), "–",
            ])  # fmt: skip
    if not body and not notes:
        return None
    caption = (
        f"Calibration on natural speech: equal error rate with its 95 % interval, and the threshold there. Suite "
        f"{suite_label(report)}. Trials: same speaker + different speakers. Same gender: without trials between two "
        "genders, which are easier."
    )
    if published:
        caption += " Published calibrations are of other trials; their recordings are not known."
    headings = ("Corpus", "EER (%)", "Threshold", *_SAME_GENDER, "Trials", "Speakers")
    return PlainTable(
        "calibration", "Calibration", " ".join([caption, *notes]), headings, body, frozenset(range(1, len(headings)))
    )  # fmt: skip


def _calibrated(name: str, facts: Mapping[str, Any]) -> list[str]:
    trials = [f"{int(facts[key]):,}" for key in _TRIALS if key in facts]
    return [
        name,
        _eer(facts),
        _plain(facts.get("threshold"), ".4f"),
        *_same_gender(facts),
        " + ".join(trials) or "–",
        str(facts.get("speakers", "–")),
    ]


def _eer(facts: Mapping[str, Any]) -> str:
    """Print an equal error rate in per cent with its interval."""
    eer, low, high = (facts.get(key) for key in ("eer", "eer_low", "eer_high"))
    return with_interval(eer, low, high, lambda rate: f"{100 * float(rate):.2f}")


def _same_gender(facts: Mapping[str, Any]) -> list[str]:
    """Print EER in per cent and threshold of trials between speakers of one gender."""
    same = facts.get("same_gender") or {}
    rate = same.get("eer")
    return [_plain(None if rate is None else 100 * rate, ".2f"), _plain(same.get("threshold"), ".4f")]


def _plain(value: Any, style: str) -> str:
    return "–" if value is None else format(float(value), style)


def calibration_details(report: Report) -> PlainTable | None:
    """Build the table of what was learnt from natural speech; None where no metric calibrates."""
    headings = ("Metric", "Dataset", "Encoder", "EER (%)", "Threshold", *_SAME_GENDER, "Trials", "Speakers", "Notes")
    rows: list[tuple[str, ...]] = []
    for metric, datasets in sorted(report.calibration.items()):
        for dataset, found in sorted(datasets.items()):
            if "unavailable" in found:
                rows.append((metric, dataset, f"unavailable: {found['unavailable']}"))
                continue
            threshold = found.get("threshold")
            notes = [f"{found['unusable']} recordings unusable"] if found.get("unusable") else []
            if reason := (found.get("same_gender") or {}).get("reason"):
                notes.append(f"same gender: {reason}")
            rows.append((
                metric,
                dataset,
                str(found.get("encoder") or ""),
                "" if found.get("eer") is None else _eer(found),
                "" if threshold is None else f"{float(threshold):.4f}",
                *_same_gender(found),
                " + ".join(str(found[kind]) for kind in _TRIALS if kind in found),
                str(found.get("speakers", "")),
                "; ".join(notes),
            ))  # fmt: skip
    if not rows:
        return None
    full = [row for row in rows if len(row) == len(headings)]
    used = [column for column in range(len(headings)) if column < len(headings) - 1 or any(row[column] for row in full)]
    caption = f"Calibration on natural speech. Suite {suite_label(report)}. Trials: same speaker + different speakers."
    return PlainTable(
        "calibration", "Calibration", caption, [headings[column] for column in used],
        [[row[column] for column in used if column < len(row)] for row in rows],
        frozenset(place for place, column in enumerate(used) if 3 <= column < len(headings) - 1),
    )  # fmt: skip
