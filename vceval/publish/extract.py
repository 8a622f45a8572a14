"""Takes the results of systems out of a finished run: sums per pair of speakers, and what is needed to judge them.

What could tell about the recordings stays: names of files and pairs, transcripts, paths, reasons of failures. Speakers
of a suite of vceval keep their names, those of other tables are numbered.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from vceval.errors import UsageError
from vceval.protocol import suite as suites
from vceval.publish.columns import pack, pack_facts
from vceval.publish.record import (
    FORM,
    FORMAT,
    Environment,
    Failed,
    Figure,
    Flags,
    Pairs,
    Publisher,
    Result,
    RunFacts,
    SeedFigure,
    Skipped,
    SuiteFacts,
    Sums,
    SystemFacts,
    Weights,
    render,
)
from vceval.records import System
from vceval.results import views
from vceval.results.comparable import identities
from vceval.results.encoder_audit import encoders_of
from vceval.results.leakage import EXPOSURES
from vceval.results.outcomes import Outcomes
from vceval.results.rundir import RunDirectory
from vceval.results.views import ALL
from vceval.storage.files import replacing, sha256
from vceval.version import VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.publish.keys import Key

__all__ = ["UNPUBLISHED", "extract", "publish", "suite_list"]

#: What stands for an option that may name a file.
UNPUBLISHED = "(not published)"
#: What names of files do not hold, and how long they get.
_UNSAFE, _LONGEST = re.compile(r"[^A-Za-z0-9@._+-]+|^[.]"), 100
_PATH_LIKE = re.compile(r"[/\\~]|\.[A-Za-z]\w{0,5}$|\s")


class SuiteList(NamedTuple):
    """A suite that comes with vceval: how many pairs are on its list; and the list, where it is frozen."""

    length: int
    sha256: str
    pairs: Sequence[suites.FrozenPair]


@cache
def suite_list(label: str) -> SuiteList | None:
    """Find the list of a suite by its label; None for one that does not come with vceval, or has another version."""
    name, _, version = label.partition("@")
    if name not in suites.names() or not version:
        return None
    with suppress(UsageError):  # another version
        suite = suites.load(label)
        if suite.draw is not None:
            return SuiteList(4 * suite.draw.pairs_per_direction, "", ())
        return SuiteList(suite.pairs_count or 0, suite.pairs_sha256 or "", suites.frozen_pairs(suite))
    return None


def publish(run: Path, out: Path, key: Key, systems: Collection[str] = ()) -> Iterator[tuple[Path, Result]]:
    """Write the results of systems of a finished run as signed files, named by suite, system and what is in them.

    Args:
        run: its folder.
        out: folder of the files; it is made.
        key: that signs.
        systems: names; all where there is none.

    Raises:
        UsageError: the run is not finished or malformed, or a system is none of it.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for result in extract(
        RunDirectory(run), Publisher(name=key.name, key=key.public, published=now, vceval=VERSION), systems
    ):
        data = render(result, key)
        words = _UNSAFE.sub("_", f"{result.suite.name}-{result.system.name}")[:_LONGEST]
        file = out / f"{words}-{hashlib.sha256(data).hexdigest()[:8]}.json"
        with replacing(file) as stream:
            stream.write(data)
        yield file, result


def extract(run: RunDirectory, by: Publisher, systems: Collection[str] = ()) -> list[Result]:
    """Take the results of systems, all where none is named, out of a finished run.

    Raises:
        UsageError: the run is not finished or malformed, a system is none of it, or no result file can hold a name.
    """
    try:
        return _Extract(run, by).results(systems)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, value = ".".join(map(str, first["loc"])), repr(first["input"])
        shown = f"{first['msg']}, not {value:.80}" if where else first["msg"]
        raise UsageError(
            f"{run.root}: can't be published: {error.title} {where}: {shown}; make the run again under a name that is "
            "short and of one line"
        ) from None


class _Extract:
    """What the results of all systems of a run share."""

    def __init__(self, run: RunDirectory, by: Publisher) -> None:
        if not run.finished:
            # Of one that is not there, reading says so
            run.read_json("run.json")
            raise UsageError(f"{run.root}: the run is not finished; give the command that began it again")
        # What listeners said rests on recordings, which nobody gets
        self.report = views.load(run, listened=False)
        self.outcomes = Outcomes.of_report(self.report)
        self.by, self.about = by, self.report.run
        self.manifest = sha256(run.checked("run.json"))
        self.rows = {str(row["name"]): row for row in run.read_json("summary.json")["systems"]}
        self.asked = {str(row["name"]): row for row in self.about.get("systems", ())}
        self.keys = list(identities(self.report.pairs).values())
        known = suite_list(self.report.suite) if not self.report.custom else None
        digest = str(self.about.get("pairs_sha256") or "")
        if known is not None and known.sha256 and known.sha256 != digest:
            known = None
        self.suite = SuiteFacts(
            name=self.report.suite, pairs_sha256=digest, pairs=self.report.pair_count,
            listed=known.length if known else None, partial=self.report.partial, custom=self.report.custom,
            public=known is not None,
        )  # fmt: skip
        self.listed = {pair.pair: place for place, pair in enumerate(known.pairs)} if known else {}
        self.speakers = self._speakers()

    def results(self, systems: Collection[str]) -> list[Result]:
        """Take the results of some systems, or of all."""
        from vceval.registry import unknown_name

        names = [system.name for system in self.report.systems]
        for name in systems:
            if name not in names:
                raise unknown_name("system", name, names)
        return [self.result(name) for name in names if not systems or name in systems]

    def result(self, name: str) -> Result:
        """Take the result of one system."""
        import numpy as np

        given = np.zeros(len(self.report.pairs), dtype=bool)
        for measure in self.report.measures:
            given |= self.outcomes.outcome(name, measure).given
        for row in self.report.failures:
            if row["system"] == name and row["pair"] in self.report.scores.pairs:
                given[self.report.scores.pairs[row["pair"]]] = True
        if not given.any():
            raise UsageError(f"{self.report.root}: no pair was given to {name}; there is nothing to publish of it")
        numbers = np.flatnonzero(given)
        at = {number: place for place, number in enumerate(numbers.tolist())}
        return Result(
            format=FORMAT,
            version=FORM,
            suite=self.suite,
            run=RunFacts(
                manifest_sha256=self.manifest,
                created=str(self.about.get("created") or ""),
                seed=int(self.about.get("seed") or 0),
                max_seconds=views.finite(self.about.get("max_seconds")),
                channel=str(self.about.get("channel") or ""),
            ),
            environment=self._environment(),
            system=self._system(name),
            metrics=list(self.report.metrics.values()),
            measures=list(self.report.measures),
            calibrations=self._calibrations(),
            pairs=self._pairs(name, numbers),
            sums={measure.name: self._sums(name, measure, given) for measure in self.report.measures},
            failures=[
                Failed(stage=stage, metric=metric, seed=int(seed), pairs=pack(found))
                for (stage, metric, seed), found in self._of(name, self.report.failures, at, "stage", "metric", "seed")
            ],
            skips=[
                Skipped(metric=metric, measure=measure, need=need, seed=int(seed), pairs=pack(found))
                for (metric, measure, need, seed), found in self._of(
                    name, self.report.skips, at, "metric", "measure", "need", "seed"
                )
            ],
            flags=self._flags(name, at),
            figures=self._figures(name),
            # The names of networks may be those of files
            efficiency=[
                replace(one, parameters=None if one.total_parameters is None else {"": one.total_parameters})
                for one in self.report.efficiency
                if one.system == name
            ],
            seeds=[
                SeedFigure.model_validate(dict(entry))
                for entry in (self.report.seeds or {}).get("figures", ())
                if entry["system"] == name
            ],
            by=self.by,
        )

    def _figures(self, name: str) -> list[Figure]:
        """Figures as this version makes them, over all pairs, each direction, and each of several datasets."""
        found = []
        for measure in self.report.measures:
            for (dataset, direction), group in self.outcomes.groups().items():
                if dataset != ALL and (direction != ALL or len(self.report.datasets) < 2):
                    continue
                cell = self.outcomes.cell(name, measure, group)
                if cell.given:
                    figure = Figure(measure=measure.name, dataset=dataset, direction=direction, cell=cell)
                    found.append(figure)
        return found

    def _environment(self) -> Environment:
        commit = self.about.get("git") or {}
        return Environment(
            versions={str(name): str(version) for name, version in (self.about.get("versions") or {}).items()},
            platform=str(self.about.get("platform") or ""),
            device=str(self.about.get("device") or ""),
            executor=str(self.about.get("executor") or ""),
            commit=str(commit.get("commit") or ""),
            changed=commit.get("tree") == "changed",
        )

    def _system(self, name: str) -> SystemFacts:
        place, view = next((at, one) for at, one in enumerate(self.report.systems) if one.name == name)
        asked = self.asked.get(name, {})
        options = dict(asked.get("options") or {})
        editions = asked.get("editions") or {}
        declared = self.rows[name].get("encoders")
        known = System(name, view.converter, options)
        encoders = {} if view.control else encoders_of(known) if declared is None else declared
        return SystemFacts(
            name=name, title=view.title, place=place, control=view.control, kind=view.kind, converter=view.converter,
            options={key: _published(value) for key, value in options.items()},
            signature=str(asked.get("signature") or ""),
            sample_rate=view.sample_rate, sample_rates=list(view.sample_rates), licence=view.licence, paper=view.paper,
            seeds=view.seeds, expected=view.expected, failed=view.failed,
            weights=[
                Weights(sha256=digest, edition=str(editions.get(file) or ""))
                for file, digest in sorted((asked.get("files") or {}).items())
            ],
            encoders=dict(encoders),
            kin={metric: reason for (system, metric), reason in self.report.kin.items() if system == name},
        )  # fmt: skip

    def _speakers(self) -> dict[str, str]:
        """The published names of all speakers, in the order of the names that they have."""
        learnt = (facts for datasets in self.report.calibration_file.values() for facts in datasets.values())
        found = {str(name) for facts in learnt for name in facts.get("natural_scores", ())}
        found |= {row[side] for row in self.report.pairs for side in ("target_speaker", "source_speaker")} - {""}
        digits = len(str(len(found)))
        return {
            name: name if self.suite.public else f"speaker {number:0{digits}}"
            for number, name in enumerate(sorted(found), 1)
        }

    def _calibrations(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What was learnt of natural speech, with speakers by their published names."""

        def published(facts: Mapping[str, Any]) -> dict[str, Any]:
            found = dict(facts)
            if "natural_scores" in found:
                found["natural_scores"] = {self.speakers[str(k)]: v for k, v in facts["natural_scores"].items()}
            packed: dict[str, Any] = pack_facts(found)
            return packed

        return {
            metric: {dataset: published(facts) for dataset, facts in datasets.items()}
            for metric, datasets in self.report.calibration_file.items()
        }

    def _pairs(self, system: str, numbers: NDArray[np.intp]) -> Pairs:
        rows = [self.report.pairs[number] for number in numbers.tolist()]
        speakers = sorted({row[side] for row in rows for side in ("target_speaker", "source_speaker")} - {""})
        # Numbered over the whole run, so that results of its other systems agree
        texts = sorted({row["transcript"] for row in self.report.pairs} - {""})
        names = {side: sorted({row[side] for row in rows} - {""}) for side in ("dataset", "direction", "language")}
        found = [self.report.exposures.get((system, row["pair"])) for row in rows]
        exposures = [pack([EXPOSURES.index(one[side]) for one in found if one]) for side in (0, 1)]
        audited = all(one is not None for one in found)
        listed = [self.listed.get(row["pair"]) for row in rows]
        return Pairs(
            count=len(rows),
            identities=base64.b64encode(bytes.fromhex("".join(self.keys[n] for n in numbers.tolist()))).decode(),
            numbers=pack(numbers),
            listed=pack(listed) if self.listed and None not in listed else None,  # type: ignore[arg-type]
            targets=_coded(rows, "target_speaker", speakers),
            sources=_coded(rows, "source_speaker", speakers),
            texts=_coded(rows, "transcript", texts),
            text_count=len(texts),
            datasets=_coded(rows, "dataset", names["dataset"]),
            directions=_coded(rows, "direction", names["direction"]),
            languages=_coded(rows, "language", names["language"]),
            speakers=[self.speakers[name] for name in speakers],
            dataset_names=names["dataset"],
            direction_names=names["direction"],
            language_names=names["language"],
            source_exposures=exposures[0] if audited else None,
            target_exposures=exposures[1] if audited else None,
        )

    def _sums(self, system: str, measure: views.MeasureView, given: NDArray[np.bool_]) -> Sums:
        import numpy as np

        found = self.outcomes.outcome(system, measure)
        above = np.where(found.scored, found.numerators, np.nan)
        below = np.where(found.scored | found.valued, found.denominators, np.nan)
        return Sums(numerators=pack(above[given]), denominators=pack(below[given]))

    def _of(
        self, system: str, rows: Iterable[Mapping[str, str]], at: Mapping[int, int], *columns: str
    ) -> list[tuple[tuple[str, ...], list[int]]]:
        """Pairs of a system in some rows, by what columns say."""
        found: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for row in rows:
            if row["system"] == system and row["pair"] in self.report.scores.pairs:
                found[tuple(row[one] for one in columns)].append(at[self.report.scores.pairs[row["pair"]]])
        return sorted(found.items())

    def _flags(self, system: str, at: Mapping[int, int]) -> Flags | None:
        pairs = self.report.scores.pairs
        place = self.report.scores.systems[system]
        checked = {at[pairs[pair]]: flags for (name, pair), flags in self.report.flags.items() if name == system}
        later = {at[pair]: facts["later"] for (one, pair), facts in self.report.scores.sanity.items()
                 if one == place and "later" in facts}  # fmt: skip
        if not checked and not later:
            return None
        return Flags(checked=pack(sorted(checked)), raised=_by_flag(checked), later=_by_flag(later))


def _by_flag(flags: Mapping[int, Sequence[str]]) -> dict[str, str]:
    found: dict[str, list[int]] = defaultdict(list)
    for place, names in sorted(flags.items()):
        for name in names:
            found[name].append(place)
    return {name: pack(places) for name, places in sorted(found.items())}


def _coded(rows: Sequence[Mapping[str, str]], column: str, names: Sequence[str]) -> str:
    """The place of each row's value among names; one more than the last for none."""
    at = {name: place for place, name in enumerate(names)} | {"": len(names)}
    return pack([at[row[column]] for row in rows])


def _published(value: Any) -> Any:
    """An option without what may name a file: text with blanks, slashes, or an ending as files have."""
    if isinstance(value, Mapping):
        return {str(name): _published(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_published(one) for one in value]
    return UNPUBLISHED if isinstance(value, str) and _PATH_LIKE.search(value) else value
