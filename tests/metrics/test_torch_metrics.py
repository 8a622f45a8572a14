"""Metrics for training loops: what the command line gives for the same audio, in any batches, over any processes."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from trainings import share

import vceval
from vceval.benchmarks import demo
from vceval.errors import UsageError
from vceval.metrics.torch import MCD, MOS, SV, WER, RunningMetric

RATE = 16_000
Waves = dict[str, list[NDArray[np.float32]]]
#: Conversions (speaker and sentence), each with the target's recordings of the same and of another sentence.
ROWS = [("slt", 1), ("slt", 2), ("awb", 1)]
TARGET = "rms"


def recording(speaker: str, sentence: int) -> Path:
    return next((demo.root() / "audio" / speaker).glob(f"{speaker}_{sentence:03d}.flac"))


def samples(path: Path) -> NDArray[np.float32]:
    found: NDArray[np.float32] = soundfile.read(path, dtype="float32")[0]
    return found


def texts() -> dict[str, str]:
    with open(demo.root() / "utterances.csv", encoding="utf-8", newline="") as stream:
        return {row["id"]: row["transcript"] for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def table() -> pandas.DataFrame:
    said = texts()
    return pandas.DataFrame([
        {"system": "model", "converted": recording(who, number), "target": recording(TARGET, 5),
         "source": recording("awbf", number), "reference": recording(TARGET, number),
         "transcript": said[f"{who}_{number:03d}"], "language": "en"}
        for who, number in ROWS
    ])  # fmt: skip


@pytest.fixture(scope="module")
def natural() -> pandas.DataFrame:
    return pandas.DataFrame([
        {"file": recording(who, number), "speaker": who} for who in ("slt", "rms", "awb") for number in (7, 8, 9, 10)
    ])  # fmt: skip


@pytest.fixture(scope="module")
def scored(
    tmp_path_factory: pytest.TempPathFactory, table: pandas.DataFrame, natural: pandas.DataFrame
) -> vceval.Results:
    """What the command line gives."""
    out = tmp_path_factory.mktemp("scored") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCEVAL_CACHE", str(out.parent / "cache"))
        return vceval.score(
            table,
            natural=natural,
            metrics="mcd,sv,wer,mos",
            recogniser="pocketsphinx",
            workers=1,
            device="cpu",
            out=out,
        )


@pytest.fixture(scope="module")
def waves(table: pandas.DataFrame) -> Waves:
    return {name: [samples(path) for path in table[name]] for name in ("converted", "target", "source", "reference")}


def figures(scored: vceval.Results, found: RunningMetric) -> dict[str, float]:
    """Those of the table, as stored."""
    rows = scored.table([measure.name for measure in found.measures], "model")
    scales = {measure.name: measure.scale for measure in found.measures}
    return {name: value / scales[name] for (_, name), value in rows["value"].items()}


def check(scored: vceval.Results, found: RunningMetric, metric: str) -> None:
    assert found.signature == scored.signatures[metric]
    computed = found.compute()
    assert {key: computed.pop(key) for key in ("scored", "failed", "skipped")} == {
        "scored": 3,
        "failed": 0,
        "skipped": 0,
    }
    assert computed == pytest.approx(figures(scored, found), abs=1e-9)


def test_mcd(scored: vceval.Results, waves: Waves) -> None:
    metric = MCD(RATE)
    metric.update(waves["converted"][:2], waves["reference"][:2])
    metric.update(torch.tensor(waves["converted"][2]), torch.tensor(waves["reference"][2]))
    check(scored, metric, "mcd")
    metric.reset()
    assert math.isnan(metric.compute()["mcd"])


def test_a_padded_batch_is_its_recordings(scored: vceval.Results, waves: Waves) -> None:
    def padded(some: list[NDArray[np.float32]]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(wave) for wave in some], batch_first=True)

    metric = MCD(RATE)
    metric.update(
        padded(waves["converted"]).requires_grad_(), padded(waves["reference"])[:, None, :],
        list(map(len, waves["converted"])), list(map(len, waves["reference"])),
    )  # fmt: skip
    check(scored, metric, "mcd")


def test_sv_with_what_a_run_learnt(scored: vceval.Results, waves: Waves) -> None:
    metric = SV(RATE, threshold=scored.calibration())
    metric.update(waves["converted"], waves["target"], waves["source"])
    names = ["sv_accept", "sv_cosine", "sv_source", "sv_source_cosine", "sv_place", "sv_percentile"]
    assert [measure.name for measure in metric.measures] == names
    check(scored, metric, "sv")


def test_a_threshold_says_of_what_metric_it_is(scored: vceval.Results) -> None:
    """Suites draw other numbers of trials."""
    learnt = scored.calibration()
    signed = scored.signatures["sv"].replace("|trials:30000|seed:0|", "|trials:3000|seed:7|")
    assert SV(RATE, threshold={**learnt, "signature": f"{signed}|channel:left"}).signature == signed
    with pytest.raises(UsageError, match=r"that of another metric: SV\|enc:other"):
        SV(RATE, threshold={**learnt, "signature": "SV|enc:other"})


def test_sv_calibrated_on_natural_speech(scored: vceval.Results, waves: Waves, natural: pandas.DataFrame) -> None:
    metric = SV(RATE, natural=natural)
    metric.update(waves["converted"], [[wave] for wave in waves["target"]], waves["source"])
    check(scored, metric, "sv")


def test_sv_with_a_given_threshold_is_signed_with_it(waves: Waves) -> None:
    metric = SV(RATE, threshold=0.25)
    metric.update(waves["converted"], waves["target"])
    assert "|thr:0.25|" in metric.signature
    assert "eer" not in metric.signature
    found = metric.compute()
    assert found["sv_accept"] == 1.0
    assert math.isnan(found["sv_source"])  # no source was given


def test_sv_without_a_threshold_is_similarity(scored: vceval.Results, waves: Waves) -> None:
    metric = SV(RATE)
    metric.update(waves["converted"], waves["target"], waves["source"])
    assert [measure.name for measure in metric.measures] == ["sv_cosine", "sv_source_cosine"]
    check(scored, metric, "sv")


def test_wer_and_mos(scored: vceval.Results, waves: Waves, table: pandas.DataFrame) -> None:
    words = WER(RATE, recogniser="pocketsphinx")
    for wave, text in zip(waves["converted"], table["transcript"], strict=True):
        words.update(wave, text)
    check(scored, words, "wer")
    opinion = MOS(RATE)
    opinion.update(waves["converted"])
    check(scored, opinion, "mos")


def test_states_add_up(scored: vceval.Results, waves: Waves) -> None:
    parts = [MCD(RATE), MCD(RATE)]
    parts[0].update(waves["converted"][:1], waves["reference"][:1])
    parts[1].update(waves["converted"][1:], waves["reference"][1:])
    parts[0].merge(parts[1].state)
    check(scored, parts[0], "mcd")
    assert parts[1].compute()["scored"] == 2
    with pytest.raises(UsageError, match="states of different metrics can't be added"):
        parts[0].merge(MCD(RATE, recipe="pymcd").state)


def test_processes_of_a_training_get_one_figure(tmp_path: Path) -> None:
    """The sum of all, however often it is asked for; what each one saw stays its own."""
    context = torch.multiprocessing.get_context("spawn")
    gone = context.SimpleQueue()
    processes = [context.Process(target=share, args=(rank, str(tmp_path), gone)) for rank in range(2)]
    for process in processes:
        process.start()
    found = {rank: rest for rank, *rest in (gone.get() for _ in processes)}
    for process in processes:
        process.join()
    wanted = {"mcd": 10.0, "scored": 3.0, "failed": 1.0, "skipped": 0.0}
    assert found == {0: [wanted, wanted, 1.0], 1: [wanted, wanted, 2.0]}


def test_what_fails_is_counted_and_is_the_worst(
    waves: Waves,
    table: pandas.DataFrame,
    tmp_path: Path,
    make_sound: Callable[..., Path],
) -> None:
    """Silence, as models give early in a training; in a table it counts likewise."""
    silent = np.zeros(RATE, np.float32)
    metric = SV(RATE, threshold=0.25)
    metric.update([waves["converted"][0], silent], waves["target"][:2])
    found = metric.compute()
    assert (found["scored"], found["failed"], found["sv_accept"]) == (1.0, 1.0, 0.5)
    assert math.isnan(found["sv_source"])
    [reason] = metric.reasons
    assert reason.startswith("recording: silent")
    words = WER(RATE, recogniser="pocketsphinx")
    words.update([waves["converted"][0], silent], [table["transcript"][0], "never said"])
    words.update(waves["converted"][0], "")
    found = words.compute()
    alone = WER(RATE, recogniser="pocketsphinx")
    alone.update(waves["converted"][0], table["transcript"][0])
    assert (found["scored"], found["failed"], found["skipped"]) == (1.0, 1.0, 1.0)
    assert found["wer"] == alone.compute()["wer"]
    assert found["wer_capped"] == pytest.approx((alone.compute()["wer_capped"] + 1.0) / 2.0)


def test_the_training_keeps_its_threads(waves: Waves) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        SV(RATE).update(waves["converted"][:1], waves["target"][:1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MCD(RATE).update(np.zeros(100, np.int16), np.zeros(100, np.float32)), "audio of int16: give floats"),
        (lambda: MCD(RATE).update(np.zeros((2, 2, 100), np.float32), []), "not a shape"),
        (lambda: MCD(RATE).update([np.zeros(9, np.float32)] * 2, np.zeros(9, np.float32)), "2 recordings, but 1 pairs"),
        (lambda: MOS(RATE).update(np.zeros((2, 9), np.float32), lengths=[9]), "1 lengths for 2 recordings"),
        (lambda: SV(RATE, threshold={"threshold": 0.5, "encoder": "other"}), "that of another encoder: other"),
        (lambda: SV(RATE, threshold={"unavailable": "one speaker"}), "no threshold was learnt: one speaker"),
        (lambda: SV(RATE, recipe="spoof-eer"), "is no ratio of sums"),
        (lambda: MCD(RATE, recipe="pymdc"), "pymcd"),
        (lambda: MOS(4_000), "sample rate 4000 Hz: must lie in 8000 to 96000 Hz"),
        (lambda: WER(RATE, recogniser="whispr"), "unknown recogniser 'whispr'"),
    ],
)
def test_wrong_use(call: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()
