"""External programs as converters: every way in which a worker can misbehave costs one pair and no more."""

from __future__ import annotations

import os
import sys
import textwrap
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from places import ROOT

from vceval.converters.base import Request
from vceval.converters.command import Command
from vceval.errors import ItemError, UsageError
from vceval.records import ConversionPair, Utterance
from vceval.signal import audio
from vceval.signal.audio import Reading, Waveform

WORKER = textwrap.dedent('''
    """Halves the source; its pair's name says how to misbehave."""
    import json, os, sys, time
    import soundfile
    for line in sys.stdin:
        task = json.loads(line)
        name = task["id"]
        if name == "crash":
            print("out of cheese", file=sys.stderr)
            sys.exit(7)
        if name == "hang":
            time.sleep(60)
        if name == "rubbish":
            print("Loading model ... done", flush=True)
            continue
        if name == "endless":
            for _ in range(1 << 10):
                print("x" * (1 << 16), end="")
            sys.stdout.flush()
        if name == "loud":
            for _ in range(1 << 10):
                sys.stderr.write("y" * (1 << 16))
            print("last words", file=sys.stderr)
            sys.exit(3)
        if name == "deep":
            print("[" * 100_000, flush=True)
            continue
        if name == "long":
            print(json.dumps({"id": name, "error": "e" * 900_000}), flush=True)
            continue
        if name == "list":
            print("[1, 2]", flush=True)
            continue
        if name == "refuse":
            print(json.dumps({"id": name, "error": "too short for me"}), flush=True)
            continue
        samples, rate = soundfile.read(task["source"])
        if name == "nan":
            samples = samples * float("nan")
        if name != "nofile":
            soundfile.write(task["output"], samples / 2, rate, subtype="FLOAT")
        answer = {"id": "other" if name == "wrong" else name, "pid": os.getpid()}
        print(json.dumps(answer), flush=True)
        if name == "twice":
            print(json.dumps(answer) + "\\ndone", flush=True)
        if name == "late":
            time.sleep(0.3)
            print(json.dumps(answer), flush=True)
        if name == "leave":
            sys.exit(0)
''')


@pytest.fixture
def worker(tmp_path: Path) -> list[str]:
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    return [sys.executable, str(path)]


@pytest.fixture
def ask(tmp_path: Path, make_sound: Callable[..., Path]) -> Callable[[str], Request]:
    recording = Utterance("u", make_sound(), "made up")

    def request(name: str) -> Request:
        pair = ConversionPair(name, "made up", source=recording, prompts=(recording,))
        return Request("mine", pair, 1, tmp_path / "scratch" / f"{name}.wav")

    return request


def test_a_worker_converts_and_is_kept(worker: list[str], ask: Callable[[str], Request]) -> None:
    converter = Command(command=worker, timeout=20)
    converter.open("cpu")
    first, second = converter.convert([ask("one"), ask("two")])
    assert isinstance(first, Waveform)
    assert isinstance(second, Waveform)
    np.testing.assert_allclose(first.samples, ask("one").source.samples / 2, atol=1e-6)
    assert not ask("one").output.exists()
    process = converter._worker
    converter.convert([ask("three")])
    assert converter._worker is process
    converter.close()


def test_its_user_says_whether_a_program_draws_noise(worker: list[str]) -> None:
    assert Command(command=worker, draws_noise=True).info.draws_noise
    assert not Command(command=worker).info.draws_noise
    assert not Command.info.draws_noise


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("crash", "exit code 7.*out of cheese"),
        ("hang", r"did not answer within 1\.5 s"),
        ("rubbish", "Loading model.*no JSON"),
        ("list", "no JSON object"),
        ("endless", "more than 1,048,576 bytes in one line"),
        ("loud", "exit code 3; its last words: .*last words"),
        ("deep", "no JSON"),
        ("long", "^the worker says: e{1000}$"),
        ("refuse", "too short for me"),
        ("nofile", "reported success, but .*no such file"),
        ("nan", "reported success, but .*NaN"),
        ("wrong", "answered for 'other'"),
    ],
)
def test_a_fault_costs_its_pair_only(worker: list[str], ask: Callable[[str], Request], fault: str, words: str) -> None:
    converter = Command(command=worker, timeout=20)
    converter.open("cpu")
    assert isinstance(converter.convert([ask("before")])[0], Waveform)
    converter.timeout = 1.5
    tracemalloc.start()
    [outcome] = converter.convert([ask(fault)])
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    converter.timeout = 20
    assert isinstance(outcome, ItemError)
    with pytest.raises(ItemError, match=words):
        raise outcome
    assert isinstance(converter.convert([ask("after")])[0], Waveform)
    converter.close()


@pytest.mark.parametrize(
    ("fault", "words"), [("twice", "beside its answer"), ("late", "answered for 'late'"), ("leave", "exit code 0")]
)
def test_more_lines_than_asked_for_do_not_cost_the_next_pair(
    worker: list[str], ask: Callable[[str], Request], capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    converter = Command(command=worker, timeout=20)
    assert isinstance(converter.convert([ask(fault)])[0], Waveform)
    before = converter._worker
    assert before is not None
    if fault != "late":
        before._process.wait() if fault == "leave" else time.sleep(0.2)
    assert isinstance(converter.convert([ask("after")])[0], Waveform)
    assert converter._worker is not before
    said = capsys.readouterr().err
    assert words in said
    assert "started again" in said
    assert isinstance(converter.convert([ask("last")])[0], Waveform)
    assert capsys.readouterr().err == ""
    converter.close()


def test_children_of_a_hung_worker_are_stopped_too(tmp_path: Path, ask: Callable[[str], Request]) -> None:
    note = tmp_path / "child"
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    converter = Command(command=[sys.executable, str(script)], timeout=2)
    assert isinstance(converter.convert([ask("x")])[0], ItemError)
    child = int(note.read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and Path(f"/proc/{child}").exists():
        if " Z " in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.05)
    else:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": "python worker.py"}, "not a list of words"),
        ({"command": []}, "not a list of words"),
        ({"command": ["no-such-program-anywhere"]}, "no program 'no-such-program-anywhere'"),
        ({"command": [sys.executable], "timeout": 0}, "not positive"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Command(**options)  # type: ignore[arg-type]


def test_the_example_worker_of_the_readme_works(tmp_path: Path, ask: Callable[[str], Request]) -> None:
    page = (ROOT / "docs" / "pages" / "how-to" / "own-converter.md").read_text(encoding="utf-8")
    example = page.split("```python\n# worker.py")[1].split("```")[0]
    assert len(example.strip().splitlines()) <= 20
    path = tmp_path / "worker.py"
    path.write_text("# worker.py" + example)
    converter = Command(command=[sys.executable, str(path)], timeout=30)
    [outcome] = converter.convert([ask("p1")])
    converter.close()
    assert isinstance(outcome, Waveform), outcome
    assert outcome.sample_rate >= audio.MIN_RATE


def test_a_program_hears_the_channel_that_was_chosen(tmp_path: Path, ask: Callable[[str], Request]) -> None:
    request = ask("one")
    assert request.pair.source is not None
    path = request.pair.source.path
    assert request.heard(request.pair.source) == path.resolve()
    left, _ = soundfile.read(path, dtype="float32")
    soundfile.write(path, np.stack([left, left[::-1]], axis=1), 16_000, format="WAV", subtype="FLOAT")
    with pytest.raises(ItemError, match="channels differ"):
        request.heard(request.pair.source)
    request.output.parent.mkdir(parents=True, exist_ok=True)
    with audio.read_as(Reading("right")):
        copy = request.heard(request.pair.source)
    assert copy.parent == request.output.parent.resolve()
    assert np.abs(audio.load(copy).samples - left[::-1]).max() < 1e-6


def test_a_worker_that_floods_its_output_is_stopped(tmp_path: Path, ask: Callable[[str], Request]) -> None:
    script = tmp_path / "flood.py"
    script.write_text("import sys\nsys.stdin.readline()\nwhile True:\n    print('x' * 100_000)\n")
    converter = Command(command=[sys.executable, str(script)], timeout=5)
    tracemalloc.start()
    assert isinstance(converter.convert([ask("x")])[0], ItemError)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
