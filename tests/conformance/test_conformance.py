"""The conformance machinery: kits, ports, and the test that any converter can run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sounds import hum

from vceval.cli.main import main
from vceval.cli.selfcheck import port_for
from vceval.conformance.base import Case, Port, captured, thinned
from vceval.conformance.kits import Kit, filled, made_up_weights, run_kit
from vceval.converters.base import Converter, ConverterInfo
from vceval.converters.world import World
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform
from vceval.testing import check_converter

torch = pytest.importorskip("torch")


class TwoLayers(Port):
    """A network of two layers; its slope can be wrong."""

    def __init__(self, slope: float = 0.0) -> None:
        self.slope = slope

    def build(self, config: Mapping[str, Any]) -> Any:
        return torch.nn.Sequential(torch.nn.Linear(config["inputs"], 4), torch.nn.Linear(4, 3))

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        if case.kind == "features":
            return {"out_double": case.inputs["in_wav"] * 2}
        with captured(network, {"out_hidden": "0"}) as stages:
            final = network(case.tensor("in_x"))
        return {**stages, "out_y": final + self.slope}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit of the small network, its outputs computed without any of the machinery."""
    folder = tmp_path / "two_layers"
    folder.mkdir()
    entries = [
        {"key": f"module.{name}", "fill_key": name, "shape": shape, "dtype": "float32", "fill": fill}
        for name, shape, fill in (
            ("0.weight", [4, 5], "matrix"),
            ("0.bias", [4], "vector"),
            ("1.weight", [3, 4], "matrix"),
            ("1.bias", [3], "vector"),
        )
    ]
    import zlib

    def draw(name: str, shape: list[int]) -> np.ndarray:
        return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + 7)).standard_normal(shape)

    w0, b0 = draw("0.weight", [4, 5]) / np.sqrt(5), 0.1 * draw("0.bias", [4])
    w1, b1 = draw("1.weight", [3, 4]) / np.sqrt(4), 0.1 * draw("1.bias", [3])
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    hidden = x @ w0.T + b0
    np.savez(folder / "case.npz", in_x=x, out_hidden=hidden[::2].astype("f4"), out_y=(hidden @ w1.T + b1).astype("f4"))
    np.savez(folder / "wave.npz", in_wav=x[0], out_double=2 * x[0], out_other=x[1])
    rule = {"tolerance": 1e-5, "relative": False}
    described = {
        "kit": "two_layers",
        "seed": 7,
        "config": {"inputs": 5},
        "state_dict": entries,
        "cases": [
            {
                "file": "case.npz",
                "inputs": {"in_x": ""},
                "outputs": {
                    "out_hidden": {**rule, "meaning": "every 2nd frame, (frames / 2, 4)"},
                    "out_y": {**rule, "meaning": "the end, (frames, 3)", "relative": True},
                },
            }
        ],
        "features": [
            {
                "file": "wave.npz",
                "inputs": {"in_wav": ""},
                "outputs": {"out_double": {**rule, "meaning": "", "tolerance": 0}, "out_other": rule},
            }
        ],
    }
    (folder / "kit.json").write_text(json.dumps(described))
    return folder


def test_a_kit_passes_and_counts_what_it_compared(kit: Path) -> None:
    report = run_kit(kit, TwoLayers())
    assert report.passed, report
    assert (report.keys, report.matched) == (4, 4)
    assert (len(report.stages), report.stored) == (3, 4)
    assert report.skipped == ["wave.npz:out_other"]


def test_a_kit_fails_on_the_stage_that_differs(kit: Path) -> None:
    report = run_kit(kit, TwoLayers(slope=1e-3))
    assert not report.passed
    assert [stage.name for stage in report.stages if not stage.passed] == ["out_y"]
    assert report.worst is not None
    assert report.worst.name == "out_y"


def test_a_port_of_another_network_fails_on_its_keys(kit: Path) -> None:
    described = json.loads((kit / "kit.json").read_text())
    described["state_dict"][0]["shape"] = [4, 6]
    described["state_dict"][2]["key"] = "module.2.weight"
    (kit / "kit.json").write_text(json.dumps(described))
    report = run_kit(kit, TwoLayers())
    assert not report.passed
    assert (report.matched, report.keys) == (2, 4)
    assert "2.weight" in report.problems[0]
    assert not report.stages


def test_a_port_that_breaks_or_gives_nonsense_fails(kit: Path) -> None:
    class Broken(TwoLayers):
        def run(self, network: Any, case: Case) -> Mapping[str, Any]:
            if case.kind == "features":
                raise ZeroDivisionError("by design")
            return {"out_y": torch.full((6, 3), float("nan")), "out_hidden": torch.zeros(6, 2)}

    report = run_kit(kit, Broken())
    assert not report.passed
    assert "ZeroDivisionError" in report.problems[0]
    assert all(not stage.passed for stage in report.stages)


def test_a_port_is_never_given_what_is_stored(kit: Path) -> None:
    seen: list[Case] = []

    class Curious(TwoLayers):
        def run(self, network: Any, case: Case) -> Mapping[str, Any]:
            seen.append(case)
            return super().run(network, case)

    run_kit(kit, Curious())
    assert all(name.startswith("in_") for case in seen for name in case.inputs)
    assert seen[0].wanted == {"out_hidden": "every 2nd frame, (frames / 2, 4)", "out_y": "the end, (frames, 3)"}


def test_thinning_follows_the_meaning() -> None:
    value = np.arange(24).reshape(2, 3, 4)
    assert thinned(value, "something (a), every 2nd, (batch, 3, frames / 2)").shape == (2, 3, 2)
    assert thinned(value, "no shape is said").shape == (2, 3, 4)


def test_the_fill_rule_is_the_kits_rule() -> None:
    assert filled("n", [2], "int_zero", 0, dtype="int64").dtype == np.int64
    assert (filled("g", [50], "weight_g", 0) >= 0.5).all()
    assert abs(filled("m", [64, 100], "matrix", 3).std() - 0.1) < 0.005
    with pytest.raises(UsageError, match="fill 'odd'"):
        filled("k", [1], "odd", 0)


def test_made_up_weights_fit_any_network() -> None:
    network = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 5), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    weights = made_up_weights(network)
    network.load_state_dict(weights, strict=True)
    assert weights["1.num_batches_tracked"].item() == 0
    assert (weights["1.running_var"] >= 1).all()


def test_a_damaged_kit_is_named(kit: Path, tmp_path: Path) -> None:
    (kit / "case.npz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"case\.npz"):
        run_kit(kit, TwoLayers())
    with pytest.raises(UsageError, match=r"nowhere.*kit\.json"):
        Kit(tmp_path / "nowhere")


def test_selfcheck_on_the_command_line(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selfcheck", "--kits", str(kit.parent)]) == 1
    printed = capsys.readouterr().out
    assert "two_layers" in printed
    assert "unknown kit" in printed  # nobody has registered a port for it
    assert "0 of 1 kits pass" in printed
    assert main(["selfcheck", "--kits", str(kit / "nothing")]) == 2


class Hum(Converter):
    """Gives the source back; faults by option."""

    info = ConverterInfo("hum", "Hum", 16_000, "none", "", "native")

    def __init__(self, fault: str = "") -> None:
        self.fault, self.calls = fault, 0

    def encode_content(self, sources: Any) -> list[Any]:
        return list(sources)

    def encode_speaker(self, prompts: Any) -> list[Any]:
        return [len(group) for group in prompts]

    def decode(self, items: Any, seeds: Any) -> list[Any]:
        self.calls += 1
        waves = []
        for wave, _ in items:
            samples = wave.samples.copy()
            if self.fault == "batch":
                samples += 2e-4 * len(items)
            if self.fault == "again":
                samples += 1e-6 * self.calls
            if self.fault == "nan":
                samples[3] = np.nan
            if self.fault == "length":
                samples = samples[: len(samples) - len(items)]
            if self.fault == "fail" and len(items) == 1:
                raise ItemError("alone it fails")
            waves.append(Waveform(samples, 8_000 if self.fault == "rate" else wave.sample_rate))
        return waves


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, list[Path]]]:
    pairs = []
    for number, seconds in enumerate((0.4, 0.6, 0.5)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, hum(seconds, seed=number), 16_000, subtype="FLOAT")
        pairs.append((path, [path]))
    return pairs


def test_a_converter_that_conforms(files: Any) -> None:
    assert check_converter(Hum(), files).problems == []
    assert check_converter(World(), files).problems == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("batch", "batch and single differ"),
        ("again", "second run gave other samples"),
        ("nan", "not finite"),
        ("rate", "declares 16000 Hz"),
        ("length", "samples in a batch"),
        ("fail", "Waveform, ItemError"),
    ],
)
def test_a_converter_that_does_not(files: Any, fault: str, said: str) -> None:
    problems = check_converter(Hum(fault), files).problems
    assert problems
    assert said in problems[0]


def test_a_batch_with_one_bad_request_does_the_others(files: Any, tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    report = check_converter(Hum(), [files[0], (missing, files[0][1]), (files[1][0], [missing])])
    assert report.problems == []
    assert [type(outcome).__name__ for outcome in report.outcomes] == ["Waveform", "ItemError", "ItemError"]


def test_further_kits_of_a_network_have_its_port() -> None:
    assert type(port_for("adain_vc_cyhuang_long")) is type(port_for("adain_vc_cyhuang"))
    assert type(port_for("adain_vc_long")) is type(port_for("adain_vc"))
    with pytest.raises(UsageError, match="adain_vc"):
        port_for("adain_vclong")
