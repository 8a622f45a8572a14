"""``vceval report``: from its arguments to a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vceval.errors import UsageError
from vceval.protocol import suite
from vceval.reports.build import SPECTROGRAMS, Made, Options, make
from vceval.results.rundir import RunDirectory

__all__ = ["report"]


def report(
    runs: Sequence[Path],
    out: Path | None,
    style: str,
    ablations: Sequence[str] = (),
    published: Sequence[str] = (),
    spectrograms: int | None = None,
) -> Made:
    """Write the report of one run or of several.

    Args:
        runs: folders of finished runs.
        out: folder of the report; that of the run unless given.
        style: of the LaTeX tables.
        ablations: ``SYSTEM,VARIANT,…`` for each table of an ablation.
        published: names of published figures, or YAML files, separated by commas.
        spectrograms: of how many recordings they are drawn beforehand; 1000 unless given.

    Raises:
        UsageError: several runs without ``out``, runs that may not stand side by side, unknown names.
    """
    if len(runs) > 1 and out is None:
        raise UsageError("a report of several runs needs a folder of its own: --out DIR")
    rows = []
    for name in (name for text in published for name in text.split(",")):
        path = Path(name)
        is_file = path.suffix in (".yaml", ".yml")
        if not is_file and name not in suite.published_names():
            raise UsageError(f"--published: no figures {name!r}; known: {', '.join(suite.published_names())}")
        rows += suite.read_published([path.name] if is_file else [name], path)
    options = Options(style, tuple(tuple(text.split(",")) for text in ablations), tuple(rows))
    folders = [RunDirectory(run) for run in runs]
    drawn = SPECTROGRAMS if spectrograms is None else spectrograms
    return make(folders, folders[0].report if out is None else out, options, spectrograms=drawn)
