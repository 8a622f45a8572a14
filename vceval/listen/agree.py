"""How far the metrics of a run agree with people who rated its recordings, and how far people agree with each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.listen.rating_tables import RatingTable, stem
from vceval.results.rundir import RunDirectory
from vceval.statistics.agreement import (
    COEFFICIENTS,
    LEVELS,
    Correlated,
    Draws,
    Figures,
    Panel,
    agreement,
    correlations,
    lengthened,
)

if TYPE_CHECKING:
    import pandas

__all__ = ["SPLITS", "Agreed", "agree", "ceiling", "panel_of"]

#: Random splits of the listeners into halves, over which their agreement is averaged.
SPLITS = 50
#: Names of files that a message lists.
_NAMED = 3
#: Coefficients of which the agreement of larger panels follows from that of halves.
_LENGTHENED = ("pearson", "spearman")


@dataclass(slots=True)
class Agreed:
    """What ``vceval agree`` found, in the form that ``--json`` prints; ``notes`` are for people.

    complete: whether every rating was joined and every coefficient found.
    """

    facts: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    complete: bool = True


def agree(run: RunDirectory, table: RatingTable, listeners: str = "") -> Agreed:
    """Join a run's scores with ratings of its recordings, and correlate every measure with every question.

    Args:
        run: a finished run.
        table: the ratings.
        listeners: the group whose ratings count; all where empty.

    Raises:
        UsageError: nothing was rated that the run has scores for, all ratings are alike, or there is no such group.
    """
    summary = run.read_json("summary.json")
    ratings = table.ratings
    groups = sorted(set(ratings["listeners"]) - {""})
    if listeners:
        if listeners not in groups:
            raise UsageError(
                f"{table.name}: has no listeners {listeners!r}; its groups: {', '.join(groups) or 'it names none'}"
            )
        ratings = ratings[ratings["listeners"] == listeners]
        groups = [listeners]
    systems = [str(row["name"]) for row in summary["systems"]]
    joined = _joined(run, table, ratings, systems)
    rated = joined[joined["pair"] != ""]
    unknown = sorted(set(joined["file"][joined["pair"] == ""]) | set(joined["said"][joined["pair"] == ""]) - {""})
    found = Agreed({
        "schema": 1, "run": str(summary.get("name", "")), "ratings": table.name, "origin": table.origin,
        "listeners": listeners or "all", "groups": groups, "unknown_ratings": int((joined["pair"] == "").sum()),
        "left_out": dict(table.left_out), "questions": [],
    })  # fmt: skip
    if not len(rated):
        raise UsageError(
            f"{table.name}: none of its {len(joined):,} ratings is of a recording of {run.root}; rated were such as "
            f"{', '.join(unknown[:_NAMED])}, the run has such as {', '.join(_recordings(run)[:_NAMED])}"
        )
    if rated.groupby("question")["score"].nunique().max() == 1:
        raise UsageError(f"{table.name}: every rating is {rated['score'].iloc[0]:g}; nothing agrees with that")
    if found.facts["unknown_ratings"]:
        if table.own:
            found.complete = False
        found.notes.append(
            f"{found.facts['unknown_ratings']:,} of {len(joined):,} ratings are of recordings that the run does not "
            f"have, such as {', '.join(unknown[:_NAMED])}; they are left out"
        )
    found.notes += [f"{count:,} answers to {name} are no scores of one recording; left out"
                    for name, count in table.left_out.items()]  # fmt: skip
    scores = run.read_scores()
    for question, mine in rated.groupby("question", sort=True):
        _question(found, str(question), mine, summary, scores, groups)
    return found


def _recordings(run: RunDirectory) -> list[str]:
    return [stem(row["path"]) for row in run.read_audio()[:_NAMED]]


def _joined(
    run: RunDirectory, table: RatingTable, ratings: pandas.DataFrame, systems: Sequence[str]
) -> pandas.DataFrame:
    """Find system and pair of each rating; an empty pair where the run has no such recording.

    A table's system holds where the run has one of that name. Else the file's name must tell it, with the folders that
    stand before it.
    """
    named: dict[tuple[str, str], str] = {}
    alone: dict[str, list[tuple[str, str]]] = {}
    paths: dict[tuple[str, str], list[str]] = {}
    for row in run.read_audio():
        paths.setdefault((row["system"], row["pair"]), []).append(row["path"])
        for name in (stem(row["path"]), row["pair"]):
            if named.setdefault((row["system"], name), row["pair"]) == row["pair"]:
                alone.setdefault(name, []).append((row["system"], row["pair"]))
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for system, file, pair in set(zip(ratings["system"], ratings["file"], ratings["pair"], strict=True)):
        name = stem(file) if file else pair
        if system in systems:
            found[system, file, pair] = (system, named.get((system, name), ""))
            continue
        places = dict.fromkeys(alone.get(name, ()))
        inside = [place for place in places if any(_ends(path, file) for path in paths[place])]
        if len(inside) == 1:
            places = dict.fromkeys(inside)
        owners = sorted({owner for owner, _ in places})
        if len(owners) > 1:
            if system and table.own:
                found[system, file, pair] = (system, "")
                continue
            raise UsageError(
                f"{table.name}: {name} may be of {len(owners)} systems ({', '.join(owners[:_NAMED])}); a column system "
                "must say which, or the folders before the names of files"
            )
        found[system, file, pair] = next(iter(places), ("", ""))
    keys = list(zip(ratings["system"], ratings["file"], ratings["pair"], strict=True))
    return ratings.assign(
        said=ratings["pair"], system=[found[key][0] for key in keys], pair=[found[key][1] for key in keys]
    )


def _ends(path: str, given: str) -> bool:
    """Whether a recording's path ends as another one, which begins with a folder at least."""
    end = [part for part in given.replace("\\", "/").split("/")[:-1] if part not in ("", ".", "..")]
    return bool(end) and Path(path).parts[:-1][-len(end) :] == tuple(end)


def panel_of(ratings: pandas.DataFrame, keys: Sequence[tuple[str, str]], systems: Sequence[str]) -> Panel:
    """The panel that gave some ratings, over numbered files (system and pair) and systems."""
    import numpy as np
    import pandas as pd

    numbers = {key: number for number, key in enumerate(keys)}
    files = [numbers[key] for key in zip(ratings["system"], ratings["pair"], strict=True)]
    of = {name: number for number, name in enumerate(systems)}
    return Panel(
        np.array(files, dtype=np.intp), pd.factorize(ratings["listener"], sort=True)[0],
        ratings["score"].to_numpy(dtype=np.float64), np.array([of[system] for system, _ in keys], dtype=np.intp),
    )  # fmt: skip


def _question(
    found: Agreed,
    question: str,
    rated: pandas.DataFrame,
    summary: Mapping[str, Any],
    scores: pandas.DataFrame,
    groups: Sequence[str],
) -> None:
    """Everything about one question."""
    entry: dict[str, Any] = {"question": question, **_counts(rated)}
    found.facts["questions"].append(entry)
    controls = {str(row["name"]) for row in summary["systems"] if row.get("control")}
    converters = rated[~rated["system"].isin(controls)]
    entry["controls"] = sorted(set(rated["system"]) & controls)
    entry["measures"], entry["ceiling"] = [], {}
    if not len(converters) or converters["score"].nunique() < 2:
        found.complete = False
        found.notes.append(
            f"{question}: " + ("every rating is alike; nothing agrees with that" if len(converters)
                               else "only controls were rated")
        )  # fmt: skip
        return
    once = converters.groupby("listener").size()
    alike = converters.groupby("listener")["score"].nunique()
    for count, what in (
        (int((once == 1).sum()), "gave one rating; they count, and their level can't be told from noise"),
        (int(((alike == 1) & (once > 1)).sum()), "gave the same score to everything; they count"),
    ):
        if count:
            found.notes.append(f"{question}: {count:,} of {len(once):,} listeners {what}")
    entry["ceiling"] = ceiling(converters, groups)
    count = converters["system"].nunique()
    if count < 3:
        found.complete = False
        found.notes.append(
            f"{question}: {count} system{'s' * (count > 1)} rated that {'are' if count > 1 else 'is'} no control; over "
            "systems there is no correlation of fewer than 3, and no interval of fewer than 4"
        )
    panels: dict[tuple[tuple[str, str], ...], tuple[Draws, list[str]]] = {}
    by_measure = dict(tuple(scores.groupby("measure")))
    whole = {
        (cell["measure"], cell["system"]): cell["value"]
        for cell in summary.get("cells", ())
        if (cell["dataset"], cell["direction"]) == ("all", "all") and cell["value"] is not None
    }
    everything = sorted(set(zip(converters["system"], converters["pair"], strict=True)))
    for measure in summary.get("measures", ()):
        if measure["better"] not in ("higher", "lower"):
            continue
        name, ratio = measure["name"], measure.get("reduction", "ratio") == "ratio"
        mine = by_measure.get(name)
        known = {} if mine is None else _known(mine)
        keys = tuple(key for key in everything if key in known) if ratio else tuple(everything)
        if not keys or (not ratio and not any((name, system) in whole for system, _ in keys)):
            continue
        if keys not in panels:
            here = converters.set_index(["system", "pair"]).loc[list(keys)].reset_index()
            systems = sorted({system for system, _ in keys})
            panels[keys] = Draws(panel_of(here, keys, systems)), systems
        people, systems = panels[keys]
        judge = _figures(known, keys, systems) if ratio else _whole(whole, name, keys, systems)
        sign = 1.0 if measure["better"] == "higher" else -1.0
        levels = agreement(people, judge, sign)
        row = {
            "measure": name, "label": measure.get("label", name), "better": measure["better"],
            "files": len(keys) if ratio else 0, "systems": len(systems), "rated_files": len(everything), "levels": {},
        }  # fmt: skip
        for level in LEVELS if ratio else LEVELS[:1]:
            row["levels"][level] = {
                coefficient: _against(levels[level][coefficient], entry["ceiling"][level].get(coefficient))
                for coefficient in COEFFICIENTS[level]
            }
        entry["measures"].append(row)
        if len(systems) > 2 and levels["systems"]["pearson"].value is None:
            found.notes.append(f"{question}: {row['label']} has the same figure for all systems, and orders none")
    if not entry["measures"]:
        found.complete = False
        found.notes.append(f"{question}: no measure of the run has a score of a recording that was rated")


def _known(scores: pandas.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Value, numerator and denominator of each recording that a measure has scored."""
    columns = (scores[name].tolist() for name in ("system", "pair", "value", "numerator", "denominator"))
    return {(system, pair): (value, above, below) for system, pair, value, above, below in zip(*columns, strict=True)}


def _counts(rated: pandas.DataFrame) -> dict[str, int]:
    return {
        "ratings": len(rated), "files": len(rated[["system", "pair"]].drop_duplicates()),
        "systems": rated["system"].nunique(), "listeners": rated["listener"].nunique(),
    }  # fmt: skip


def _against(one: Correlated, of_people: Mapping[str, Any] | None) -> dict[str, float | None]:
    """A coefficient beside the ceiling, and its share of that."""
    top = of_people["ceiling"] if of_people else None
    share = one.value / top if one.value is not None and top is not None and top > 0 else None
    return {**one._asdict(), "ceiling": top, "share": share}


def _figures(
    known: Mapping[tuple[str, str], tuple[float, float, float]],
    keys: Sequence[tuple[str, str]],
    systems: Sequence[str],
) -> Figures:
    """What a measure says of files and systems; of a system the ratio of its sums over the rated files."""
    import numpy as np

    of = {name: number for number, name in enumerate(systems)}
    values = np.array([known[key] for key in keys], dtype=np.float64)
    codes = np.array([of[system] for system, _ in keys])
    above, below = (np.bincount(codes, values[:, column], len(systems)) for column in (1, 2))
    means = np.divide(above, below, out=np.full(len(systems), np.nan), where=below > 0)
    return Figures(values[:, :1], means[:, None])


def _whole(
    whole: Mapping[tuple[str, str], float], name: str, keys: Sequence[tuple[str, str]], systems: Sequence[str]
) -> Figures:
    """What a measure that is no sum over pairs, such as an EER, says of systems."""
    import numpy as np

    means = np.array([whole.get((name, system), np.nan) for system in systems], dtype=np.float64)
    return Figures(np.full((len(keys), 1), np.nan), means[:, None])


def ceiling(rated: pandas.DataFrame, groups: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """How far listeners agree with each other, by level and coefficient.

    Per level and coefficient: ``halves``, the mean over random splits of the listeners into halves; ``ceiling``, what
    two panels as large as this one would reach (Spearman-Brown; None for Kendall's coefficient, of which it does not
    follow); ``groups``, each two groups against each other, with an interval over systems and listeners.
    """
    import numpy as np

    keys = sorted(set(zip(rated["system"], rated["pair"], strict=True)))
    systems = sorted({system for system, _ in keys})
    panel = panel_of(rated, keys, systems)
    levels: dict[str, dict[str, dict[str, Any]]] = {}
    halves = correlations(*panel.halves(SPLITS), panel.systems) if panel.listeners > 1 else None
    of_files = panel.growth(SPLITS) if panel.listeners > 1 else np.nan
    for level in LEVELS:
        times = 2.0 if level == "systems" else of_files
        levels[level] = {}
        for name in COEFFICIENTS[level]:
            split = halves[level][name] if halves else np.empty(0)
            split = split[np.isfinite(split)]
            half = float(split.mean()) if len(split) else None
            top = lengthened(half, times) if half is not None and half > 0 and name in _LENGTHENED else None
            levels[level][name] = {"halves": half, "ceiling": top, "groups": {}}
    for pair in itertools.combinations(groups, 2):
        here = _shared(rated, pair)
        if not len(here):
            continue
        keys = sorted(set(zip(here["system"], here["pair"], strict=True)))
        systems = sorted({system for system, _ in keys})
        one, other = (Draws(panel_of(here[here["listeners"] == group], keys, systems)) for group in pair)
        for level, of_level in agreement(one, other).items():
            for name, value in of_level.items():
                levels[level][name]["groups"][" / ".join(pair)] = value._asdict()
    return levels


def _shared(rated: pandas.DataFrame, groups: Iterable[str]) -> pandas.DataFrame:
    """Ratings of the files that each of some groups has rated."""
    places = [set(zip(some["system"], some["pair"], strict=True))
              for group in groups for some in [rated[rated["listeners"] == group]]]  # fmt: skip
    both = set.intersection(*places)
    mine = rated[rated["listeners"].isin(list(groups))]
    return mine[[key in both for key in zip(mine["system"], mine["pair"], strict=True)]]
