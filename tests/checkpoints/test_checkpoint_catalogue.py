"""Every weight file of every converter as users meet it: recognised, or refused in words that say what to do."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import published  # noqa: E402 - needs torch

from vceval import registry  # noqa: E402
from vceval.checkpoints import (  # noqa: E402
    known_files,
    weights,
)
from vceval.checkpoints import store as checkpoints  # noqa: E402
from vceval.checkpoints.containers import NotNeeded  # noqa: E402
from vceval.checkpoints.recognise import recognise, refusal  # noqa: E402
from vceval.checkpoints.weightfile import WeightFile  # noqa: E402
from vceval.cli.main import main  # noqa: E402
from vceval.errors import UsageError  # noqa: E402

KNOWN = checkpoints.catalogue()
#: Those that plug-ins of others bring are not among them.
FILES = [file for file in KNOWN.values() if file.name in published.FILES or file.name in published.OTHERS]
WEIGHTS = [file for file in FILES if file.form == "weights"]
#: Files of one layout, which nothing but their names tells apart.
TWINS = (
    {"freevc.pth", "freevc-24.pth"},
    {"g_02500000", "autovc/g_03280000"},
    {"prematch_g_02500000.pt", "g_02500000.pt"},
)


def name_of(file: WeightFile) -> str:
    return file.name


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "store"))
    return tmp_path / "store"


def test_every_file_is_described() -> None:
    assert set(published.FILES) <= set(KNOWN)
    by_user = [file for files in checkpoints._by_user().values() for file in files]
    for file in (*by_user, *known_files.UNNEEDED):
        assert KNOWN[file.name] == file, f"two files are called {file.name}"
        assert file.page.startswith("https://")
        assert file.url is None or file.url.startswith(("https://", "http://speech.ee.ntu.edu.tw/"))
        assert file.holds
        assert file.licence
        assert file.form == "json" or file.layout()
        assert bool(checkpoints.users(file)) != bool(file.unneeded)
    own = [name for name in registry.names("converter") if registry.origin("converter", name).startswith("vceval.")]
    own += [f"sv:{recipe}" for recipe in registry.load("metric", "sv").recipes]
    assert {file.name for name in own for file in checkpoints.files_of(name)} <= {file.name for file in FILES}
    for name, facts in published.FILES.items():
        assert len(KNOWN[name].layout()) == facts.count, name


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_published_file_is_recognised(file: WeightFile, tmp_path: Path) -> None:
    twins = next((group for group in TWINS if file.name in group), {file.name})
    other = published.write(file, tmp_path / "download(1).dat")
    assert {found.name for found in recognise(other, KNOWN).files} == twins
    own = published.write(file, tmp_path / "folder" / Path(file.name).name)
    assert [found.name for found in recognise(own, KNOWN).files] == [file.name]
    assert refusal(other, file, KNOWN) == ""


def _less(tensors: published.Tensors) -> published.Tensors:
    return dict(list(tensors.items())[1:])


def _more(tensors: published.Tensors) -> published.Tensors:
    return {**tensors, "surplus.weight": torch.zeros(3)}


def _misshapen(tensors: published.Tensors) -> published.Tensors:
    name, value = next(iter(tensors.items()))
    return {**tensors, name: torch.zeros(()).expand((*value.shape, 7))}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_less, r"1 missing: \S+"),
        (_more, r"1 not expected: \S*surplus\.weight"),
        (_misshapen, r"1 misshapen: \S+ \(.*7\) for \("),
    ],
    ids=["less", "more", "misshapen"],
)
@pytest.mark.parametrize("file", WEIGHTS, ids=name_of)
def test_a_changed_file_is_refused(
    file: WeightFile,
    change: Callable[[published.Tensors], published.Tensors],
    said: str,
    tmp_path: Path,
    store: Path,
) -> None:
    if file.groups and change is _more:
        return  # its names begin with those of its groups; one that does not is in no place that is read
    path = published.write(file, tmp_path / "x.pt", change(published.tensors_of(file)))
    with pytest.raises(UsageError, match=said) as caught:
        checkpoints.add(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: not filed, it is most like ")
    like = told.partition("most like ")[2].partition(" (")[0]
    assert like in next((group for group in TWINS if file.name in group), {file.name})
    assert told.endswith(f"Get the authors' file from {KNOWN[like].url or KNOWN[like].page}")
    if not file.unneeded:
        with pytest.raises(UsageError, match=r"missing|not expected|misshapen"):
            checkpoints.add(path, file.name)
    assert not store.exists()


@pytest.mark.parametrize("file", [file for file in WEIGHTS if not file.groups and not file.unneeded], ids=name_of)
def test_names_that_training_on_several_gpus_leaves_are_read(file: WeightFile, tmp_path: Path) -> None:
    tensors = published.tensors_of(file)
    path = published.write(file, tmp_path / "x.pt", {f"module.{name}": value for name, value in tensors.items()})
    assert file.name in {found.name for found in recognise(path, KNOWN).files}
    assert refusal(path, file, KNOWN) == ""


def _html(path: Path, _: Path) -> str:
    path.write_text("\n<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>")
    return "web page.*Google Drive.*open the link in a browser"


def _pointer(path: Path, _: Path) -> str:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 132735\n")
    return "pointer of Git LFS.*git lfs pull"


def _empty(path: Path, _: Path) -> str:
    path.write_bytes(b"")
    return "empty.*fetch it again"


def _cut(path: Path, whole: Path) -> str:
    path.write_bytes(whole.read_bytes()[:-100])
    return "its end is missing.*download it again"


def _cut_old(path: Path, whole: Path) -> str:
    content = torch.load(whole, weights_only=True)
    torch.save(content, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:3_000])
    return "not downloaded whole"


def _zipped(path: Path, whole: Path) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(whole, "folder/model.pth")
        archive.writestr("folder/config.json", "{}")
    return r"zip archive of 2 files \(folder/model\.pth, .*file what is in it with: vceval checkpoints add"


def _packed(path: Path, whole: Path) -> str:
    path.write_bytes(gzip.compress(whole.read_bytes()))
    return "packed .gzip.; unpack it"


def _sound(path: Path, _: Path) -> str:
    path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    return "audio"


def _noise(path: Path, _: Path) -> str:
    path.write_bytes(np.random.default_rng(0).bytes(5_000))
    return "something else, is damaged or was not downloaded whole"


def _numbers(path: Path, _: Path) -> str:
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    path.with_suffix(".npz").rename(path)
    return r"NumPy arrays, none of those that vceval knows: a\.npy"


def _list(path: Path, _: Path) -> str:
    torch.save([torch.zeros(3)], path)
    return "no tensors by name"


def _foreign(path: Path, _: Path) -> str:
    torch.save({"state": {f"layer.{n}.weight": torch.zeros(3) for n in range(5)}}, path)
    return "5 tensors are those of no network that vceval knows"


@pytest.mark.parametrize(
    "make",
    [_html, _pointer, _empty, _cut, _cut_old, _zipped, _packed, _sound, _noise, _numbers, _list, _foreign],
)
def test_what_is_no_weight_file_is_told(
    make: Callable[[Path, Path], str], tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, whole = tmp_path / "model_file.pth", published.write(KNOWN["autovc/g_03280000"], tmp_path / "whole.pt")
    said = make(path, whole)
    with pytest.raises(UsageError, match=rf"{path}: .*{said}"):
        checkpoints.add(path)
    with pytest.raises(UsageError, match=r"model_file\.pth"):
        checkpoints.add(path, "autovc/g_03280000")
    assert main(["checkpoints", "add", str(path)]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "weights_only" not in printed.err  # torch's advice to switch its safeguard off
    assert not store.exists()


class Bomb:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.trap),))


@pytest.mark.parametrize("file", [file for file in WEIGHTS if published.FILES[file.name].wrap], ids=name_of)
def test_a_hostile_file_is_refused_and_not_run(file: WeightFile, tmp_path: Path, store: Path) -> None:
    facts, path = published.FILES[file.name], tmp_path / Path(file.name).name
    assert facts.wrap is not None
    content = {**facts.wrap(published.tensors_of(file)), "more": Bomb(tmp_path / "sprung")}
    torch.save(content, path, _use_new_zipfile_serialization=not facts.old)
    with pytest.raises(UsageError, match="refused, it holds something other than weights"):
        checkpoints.add(path)
    assert not (tmp_path / "sprung").exists()
    assert not store.exists()


def test_a_folder_of_everything_is_filed(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str], make_sound: Callable[..., Path]
) -> None:
    """As cloned and downloaded: several projects, their own configurations and leaflets, a repository's insides."""
    folder = tmp_path / "downloads"
    for file in FILES:
        published.write(file, folder / file.name)
    (folder / "UNIVERSAL_V1").mkdir()
    (folder / "UNIVERSAL_V1" / "config.json").write_text('{"resblock": "1", "upsample_rates": [8, 8, 2, 2]}')
    (folder / "yourtts" / "speakers.json").write_text('{"a.wav": {"name": "p225", "embedding": [0.0]}}')
    (folder / "vocoder" / "config.yml").write_text("sampling_rate: 16000\n")
    (folder / "wav2mel.pt").write_bytes(b"whatever")
    (folder / "README.md").write_text("# Weights\n")
    (folder / ".git" / "objects").mkdir(parents=True)
    (folder / ".git" / "objects" / "00").write_bytes(b"x\x9cK\xca\xc9")
    shutil.move(make_sound("a.wav", seconds=0.1), folder / "a.wav")
    assert main(["checkpoints", "add", str(folder)]) == 0
    needed = [file for file in FILES if not file.unneeded]
    passed = 6 + len(FILES) - len(needed)
    printed = capsys.readouterr()
    assert f"{len(needed)} filed, 0 not recognised, {passed} not needed" in printed.out
    assert printed.err == ""
    for file in needed:
        assert (store / file.name).read_bytes() == (folder / file.name).read_bytes(), file.name
    assert main(["checkpoints", "verify"]) == 0


def test_a_folder_with_something_wrong(tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, whole = tmp_path / "downloads", published.write(KNOWN["autovc.ckpt"], tmp_path / "whole.pt")
    folder.mkdir()
    shutil.copy(whole, folder / "autovc.ckpt")
    _zipped(folder / "your_tts.zip", whole)
    with zipfile.ZipFile(published.write(KNOWN["freevc.pth"], tmp_path / "freevc.pth")) as archive:
        archive.extractall(folder / "unpacked")
    assert main(["checkpoints", "add", str(folder)]) == 1
    printed = capsys.readouterr()
    assert "1 filed, 2 not recognised, 0 not needed" in printed.out
    assert "your_tts.zip: it is a zip archive" in printed.err
    assert "it is a weight file that was unpacked like a zip archive" in printed.err
    assert len(printed.err.splitlines()) == 2
    (folder / "autovc.ckpt").unlink()
    assert main(["checkpoints", "add", str(folder)]) == 2
    assert main(["checkpoints", "add", str(folder), "--as", "autovc.ckpt"]) == 2


def test_singlevc_and_mediumvc_are_not_mixed_up(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = published.write(KNOWN["checkpoint-3000.pt"], tmp_path / "checkpoint-3900.pt")
    with pytest.raises(UsageError, match=r"it is checkpoint-3000\.pt \(SingleVC.*not needed: MediumVC's file checkpo"):
        checkpoints.add(single)
    with pytest.raises(
        UsageError, match=r"is checkpoint-3000\.pt \(SingleVC.*not checkpoint-3900\.pt .MediumVC.*drive"
    ):
        checkpoints.add(single, "checkpoint-3900.pt")
    with pytest.raises(UsageError, match="which is not needed"):
        checkpoints.add(single, "checkpoint-3000.pt")
    assert main(["checkpoints", "add", "checkpoint-3000.pt"]) == 2
    assert "SingleVC" in capsys.readouterr().err
    medium = published.write(KNOWN["checkpoint-3900.pt"], tmp_path / "checkpoint-3000.pt")
    assert checkpoints.add(medium).path == store / "checkpoint-3900.pt"


def test_the_encoder_of_resemblyzer_is_not_that_of_freevc(tmp_path: Path) -> None:
    """The real file, from the package."""
    spec = importlib.util.find_spec("resemblyzer")
    assert spec is not None
    assert spec.origin is not None
    path = tmp_path / "pretrained_bak_5805000.pt"
    shutil.copy(Path(spec.origin).parent / "pretrained.pt", path)
    with pytest.raises(NotNeeded, match=r"Resemblyzer's speaker encoder.*FreeVC was trained with another"):
        checkpoints.add(path)
    with pytest.raises(UsageError, match=r"Resemblyzer's speaker encoder.*not pretrained_bak_5805000\.pt"):
        checkpoints.add(path, "pretrained_bak_5805000.pt")


def _huggingface(kind: str, config: str, **sizes: Any) -> dict[str, Any]:
    """The names and shapes that the library gives a network."""
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        state = getattr(transformers, kind)(getattr(transformers, config)(**sizes)).state_dict()
    return {name: torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in state.items()}


@pytest.mark.parametrize("kind", ["Wav2Vec2Model", "Wav2Vec2ForPreTraining"])
def test_wav2vec_of_hugging_face_is_read(kind: str, tmp_path: Path, store: Path) -> None:
    sizes = {
        "num_codevectors_per_group": 320,
        "num_codevector_groups": 2,
        "codevector_dim": 256,
        "proj_codevector_dim": 256,
    }
    torch.save(_huggingface(kind, "Wav2Vec2Config", **sizes), tmp_path / "pytorch_model.bin")
    assert checkpoints.add(tmp_path / "pytorch_model.bin").path == store / "wav2vec_small.pt"
    assert checkpoints.check(KNOWN["wav2vec_small.pt"]) == ""


def test_other_networks_of_hugging_face_are_told(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    layered = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
    torch.save(_huggingface("WavLMModel", "WavLMConfig", **large, **layered), path)
    for name in (None, "WavLM-Large.pt"):
        with pytest.raises(UsageError, match=r"Hugging Face library.*WavLM-Large\.pt.*https://github"):
            checkpoints.add(path, name)
    torch.save(_huggingface("Wav2Vec2ForCTC", "Wav2Vec2Config"), path)
    with pytest.raises(UsageError, match=r"fine-tuned on transcripts.*wav2vec_small\.pt"):
        checkpoints.add(path)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"a.weight": torch.arange(6.0).reshape(2, 3)}, tmp_path / "x.pt")
    assert torch.equal(weights.read(tmp_path / "x.pt")["a.weight"], torch.arange(6.0).reshape(2, 3))
    with pytest.raises(UsageError, match="1 tensors are those of no network"):
        checkpoints.add(tmp_path / "x.pt")


def test_a_converter_says_what_its_file_is(tmp_path: Path) -> None:
    """Networks with loaders of their own, too."""
    from vceval.converters.knnvc import KnnVc

    converter = KnnVc(weights=str(tmp_path))
    published.write(KNOWN["autovc.ckpt"], tmp_path / "WavLM-Large.pt")
    from vceval.networks import wavlm

    with pytest.raises(UsageError, match=r"WavLM-Large\.pt is autovc\.ckpt \(AutoVC.*, not WavLM-Large\.pt"):
        converter.loaded("WavLM-Large.pt", wavlm.load)


def test_the_commands_over_the_real_catalogue(tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["checkpoints", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, _ = run("list")
    assert code == 0
    assert all(name in out for name in KNOWN)
    assert max(len(line) for line in out.splitlines() if not line.startswith("Folder:")) <= 120
    assert run("verify")[:2] == (0, f"0 checked in {store}, 0 wrong or missing\n")
    assert run("path", "autovc.ckpt")[0] == 2
    code, out, _ = run("verify", "autovc")
    assert code == 1
    assert out.count("missing") == 3  # two files, and the sum; the vocoder is optional
    assert run("add", str(published.write(KNOWN["autovc.ckpt"], tmp_path / "x")))[0] == 0
    fine = "fine     autovc.ckpt: unknown edition: no hash of it was published"
    assert run("verify")[:2] == (0, f"{fine}\n1 checked in {store}, 0 wrong or missing\n")
    assert run("path", "autovc.ckpt")[:2] == (0, f"{store / 'autovc.ckpt'}\n")
    content = bytearray((store / "autovc.ckpt").read_bytes())
    content[-1] ^= 1
    (store / "autovc.ckpt").write_bytes(content)
    code, out, _ = run("verify")
    assert code == 1
    assert "WRONG    autovc.ckpt: " in out
    assert "has changed since it was filed" in out
    code, out, _ = run("list", "vqmivc", "--keys")
    assert code == 0
    assert "weights in the groups encoder, encoder_spk, decoder" in out
    assert "https://" in out
    for name, shape in KNOWN["VQMIVC-model.ckpt-500.pt"].layout().items():
        assert f"    {name}  {'x'.join(map(str, shape)) or 'scalar'}\n" in out
    assert run("list", "--keys")[0] == 2
    files = {file["name"]: file for file in json.loads(run("list", "--json")[1])}
    assert list(files) == list(KNOWN)
    assert all(file["users"] or file["unneeded"] for file in files.values())
    assert not any("layout" in file for file in files.values())
    autovc = files["autovc.ckpt"]
    assert (autovc["path"], autovc["form"], autovc["optional"]) == (str(store / "autovc.ckpt"), "weights", False)
    assert [file["path"] for file in files.values() if file["path"]] == [autovc["path"]]
    [file] = json.loads(run("list", "autovc.ckpt", "--keys", "--json")[1])
    layout = file.pop("layout")
    assert file == autovc
    assert layout == {name: list(shape) for name, shape in KNOWN["autovc.ckpt"].layout().items()}
    code, _, err = run("list", "world")
    assert code == 2
    assert "needs no weight files" in err
    code, _, err = run("list", "freevc25")
    assert code == 2
    assert "did you mean" in err
    assert run("verify", "nobody")[0] == 2
    assert run("add", "nobody/model.pt")[0] == 2
