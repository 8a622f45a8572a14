"""``sv:panel`` stands for the encoders that are there, and one reading of a recording serves them all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vceval.checkpoints.known_files import CAMPPLUS
from vceval.conformance.kits import made_up_weights
from vceval.errors import UsageError
from vceval.metrics.base import Workspace
from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder
from vceval.records import Utterance
from vceval.runner.request import expanded
from vceval.runner.score_worker import Analyse, Scoring
from vceval.signal import audio
from vceval.storage.cache import Cache

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CAM++ with made-up weights and Resemblyzer; the others are not here."""
    torch.save(made_up_weights(CAMPPLUS.build()), tmp_path / "campplus.bin")
    monkeypatch.setenv("VCEVAL_CAMPPLUS", str(tmp_path / "campplus.bin"))
    for name in ("VCEVAL_DVECTOR", "VCEVAL_ECAPA"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def test_the_panel_is_what_is_here_and_says_what_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert expanded(["mcd", "sv:panel", "sv"]) == ["mcd", "sv", "sv:campplus"]
    told = capsys.readouterr().err
    assert "sv:panel is sv, sv:campplus; not here: sv:dvector (" in told
    assert "no such file" in told
    monkeypatch.setenv("VCEVAL_CAMPPLUS", "/nowhere")

    def missing() -> str:
        raise UsageError("Resemblyzer is not installed")

    monkeypatch.setattr(ResemblyzerEncoder, "identity", missing)
    with pytest.raises(UsageError, match=r"nothing of sv:panel is here: sv \(Resemblyzer is not installed\); sv:dv"):
        expanded(["sv:panel"])


def test_a_recording_is_read_once_for_all_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    folder = shared / "published_demos" / "Resemblyzer" / "LibriSpeech-test-other" / "real"
    # Copies: what an earlier test has read is still held
    paths = [Path(shutil.copy(path, tmp_path / path.name)) for path in sorted(folder.glob("*/*.flac"))[:2]]
    read: list[Path] = []
    plain = audio._read
    monkeypatch.setattr(audio, "_read", lambda path: (read.append(path), plain(path))[1])
    scoring = Scoring(Workspace(cache=Cache(tmp_path / "cache")), tmp_path / "none.json", {})
    natural = tuple(Utterance(path.stem, path, "d", "s") for path in paths)
    assert scoring(Analyse(("sv", "sv:campplus"), natural)) is None
    assert sorted(read) == sorted(paths)
