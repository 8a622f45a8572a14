"""Recipes: folders that become converters, held against a schema; their worker, with a recipe made up for it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml

from vceval import registry
from vceval.checkpoints import store
from vceval.cli import main as cli
from vceval.cli.schema import schema_of
from vceval.converters.base import Request
from vceval.converters.by_recipe import ByRecipe, class_of
from vceval.converters.environments import place_of
from vceval.converters.recipe import recipe_of
from vceval.converters.recipes.skeleton import Job, imported
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.protocol.systems import read_systems
from vceval.records import ConversionPair, Utterance
from vceval.runner.factory import make_converter
from vceval.signal import audio
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")

RECIPE: dict[str, Any] = {
    "kind": "packages",
    "code": "https://example.org/toy",
    "python": [f"{sys.version_info[0]}.{sys.version_info[1]}"],
    "devices": ["cpu"],
    "requirements": ["toy"],
    "modules": ["torch"],
    "models": {
        "one": {
            "title": "Toy",
            "sample_rate": 16_000,
            "licence": "MIT",
            "draws_noise": True,
            "files": {"model": {"name": "toy/gain.pt", "page": "https://example.org/gain"}},
        }
    },
    "options": {
        "louder": {"default": 1.0, "meaning": "factor"},
        "trick": {"default": "", "meaning": "what goes wrong"},
    },
    "test": {"made_up": True, "unproven": ["its taste"]},
}
#: As lax as the packages that it stands for: it draws numbers when it is built, and prints.
WORKER = """
import pathlib, random, socket, urllib.request
import numpy as np, soundfile, torch

class Gain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.rand(1))

def load(job):
    network = Gain()
    stored = job.tensors(job.files["model"])
    job.compare(network.state_dict(), stored, job.files["model"])
    network.load_state_dict(stored, strict=False)
    job.count("gain", network)
    built = []

    def convert(source, prompts, task):
        print("Converting ...")
        if job.options["trick"] == "pickle":
            torch.save({"place": pathlib.PurePosixPath("x")}, "other.pt")
            torch.load("other.pt", weights_only=False)
        if job.options["trick"] == "fetch":
            urllib.request.urlopen("http://127.0.0.1:9/model.zip")
        samples, rate = soundfile.read(source, dtype="float32")
        if not built:
            built.append(torch.rand(1000))
        noise = 1e-3 * (torch.rand(1).item() + np.random.rand() + random.random())
        factor = float(network.gain.detach()) * job.options["louder"]
        if job.speakers:
            factor = job.speaker(task)["gain"]
            return (samples * factor * 32767).astype(np.int16), rate
        if job.options["trick"] == "channels":
            return np.stack([samples, samples]), rate
        if job.options["trick"] == "prompts":
            return soundfile.read(prompts[0], dtype="float32")
        return factor * samples + noise, rate

    return convert

def make_up(job):
    torch.save(Gain().state_dict(), job.files["model"])
"""
Folder = Callable[..., type[ByRecipe]]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Make the recipe ``toy``, with changes to it, and give its converter."""
    monkeypatch.setenv("VCEVAL_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    folder = tmp_path / "recipes" / "toy"
    folder.mkdir(parents=True)
    (folder / "pins.txt").write_text("toy==1.0\n")
    (folder / "worker.py").write_text(WORKER)
    monkeypatch.setattr(registry, "recipe_folders", lambda: {"toy": folder})

    def make(**changes: Any) -> type[ByRecipe]:
        (folder / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, **changes}))
        for cached in (recipe_of, class_of, registry._table):
            cached.cache_clear()
        return class_of("toy")

    yield make
    for cached in (recipe_of, class_of, registry._table):
        cached.cache_clear()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save({"gain": torch.tensor([0.5])}, folder / "gain.pt")
    return folder


def opened(kind: type[ByRecipe], weights: Path, **options: Any) -> ByRecipe:
    converter = kind(weights=str(weights), python=sys.executable, timeout=120, **options)
    converter.open("cpu")
    return converter


def test_a_worker_converts_by_its_seed_alone(
    toy: Folder, weights: Path, openvoice_request: Callable[..., Request]
) -> None:
    """The first pair as a later one, though the library draws numbers when it is built; options count, and are told."""
    converter = opened(toy(warm_up=True), weights, louder=2)
    assert converter.info.title == "Toy, louder 2.0"
    requests = [
        openvoice_request("one", seed=7),
        openvoice_request("again", seed=7),
        openvoice_request("other", seed=8),
    ]
    one, again, other = converter.convert(requests)
    footprint = converter.footprint()
    converter.close()
    assert isinstance(one, Waveform)
    assert isinstance(again, Waveform)
    assert isinstance(other, Waveform)
    noise = one.samples - requests[0].source.samples
    assert np.ptp(noise) < 1e-6
    assert 0 < noise.mean() < 3e-3
    np.testing.assert_array_equal(one.samples - requests[0].source.samples, again.samples - requests[1].source.samples)
    assert abs((other.samples - requests[2].source.samples).mean() - noise.mean()) > 1e-6
    assert footprint.parameters == {"gain": 1}
    assert footprint.memory is not None
    assert footprint.memory > 1e7


def test_the_signature_has_the_model_and_every_option(toy: Folder) -> None:
    assert toy()(louder=2).signature() == "toy|model:one|louder:2.0|trick:"
    model = {**RECIPE["models"]["one"], "front_end": "trim:none|level:none"}
    assert toy(models={"one": model})().signature() == "toy|trim:none|level:none|model:one|louder:1.0|trick:"


def test_prompts_are_joined(toy: Folder, weights: Path, openvoice_request: Callable[..., Request]) -> None:
    converter = opened(toy(), weights, trick="prompts")
    request = openvoice_request("one", prompts=2, prompt=0.5)
    [wave] = converter.convert([request])
    converter.close()
    assert isinstance(wave, Waveform)
    np.testing.assert_allclose(wave.samples, np.concatenate([prompt.samples for prompt in request.prompts]), atol=1e-6)


@pytest.mark.parametrize(
    ("tensors", "options", "words"),
    [
        ({"nonsense": [0.5]}, {}, r"one can't be loaded: .*gain\.pt is not of this model: 1 tensors missing \(gain\); "
         r"1 tensors too many \(nonsense\)"),
        ({"gain": [0.5, 0.5]}, {}, r"1 tensors of another shape \(gain\)"),
        ({"gain": [0.5]}, {"trick": "fetch"}, "wants to fetch something; that is not allowed"),
        ({"gain": [0.5]}, {"trick": "pickle"}, "Weights only load failed"),
        ({"gain": [0.5]}, {"trick": "channels"}, r"audio of shape \(2, \d+\), which is not one channel"),
    ],
)  # fmt: skip
def test_what_a_package_would_swallow_is_that_pairs_failure(
    toy: Folder, weights: Path, openvoice_request: Callable[..., Request], tensors: dict[str, list[float]],
    options: dict[str, Any], words: str,
) -> None:  # fmt: skip
    torch.save({name: torch.tensor(value) for name, value in tensors.items()}, weights / "gain.pt")
    converter = opened(toy(), weights, **options)
    [outcome] = converter.convert([openvoice_request("one")])
    converter.close()
    assert isinstance(outcome, ItemError)
    with pytest.raises(ItemError, match=words):
        raise outcome


def test_a_file_of_another_hash_is_refused_unless_it_is_meant(toy: Folder, weights: Path) -> None:
    published = {"name": "toy/gain.pt", "sha256": hashlib.sha256(b"published").hexdigest()}
    model = {**RECIPE["models"]["one"], "files": {"model": published}}
    kind = toy(models={"one": model})
    with pytest.raises(UsageError, match=r"gain\.pt is not the published toy/gain\.pt: .* other_weights"):
        opened(kind, weights)
    converter = opened(kind, weights, other_weights=True)
    converter.close()
    assert converter.info.title == "Toy, other weights"
    (weights / "gain.pt").write_bytes(b"published")
    opened(kind, weights).close()


def test_any_to_one(toy: Folder, weights: Path, tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    kind = toy(any_to_one=True, prompts="none")
    assert "has a model for each target speaker" in "\n".join(kind(weights=str(weights)).missing_files())
    absent = kind(weights=str(weights), speakers={"anna": {"model": "nowhere.pth"}}).missing_files()
    assert "the model of speaker anna" in absent[-1]
    voice = tmp_path / "anna.pth"
    voice.touch()
    table = tmp_path / "speakers.yaml"
    table.write_text(f"anna: {{model: {voice}, gain: 0.25, median_f0: 200}}\n")
    converter = opened(kind, weights, speakers=str(table))
    assert "model of anna" in converter.assets()
    source = Utterance("s", make_sound("s.wav", 0.5, subtype="FLOAT"), "made up")
    requests = [
        Request("toy", ConversionPair(who, "made up", source=source, prompts=(source,), target_speaker=who), 1,
                tmp_path / "scratch" / f"{who}.wav")
        for who in ("anna", "ben")
    ]  # fmt: skip
    anna, ben = converter.convert(requests)
    converter.close()
    assert isinstance(anna, Waveform)
    np.testing.assert_allclose(anna.samples, 0.25 * audio.load(source.path).samples, atol=1e-4)
    assert isinstance(ben, UnmetNeed)
    assert str(ben) == "toy has no model of speaker ben; it has those of anna"
    assert ben.need == "model"


def test_a_table_of_speakers_names_every_file_that_the_recipe_asks_for(toy: Folder, weights: Path) -> None:
    kind = toy(any_to_one=True, prompts="none", each_target=["model", "config"])
    assert "target speaker to model: PATH, config: PATH" in "\n".join(kind(weights=str(weights)).missing_files())
    with pytest.raises(UsageError, match=r"names no config; write anna: \{model: PATH, config: PATH\}"):
        kind(speakers={"anna": {"model": "a.pth"}})


def job(speakers: dict[str, Any], **options: Any) -> Job:
    return Job("one", {}, options, speakers, Path(), "cpu", Path())


@pytest.mark.parametrize(
    ("track", "median_f0", "semitones"),
    [
        ([0.0, 100.0, 0.0, 100.0, 300.0], 200.0, 12.0),  # the median of voiced frames alone
        ([110.0, 130.0], 60.0, -12.0),
        ([100.0], 100.0 * 2 ** (0.3 / 12), 0.3),  # not rounded
    ],
)
def test_the_key_follows_from_the_medians(track: list[float], median_f0: float, semitones: float) -> None:
    found = job({"anna": {"median_f0": median_f0}}, key="median").key({"target_speaker": "anna"}, lambda: track)
    assert found == pytest.approx(semitones, abs=1e-9)


def test_a_key_that_is_named_needs_no_pitch() -> None:
    assert job({"anna": {}}, key="-3.5").key({"target_speaker": "anna"}, lambda: pytest.fail("asked")) == -3.5


@pytest.mark.parametrize(
    ("row", "track", "words"),
    [({}, [100.0], "speaker anna has no median_f0"), ({"median_f0": 100.0}, [0.0, 0.0], "no voiced frame")],
)
def test_no_key(row: dict[str, float], track: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        job({"anna": row}, key="median").key({"target_speaker": "anna"}, lambda: track)


def test_a_name_that_a_model_of_several_speakers_lacks_is_no_speaker() -> None:
    """The package itself takes the first speaker then."""
    named = imported(registry.recipe_folders()["sovits"] / "worker.py").named
    row = {"config": "config.json"}
    assert named(row, ["anna"]) == "anna"
    assert named({**row, "speaker": "ben"}, ["anna", "ben"]) == "ben"
    for wrong in (row, {**row, "speaker": "carl"}):
        with pytest.raises(ValueError, match=r"config\.json has no speaker .*: name one as speaker, anna, ben"):
            named(wrong, ["anna", "ben"])


@pytest.mark.parametrize(
    ("speakers", "words"),
    [
        ({"anna": {"model": 3}}, "names no model"),
        ({"anna": {"model": "a.pth", "median_f0": 5}}, "median_f0 is 5, not Hz from 40 to 800"),
        (["anna"], "is no table of target speakers"),
    ],
)
def test_a_wrong_table_of_speakers(toy: Folder, speakers: Any, words: str) -> None:
    kind = toy(any_to_one=True, prompts="none")
    with pytest.raises(UsageError, match=words):
        kind(speakers=speakers)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"speed": 3}, TypeError, "no option 'speed'; there are checkout, louder"),
        ({"louder": "very"}, UsageError, "louder is 'very'; it must be of the type of 1.0"),
        ({"louder": True}, UsageError, "louder is True"),
        ({"model": "two"}, UsageError, "no model 'two'; there are one"),
        ({"speakers": {}}, TypeError, "a model for each target speaker"),
    ],
)
def test_wrong_options(toy: Folder, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        toy()(**options)


def test_a_device_that_it_does_not_run_on(toy: Folder, weights: Path) -> None:
    with pytest.raises(UsageError, match="toy runs on cpu only, not on cuda:0"):
        toy()(weights=str(weights), python=sys.executable).open("cuda:0")


CLONE = {"repository": "https://example.org/toy.git", "commit": "abc123", "path_entries": ["src"], "files": ["a/b.py"]}


def test_a_clone_must_be_named_be_there_and_be_whole(toy: Folder, weights: Path, tmp_path: Path) -> None:
    kind = toy(kind="checkout", checkout=CLONE)
    named = {"weights": str(weights), "python": sys.executable}
    assert "runs from a clone of its repository: clone https://example.org/toy.git" in kind(**named).missing_files()[0]
    place = tmp_path / "clone"
    assert "is not there" in kind(checkout=str(place), **named).missing_files()[0]
    (place / "src").mkdir(parents=True)
    assert "lacks a/b.py" in kind(checkout=str(place), **named).missing_files()[0]
    with pytest.raises(UsageError, match=r"lacks a/b\.py"):
        kind(checkout=str(place), **named).open("cpu")
    (place / "a").mkdir()
    (place / "a" / "b.py").touch()
    assert kind(checkout=str(place), **named).missing_files() == []
    assert cli.main(["env", "create", "toy"]) == 2


def test_env_test_says_what_is_proven_and_what_not(
    toy: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy(warm_up=True)
    assert cli.main(["env", "test", "toy"]) == 2
    assert "vceval env create toy" in capsys.readouterr().err
    place = place_of("toy")
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    (place / "vceval-environment.json").write_text(json.dumps({"recipe": "x", "versions": {}}))
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", place)
    (place / "lib").symlink_to(Path(sys.prefix) / "lib")
    assert cli.main(["env", "test", "toy"]) == 0
    said = capsys.readouterr().out
    assert said.count("ok ") == 7
    for words in ("the same seed gives the same samples", "another seed gives other samples", "not proven: the sound",
                  "not proven: its taste", "parameters 1"):  # fmt: skip
        assert words in said
    kept = tmp_path / "kept"
    assert cli.main(["env", "test", "toy", "--keep", str(kept)]) == 0
    assert f"vceval run --systems {kept / 'systems.yaml'}" in capsys.readouterr().out
    [system] = read_systems(kept / "systems.yaml")
    assert system.name == "toy-made-up"
    made = make_converter(system)
    assert made.other_weights
    assert store.editions(made.files, made.assets()) == {"toy/gain.pt": store.MADE_UP}  # type: ignore[attr-defined]
    assert cli.main(["env", "test", "toy", "--keep", str(kept)]) == 2
    assert "into a folder that is new or empty" in capsys.readouterr().err
    model = {**RECIPE["models"]["one"], "draws_noise": False}
    toy(models={"one": model})
    assert cli.main(["env", "test", "toy"]) == 1
    said = capsys.readouterr().out
    assert "BAD another seed gives other samples" in said
    assert "BAD the same seed gives the same samples" in said  # as it is not warmed up
    toy(test={})
    assert cli.main(["env", "test", "toy"]) == 2
    assert "nothing is proven" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "checkout"}, "checkout: stands where kind is checkout"),
        ({"any_to_one": True}, "prompts: is none where any_to_one is true"),
        ({"options": {"weights": {"default": 1, "meaning": "x"}}}, "options: names what every recipe has: weights"),
        ({"test": {"options": {"speed": 1}}}, "test: sets options that the recipe has not: speed"),
        ({"devices": ["tpu"]}, r"devices\[0\]: must be one of cpu, cuda, not 'tpu'"),
        ({"requires": []}, "requires: is no known key; did you mean requirements"),
        ({"models": {"one": {"title": "Toy", "files": {"model": {"name": "x", "sha256": "12"}}}}},
         "models.one.files.model.sha256: is no SHA-256"),
        ({"models": {"one": {"title": "Toy", "files": {"model": {"known": "vceval.errors:NOTHING"}}}}},
         "names nothing that can be imported"),
        ({"models": {"one": {"files": {}}}}, "give either same_as .* or title"),
        ({"models": {"one": {"title": "Toy", "files": {"model": {"name": "../x.pt"}}}}},
         r"models.one.files.model.name: leads out of its folder: \.\./x.pt"),
        ({"models": {"one": {"title": "Toy", "files": {"model": {"name": "x.pt", "also_called": ["/y.pt"]}}}}},
         r"also_called: leads out of its folder: /y.pt"),
        ({"kind": "checkout", "checkout": {**CLONE, "path_entries": [".", "a/../.."]}},
         r"path_entries: leads out of its folder: a/"),
        ({"kind": "checkout", "checkout": {**CLONE, "requirements": "../r.txt"}}, "requirements: leads out"),
        ({"set_aside": {"../x": ["y"]}}, "leads out of its folder"),
    ],
)  # fmt: skip
def test_a_wrong_recipe(toy: Folder, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        toy(**changes)
    assert "recipe.yaml" in str(caught.value)


def test_a_folder_that_lacks_a_file(toy: Folder) -> None:
    kind = toy()
    kind.recipe.worker.unlink()
    recipe_of.cache_clear()
    with pytest.raises(UsageError, match=r"the recipe toy lacks worker\.py"):
        recipe_of("toy")


@pytest.mark.parametrize("name", registry.recipe_folders())
def test_recipes_of_vceval_are_of_the_schema(name: str) -> None:
    folder = registry.recipe_folders()[name]
    found = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    schema = json.loads(schema_of("recipe"))
    assert [fault.message for fault in jsonschema.Draft202012Validator(schema).iter_errors(found)] == []
    kind = registry.load("converter", name)
    assert kind.info.name == name
    assert kind.info.licence
    compile((folder / "worker.py").read_text(encoding="utf-8"), name, "exec")


def test_folders_of_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "yours"):
        (tmp_path / "theirs" / name).mkdir(parents=True)
    (tmp_path / "theirs" / "__init__.py").touch()
    (tmp_path / "theirs" / "mine" / "recipe.yaml").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("theirs", "theirs", "vceval.recipes")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    find = registry.recipe_folders.__wrapped__
    assert find() == {"mine": tmp_path / "theirs" / "mine"}
    (tmp_path / "theirs" / "My-Own").mkdir()
    (tmp_path / "theirs" / "My-Own" / "recipe.yaml").touch()
    with pytest.raises(UsageError, match="'My-Own' can't name a recipe"):
        find()
    points.append(EntryPoint("gone", "no_such_package.recipes", "vceval.recipes"))
    with pytest.raises(UsageError, match=r"there is no package no_such_package\.recipes"):
        find()
