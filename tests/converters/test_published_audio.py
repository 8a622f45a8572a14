"""Published conversions: the adapters' front ends predict their lengths from the source file alone, to the sample."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_up_converters import of_adainvc, of_adainvc_cyhuang, of_againvc, of_fragmentvc, of_hifigan

from vceval import registry
from vceval.converters.native import NativeConverter
from vceval.signal.audio import Waveform, load, resample

#: By the name that the demos give a system: the converter, its rate, and how long its output is.
FRONTS: dict[str, tuple[str, int, Callable[[Waveform], int]]] = {
    "AGAIN-VC": ("againvc", 22_050, of_againvc),
    "AdaIN-VC": ("adainvc", 24_000, of_adainvc),
    "FragmentVC": ("fragmentvc", 16_000, of_fragmentvc),
    "MAE-VC": ("maevc", 22_050, of_hifigan),
    "MediumVC": ("mediumvc", 22_050, of_hifigan),
}
DEMOS = ("MediumVC-demo", "MAE-VC-demo")
#: One end that is trimmed a hop of 512 samples (at 22,050 Hz, here at 16,000) earlier than the adapter trims it.
HOP_OFF = 372


def conversions(shared: Path, system: str, demos: tuple[str, ...] = DEMOS) -> list[tuple[Path, Path]]:
    """Give converted and source file of every conversion of a system in some demos."""
    root = shared / "published_demos"
    with open(root / "conversions.csv", encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["system"] == system]
    return [(root / row["converted"], root / row["source"]) for row in rows if row["converted"].startswith(demos)]


def differences(shared: Path, system: str, length: Callable[[Waveform], int], by: str, rate: int) -> list[int]:
    """Samples that a prediction is longer than what was published, whose rate may be another: that page resampled."""
    found = []
    for converted, source in conversions(shared, system):
        published = soundfile.info(converted)
        predicted = length(resample(load(source), rate, by))  # type: ignore[arg-type]
        found.append(-(-predicted * published.samplerate // rate) - published.frames)
    return found


@pytest.mark.parametrize(
    ("system", "expected", "others"),
    [("AGAIN-VC", 15, [HOP_OFF]), ("AdaIN-VC", 39, []), ("FragmentVC", 39, []), ("MAE-VC", 16, []),
     ("MediumVC", 39, [])],
)  # fmt: skip
def test_lengths(
    shared: Path, system: str, expected: int, others: list[int], record_property: Callable[[str, object], None]
) -> None:
    name, rate, length = FRONTS[system]
    kind = registry.load("converter", name)
    assert issubclass(kind, NativeConverter)
    found = differences(shared, system, length, kind.authors_resampler, rate)
    record_property(system, f"{found.count(0)} of {len(found)}")
    assert (found.count(0), [one for one in found if one]) == (expected, others)


def test_the_other_edition_of_adainvc_predicts_none(shared: Path) -> None:
    found = differences(shared, "AdaIN-VC", of_adainvc_cyhuang, "sox", 16_000)
    assert (found.count(0), len(found)) == (0, 39)


def test_fragmentvc_was_published_as_its_vocoder_draws_it(shared: Path) -> None:
    """Every sample is one of 512 mu-law values, rounded to 16 bits."""
    torch = pytest.importorskip("torch")
    from vceval.networks.universal_vocoder import expand

    grid = expand(torch.arange(512)).numpy().astype(np.float64)
    paths = [path for system in ("FragmentVC", "FragmentVC-5utt") for path, _ in conversions(shared, system, ("",))]
    assert len(paths) == 49
    for path in paths:
        samples, _ = soundfile.read(path)
        after = np.clip(np.searchsorted(grid, samples), 1, 511)
        apart = np.minimum(np.abs(grid[after] - samples), np.abs(grid[after - 1] - samples))
        assert apart.max() <= 1.01 / 32_768, path
