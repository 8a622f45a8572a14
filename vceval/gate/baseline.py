"""Baseline files: the evidence of a run as a small JSON text, one row a line, safe to commit and to load.

The same run gives the same bytes. A name ending in ``.gz`` is compressed (same bytes again: no time stamp inside).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.gate.evidence import (
    MEASURE_COLUMNS,
    Evidence,
    PairInfo,
    SystemInfo,
    of_report,
    of_run,
    rounded,
    speakers_of,
)
from vceval.publish.rebuild import rebuilt, verified
from vceval.publish.record import begins_as_result
from vceval.results.outcomes import Outcomes
from vceval.results.rundir import write_atomically
from vceval.results.views import MeasureView
from vceval.storage.files import replacing
from vceval.storage.paths import hint

__all__ = ["FORMAT", "SCHEMA", "read", "render", "resolve", "save"]

FORMAT, SCHEMA = "vceval baseline", 3
#: From which form on pairs have a text, and systems a number of seeds; all forms are read.
TEXTS, SEEDS = 2, 3
#: No baseline is larger than this once unpacked.
LARGEST = 1 << 28


def resolve(place: Path) -> Evidence:
    """Open a run folder, a baseline file (its ``.json`` or ``.json.gz`` may be left out), or one of vceval's by name.

    A result file (``vceval publish``) is a baseline for its system.

    Raises:
        UsageError: there is nothing of that name, or it is neither a finished run nor a baseline.
    """
    own = Path(str(files("vceval.benchmarks"))) / "baselines"
    for folder in (Path(), own) if len(place.parts) == 1 else (Path(),):
        if (folder / place).is_dir():
            return of_run(folder / place)
        for suffix in ("", ".json", ".json.gz"):
            path = (folder / place).with_name(place.name + suffix)
            if path.is_file():
                if begins_as_result(path):
                    return of_report(str(path), rebuilt([(path, verified(path))], figures=False))
                return read(path)
    known = ", ".join(sorted(path.name.split(".")[0] for path in own.glob("*.json*"))) or "none"
    raise UsageError(
        f"{place}: no such run or baseline{hint(Path(place))} (vceval's own: {known}); make one with: vceval baseline "
        "save RUN FILE"
    )


def save(run: Path, file: Path) -> Evidence:
    """Write the baseline of a finished run.

    Raises:
        UsageError: the run is not finished, or the file has another ending than ``.json`` or ``.json.gz``.
    """
    if not file.name.endswith((".json", ".json.gz")):
        raise UsageError(f"{file}: a baseline is a .json or .json.gz file")
    evidence = of_run(run)
    if not any(evidence.has(system, measure) for system in evidence.systems for measure in evidence.measures):
        raise UsageError(f"{run}: the run has no scores; there is nothing to hold later runs against")
    text = render(evidence)
    if file.name.endswith(".gz"):
        with replacing(file) as stream:
            stream.write(gzip.compress(text.encode(), mtime=0))
    else:
        write_atomically(file, text)
    return evidence


def render(evidence: Evidence) -> str:
    """Write the text of a baseline."""
    place = {key: number for number, key in enumerate(evidence.pairs)}
    head: dict[str, Any] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "suite": evidence.suite,
        "pairs_sha256": evidence.pairs_sha256,
        "created": evidence.created,
        "partial": evidence.partial,
        "versions": dict(evidence.versions),
        "metrics": dict(evidence.metrics),
        "calibration": evidence.calibration,
    }
    parts = [f"{json.dumps(name)}: {_json(value)}" for name, value in head.items()]
    parts.append(
        _rows("measures", ([getattr(m, name) for name in MEASURE_COLUMNS] for m in evidence.measures.values()))
    )
    parts.append(_rows("pairs", ([getattr(p, name) for name in p.__slots__] for p in evidence.pairs.values())))
    parts.append(_rows("systems", ([s.name, s.title, s.control, s.seeds] for s in evidence.systems.values())))
    for system in evidence.systems:
        parts.append(_rows(f"scores {system}", _score_rows(evidence, system)))
    parts.append(
        _rows("flags", ([s, place[key], *flags] for (s, key), flags in sorted(evidence.flags.items()) if key in place))
    )
    failures = sorted((s, place[key], *rest) for s, key, *rest in evidence.failures if key in place)
    parts.append(_rows("failures", (list(row) for row in failures)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _score_rows(evidence: Evidence, system: str) -> Iterator[list[Any]]:
    """One row per pair that has a score: its number, then a value (or numerator and denominator) per measure."""
    found = [evidence.outcomes.outcome(system, measure) for measure in evidence.measures.values()]
    columns = zip(*(zip(one.scored.tolist(), one.numerators.tolist(), one.denominators.tolist(), strict=True)
                    for one in found), strict=True)  # fmt: skip
    for number, cells in enumerate(columns):
        if any(scored for scored, *_ in cells):
            yield [number, *(_cell(*sums) if scored else None for scored, *sums in cells)]


def _cell(*sums: float) -> Any:
    plain = [int(value) if value.is_integer() and abs(value) < 1e15 else value for value in sums]
    return plain[0] if plain[1] == 1 else plain


def _rows(name: str, rows: Iterator[list[Any]]) -> str:
    lines = ",\n".join(f" {_json(row)}" for row in rows)
    return f"{json.dumps(name)}: [\n{lines}\n]" if lines else f"{json.dumps(name)}: []"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read(path: Path) -> Evidence:
    """Read a baseline file. Nothing in it is trusted: types, ranges and references are checked.

    Raises:
        UsageError: it is no baseline, has another schema, or is damaged.
    """
    try:
        with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        content = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: can't be read as a baseline ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"{path}: is no baseline; make one with: vceval baseline save RUN FILE")
    if content.get("schema") not in range(1, SCHEMA + 1):
        raise UsageError(
            f"{path}: has schema {content.get('schema')!r}, this vceval reads 1 to {SCHEMA}; save the baseline again"
        )
    try:
        return _evidence(str(path), content)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(f"{path}: is damaged ({type(error).__name__}: {error}); save the baseline again") from error


def _evidence(name: str, content: Mapping[str, Any]) -> Evidence:
    import numpy as np

    measures = [_measure(row) for row in _list(content["measures"])]
    facts = 7 if content["schema"] >= TEXTS else 6
    pairs = [PairInfo(*(_text(row[0]), _text(row[1]), _text(row[2])), *map(_known, _exactly(row, facts)[3:]))
             for row in _list(content["pairs"])]  # fmt: skip
    systems = [_system(row, content["schema"]) for row in _list(content["systems"])]
    if len({pair.key for pair in pairs}) < len(pairs) or len({s.name for s in systems}) < len(systems):
        raise ValueError("a pair or system is there twice")
    sums = np.full((len(systems), len(pairs), len(measures), 2), np.nan)
    for place, system in enumerate(systems):
        for number, *cells in _list(content[f"scores {system.name}"]):
            row = sums[place, _index(number)]
            for column, cell in zip(range(len(measures)), cells, strict=True):
                if cell is not None:
                    row[column] = _sums(cell)
    return Evidence(
        place=name,
        suite=_text(content["suite"]),
        pairs_sha256=_text(content["pairs_sha256"]),
        created=_text(content["created"]),
        partial=_is(content["partial"], bool),
        versions={_text(name): _text(value) for name, value in content["versions"].items()},
        metrics={_text(name): _text(value) for name, value in content["metrics"].items()},
        calibration={
            metric: {name: dict(facts.items()) for name, facts in datasets.items()}
            for metric, datasets in content["calibration"].items()
        },
        measures={measure.name: measure for measure in measures},
        systems={system.name: system for system in systems},
        pairs={pair.key: pair for pair in pairs},
        outcomes=Outcomes.of_sums(speakers_of(pairs), [s.name for s in systems], [m.name for m in measures], sums),
        flags={
            (_text(system), pairs[_index(number)].key): tuple(map(_text, flags))
            for system, number, *flags in _list(content["flags"])
        },
        failures=frozenset(
            (_text(system), pairs[_index(number)].key, _text(stage), _text(metric))
            for system, number, stage, metric in _list(content["failures"])
        ),
    )


def _measure(row: Any) -> MeasureView:
    name, metric, label, unit, better, scale, decimals = _exactly(row, 7)
    if better not in ("lower", "higher") or not 0 <= _is(decimals, int) <= 12:
        raise ValueError(f"measure {name!r}: better {better!r}, decimals {decimals!r}")
    return MeasureView(_text(name), _text(metric), _text(label), _text(unit), better, _number(scale), decimals)


def _system(row: Any, schema: int) -> SystemInfo:
    name, title, control, *seeds = _exactly(row, 4 if schema >= SEEDS else 3)
    known = _is(seeds[0], int) if seeds and seeds[0] is not None else None
    return SystemInfo(_text(name), _text(title), _is(control, bool), known)


def _sums(cell: Any) -> tuple[float, float]:
    numerator, denominator = _exactly(cell, 2) if isinstance(cell, list) else (cell, 1.0)
    return rounded(_number(numerator)), rounded(_number(denominator))


def _list(value: Any) -> list[Any]:
    return list(_is(value, list))


def _exactly(row: Any, count: int) -> list[Any]:
    if not isinstance(row, list) or len(row) != count:
        raise ValueError(f"expected a list of {count}, not {row!r:.80}")
    return row


def _text(value: Any) -> str:
    return str(_is(value, str))


def _known(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        raise ValueError(f"{value!r:.80} is no number")
    return float(value)


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.80} is no number of a pair")
    return value


def _is(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{value!r:.80} is no {kind.__name__}")
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")
