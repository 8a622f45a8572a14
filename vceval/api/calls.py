"""``vceval.run``, ``vceval.score`` and ``vceval.load``: the commands of the same names, called from Python.

Arguments are the options of the command line: same names, same defaults (:mod:`vceval.runner.request`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vceval.api.results import Results
from vceval.errors import UsageError
from vceval.records import System
from vceval.runner.request import Request, ScoreRequest, SuiteRequest
from vceval.signal.audio import MAX_SECONDS, Channel
from vceval.storage.tables import FrameTable

if TYPE_CHECKING:
    import pandas

    from vceval.protocol.suite import Suite
    from vceval.runner.plan import Plan

    PathLike = str | os.PathLike[str]
    Asked = TypeVar("Asked", bound=Request)

__all__ = ["load", "run", "score"]

#: Arguments that are paths, and those that are one name or several.
_PATHS = frozenset({"data", "systems", "conversions", "natural", "root", "out"})
_NAMES = frozenset({"metrics", "converters", "system"})


def run(
    *,
    suite: str | Suite = "demo",
    data: PathLike | None = None,
    corpus: str | None = None,
    converters: str | Sequence[str] | None = None,
    system: str | System | Sequence[str | System] = (),
    systems: PathLike | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    draw_pairs: int | None = None,
    seed: int = 0,
    seeds: int | None = None,
    precision: str | None = None,
    resampler: str | None = None,
    metrics: str | Sequence[str] | None = None,
    recogniser: str | None = None,
    allow_download: bool = False,
    device: str = "auto",
    executor: str = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    channel: Channel | None = None,
    max_seconds: float = MAX_SECONDS,
    timeout: float = 600.0,
    out: PathLike | None = None,
    fresh: bool = False,
) -> Results:
    """Convert and score a suite, as ``vceval run`` does; what is done already is not done again.

    Args:
        suite: its name, a YAML file, or a suite.
        data: folder of the suite's corpus.
        corpus: another reader for ``data``; needs ``draw_pairs``.
        converters: registered ones instead of the suite's.
        system: systems to add, texts like ``"mine=command:'python worker.py'"`` or :class:`vceval.records.System`.
        systems: a YAML file of systems to add.
        limit: only so many pairs, spread over the directions.
        allow_missing: run without the utterances that are not on disk.
        draw_pairs: draw another list of so many pairs.
        seed: for ``draw_pairs``, and for converters that draw noise.
        seeds: how many times a pair is converted where a system draws noise.
        precision: of our own networks.
        resampler: of our own networks: ``authors`` (as without) or ``vceval``.
        metrics: instead of the suite's.
        recogniser: of words.
        allow_download: whether a recogniser may be fetched.
        device: cpu, cuda, cuda:N or auto.
        executor: local or ray.
        ray_address: of the cluster.
        workers: processes; one a core.
        channel: what to take of recordings whose channels differ.
        max_seconds: longer recordings are refused.
        timeout: seconds that one pair may take.
        out: folder of the run; ``runs/<name of the suite>`` where it is None.
        fresh: throw away what an earlier run left in the folder.

    Returns:
        The results. Pairs that fail raise nothing: ``results.ok`` is False, and ``results.failures`` holds them.

    Raises:
        UsageError: something that is named is not there or can't be, or the folder holds a run that was asked for
            differently.
    """
    from vceval.runner.plan_suite import plan_suite

    asked = _asked(SuiteRequest, "run", locals())
    return _carried_out(plan_suite(asked), asked, out, fresh)


def score(
    conversions: PathLike | Sequence[PathLike] | pandas.DataFrame,
    *,
    pattern: str | None = None,
    natural: PathLike | pandas.DataFrame | None = None,
    corpus: str | None = None,
    data: PathLike | None = None,
    allow_missing: bool = False,
    no_controls: bool = False,
    root: PathLike | None = None,
    language: str | None = None,
    metrics: str | Sequence[str] | None = None,
    recogniser: str | None = None,
    allow_download: bool = False,
    device: str = "auto",
    executor: str = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    channel: Channel | None = None,
    max_seconds: float = MAX_SECONDS,
    out: PathLike | None = None,
    fresh: bool = False,
) -> Results:
    """Score audio that somebody already converted, as ``vceval score`` does; what is scored is not scored again.

    Args:
        conversions: a CSV table, a DataFrame with the same columns (``vceval score --columns`` names them), or folders
            and recordings, one or a list. Paths in a DataFrame start from ``root``, or else from the working directory
            and may lead anywhere; messages name its rows by the line that they would have in a CSV file, the header's
            being 1.
        pattern: of file names, such as ``"{system}_{source}TO{target}.wav"``, or its name; found out where it is None.
        natural: natural speech, as a CSV table or a DataFrame.
        corpus: its reader, such as ``vctk``, instead: sources, targets and words are looked up in it by id.
        data: the folder of the corpus.
        allow_missing: whether the rest is scored where something that is named is absent.
        no_controls: leave out the controls source, target and resynthesis.
        root: folder that paths in the tables start from, and must stay in.
        language: of the speech where the table names none.
        metrics: instead of the usual ones.
        recogniser: of words.
        allow_download: whether a recogniser may be fetched.
        device: cpu, cuda, cuda:N or auto.
        executor: local or ray.
        ray_address: of the cluster.
        workers: processes; one a core.
        channel: what to take of recordings whose channels differ.
        max_seconds: longer recordings are refused.
        out: folder of the run; where it is None ``runs/<name of the table>``, of a DataFrame ``runs/table-<digest>``:
            each table has a folder of its own.
        fresh: throw away what an earlier run left in the folder.

    Returns:
        The results. Pairs that fail raise nothing: ``results.ok`` is False, and ``results.failures`` holds them.

    Raises:
        UsageError: something that is named is not there or can't be, or the folder holds a run that was asked for
            differently.
    """
    from vceval.runner.plan_score import plan_score

    asked = _asked(ScoreRequest, "score", locals())
    return _carried_out(plan_score(asked), asked, out, fresh)


def load(run: PathLike) -> Results:
    """Read the results of a finished run from its folder.

    Raises:
        UsageError: there is no finished run, or a file of it is damaged.
    """
    from vceval.results import views
    from vceval.results.rundir import RunDirectory

    return Results(views.load(RunDirectory(Path(run).expanduser())))


def _asked(kind: type[Asked], command: str, given: Mapping[str, Any]) -> Asked:
    """Make a request of the arguments of a call."""
    known = {one.name: one for one in dataclasses.fields(kind)}
    values = {name: _plain(name, value) for name, value in given.items() if name in known}
    words = [
        f"{name}={value if isinstance(value, FrameTable) else _shown(value)}"
        for name, value in values.items()
        if value != known[name].default
    ]
    return kind(**values, command=("python", "-c", f"import vceval; vceval.{command}({', '.join(words)})"))


def _plain(name: str, value: Any) -> Any:
    """An argument as requests have it: paths, tables, lists of names."""
    if value is None:
        return None
    if name in _NAMES:
        return (value,) if isinstance(value, str | System) else tuple(value)
    if name not in _PATHS:
        return value
    if hasattr(value, "columns") and hasattr(value, "itertuples"):
        return FrameTable.of(value)
    if isinstance(value, list | tuple) and name == "conversions":
        return [Path(one).expanduser() for one in value]
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name}: expected a path or a DataFrame, not {type(value).__name__}")
    return Path(value).expanduser()


def _shown(value: Any) -> str:
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def _carried_out(plan: Plan, asked: Request, out: PathLike | None, fresh: bool) -> Results:
    from vceval.runner.perform import folder_of, perform

    folder = folder_of(plan, None if out is None else _plain("out", out))
    with _environment_kept():
        return Results(perform(plan, folder, asked.settings(), fresh).report)


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Leave the environment as it was: workers are given one thread each through it, who calls has more to do."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
