"""What ends a command is said in words, with the exit code that is its own; a trace lies in a file."""

from __future__ import annotations

import argparse
import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vceval.cli import main as command_line
from vceval.errors import ContractError, ItemError, NoRoomError, UsageError


def ends(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command that raises an error."""

    def command(options: argparse.Namespace) -> int:
        raise error

    parser = argparse.ArgumentParser()
    parser.set_defaults(command=command)
    monkeypatch.setattr(command_line, "parser", lambda: parser)
    return command_line.main([])


def no(number: int, *names: Any) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("a.yaml: no such file"), 2, "a.yaml: no such file"),
        (ItemError("a.wav: holds no samples"), 2, "a.wav: holds no samples"),
        (ContractError("metric x gave none"), 2, "metric x gave none"),
        (NoRoomError("/data: No space left"), 2, "/data: No space left. Finished work is kept: make room"),
        (no(errno.ENOSPC, "/data/x"), 2, "/data/x: No space left on device. Finished work is kept: make room"),
        (no(errno.EDQUOT), 2, "a disk: Disk quota exceeded"),
        (no(errno.EACCES, "/root/x"), 2, "/root/x: Permission denied. Finished work is kept; give another place"),
        (no(errno.EROFS, b"/ro/\xe4"), 2, r"/ro/\udce4: Read-only file system"),
        (no(errno.ENOTDIR, "t/.part-1", None, "t/x.json"), 2, "vceval: t/x.json: Not a directory"),
        (no(errno.EMFILE, "/a"), 2, "Too many open files. Finished work is kept; allow more"),
        (no(errno.EIO), 2, "the system: Input/output error"),
        (MemoryError(), 2, "not enough memory"),
        (ImportError("a.so: failed to map segment from shared object"), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_the_system_refuses(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(error, monkeypatch) == code
    words = capsys.readouterr().err
    assert said in words
    assert words.startswith("vceval: ")
    assert words.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError("deep"), OSError("no number"), ImportError("torch")])
def test_an_error_of_our_own_has_a_code_of_its_own_and_its_trace_lies_in_a_file(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ends(error, monkeypatch) == command_line.INTERNAL == 70
    words = capsys.readouterr().err
    assert "Traceback" not in words
    found = re.search(rf"\({type(error).__name__}.*please report it with the trace in (\S+)$", words)
    assert found is not None
    trace = Path(found[1]).read_text()
    assert "Traceback" in trace
    assert type(error).__name__ in trace
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert ends(error, monkeypatch) == 70  # then the trace is printed
    assert "Traceback" in capsys.readouterr().err


def test_the_action_goes_on_after_failed_pairs_and_after_nothing_else() -> None:
    action = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text())
    [step] = [one for one in action["runs"]["steps"] if one.get("name") == "Convert and score"]
    assert '[ "$code" -le 1 ] || exit "$code"' in step["run"]
    assert command_line.INTERNAL > 1


def test_a_command_whose_reader_has_left_does_not_say_that_all_is_fine():
    process = subprocess.Popen(
        [sys.executable, "-m", "vceval", "list", "metrics"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141
