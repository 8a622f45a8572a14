"""The HTML page: one file, no external request, everything escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vceval.records import NEEDS
from vceval.reports import flags, headline, listening, tables, training
from vceval.reports.data import Report
from vceval.reports.figures import Drawing
from vceval.reports.samples import Sample

__all__ = ["PAGE", "page"]

#: Samples on one page; those of further pages cost the browser nothing until they are turned to.
PAGE = 20


def page(report: Report, samples: Sequence[Sample], drawings: Sequence[Drawing], files: Sequence[str]) -> str:
    """Render ``index.html``.

    Args:
        report: what the run holds.
        samples: its pairs with linked recordings.
        drawings: figures that lie in ``figures/``.
        files: names of the tables that lie in ``tables/``.
    """
    import jinja2
    from markupsafe import Markup

    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"minus": _minus, "quoted": lambda name: quote(name, safe="")}
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    done, lacking = headline.counts(report)
    main, *more = tables.main_tables(report)
    return environment.get_template("report.html.j2").render(
        report=report,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        done=done,
        lacking=lacking,
        best=headline.best(report),
        main=main,
        more=more,
        directions=tables.direction_tables(report),
        datasets=tables.dataset_tables(report),
        training=training.training_table(report),
        unseen=training.unseen_tables(report),
        flags=flags.flags_table(report),
        flag_names=flags.flag_names(report, report.converters),
        calibration=tables.calibration_table(report),
        published=tables.published_table(report),
        listening=listening.listening_tables(report),
        drawings=drawings,
        files=files,
        samples=samples,
        page_size=PAGE,
        heard=int(any(r.text for sample in samples for r in sample.recordings if r.kind != "given")),
        failures=headline.failure_groups(report),
        skips=headline.skip_groups(report),
        needs=NEEDS,
        facts=facts(report.run),
    )


def _policy(style: str, script: str) -> str:
    """Allow this page's own style and script, and recordings and figures beside it; nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    beside = "'self' file:"
    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        f"img-src {beside}; media-src {beside}; base-uri 'none'; form-action 'none'"
    )


def _minus(text: str) -> str:
    """Set minus signs of printed figures as such."""
    return text.replace("-", "−")


def facts(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Flatten ``run.json`` into (heading, [(name, value)]), plain values first under an empty heading."""
    plain = [(key, _fact(value)) for key, value in run.items() if not isinstance(value, Mapping | list)]
    if isinstance(run.get("command"), list):
        plain.append(("command", shlex.join(str(part) for part in run["command"])))
    groups = [("", plain)] if plain else []
    for key, value in run.items():
        if isinstance(value, Mapping) and value:
            groups.append((key, [(str(name), _fact(entry)) for name, entry in value.items()]))
        elif isinstance(value, list) and value and key != "command":
            named = all(isinstance(entry, Mapping) and "name" in entry for entry in value)
            groups.append((
                key,
                [
                    (str(entry["name"]), _fact({k: v for k, v in entry.items() if k != "name"}))
                    if named
                    else ("", _fact(entry))
                    for entry in value
                ],
            ))  # fmt: skip
    return groups


def _fact(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
