"""``vceval list``: the suites, converters, metrics and corpora that are known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from vceval import registry
from vceval.errors import UsageError

__all__ = ["add_commands", "entries", "listing"]

#: What is shown of each kind, besides why something can't be used; ``--json`` has all.
_SHOWN = {
    "suites": ("name", "corpus", "title"),
    "converters": ("name", "kind", "title"),
    "metrics": ("name", "title"),
    "corpora": ("name", "languages", "licence", "title"),
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("list", help="list what is known: suites, converters, metrics or corpora")
    parser.add_argument("what", choices=tuple(_SHOWN))
    parser.add_argument(
        "--signatures",
        action="store_true",
        help="with each metric what makes its values what they are; with each converter its resampler, trimming, level",
    )
    parser.add_argument("--json", action="store_true", help="for machines: everything known of each")
    parser.set_defaults(command=_list)


def _list(options: argparse.Namespace) -> int:
    if options.signatures and options.what not in ("metrics", "converters"):
        raise UsageError(f"--signatures: goes with metrics and converters, not with {options.what}")
    if options.json:
        print(json.dumps(list(entries(options.what)), indent=1, ensure_ascii=False))
    else:
        print(listing(options.what, options.signatures))
    return 0


def listing(what: str, signatures: bool = False) -> str:
    """Make the table of all suites, converters, metrics or corpora. A plug-in that can't be imported says why."""
    from vceval.results.terminal import grid

    *heads, last = _SHOWN[what]
    found = list(entries(what))
    for one in found:
        if one["unusable"]:
            one[last] = f"can't be used: {one['unusable']}"
    if signatures:
        return "\n".join(f"{one['name']}  {one[last]}\n    {one.get('signature', '')}".rstrip() for one in found)
    return grid([*heads, last], [[[_text(one.get(head)) for head in (*heads, last)] for one in found]])


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")


def entries(what: str) -> Iterator[dict[str, Any]]:
    """Say of every suite, converter, metric or corpus what is known; ``unusable`` says why one can't be used."""
    return {"suites": _suites, "converters": _converters, "metrics": _metrics, "corpora": _corpora}[what]()


def _suites() -> Iterator[dict[str, Any]]:
    from vceval.protocol import suite

    for name in suite.names():
        found = suite.load(name)
        yield {
            "name": found.label, "corpus": found.corpus, "title": found.title, "language": found.language,
            "metrics": list(found.metrics), "systems": list(found.systems), "unusable": "",
        }  # fmt: skip


def _converters() -> Iterator[dict[str, Any]]:
    from vceval.records import System
    from vceval.runner.factory import make_converter

    for name in registry.names("converter"):
        try:
            info = registry.load("converter", name).info
            signature = make_converter(System(name, name)).signature() if info.front_end else ""
        except UsageError as error:
            yield {"name": name, "unusable": str(error)}
        else:
            yield {
                "name": name, "kind": info.kind, "title": info.title, "sample_rate": info.sample_rate,
                "licence": info.licence, "paper": info.paper, "control": info.control,
                "checkpoints": list(info.checkpoints), "signature": signature, "unusable": "",
            }  # fmt: skip


def _metrics() -> Iterator[dict[str, Any]]:
    from vceval.runner.factory import make_metrics

    names = registry.names("metric")
    while names:
        name = names.pop(0)
        try:
            [metric] = make_metrics([name], {})
        except UsageError as error:
            yield {"name": name, "unusable": str(error)}
        else:
            yield {"name": name, "title": metric.title, "signature": metric.signature(), "unusable": ""}
            if ":" not in name:
                names[:0] = [f"{name}:{recipe}" for recipe in metric.recipes]


def _corpora() -> Iterator[dict[str, Any]]:
    for name in registry.names("corpus"):
        try:
            info = registry.load("corpus", name).info
        except UsageError as error:
            yield {"name": name, "unusable": str(error)}
        else:
            yield {
                "name": name, "languages": list(info.languages) or ["any"], "licence": info.licence,
                "title": info.title, "unusable": "",
            }  # fmt: skip
