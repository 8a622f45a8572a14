"""Every metric and recipe bears the names, titles, measures and signatures that stored runs and baselines know."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vceval import registry
from vceval.errors import UsageError
from vceval.metrics.base import Measure, Metric, Recipe, Statistics
from vceval.signal.speech import SpeechFinder

#: Name to what a run stores of the metric; versions of packages stand as ``*``.
CATALOGUE: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("metric_catalogue.json").read_text())
#: What measures declare only where there is something to say.
SELDOM = {"thresholded", "rate", "resolution", "worst", "best", "ranked_by", "placed", "question", "natural_limit"}
USUAL = {field.name: field.default for field in dataclasses.fields(Measure)}
#: Folders of the recognisers of recipes.
CTC = ("hubert-large-ls960-ft", "wav2vec2-large-960h-lv60-self")
#: Packages whose versions are part of short signatures, and what stands before the version there.
VERSIONED = {
    "openai-whisper": "whisper-(?:english|basic|basic-split)-",
    "opencc": "opencc-",
    "pocketsphinx": "pocketsphinx-",
    "resemblyzer": "resemblyzer-",
}


@pytest.fixture(autouse=True)
def _weights(tmp_path, monkeypatch):
    """Stand-ins for the weights that signatures name by their bytes, and no Whisper at hand."""
    (tmp_path / "embedding_model.ckpt").write_bytes(b"ecapa")
    for variable, name in (
        ("VCEVAL_DVECTOR", "dvector.pt"),
        ("VCEVAL_CAMPPLUS", "campplus.bin"),
        ("VCEVAL_WAVLM_SV", "wavlm_sv.pth"),
        ("VCEVAL_UTMOS", "utmos.pt"),
    ):
        (tmp_path / name).write_bytes(name.encode())
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("VCEVAL_ECAPA", str(tmp_path))
    whisper = tmp_path / "cache" / "whisper" / "large-v3.pt"
    for path in (whisper, *(tmp_path / name / "model.safetensors" for name in CTC)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    monkeypatch.setenv("VCEVAL_CTC", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VCEVAL_WHISPER", raising=False)


def all_names() -> list[str]:
    bases = registry.names("metric")
    return [name for base in bases for name in (base, *(f"{base}:{r}" for r in registry.load("metric", base).recipes))]


def described(name: str) -> dict[str, Any]:
    """What a run stores of a metric, without the versions of packages."""
    metric = registry.load("metric", name)()
    long = metric.long_signature()
    for package in (*metric.packages, "vceval"):
        long = long.replace(f"|{package}:{installed(package)}", f"|{package}:*")
    return {
        "title": metric.title,
        "signature": unversioned(metric.signature()),
        "long_signature": unversioned(long),
        "version": metric.version,
        "needs": sorted(metric.needs),
        "source": metric.source,
        "packages": list(metric.packages),
        "measures": [
            {
                key: value
                for key, value in dataclasses.asdict(measure).items()
                if key not in SELDOM or value != USUAL[key]
            }
            for measure in metric.measures
        ],
    }


def _skip_without_the_extra(name: str) -> None:
    package = {"mos": "distillmos", "mos:distill": "distillmos", "mos:dnsmos": "speechmos"}.get(name)
    if package and installed(package) == "none":
        pytest.skip("the extra 'mos' is not installed")


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def unversioned(text: str) -> str:
    for package, before in VERSIONED.items():
        text = re.sub(f"({before}){re.escape(installed(package))}", r"\1*", text)
    return text


def test_no_metric_is_missing_or_new():
    assert sorted(all_names()) == sorted(CATALOGUE)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_runs_store_is_as_it_was(name):
    _skip_without_the_extra(name)
    metric = registry.load("metric", name)()
    assert metric.name == name
    assert described(name) == CATALOGUE[name]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_metric_travels_to_a_worker(name):
    metric = registry.load("metric", name)()
    travelled = pickle.loads(pickle.dumps(metric))
    assert travelled == metric
    assert type(travelled) is type(metric)


#: Parameters that do not stand in the signature: the recogniser that is found does, not the model that is asked for;
#: sv:spoof-eer has no threshold, though it inherits the parameter.
UNSIGNED = {("cer", "model"), ("wer", "model"), ("sv:spoof-eer", "threshold")}


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_parameter_is_part_of_the_signature(name):
    _skip_without_the_extra(name)
    metric = registry.load("metric", name)()
    for field in dataclasses.fields(metric):
        value = getattr(metric, field.name)
        if {(name, field.name), (name.partition(":")[0], field.name)} & UNSIGNED:
            continue
        if field.name == "asr" and metric.bound:  # heard with the recogniser of its tool, whatever is named
            continue
        if field.name == "threshold" and isinstance(value, str):
            others = {"calibrated", "mediumvc" if metric.encoder_type.kind == "dvector" else "tzuhsien"} - {value}
            if metric.encoder_type.kind in ("campplus", "ecapa", "wavlm"):  # nobody published a threshold of it
                continue
            other = min(others)
        elif isinstance(value, SpeechFinder):
            other = None
        elif field.name == "asr":
            other = "pocketsphinx"
        else:
            other = 1.0 if value is None else value + 1
        changed = dataclasses.replace(metric, **{field.name: other})
        assert changed.signature() != metric.signature(), field.name


@dataclasses.dataclass(frozen=True)
class Level(Metric):
    """A metric of somebody else, with a table of recipes."""

    floor: float = -60.0
    peak: bool = False

    name: ClassVar[str] = "level"
    title: ClassVar[str] = "Level"
    version: ClassVar[str] = "2.0"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("level", "Level", "dB", "higher", ranked_by="level_capped"),
        Measure("level_capped", "Capped", "dB", "higher"),
        Measure("level_range", "Range", "dB", "lower", secondary=True),
    )
    source: ClassVar[str] = "nobody"
    recipes: ClassVar[dict[str, Recipe]] = {
        "peak": Recipe("Level of the peak.", "peak", "of the peak", changes={"peak": True, "source": "somebody"}),
        "typo": Recipe("Never made.", "typo", changes={"flor": 1.0}),
    }

    def statistics(self, conversion):
        return Statistics({self.name: (self.floor, 1.0)})


def test_a_signature_follows_from_the_parameters():
    assert Level().signature() == "LEVEL|floor:-60.0|peak:False|v:2.0"
    assert Level(floor=-70.0).long_signature().startswith("LEVEL|floor:-70.0|peak:False|v:2.0|floor:-70.0|")


def test_a_row_of_the_table_is_a_metric():
    kind = Level.of_recipe("peak")
    assert kind is Level.of_recipe("peak")
    assert (kind.name, kind.title, kind.source, kind.__doc__) == (
        "level:peak", "Level (of the peak)", "somebody", "Level of the peak.",
    )  # fmt: skip
    [measure] = kind.measures  # what is secondary, or ranks another, stays with the default
    assert (measure.name, measure.label, measure.ranked_by) == ("level:peak", "Level (peak)", "")
    assert [field.name for field in dataclasses.fields(kind)] == ["floor", "peak"]
    metric = kind(floor=-70.0)
    assert (metric.floor, metric.peak) == (-70.0, True)
    assert metric.signature() == "LEVEL:PEAK|floor:-70.0|peak:True|v:2.0"
    assert pickle.loads(pickle.dumps(metric)) == metric != kind() != Level(floor=-60.0, peak=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        metric.floor = 0.0


def test_a_row_that_changes_nothing_known_is_refused():
    with pytest.raises(UsageError, match="recipe level:typo changes flor, which Level does not have"):
        Level.of_recipe("typo")
