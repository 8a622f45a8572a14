"""``vceval suite``: a user's own protocol on the command line."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError

if TYPE_CHECKING:
    from vceval.protocol.pairlist import FrozenPair
    from vceval.protocol.suite import Suite

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval suite`` to the parser."""
    top = commands.add_parser("suite", help="freeze the pairs of a suite that draws them")
    actions = top.add_subparsers(title="actions", metavar="ACTION", required=True)
    freeze = actions.add_parser(
        "freeze",
        help="draw the pairs of a suite once and for all: a hashed list, and a suite that names it",
        description="Write the pairs that a suite draws from a corpus as a CSV list, and the suite once more with that "
        "list and its SHA-256 in place of the rule. Whoever runs the new suite gets exactly these pairs.",
        epilog="exit codes: 0 written, 2 wrong use (also: a file is there already)",
    )
    freeze.add_argument("suite", metavar="SUITE.yaml", help="suite with a section draw, or the name of one")
    freeze.add_argument("--data", type=Path, metavar="DIR", help="folder of the suite's corpus")
    freeze.add_argument(
        "--out", type=Path, metavar="FILE",
        help="the new suite; its list lies beside it as .csv (default: NAME-frozen.yaml beside the suite)",
    )  # fmt: skip
    freeze.add_argument("--force", action="store_true", help="write over files that are there")
    freeze.set_defaults(command=_freeze)


def _freeze(options: argparse.Namespace) -> int:
    from vceval.corpora.opening import open_corpus
    from vceval.protocol import grid, pairlist, suite
    from vceval.results.rundir import write_atomically

    drawing = suite.load(options.suite)
    if drawing.draw is None:
        raise UsageError(f"{options.suite}: its pairs are frozen already, in {drawing.pairs_file}")
    out, table = _places(drawing, options)
    corpus = open_corpus(drawing.corpus, options.data, drawing.corpus_options)
    pairs = grid.drawn_list(drawing, drawing.draw, corpus)
    text = pairlist.render(pairs)
    _check_ids(pairs, pairlist.parse(text, str(table)))
    content = _frozen(drawing, table, pairlist.digest(pairs), len(pairs))
    write_atomically(table, text)
    write_atomically(out, content)
    suite.load(str(out))  # whoever runs it reads it so
    found = Counter(str(pair.direction or "direction unknown") for pair in pairs)
    counts = ", ".join(f"{count} {direction}" for direction, count in sorted(found.items()))
    print(f"{table}: {len(pairs)} pairs ({counts}), SHA-256 {pairlist.digest(pairs)}")
    asked = 4 * drawing.draw.pairs_per_direction
    if len(pairs) < asked:
        print(f"The rule asks for {asked} pairs; {corpus.info.title} in {corpus.root} gives no more")
    print(f"{out}: {drawing.label} with these pairs; run it with: vceval run --suite {out}" + (
        f" --data {options.data}" if options.data else ""
    ))  # fmt: skip
    return 0


def _places(drawing: Suite, options: argparse.Namespace) -> tuple[Path, Path]:
    """Where the new suite and its list go: to files that are not there yet, unless they may be written over."""
    given = Path(options.suite)
    own = given.suffix in (".yaml", ".yml")
    out: Path = options.out or (given.parent if own else Path()) / f"{given.stem if own else drawing.name}-frozen.yaml"
    if out.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--out {out}: names the new suite, so it must end with .yaml; its list is beside it as .csv")
    beside = [name for name in drawing.published if name.endswith((".yaml", ".yml"))]
    if beside and out.resolve().parent != drawing.file.resolve().parent:
        raise UsageError(
            f"--out {out}: the published figures of {drawing.file} ({', '.join(beside)}) lie in its folder; "
            "write the new suite there, too"
        )
    table = out.with_suffix(".csv")
    there = [str(path) for path in (out, table) if path.exists()]
    if there and not options.force:
        raise UsageError(f"{' and '.join(there)}: there already; give another --out, or --force to write over")
    return out, table


def _check_ids(pairs: list[FrozenPair], read: list[FrozenPair]) -> None:
    """Make sure that the list, when it is read, holds the utterances that were drawn."""
    for drawn, found in zip(pairs, read, strict=True):
        if drawn != found:
            ids = ", ".join(map(repr, (drawn.source, *drawn.prompts)))
            raise UsageError(
                f"pair {drawn.pair}: the ids of its utterances ({ids}) "
                "can't stand in a list, as blanks at their ends are lost; rename the utterances"
            )


def _frozen(drawing: Suite, table: Path, sha256: str, count: int) -> str:
    """The text of the suite's file, with a frozen list in place of the rule."""
    import yaml

    from vceval.protocol.schema import read_yaml

    pairs = {"file": table.name, "sha256": sha256, "count": count}
    given: dict[str, Any] = read_yaml(drawing.file)
    changed = {("pairs" if key == "draw" else key): (pairs if key == "draw" else value) for key, value in given.items()}
    text: str = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True, width=110)
    return text
