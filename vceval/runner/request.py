"""What somebody asks of a run, at the command line or from Python.

:mod:`.plan_suite` and :mod:`.plan_score` make plans of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vceval import registry
from vceval.errors import UsageError
from vceval.records import System
from vceval.runner.options import Options
from vceval.runner.progress import say
from vceval.signal.audio import MAX_SECONDS, Channel, Reading
from vceval.storage.processes import LONGEST_WAIT, is_wait
from vceval.storage.tables import FrameTable

if TYPE_CHECKING:
    from vceval.protocol.suite import Suite

__all__ = ["Request", "ScoreRequest", "SuiteRequest", "beside", "expanded", "split", "tell"]

#: Notes of a reader that are printed.
SHOWN_NOTES = 5
SCORE_METRICS = ("mcd", "sv", "wer", "cer", "fake", "sanity", "bandwidth")


def _nothing() -> str:
    """Fetch no recogniser."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every run is asked for; the options of the command line have these names and defaults.

    metrics: names; None for the usual ones. recogniser: of words; None for the suite's, else the best on disk.
    allow_download: whether the recogniser may be fetched. offer: asked where there is none; gives the name of the
    Whisper to fetch, or nothing. device: cpu, cuda, cuda:N or auto. executor: local or ray. workers: None for one a
    core. channel: what to take of recordings whose channels differ. max_seconds: longer recordings are refused.
    command: the words by which it was asked for, for ``run.json``.
    """

    metrics: Sequence[str] | None = None
    recogniser: str | None = None
    allow_download: bool = False
    offer: Callable[[], str] = field(default=_nothing, repr=False)
    device: str = "auto"
    executor: str = "local"
    ray_address: str | None = None
    workers: int | None = None
    channel: Channel | None = None
    max_seconds: float = MAX_SECONDS
    timeout: float = 600.0
    command: Sequence[str] = field(default=(), repr=False)

    def settings(self) -> Options:
        """How the run is carried out.

        Raises:
            UsageError: a number is out of range, or a device or cluster is not there.
        """
        from vceval.runner.devices import devices
        from vceval.storage import cache

        workers = self.workers if self.workers is not None else len(os.sched_getaffinity(0))
        if workers < 1:
            raise UsageError(f"--workers {workers}: at least one is needed")
        if not is_wait(self.timeout):
            raise UsageError(f"--timeout {self.timeout:g}: must be positive, and at most {LONGEST_WAIT:,} s")
        if self.executor == "ray":
            from vceval.runner.ray_pool import cluster_devices

            found = cluster_devices(self.device, self.ray_address)
        elif self.ray_address is not None:
            raise UsageError(f"--ray-address {self.ray_address}: goes with --executor ray only")
        else:
            found = devices(self.device)
        return Options(
            devices=found,
            workers=workers,
            timeout=self.timeout,
            cache=cache.default_root(),
            executor=self.executor,
            ray_address=self.ray_address,
            command=tuple(self.command),
        )

    def reading(self) -> Reading:
        """How recordings are read."""
        if not self.max_seconds > 0:
            raise UsageError(f"--max-seconds {self.max_seconds}: must be positive")
        return Reading(self.channel, self.max_seconds)

    def measured(self, usual: Sequence[str], recogniser: str | None) -> tuple[list[str], dict[str, str]]:
        """The metrics, and the parameter that names their recogniser: settled here, so that all workers agree.

        Args:
            usual: metrics where none are asked for.
            recogniser: the suite's; None for none.
        """
        from vceval.metrics.recogniser_choice import listens, settle
        from vceval.metrics.recognisers_of_tools import fetch
        from vceval.runner.factory import make_metrics

        chosen = expanded(split(self.metrics) if self.metrics else usual)
        words = [name for name in chosen if listens(name)]
        found = settle(self.recogniser, recogniser, words, bool(self.metrics), self.allow_download, self.offer)
        if words and not found:
            say(
                f"vceval: no recogniser, so without {' and '.join(words)}: get one with 'vceval checkpoints add "
                "whisper/base', or name one with --recogniser"
            )
            chosen = [name for name in chosen if name not in words]
        if self.allow_download:
            for model in {bound for name in chosen if (bound := getattr(registry.load("metric", name), "bound", ""))}:
                fetch(model)
        given = {"asr": found} if found else {}
        make_metrics(chosen, given)
        return chosen, given


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRequest(Request):
    """What ``vceval run`` is asked for: see its options.

    systems: a YAML file, or nothing. system: texts like ``mine=command:'python worker.py'``, or systems.
    """

    suite: str | Suite = "demo"
    data: Path | None = None
    corpus: str | None = None
    converters: Sequence[str] | None = None
    system: Sequence[str | System] = ()
    systems: Path | None = None
    limit: int | None = None
    allow_missing: bool = False
    draw_pairs: int | None = None
    seed: int = 0
    seeds: int | None = None
    precision: str | None = None
    resampler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest(Request):
    """What ``vceval score`` is asked for: see its options.

    conversions: a table; or folders and recordings, wildcards spread out.
    """

    conversions: Path | FrameTable | Sequence[Path]
    pattern: str | None = None
    natural: Path | FrameTable | None = None
    corpus: str | None = None
    data: Path | None = None
    root: Path | None = None
    allow_missing: bool = False
    no_controls: bool = False
    language: str | None = None


def beside(
    systems: Sequence[System], metrics: Sequence[str], given: Mapping[str, str]
) -> tuple[list[System], dict[str, tuple[str, ...]]]:
    """The controls that metrics want beside all systems and nobody asked for, and the metrics that want each."""
    from vceval.runner.factory import make_metric

    wanted: dict[str, list[str]] = {}
    for name in metrics:
        if control := make_metric(name, given).beside:
            wanted.setdefault(control, []).append(name)
    taken = {system.name for system in systems}
    added = [
        System(control if control not in taken else f"{control} (control)", control, control=True)
        for control in wanted
        if not any(system.control and system.converter == control for system in systems)
    ]
    return added, {system.name: tuple(wanted[system.converter]) for system in added}


def expanded(names: Iterable[str]) -> list[str]:
    """Put the metrics that are on this machine for the names of groups, such as ``sv:panel``; say which are not.

    Raises:
        UsageError: unknown metric, or a group of which nothing is here.
    """
    from vceval.metrics.base import Workspace
    from vceval.runner.factory import make_metric

    found: dict[str, None] = {}
    for name in names:
        base, _, rest = name.partition(":")
        members = registry.load("metric", base).groups.get(rest, ()) if rest else ()
        if not members:
            found[name] = None
            continue
        here, absent = list[str](), list[str]()
        for member in members:
            try:
                metric = make_metric(member, {})
                metric.signature()
                metric.open(Workspace())
                here.append(member)
            except UsageError as error:
                absent.append(f"{member} ({error})")
        if not here:
            raise UsageError(f"nothing of {name} is here: {'; '.join(absent)}")
        say(f"vceval: {name} is {', '.join(here)}" + (f"; not here: {'; '.join(absent)}" if absent else ""))
        found |= dict.fromkeys(here)
    return list(found)


def split(values: Sequence[str]) -> list[str]:
    """Names out of texts that hold one or several, with commas between."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def tell(notes: Sequence[str], what: str) -> None:
    """Show the first notes; where a run is made, its ``run.json`` holds all."""
    if notes:
        say(f"vceval: {len(notes)} note{'s' * (len(notes) > 1)} {what}; run.json of a run has all:")
    for note in notes[:SHOWN_NOTES]:
        say(f"  {note}")
