"""Files cut short, and files with one bit or byte changed, of every kind that vceval reads."""

from __future__ import annotations

import json
import pickle
import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from faults.table import Row
from listeners import make_run, saved
from sounds import hum

import vceval.benchmarks
from vceval.checkpoints import arrays, weights
from vceval.corpora.csv_manifest import read_manifest
from vceval.errors import ItemError, UsageError
from vceval.gate import baseline
from vceval.gate.rules import DEFAULT, read_rules
from vceval.listen.answers import Session, checked_answers, read_answers
from vceval.listen.export import Look, export
from vceval.listen.key import read_key
from vceval.listen.pages import page_facts
from vceval.listen.plan import Settings
from vceval.listen.store import Store
from vceval.protocol import pairlist
from vceval.protocol.manifest import read_table
from vceval.protocol.schema import read_document
from vceval.protocol.suite import SuiteFile
from vceval.protocol.systems import read_systems
from vceval.results.rundir import RunDirectory
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.csv_files import read_rows

BENCHMARKS = Path(str(vceval.benchmarks.__file__)).parent
#: Seconds after which a file that is being read has no end.
PATIENCE = 30


@dataclass
class Kind:
    """One kind of file.

    read: gives what is compared. sealed: whether a change must be noticed; text that people write can be changed into
    other text that people write, and the samples of a WAV file into other samples. whole: whether each cut must be
    noticed.
    """

    name: str
    path: Path
    read: Callable[[Path], Any]
    sealed: bool = False
    whole: bool = False
    note: str = ""


class NoEnd(BaseException):
    """Reading took too long."""


@contextmanager
def _patience() -> Iterator[None]:
    def over(*_: object) -> None:
        raise NoEnd

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(kind: Kind, path: Path, intact: Any, sealed: bool) -> str:
    """What reading a damaged file comes to."""
    try:
        with _patience():
            found = kind.read(path)
    except (UsageError, ItemError) as error:
        text = str(error)
        return "refused in words" if path.name in text and len(text) < 5000 else "trace"
    except NoEnd:
        return "no end"
    except Exception as error:
        print(f"{kind.name}: {type(error).__name__}: {str(error)[:300]}")
        return "trace"
    if found == intact:
        return "the same values"
    return "other value" if sealed else "undetectable"


def attack(kind: Kind, folder: Path, cuts: int, flips: int, seed: int = 15) -> Row:
    """Cut a file at many places, then change bits and bytes of it."""
    row = Row(kind.name, note=kind.note)
    content = kind.path.read_bytes()
    intact = kind.read(kind.path)
    path = folder / f"damaged{kind.path.suffix}"
    drawn = random.Random(seed)
    for place in sorted({*drawn.sample(range(len(content)), min(cuts, len(content)))}):
        path.write_bytes(content[:place])
        row.add(outcome(kind, path, intact, kind.whole), f"cut at {place}")
    for number in range(flips):
        place = drawn.randrange(len(content))
        changed = bytearray(content)
        if number % 2:
            changed[place] ^= 1 << drawn.randrange(8)
        else:
            changed[place] = drawn.randrange(256)
        path.write_bytes(changed)
        row.add(outcome(kind, path, intact, kind.sealed), f"byte {place} is {changed[place]}")
    return row


def kinds(folder: Path) -> list[Kind]:
    """A file of every kind, with what reads it."""
    return [*_recordings(folder), *_tables(folder), *_documents(folder), *_weights(folder), *_listening(folder)]


def _recordings(folder: Path) -> list[Kind]:
    def read(path: Path) -> Any:
        wave = audio.load(path)
        return wave.sample_rate, wave.samples.tobytes()

    sound = hum(1.2)
    audio.write_flac(folder / "a.flac", Waveform(sound, 16_000))
    soundfile.write(folder / "a.wav", sound, 16_000, subtype="PCM_16")
    return [
        Kind("FLAC", folder / "a.flac", read, sealed=True, whole=True),
        Kind("WAV", folder / "a.wav", read, whole=True),
    ]


def _tables(folder: Path) -> list[Kind]:
    names = [f"clip{n}.wav" for n in range(8)]
    for name in names:
        soundfile.write(folder / name, hum(0.3), 16_000)
    table = folder / "conversions.csv"
    table.write_text(
        "converted,system,source,target_speaker,text\n"
        + "".join(f'{name},one,clip0.wav,p{n},"Well, ü {n}"\n' for n, name in enumerate(names))
    )
    manifest = folder / "natural.csv"
    manifest.write_text(
        "file,speaker,gender,language,text\n" + "".join(f"{name},p{n},F,en,word {n}\n" for n, name in enumerate(names))
    )
    written = folder / "pairs.csv"
    written.write_text("pair,dataset\n" + "".join(f'p{n},"d, {n}"\n' for n in range(30)))
    frozen = next((BENCHMARKS / "pairs").glob("demo*.csv"))
    return [
        Kind("table of conversions", table, lambda path: repr(read_table(path, folder).conversions)),
        Kind("table of natural speech", manifest, lambda path: repr(read_manifest(path, folder, dataset="d")[0])),
        Kind(
            "pair list", frozen, pairlist.read, sealed=False, note="Its suite holds its hash: a change is refused there"
        ),
        Kind("table of a run", written, lambda path: list(read_rows(path, ("pair",)))),
    ]


def _documents(folder: Path) -> list[Kind]:
    systems = folder / "systems.yaml"
    systems.write_text(
        "systems:\n  mine: &a {converter: command, command: [python, worker.py], timeout: 30}\n"
        "  theirs: {<<: *a, cwd: /tmp}\n  world: {converter: world}\n"
    )
    run = folder / "facts"
    run.mkdir()
    RunDirectory(run).write_json("run.json", {"name": "x", "plan": {"pairs": [1, 2.5, None, "ü"]}, "state": "finished"})

    def facts(path: Path) -> Any:
        return RunDirectory(path.parent).read_json(path.name)

    return [
        Kind("suite", BENCHMARKS / "suites" / "demo.yaml", lambda path: repr(read_document(path, SuiteFile))),
        Kind("rules", DEFAULT, lambda path: repr(read_rules(path))),
        Kind("systems", systems, lambda path: repr(read_systems(path))),
        Kind("baseline", BENCHMARKS / "baselines" / "demo.json", lambda path: baseline.render(baseline.read(path))),
        Kind("JSON of a run", run / "run.json", facts),
    ]


def _weights(folder: Path) -> list[Kind]:
    import torch
    from safetensors.torch import save_file

    generator = np.random.default_rng(0)
    shapes = {"mean": (40,), "std": (40,)}
    content = {name: generator.random(shape) for name, shape in shapes.items()}
    (folder / "stats.pkl").write_bytes(pickle.dumps(content, 2))
    np.savez(folder / "stats.npz", **content)
    np.save(folder / "stats.npy", content["mean"])
    tensors = {"a": torch.arange(60.0).reshape(6, 10), "b": torch.ones(7)}
    torch.save({"model": tensors, "steps": 7}, folder / "weights.pt")
    save_file(tensors, folder / "weights.safetensors")
    torch.jit.script(torch.nn.Linear(4, 3)).save(str(folder / "script.pt"))
    (folder / "config.json").write_text(json.dumps({"a": [1, 2, {"b": None}], "c": "ü" * 20}))

    def read(path: Path) -> Any:
        wanted = {"mean": shapes["mean"]} if path.suffix == ".npy" else shapes
        return {name: array.tobytes() for name, array in arrays.read_arrays(path, wanted).items()}

    def tensors_of(path: Path) -> str:
        return repr(_plain(weights.read(path)))

    bare = "No checksum: a checkpoint is known by the hash of the whole file"
    return [
        Kind("pickle of arrays", folder / "stats.pkl", read, whole=True, note=bare),
        Kind(".npz", folder / "stats.npz", read, sealed=True, whole=True),
        Kind(".npy", folder / "stats.npy", read, whole=True, note=bare),
        Kind("torch.save", folder / "weights.pt", tensors_of, whole=True, note=bare),
        Kind("TorchScript", folder / "script.pt", tensors_of, whole=True, note=bare),
        Kind("safetensors", folder / "weights.safetensors", tensors_of, whole=True, note=bare),
        Kind("configuration", folder / "config.json", arrays.read_json),
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "numpy"):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _listening(folder: Path) -> list[Kind]:
    made = export(make_run(folder / "listening"), folder / "test", Settings(("mos",), forms=2, pairs=4, each=1), Look())
    page = folder / "test" / "page" / "index.html"
    facts = page_facts(page)
    trials = facts.forms[0]
    answers = [{"trial": trial, "answer": "3", "seconds": 2.5, "plays": 1} for trial in trials]
    given = tuple(checked_answers(answers, 1, facts))
    session = Session("s" * 32, 1, "P1", "2026", "2026", {}, "fine", given)
    (folder / "answers.json").write_text(saved(session, facts.plan))
    columns = [
        "plan",
        "session",
        "form",
        "rater",
        "started",
        "finished",
        "comment",
        "trial",
        "answer",
        "seconds",
        "plays",
    ]
    fixed = [facts.plan, session.id, "1", "P1", "2026", "2026", '"fi""ne,"']
    rows = [[*fixed, one.trial, one.answer, "2.5", "1"] for one in given]
    (folder / "answers.csv").write_text("\n".join(map(",".join, [columns, *rows])) + "\n")
    store = Store(folder / "answers.sqlite", facts.plan, 2)
    store.add(store.begin("P1", {}).session, given, {})
    store.close()
    with closing(sqlite3.connect(folder / "answers.sqlite")) as database:
        database.execute("VACUUM")

    def read(path: Path) -> str:
        return repr([(s.id, s.form, s.rater, s.comment, s.answers) for s in read_answers(path, facts)])

    return [
        Kind("page of a listening test", page, lambda path: repr(page_facts(path))),
        Kind("key of a listening test", made.folder / "key.json", lambda path: repr(read_key(path))),
        Kind("answers, JSON", folder / "answers.json", read),
        Kind("answers, CSV", folder / "answers.csv", read),
        Kind("answers, SQLite", folder / "answers.sqlite", read),
    ]


__all__ = ["Kind", "attack", "kinds"]
