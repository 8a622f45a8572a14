"""``vceval stream``: latency, look-ahead, seams and quality of systems that convert while somebody speaks."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval.cli.work import EPILOG, add_measuring, request

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``stream`` to the parser."""
    stream = commands.add_parser(
        "stream",
        help="stream a suite through systems: latency, look-ahead, deadlines, seams, and what it costs in quality",
        description="Convert each pair offline and chunk by chunk, score both, and measure what came when. The same "
        "command again goes on where it was cut off.",
        epilog=EPILOG,
    )
    stream.add_argument("suite", nargs="?", default="demo", help="name of a suite, or a YAML file (default: demo)")
    stream.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of the suite's corpus (the demo brings its own)"
    )
    stream.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME=KIND:ARGUMENT",
        help="a system that streams: mine=command:'python worker.py' (protocol 2), or a converter in chunks: "
        "fast='chunked:world window=1000 hop=160 lookahead=80 crossfade=20', in milliseconds",
    )
    stream.add_argument("--systems", type=Path, metavar="FILE", help="the systems of a YAML file")
    stream.add_argument(
        "--pace", choices=("real", "fast"), default="real",
        help="give the source as somebody speaks (default), or each chunk when the one before is done with: quicker, "
        "but without latencies and deadlines",
    )  # fmt: skip
    stream.add_argument(
        "--chunk", type=float, metavar="MS", help="milliseconds of source at a time (default: the system's hop, or 40)"
    )
    stream.add_argument(
        "--probes", type=int, default=3, metavar="N", help="moments at which look-ahead is measured (3; 0 for none)"
    )
    stream.add_argument("--limit", type=int, metavar="N", help="only N pairs, spread over the directions")
    stream.add_argument("--allow-missing", action="store_true", help="run without the utterances that are not on disk")
    stream.add_argument("--seed", type=int, default=0, help="for converters that draw noise")
    stream.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds for which a program may say nothing (60)"
    )
    add_measuring(stream)
    stream.set_defaults(command=_stream)


def _stream(options: argparse.Namespace) -> int:
    """Carry out ``vceval stream``; returns the exit code."""
    from vceval.reports import stream_page
    from vceval.runner.progress import say
    from vceval.runner.stream import StreamRequest, stream

    folder, done = stream(request(StreamRequest, options), options.out, options.fresh)
    page = stream_page.write(done.content, folder / "index.html")
    print(stream_page.to_text(done.content))
    print(f"\npage     {page}")
    for one in done.content.systems:
        if one.failure is not None:
            lost = one.expected - one.streamed
            say(f"vceval: {one.name}: {lost} of {one.expected} pairs failed; the first: {one.failure}")
    return 1 if done.failures else 0
