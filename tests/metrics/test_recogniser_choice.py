"""Which recogniser hears: by name, the best Whisper on disk, one that is fetched and checked; or none, and said so."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vceval.errors import UsageError
from vceval.metrics import recogniser_choice, recognisers
from vceval.metrics.base import Workspace
from vceval.metrics.recogniser_choice import BEST_FIRST, recogniser, usual
from vceval.metrics.recognisers import NoRecogniser, Official, PocketSphinx, Whisper
from vceval.metrics.text_error import WordErrorRate
from vceval.signal.audio import Waveform


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whisper's folder, empty."""
    monkeypatch.delenv("VCEVAL_WHISPER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "home" / "whisper"
    place.mkdir(parents=True)
    return place


def test_names() -> None:
    assert recogniser("pocketsphinx") == PocketSphinx()
    found = recogniser("whisper:large")
    assert isinstance(found, Whisper)
    assert (found.model, found.title) == ("large-v3", "Whisper large-v3")
    with pytest.raises(UsageError, match=r"large-v3 is not on this machine .*vceval checkpoints add whisper/large-v3"):
        found.check()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("whisper:larg-v3", "unknown Whisper model 'larg-v3'; did you mean large-v3"),
        ("whisper:/no/such.pt", r"/no/such\.pt: no such file"),
        ("whisper", "unknown recogniser 'whisper'; did you mean whisper:MODEL or whisper:PATH.pt"),
        ("wav2vec", "unknown recogniser 'wav2vec'"),
        ("faster-whisper:small", "no model of that name is in .*hub; name the folder that holds model.bin"),
    ],
)
def test_unknown_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recogniser(name)


def test_the_best_on_disk_is_the_usual_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in reversed(BEST_FIRST):
        (folder / f"{model}.pt").write_bytes(b"x")
        assert usual() == f"whisper:{model}"
    own = tmp_path / "mine.pt"
    monkeypatch.setenv("VCEVAL_WHISPER", str(own))
    with pytest.raises(UsageError, match=r"mine\.pt: no such file"):
        usual()
    own.write_bytes(b"x")
    assert recogniser().title == "Whisper mine.pt"


def test_an_official_file_is_known_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures may then be compared with those of the same file elsewhere."""
    own = tmp_path / "renamed.pt"
    own.write_bytes(b"x")
    sums = {"large-v3": hashlib.sha256(b"x").hexdigest()}
    monkeypatch.setattr(recognisers, "official", lambda model: Official("", sums.get(model, "")))
    found = recogniser(f"whisper:{own}")
    assert (found.title, found.identity) == ("Whisper large-v3", recogniser("whisper:large-v3").identity)
    own.write_bytes(b"y")
    assert recogniser(f"whisper:{own}").identity.startswith("whisper-file-renamed-")


class Harmful:
    """A pickle that does something when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    import torch

    path, trace = tmp_path / "mine.pt", tmp_path / "trace"
    wave = Waveform(np.zeros(16_000, dtype=np.float32), 16_000)
    torch.save({"model.encoder.conv1.weight": torch.zeros(1)}, path)  # as Transformers saves it
    with pytest.raises(
        UsageError, match=r"mine\.pt: can't be loaded .*\(no 'dims'\); it must be a \.pt of OpenAI's form"
    ):
        recogniser(f"whisper:{path}").hear(wave, "en", "cpu")
    torch.save(Harmful(trace), path)
    with pytest.raises(UsageError, match=r"can't be loaded as a Whisper checkpoint \(Weights only load failed"):
        recogniser(f"whisper:{path}").hear(wave, "en", "cpu")
    assert not trace.exists()


def test_without_any_nothing_is_heard_and_it_is_said_what_to_do() -> None:
    assert usual() == ""
    metric = WordErrorRate()
    assert metric.recogniser == NoRecogniser()
    assert "|asr:none|" in metric.signature()
    with pytest.raises(UsageError, match="vceval checkpoints add whisper/base"):
        metric.open(Workspace())


def test_a_model_that_faster_whisper_fetched_is_found_by_name(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    place = tmp_path / "hub" / "models--Systran--faster-whisper-small" / "snapshots" / "0a1b"
    place.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (place / name).write_bytes(b"{}")
    found = recogniser("faster-whisper:small")
    assert found.title == "faster-whisper small"
    assert found.identity.startswith("faster-whisper-small-")


class Server(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_fetched_checkpoint_is_held_against_the_published_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "served"
    published.mkdir()
    (published / "base.pt").write_bytes(b"weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(published)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/base.pt"
        wrong = Official(address, hashlib.sha256(b"other").hexdigest())
        monkeypatch.setattr(recogniser_choice, "official", lambda model: wrong)
        with pytest.raises(UsageError, match="is not the official checkpoint"):
            recogniser_choice.fetch("base")
        assert not list(folder.rglob("*.pt"))
        right = Official(address, hashlib.sha256(b"weights").hexdigest())
        monkeypatch.setattr(recogniser_choice, "official", lambda model: right)
        assert recogniser_choice.fetch("base") == folder / "base.pt"
    finally:
        server.shutdown()
        server.server_close()
    monkeypatch.setattr(recogniser_choice, "official", lambda model: Official(address, ""))
    said = r"^Whisper tiny: .*the server can't be reached \(.*\)\. Without a network, .* at .*/tiny\.pt$"
    with pytest.raises(UsageError, match=said):
        recogniser_choice.fetch("tiny")
    monkeypatch.setattr(recogniser_choice, "official", lambda model: right)
    assert recogniser_choice.fetch("base").read_bytes() == b"weights"
    (folder / "base.pt").write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"base\.pt: not the official .*delete it"):
        recogniser_choice.fetch("base")
    with pytest.raises(UsageError, match="unknown Whisper model 'huge'"):
        recogniser_choice.fetch("huge")
