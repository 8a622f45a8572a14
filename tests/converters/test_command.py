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
from vceval.converters.streams import Pace, Timeline, WallClock, drive
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
        if name == "folder":
            os.makedirs(task["output"] + "/inner")
            print(json.dumps({"id": name}), flush=True)
            continue
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


def test_audio_of_an_earlier_try_is_nobody_s(worker: list[str], ask: Callable[[str], Request]) -> None:
    converter = Command(command=worker, timeout=20)
    request = ask("nofile")
    for place in (request.output, request.output / "inner.wav"):
        place.parent.mkdir(parents=True, exist_ok=True)
        audio.write_flac(place, request.source)
        [outcome] = converter.convert([request])
        assert "no such file" in str(outcome)
        assert not request.output.exists()
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
        ("folder", "reported success, but "),
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
        ({"command": {"python": "x"}}, "not a list of words"),
        ({"command": [sys.executable], "cwd": "no such folder"}, "cwd 'no such folder' is no folder"),
        ({"command": [sys.executable], "cwd": 5}, "cwd 5 is no folder"),
        ({"command": [sys.executable], "timeout": 0}, "not positive"),
        ({"command": [sys.executable], "timeout": float("nan")}, "timeout nan is not positive"),
        ({"command": [sys.executable], "timeout": 3e6}, "or above 1,000,000 s"),
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


STREAMER = textwrap.dedent('''
    """Halves what it hears, 100 ms late; its pair's name says how to misbehave."""
    import array, base64, json, os, sys, time

    def say(**line):
        print(json.dumps(line), flush=True)

    def coded(samples):
        return base64.b64encode(samples.tobytes()).decode()

    for line in sys.stdin:
        task = json.loads(line)
        name, held, given = task["id"], array.array("f"), 0
        if name == "old":
            say(id=name)
            continue
        if name == "refuse":
            say(id=name, error="no such voice")
            continue
        if name == "hang":
            time.sleep(60)
        if name == "told":
            given = 160
            say(id=name, protocol=2, rate=task["rate"], start=0, samples=coded(array.array("f", [0.0] * given)))
        else:
            say(id=name, protocol=2, rate={"rate": 4000, "double": 48000}.get(name, task["rate"]))
        for line in sys.stdin:
            told = json.loads(line)
            last = told.get("end")
            if not last:
                held.frombytes(base64.b64decode(told["samples"]))
            ready = held if last else held[: max(0, len(held) - task["rate"] // 10)]
            held = held[len(ready):]
            made = array.array("f", (value / 2 for value in ready))
            if told.get("chunk") == 10:
                if name == "stall":
                    time.sleep(60)
                if name == "die":
                    print("out of cheese", file=sys.stderr)
                    sys.exit(7)
                if name == "signal":
                    os.kill(os.getpid(), 36)
                if name == "garbage":
                    print("Loading model ... done", flush=True)
                if name == "other":
                    say(id=name, rate=48000, start=given, samples=coded(made))
                if name == "order":
                    given += 5
                if name == "heard":
                    say(id=name, heard=3)
                if name == "nan":
                    made[0] = float("nan")
                if name == "code":
                    say(id=name, start=given, samples="***")
                if name == "start":
                    say(id=name, start="0", samples=coded(made))
                if name == "empty":
                    say(id=name)
                if name == "error":
                    say(id=name, error="too quick for me")
                if name == "flood":
                    for _ in range(300):
                        say(id=name, start=given, samples="")
            if name == "much":
                made = made * 3
            if name == "little" and not last:
                made = made[:10]
            if name == "early" and told.get("chunk") == 10:
                say(id=name, end=True)
            answer = {"id": name, "start": given, "samples": coded(made)}
            given += len(made)
            if name == "silent" and last:
                time.sleep(60)
            say(**answer, **({"end": True, "report": {"threads": 3}} if last else {"heard": told["chunk"]}))
            if name == "over" and told.get("chunk") == 20:
                say(id=name, end=True)
            if last:
                break
''')


@pytest.fixture
def streamer(tmp_path: Path) -> list[str]:
    path = tmp_path / "streamer.py"
    path.write_text(STREAMER)
    return [sys.executable, str(path)]


def by_stream(converter: Command, request: Request, chunk: int = 640, pace: Pace = "fast") -> Timeline:
    return drive(converter, request, request.source, chunk, pace, WallClock())


def test_a_worker_streams_and_is_kept(streamer: list[str], ask: Callable[[str], Request]) -> None:
    converter = Command(command=streamer, timeout=20, protocol=2)
    request = ask("one")
    line = by_stream(converter, request)
    np.testing.assert_allclose(line.audio.samples, request.source.samples / 2, atol=1e-6)
    assert line.audio.sample_rate == 16_000
    assert [chunk.end for chunk in line.chunks] == [*range(640, 16_001, 640)]
    assert all(chunk.heard is not None and chunk.heard >= chunk.sent for chunk in line.chunks)
    # It holds 1,600 samples back, two chunks and a half, and until then gives pieces without samples
    assert line.sent[:2] == [1920, 2560]
    assert all(len(piece.samples) for piece in line.pieces)
    process = converter._worker
    assert converter.footprint().threads == 3
    [whole] = converter.convert([ask("two")])
    assert isinstance(whole, Waveform)
    np.testing.assert_array_equal(whole.samples, line.audio.samples)
    assert converter._worker is process
    converter.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", r"did not answer within 1\.5 s"),
        ("signal", "killed by signal 36"),
        ("stall", r"stalled: nothing came for 1\.5 s"),
        ("silent", r"stalled: nothing came for 1\.5 s"),
        ("die", "exit code 7.*out of cheese"),
        ("garbage", "no JSON"),
        ("old", "did not say that it speaks protocol 2"),
        ("refuse", "no such voice"),
        ("rate", "4000 as its sample rate; 8000 to 96000 Hz"),
        ("double", r"too little: 0\.33 s of audio at 48000 Hz .* source of 1\.00 s; is that the right rate"),
        ("other", "gives 48000 Hz amid a stream that it began with 16000 Hz"),
        ("order", "out of order: samples from .* on came when .* were next"),
        ("heard", "out of order: the stream says that it has heard chunk 3 when chunk 10 is next"),
        ("nan", "NaN or infinite samples after"),
        ("code", "no base64 of float32"),
        ("start", "the start '0', which is no number"),
        ("empty", "neither samples, heard, end nor error"),
        ("error", "the worker says: too quick for me"),
        ("much", "too much: more than"),
        ("little", "too little: "),
        ("early", "ended before it said that it had heard 1 of 11 chunks"),
    ],
)
def test_a_fault_of_a_stream_costs_its_pair_only(
    streamer: list[str], ask: Callable[[str], Request], fault: str, words: str
) -> None:
    converter = Command(command=streamer, timeout=20, protocol=2)
    by_stream(converter, ask("before"))
    converter.timeout = 1.5
    with pytest.raises(ItemError, match=words):
        by_stream(converter, ask(fault))
    converter.timeout = 20
    assert len(by_stream(converter, ask("after")).audio.samples) == 16_000
    converter.close()


def test_a_stream_that_ends_before_its_source_is_told(streamer: list[str], ask: Callable[[str], Request]) -> None:
    converter = Command(command=streamer, timeout=20, protocol=2)
    with pytest.raises(ItemError, match=r"the stream ended when 0\.16 s of the source were still to come"):
        by_stream(converter, ask("over"), pace="real")
    assert len(by_stream(converter, ask("after")).audio.samples) == 16_000
    converter.close()


def test_audio_may_come_with_the_word_that_it_is_ready(streamer: list[str], ask: Callable[[str], Request]) -> None:
    converter = Command(command=streamer, timeout=20, protocol=2)
    line = by_stream(converter, ask("told"))
    assert (line.sent[0], len(line.pieces[0].samples), line.samples) == (0, 160, 16_160)
    converter.close()


def test_a_flood_of_lines_is_stopped(streamer: list[str], ask: Callable[[str], Request]) -> None:
    request = ask("flood")
    converter = Command(command=streamer, timeout=20, protocol=2)
    stream = converter.begin(request, 16_000, 640, WallClock())
    for number in range(11):
        stream.give(request.source.samples[640 * number : 640 * (number + 1)], 0.0)
    assert converter._worker is not None
    while converter._worker._lines.qsize() <= 100:
        time.sleep(0.01)
    with pytest.raises(ItemError, match="more than 100 lines at once"):
        list(iter(lambda: stream.take(None), None))
    converter.close()


def test_a_worker_that_does_not_read_is_stopped(tmp_path: Path, ask: Callable[[str], Request]) -> None:
    script = tmp_path / "deaf.py"
    script.write_text(
        "import json, sys, time\n"
        "task = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'id': task['id'], 'protocol': 2, 'rate': 16000}), flush=True)\n"
        "time.sleep(60)\n"
    )
    converter = Command(command=[sys.executable, "-u", str(script)], timeout=1.5, protocol=2)
    request = ask("long")
    stream = converter.begin(request, 16_000, 16_000, WallClock())
    with pytest.raises(ItemError, match=r"did not read what it was told within 1\.5 s"):
        stream.give(np.zeros(200_000, np.float32), 1.0)  # more than a pipe holds
    converter.close()


def test_a_protocol_is_one_of_two() -> None:
    with pytest.raises(UsageError, match="protocol 3 is not known"):
        Command(command=[sys.executable], protocol=3)
    assert not Command(command=[sys.executable]).streams
