"""The command line. Nothing heavy is imported before a command is known."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from vceval.cli import (
    agree,
    board,
    checkpoints,
    compare,
    completion,
    config,
    doctor,
    env,
    gate,
    init,
    listen,
    listing,
    manifest,
    publish,
    published,
    report,
    reproduce,
    run,
    schema,
    score,
    select,
    selfcheck,
    status,
    stream,
    suite,
    table,
    verify,
    work,
)
from vceval.cli.examples import FIRST
from vceval.cli.parser import Parser
from vceval.errors import NoRoomError, VcevalError, no_room, reason_of
from vceval.version import VERSION

__all__ = ["INTERNAL", "READER_LEFT", "main", "parsed", "parser"]

#: Exit code of an error of vceval itself, as sysexits.h has it.
INTERNAL = 70
#: Exit code where nobody reads the output any more, as shells give it: what would have been said is not known.
READER_LEFT = 141
_MEMORY = "there is not enough memory. Finished work is kept; give fewer --workers, or more memory"
#: How the loader of libraries says that memory ran out.
_UNMAPPED = re.compile("failed to map segment|[Cc]annot allocate memory")
_MAKE_ROOM = "Finished work is kept: make room, and the same command goes on from here"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Returns:
        0 fine, 1 some pairs failed or a gate says no, 2 wrong use, or a file, disk or memory that can't be used,
        70 an error of vceval itself, 130 interrupted, 141 whoever read the output, such as `head`, has left.
    """
    # pyworld and webrtcvad announce at every import that they use pkg_resources; setuptools is held below 81 for it.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    _open_streams()
    before = signal.signal(signal.SIGTERM, _interrupt)  # as batch systems end a job: like Ctrl-C
    try:
        options = parsed(sys.argv[1:] if arguments is None else arguments)
        code: int = options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("stopped; finished work is kept, the same command goes on from here")
        return 130
    except Exception as error:
        return _failed(error)
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _open_streams() -> None:
    """Make sure that there are streams to print to, and that any name can be printed.

    Where one was closed, as by ``>&-``, the next file that is opened would take its place, and be printed into.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    for one in (sys.stdout, sys.stderr):
        if isinstance(one, io.TextIOWrapper):  # a terminal that knows ASCII alone, names that are no UTF-8
            one.reconfigure(errors="backslashreplace")


def _failed(error: Exception) -> int:
    """Say what went wrong, and give the exit code that says so."""
    try:
        sys.stdout.flush()
    except OSError:  # its reader has left, or its disk is full: what is left must not be tried again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    match error:
        case BrokenPipeError():
            return READER_LEFT
        case NoRoomError():
            _say(f"{error}. {_MAKE_ROOM}")
        case VcevalError():
            _say(str(error))
        case OSError() if no_room(error):
            _say(f"{error.filename or 'a disk'}: {error.strerror}. {_MAKE_ROOM}")
        case MemoryError():
            _say(_MEMORY)
        case ImportError() if _UNMAPPED.search(str(error)):
            _say(_MEMORY)
        case OSError() if error.errno in (errno.EMFILE, errno.ENFILE):
            _say(f"{error.strerror}. Finished work is kept; allow more ('ulimit -n 1024'), or give fewer --workers")
        case OSError() if error.errno is not None:
            name = error.filename2 or error.filename
            place = os.fsdecode(name) if isinstance(name, str | bytes) else "the system"
            _say(f"{place}: {error.strerror}. Finished work is kept; give another place, or mend this one")
        case _:
            _say(f"an error of vceval itself ({reason_of(error)[:1000]}); {_traced(error)}")
            return INTERNAL
    return 2


def _traced(error: Exception) -> str:
    """Keep the trace of an error in a file, and say where it lies."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    text += f"\nvceval {VERSION}, Python {sys.version}, {sys.platform}\n{sys.argv!r}\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="vceval-trace-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError:
        return f"please report it with this trace, which can't be kept in a file:\n{text}"
    return f"please report it with the trace in {file.name}"


def _say(text: str) -> None:
    with suppress(OSError):  # there may be nobody to tell any more: the exit code tells
        print(f"vceval: {text}", file=sys.stderr)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Understand the words of a command.

    Raises:
        SystemExit: they are no command, or ask for help; that is printed.
        UsageError: something is wrong in the file that the command reads.
    """
    words = gate.joined_words(arguments)
    file = config.file_of(words[1:]) if words[:1] and words[0] in config.READERS else None
    return parser().parse_args(words) if file is None else config.with_file(file, parser(), parser(), words)


def _first_steps(options: argparse.Namespace) -> int:
    """What somebody sees who gives no command."""
    longest = max(map(len, FIRST))
    print("vceval says how good a voice converter is. To begin with:\n")
    print(*(f"  {command:<{longest}}  {meaning}" for command, meaning in FIRST.items()), sep="\n")
    return 2


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, with all commands."""
    top = Parser(
        prog="vceval", description="Objective evaluation and benchmarking of voice conversion.", epilog=work.EPILOG
    )
    top.add_argument("--version", action="version", version=f"vceval {VERSION}")
    top.set_defaults(command=_first_steps, top=top)
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for command in (
        run, score, stream, reproduce, manifest, init, report, table, status, verify, compare, select, gate, publish,
        board, listing, published, suite, checkpoints, env, listen, agree, schema, selfcheck, doctor, completion,
    ):  # fmt: skip
        command.add_commands(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
