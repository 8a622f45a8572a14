"""The command line. Nothing heavy is imported before a command is known."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence

from vceval import __version__
from vceval.cli import (
    checkpoints,
    compare,
    doctor,
    env,
    gate,
    listen,
    listing,
    report,
    run,
    schema,
    selfcheck,
    status,
    suite,
    verify,
)
from vceval.errors import NoRoomError, UsageError, no_room

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 some pairs failed, 2 wrong use, 130 interrupted."""
    # pyworld and webrtcvad announce at every import that they use pkg_resources; setuptools is held below 81 for it.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    options = _parser().parse_args(gate.joined_words(sys.argv[1:] if arguments is None else arguments))
    before = signal.signal(signal.SIGTERM, _interrupt)  # as batch systems end a job: like Ctrl-C
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except UsageError as error:
        print(f"vceval: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader, such as `head`, has left
        return 0
    except NoRoomError as error:
        return _full(str(error))
    except OSError as error:
        if not no_room(error):
            raise
        return _full(f"{error.filename or 'a disk'}: {error.strerror}")
    except KeyboardInterrupt:
        print("vceval: stopped; finished work is kept, the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _full(what: str) -> int:
    print(f"vceval: {what}. Finished work is kept: make room, and the same command goes on from here", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vceval", description="Objective evaluation and benchmarking of voice conversion.", epilog=run.EPILOG
    )
    parser.add_argument("--version", action="version", version=f"vceval {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        run, report, status, verify, compare, gate, listing, suite, checkpoints, env, listen, schema, selfcheck, doctor
    ):  # fmt: skip
        command.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
