"""The listening test in a report: preferences, how well each metric agrees with listeners, who listened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vceval.reports.tables import PlainTable, suite_label
from vceval.results.listening import changed, listening
from vceval.results.rundir import RunDirectory
from vceval.results.views import Report, number, with_interval

__all__ = ["agreement_table", "listeners_table", "listening_tables", "preference_table"]


def listening_tables(report: Report) -> list[PlainTable]:
    """Build the tables of the report's section on its listening test; none where there was no test.

    Raises:
        UsageError: ``listening.json`` is there and can't be read.
    """
    # Several runs side by side have no test in common
    heard = None if "runs" in report.run else listening(RunDirectory(report.root))
    if heard is None:
        return []
    if lost := changed(RunDirectory(report.root), heard):
        return [_stale(lost)]
    found = (preference_table(report, heard), agreement_table(report, heard), listeners_table(report, heard))
    return [table for table in found if table is not None]


def preference_table(report: Report, heard: Mapping[str, Any]) -> PlainTable | None:
    """Build the table of preferences, ties apart; None where listeners were not asked for any."""
    entries = heard.get("preferences") or []
    if not entries:
        return None
    titles = {system.name: system.title for system in report.systems}
    rows = []
    for entry in entries:
        shares = [_share(entry["shares"][name]) for name in ("first_preferred", "ties", "second_preferred")]
        rows.append([
            titles.get(entry["first"], entry["first"]),
            titles.get(entry["second"], entry["second"]),
            *shares,
            _spread(entry["difference"], entry["low"], entry["high"], 100, 1),
            "–" if entry["p_holm"] is None else _p_value(entry["p_holm"]),
            f"{entry['ratings']:,}",
        ])  # fmt: skip
    bias = heard.get("first_preferred")
    caption = (
        f"Preference of listeners, in % of their answers. Suite {suite_label(report)}. In brackets: 95 % interval "
        "(over listeners and pairs). p: difference of the two shares, Holm over all comparisons."
    )
    if bias is not None:
        caption += f" The recording heard first won {number(100 * bias, 1)} % of the answers that are no ties."
    headings = ("A", "B", "A better", "Neither", "B better", "A − B", "p", "Answers")
    return PlainTable("preference", "Preference", caption, headings, rows, frozenset(range(2, 8)))


def agreement_table(report: Report, heard: Mapping[str, Any]) -> PlainTable | None:
    """Build the table of correlations of metrics with listeners' scores on a scale; None where there is none."""
    entries = heard.get("agreement") or []
    labels = {measure.name: measure for measure in report.measures}
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for entry in entries:
        found.setdefault((entry["human"], entry["measure"]), {})[entry["level"]] = entry
    rows = []
    for (human, name), levels in found.items():
        scores, measure = labels.get(human), labels.get(name)
        if scores is None or measure is None or scores.secondary or all(e["spearman"] is None for e in levels.values()):
            continue
        row = [f"{measure.label}{measure.arrow}", scores.label]
        for level in ("recordings", "within", "systems", "rows"):
            row += _coefficient(levels.get(level), counted=level != "within")
        best = levels.get("recordings") or levels.get("systems") or levels["rows"]
        rows.append((scores.label, -_strength(best), [*row, _verdict(best)]))
    if not rows:
        return None
    caption = (
        f"Spearman's correlation of each metric with listeners' scores. Suite {suite_label(report)}. Over converted "
        "recordings; over the same less the mean of each system, so that only recordings of one system are told apart; "
        "over systems; over systems and controls. In brackets: 95 % interval, over recordings by bootstrap over pairs, "
        "over systems by Fisher's transformation (none below four). A metric that agrees has the sign that its arrow "
        "promises; nothing is said where the interval over recordings holds zero."
    )
    headings = (
        "Metric", "Score", "Recordings", "n", "Within systems", "Systems", "n", "With controls", "n", "Agrees",
    )  # fmt: skip
    ordered = [row for _, _, row in sorted(rows, key=lambda row: row[:2])]
    return PlainTable("agreement", "Agreement with listeners", caption, headings, ordered, frozenset(range(2, 9)))


def listeners_table(report: Report, heard: Mapping[str, Any]) -> PlainTable | None:
    """Build the table of who listened and whose answers were left out for what; None where there was no test."""
    people: Sequence[Mapping[str, Any]] = heard.get("listeners") or []
    if not people:
        return None
    rows = [["Listeners", str(len(people))], ["Counted", str(heard.get("kept"))]]
    rows += [[f"Left out: {rule}", str(count)] for rule, count in sorted((heard.get("left_out") or {}).items())]
    for name, title in (("device", "Listening with"), ("language", "Language"), ("hearing", "Hearing")):
        tally: dict[str, int] = {}
        for one in people:
            if one.get("kept") or heard.get("keep_all"):
                said = str(one.get(name) or "not said")
                tally[said] = tally.get(said, 0) + 1
        rows.append([title, ", ".join(f"{said} {count}" for said, count in sorted(tally.items()))])
    rows += [[f"Anchor, {_label(report, cell)}: {cell['title']}", _value(cell)] for cell in heard.get("anchors") or []]
    audio = heard.get("audio") or {}
    if audio:
        rows.append([
            "Recordings",
            f"{audio.get('format')}, {audio.get('sample_rate'):,} Hz, {audio.get('loudness_lufs')} LUFS (BS.1770)",
        ])  # fmt: skip
    caption = f"The listening test. Suite {suite_label(report)}. One listener can be left out for several reasons."
    return PlainTable("listeners", "Listeners", caption, ("Fact", "Found"), rows, frozenset())


def _stale(lost: Sequence[tuple[str, str]]) -> PlainTable:
    """Say that the run was made again since, and that nothing is shown for that reason."""
    caption = (
        "The recordings of the run have changed since listeners heard them, so that nothing they said is shown. Import "
        "the answers to a test of these recordings, or remove listening.json."
    )
    rows = [[f"{len(lost)} recordings have changed, such as", f"{lost[0][0]}, {lost[0][1]}"]]
    return PlainTable("listeners", "Listeners", caption, ("Fact", "Found"), rows, frozenset())


def _label(report: Report, cell: Mapping[str, Any]) -> str:
    return next((m.label for m in report.measures if m.name == cell["measure"]), str(cell["measure"]))


def _value(cell: Mapping[str, Any]) -> str:
    return _spread(cell["value"], cell["low"], cell["high"], 1, 2)


def _share(entry: Mapping[str, Any]) -> str:
    return _spread(entry["share"], entry["low"], entry["high"], 100, 1)


def _spread(value: float | None, low: float | None, high: float | None, scale: float, decimals: int) -> str:
    """Print ``scale`` times a figure and its interval, with minus signs."""
    return with_interval(value, low, high, lambda figure: number(scale * figure, decimals)).replace("-", "−")


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _coefficient(entry: Mapping[str, Any] | None, counted: bool) -> list[str]:
    """Print a coefficient with its interval and, where ``counted``, the number of points."""
    if entry is None:
        return ["–", "–"] if counted else ["–"]
    text = _spread(entry["spearman"], entry["spearman_low"], entry["spearman_high"], 1, 2)
    return [text, f"{entry['n']:,}"] if counted else [text]


def _strength(entry: Mapping[str, Any]) -> float:
    return abs(float(entry["spearman"] or 0.0))


def _verdict(entry: Mapping[str, Any]) -> str:
    """Whether the sign is the right one, where the interval does not hold zero."""
    low, high = entry["spearman_low"], entry["spearman_high"]
    if entry["agrees"] is None or low is None or high is None or low <= 0 <= high:
        return ""
    return "yes" if entry["agrees"] else "no"
