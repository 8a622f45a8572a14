"""Weight files: reading without running, recognising by content, filing, fetching."""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import pickle
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval.checkpoints import arrays, store, weights
from vceval.checkpoints.download import download
from vceval.checkpoints.recognise import recognise, refusal
from vceval.checkpoints.weightfile import WeightFile
from vceval.cli.main import main
from vceval.converters.native import NativeConverter
from vceval.errors import UsageError

torch = pytest.importorskip("torch")


class Small(torch.nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, width)
        self.last = torch.nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


class Other(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 3)
        self.gru = torch.nn.GRU(3, 5)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, WeightFile]:
    """Two networks' files, a file of statistics, and one whose layout equals another's."""
    monkeypatch.setattr(WeightFile, "build", lambda self: {"small": Small, "other": Other}[self.network]())
    files = (
        WeightFile("small.pt", "Small", "https://example.org/small", "MIT", "small", entry=("model",)),
        WeightFile("other.pt", "Other", "https://example.org/other", "MIT", "other", entry=("G",), prefix="module."),
        WeightFile("stats.pkl", "Statistics", "https://example.org", "MIT", form="arrays", arrays=(("mean", (3,)),)),
        WeightFile("config.json", "Settings", "https://example.org", "MIT", form="json"),
    )
    monkeypatch.setattr(store, "_by_user", lambda: {"conv": files, "second": files[:1]})
    monkeypatch.setattr(store, "UNNEEDED", ())
    return {file.name: file for file in files}


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def test_reads_what_torch_saves(tmp_path: Path) -> None:
    network = Small()
    torch.save({"model": network.state_dict(), "args": argparse.Namespace(a=1)}, tmp_path / "new.pt")
    torch.save(network.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name, entry in (("new.pt", ("model",)), ("old.pt", ())):
        found = weights.select(weights.read(tmp_path / name), entry)
        assert found.keys() == network.state_dict().keys()


def test_reads_torchscript_without_running_it(tmp_path: Path) -> None:
    class Scripted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hop_len = 326
            self.name = "vocoder"
            self.inner = Small()
            self.register_buffer("table", torch.arange(6).reshape(2, 3))
            self.small = torch.nn.Parameter(torch.ones(3, dtype=torch.float16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * self.hop_len

    module = Scripted()
    module.inner.last.weight = torch.nn.Parameter(module.inner.last.weight.detach().t().contiguous().t())
    script = torch.jit.script(module)
    script.save(str(tmp_path / "script.pt"))
    found = weights.read(tmp_path / "script.pt")
    assert found[""]["hop_len"] == 326
    assert found[""]["name"] == "vocoder"
    tensors = weights.select(found)
    wanted = script.state_dict()
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)


def test_new_names_of_weight_norm_are_the_old_ones(tmp_path: Path) -> None:
    conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(2, 3, 1))
    torch.save(conv.state_dict(), tmp_path / "w.pt")
    assert set(weights.select(weights.read(tmp_path / "w.pt"))) == {"bias", "weight_g", "weight_v"}


def test_a_hostile_file_is_refused_and_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps({"mean": Bomb(trap)}))
    torch.save({"model": {"w": Bomb(trap)}}, tmp_path / "bomb.pt")
    torch.save({"model": {"w": Bomb(trap)}}, tmp_path / "bomb_old.pt", _use_new_zipfile_serialization=False)
    for name in ("bomb.pt", "bomb_old.pt", "bomb.pkl"):
        with pytest.raises(UsageError, match="refused"):
            weights.read(tmp_path / name)
    with pytest.raises(UsageError, match="nothing in it was run"):
        arrays.read_arrays(tmp_path / "bomb.pkl", {"mean": (3,)})
    assert not trap.exists()


def test_a_hostile_torchscript_archive_is_refused(tmp_path: Path) -> None:
    import zipfile

    trap = tmp_path / "sprung"
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w") as archive:
        archive.writestr("bomb/constants.pkl", pickle.dumps(()))
        archive.writestr("bomb/data.pkl", pickle.dumps(Bomb(trap), protocol=2))
    with pytest.raises(UsageError, match="refused"):
        weights.read(tmp_path / "bomb.pt")
    assert not trap.exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    torch.save({"model": Small().state_dict()}, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pt").write_bytes(b"<!DOCTYPE html><html>Sign in</html>")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("cut.pt", "page.pt", "empty.pt", "missing.pt"):
        with pytest.raises(UsageError, match=name.replace(".", r"\.")):
            weights.read(tmp_path / name)


def test_arrays_of_all_kinds(tmp_path: Path) -> None:
    mean = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    for protocol in (0, 2, 4, 5):
        (tmp_path / f"{protocol}.pkl").write_bytes(pickle.dumps({"mean": mean, "n": np.float32(2)}, protocol))
    # Pickles of old NumPy name its old module
    old = pickle.dumps({"mean": mean}, 2).replace(b"numpy._core.", b"numpy.core.")
    (tmp_path / "old.pkl").write_bytes(old)
    np.save(tmp_path / "a.npy", mean)
    np.savez(tmp_path / "a.npz", mean=mean)
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(arrays.read_arrays(path, {"mean": (3,)})["mean"], mean)
    with pytest.raises(UsageError, match="no array 'std'"):
        arrays.read_arrays(tmp_path / "a.npz", {"mean": (3,), "std": (3,)})
    with pytest.raises(UsageError, match=r"shape \(3,\)"):
        arrays.read_arrays(tmp_path / "a.npz", {"mean": (4,)})
    np.savez(tmp_path / "nan.npz", mean=mean * np.nan)
    with pytest.raises(UsageError, match="not finite"):
        arrays.read_arrays(tmp_path / "nan.npz", {"mean": (3,)})


def test_loading_is_strict(tmp_path: Path) -> None:
    state = Small().state_dict()
    with pytest.raises(UsageError, match=r"1 misshapen: last.weight \(2, 4\) for \(2, 3\)"):
        weights.load_strict(Small(), {**state, "last.weight": torch.zeros(2, 4)}, "it")
    with pytest.raises(UsageError, match=r"1 missing: last\.bias; 1 not expected: extra"):
        weights.load_strict(
            Small(), {"extra": torch.zeros(1), **{k: v for k, v in state.items() if k != "last.bias"}}, "it"
        )
    with pytest.raises(UsageError, match="not finite"):
        weights.load_strict(Small(), {**state, "last.bias": torch.full((2,), torch.inf)}, "it")
    network = weights.load_strict(Small(), state, "it")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_are_copied_and_made_those_of_the_network(tmp_path: Path) -> None:
    state = {name: value.double() for name, value in Small().state_dict().items()}
    with weights.without_values():
        network = Small()
    assert all(value.is_meta for value in network.state_dict().values())
    loaded = weights.load_strict(network, state, "it").state_dict()
    for name, value in state.items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], value.float())
        assert loaded[name].data_ptr() != value.data_ptr()


def test_building_without_values_imports_no_compiler() -> None:
    """Which takes seconds; embeddings, weight norm, recurrent layers: all that draw or compute values."""
    code = """
import sys, torch
from torch import nn
from vceval.checkpoints.weights import without_values
from vceval.networks.blocks import WNConv1d
with without_values():
    network = nn.ModuleList([nn.Embedding(3, 4), WNConv1d(3, 4, 5), nn.LSTM(3, 4), nn.MultiheadAttention(4, 2)])
assert network[1].weight_g.shape == (4, 1, 1)
assert all(value.is_meta for value in network.parameters())
sys.exit("sympy" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_compressed_file_is_read_too(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(1_000.0)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as plain, zipfile.ZipFile(tmp_path / "c.pt", "w", 8) as packed:
        for item in plain.infolist():
            packed.writestr(item.filename, plain.read(item))
    assert torch.equal(weights.read(tmp_path / "c.pt")["a"], torch.arange(1_000.0))


def test_a_file_is_recognised_by_its_keys(tmp_path: Path, known: dict[str, WeightFile]) -> None:
    torch.save({"model": Small().state_dict(), "optimizer": {"lr": 1}}, tmp_path / "download(1).bin")
    torch.save({"G": {f"module.{k}": v for k, v in Other().state_dict().items()}}, tmp_path / "o.pt")
    (tmp_path / "s").write_bytes(pickle.dumps({"mean": np.zeros(3)}))
    (tmp_path / "config.json").write_text("{}")
    names = {p.name: [f.name for f in recognise(p, known).files] for p in tmp_path.iterdir() if p.is_file()}
    assert names == {
        "download(1).bin": ["small.pt"],
        "o.pt": ["other.pt"],
        "s": ["stats.pkl"],
        "config.json": ["config.json"],
    }


@pytest.mark.parametrize(
    ("kind", "said"),
    [("float16", ""), ("bfloat16", ""), ("float8_e4m3fn", ""), ("float8_e5m2", ""), ("float64", ""),
     ("int8", "holds torch.int8, not real numbers"), ("bool", "holds torch.bool, not real numbers")],
)  # fmt: skip
def test_types_of_values(tmp_path: Path, known: dict[str, WeightFile], kind: str, said: str) -> None:
    state = {name: value.to(getattr(torch, kind)) for name, value in Small().state_dict().items()}
    torch.save({"model": state}, tmp_path / "small.pt")
    assert recognise(tmp_path / "small.pt", known).files == (() if said else (known["small.pt"],))
    assert said in refusal(tmp_path / "small.pt", known["small.pt"], known)
    if kind.startswith("float8"):
        next(iter(state.values())).fill_(torch.nan)
        torch.save({"model": state}, tmp_path / "small.pt")
        assert "not finite" in recognise(tmp_path / "small.pt", known).reason


def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path, known: dict[str, WeightFile]) -> None:
    torch.save({"state": Small().state_dict()}, tmp_path / "entry.pt")
    torch.save({"model": Small(width=5).state_dict()}, tmp_path / "shape.pt")
    torch.save({"model": {"alien": torch.zeros(2)}}, tmp_path / "alien.pt")
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    for name, said in (
        ("entry.pt", r"most like small.pt .*100% of its names are there under state.*no entry 'model'"),
        ("shape.pt", r"most like small.pt .*misshapen: first.weight \(5, 4\) for \(3, 4\)"),
        ("alien.pt", "no network that vceval knows"),
        ("none.pt", "no tensors"),
    ):
        with pytest.raises(UsageError, match=said):
            store.add(tmp_path / name)
    torch.save({"G": {f"module.{k}": v for k, v in Other().state_dict().items()}}, tmp_path / "o.pt")
    with pytest.raises(UsageError, match=r"is other\.pt \(Other\), not small\.pt \(Small\); get that from https"):
        store.add(tmp_path / "o.pt", "small.pt")
    with pytest.raises(UsageError, match=r"did you mean small\.pt"):
        store.add(tmp_path / "o.pt", "smal.pt")
    assert not (tmp_path / "store").exists()


class Counted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.last = torch.nn.Linear(4, 2)


@pytest.mark.parametrize(
    "start", ["module.", "_orig_mod.", "net_g.", "model.", "module._orig_mod.", "_orig_mod.module.model."]
)
def test_names_that_saving_anew_put_something_before(tmp_path: Path, known: dict[str, WeightFile], start: str) -> None:
    small = Small().state_dict()
    renamed = {f"{start}{name}": value for name, value in small.items()}
    for number, content in enumerate(({"model": renamed}, renamed, {"state_dict": renamed, "epoch": 3})):
        path = tmp_path / f"{number}.pt"
        torch.save(content, path)
        filed = store.add(path)
        assert filed.file.name == "small.pt"
        network = filed.file.load(filed.path)
        assert all(torch.equal(value, small[name]) for name, value in network.state_dict().items())


def test_other_names_before_are_told(tmp_path: Path, known: dict[str, WeightFile]) -> None:
    torch.save({"model": {f"teacher.{name}": v for name, v in Small().state_dict().items()}}, tmp_path / "other.pt")
    with pytest.raises(UsageError, match=r"most like small\.pt .*its names begin with 'teacher\.'"):
        store.add(tmp_path / "other.pt")


def test_counters_that_old_files_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WeightFile, "build", lambda self: Counted())
    file = WeightFile("old.pt", "Old", "https://example.org/old", "MIT", "counted")
    old = {name: value for name, value in Counted().state_dict().items() if "num_batches" not in name}
    torch.save(old, tmp_path / "old.pt")
    network = file.load(tmp_path / "old.pt")
    assert int(network.state_dict()["norm.num_batches_tracked"]) == 0
    torch.save({name: v for name, v in old.items() if name != "norm.running_mean"}, tmp_path / "less.pt")
    with pytest.raises(UsageError, match=r"1 missing: norm\.running_mean"):
        file.load(tmp_path / "less.pt")


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_late_protocols_of_pickle(tmp_path: Path, known: dict[str, WeightFile], protocol: int, archive: bool) -> None:
    how = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": archive}
    small = Small().state_dict()
    small["last.weight"] = torch.nn.Parameter(small["last.weight"].t().contiguous().t())
    small["first.bias"] = torch.arange(9.0)[2:5]  # a part of its storage
    more = {
        "steps": [1, ("a", 2.0)],
        "step": np.int64(7),
        "args": argparse.Namespace(rate=3),
        "half": small["last.bias"].half(),
    }
    torch.save({"model": small, **more}, tmp_path / "late.pt", **how)
    content = weights.read(tmp_path / "late.pt")
    assert content["steps"] == [1, ("a", 2.0)]
    assert (content["step"], content["args"].rate) == (7, 3)
    assert all(torch.equal(content["model"][name], value) for name, value in small.items())
    assert torch.equal(content["half"], more["half"])
    assert store.add(tmp_path / "late.pt").file.name == "small.pt"
    torch.save({"model": small, "x": Bomb(tmp_path / "made")}, tmp_path / "bomb.pt", **how)
    with pytest.raises(UsageError, match="refused, it holds something other than weights"):
        weights.read(tmp_path / "bomb.pt")
    assert not (tmp_path / "made").exists()


def test_a_late_and_old_file_that_lies_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "late.pt"
    torch.save({"w": torch.ones(1000)}, path, pickle_protocol=4, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for content, said in (
        (whole[:-10], "cut short: 3990 of 4000 bytes"),
        (whole[:90], "can't be read as weights"),
        (whole.replace((1000).to_bytes(8, "little"), (900).to_bytes(8, "little")), "cut short: 900 of 1000 values"),
        (whole.replace((1000).to_bytes(8, "little"), b"\xff" * 8), "cut short"),
        (whole.replace(b"little_endian\x94\x88", b"little_endian\x94\x89"), "another byte order"),
        (whole.replace(b"FloatStorage", b"TotalStorage"), "refused, it holds something other than weights"),
    ):
        assert content != whole
        path.write_bytes(content)
        with pytest.raises(UsageError, match=said):
            weights.read(path)


@pytest.mark.parametrize("start", ["", *weights.STARTS, "module._orig_mod."])
def test_starts_of_names_within_groups(
    tmp_path: Path, known: dict[str, WeightFile], monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """Each network of such a file is saved by itself, and not every one must have been wrapped."""
    both = torch.nn.ModuleDict({"a": Small(), "b": Other()})
    monkeypatch.setattr(WeightFile, "build", lambda self: both if self.groups else Small())
    file = WeightFile("both.pt", "Both", "https://example.org", "MIT", "both", entry=("G",), groups=("a", "b"))
    monkeypatch.setattr(store, "_by_user", lambda: {"conv": (*known.values(), file)})
    parts = {
        "a": {start + name: value for name, value in both["a"].state_dict().items()},
        "b": both["b"].state_dict(),
        "optimizer": {"step": 3},
    }
    torch.save({"G": parts}, tmp_path / "saved.pt")
    assert store.add(tmp_path / "saved.pt").file is file
    found = file.load(tmp_path / "saved.pt").state_dict()
    assert all(torch.equal(found[name], value) for name, value in both.state_dict().items())
    parts["b"] = {f"part.{name}": value for name, value in parts["b"].items()}
    torch.save({"G": parts}, tmp_path / "other.pt")
    with pytest.raises(UsageError, match=r"6 missing: b\.first\.weight"):
        file.load(tmp_path / "other.pt")


def test_what_is_no_weights_of_a_file_is_told(tmp_path: Path, known: dict[str, WeightFile]) -> None:
    small = Small().state_dict()
    torch.save({"model": {**small, "first.bias": torch.full((3,), torch.nan)}}, tmp_path / "endless.pt")
    for name in (None, "small.pt"):
        with pytest.raises(UsageError, match=r"first\.bias holds values that are not finite"):
            store.add(tmp_path / "endless.pt", name)
    assert not (tmp_path / "store").exists()


def test_a_converter_that_is_given_another_file_says_which(tmp_path: Path, known: dict[str, WeightFile]) -> None:
    class Conv(NativeConverter):
        files = tuple(known.values())

        def load(self) -> None:
            self.network("small.pt")

    torch.save({"G": {f"module.{k}": v for k, v in Other().state_dict().items()}}, tmp_path / "small.pt")
    with pytest.raises(UsageError, match=r"small\.pt is other\.pt \(Other\), not small\.pt"):
        Conv(weights=str(tmp_path)).open("cpu")
    with pytest.raises(
        UsageError, match=r"small\.pt is not in .*store: Small\. Get it from https://example\.org/small"
    ):
        Conv().open("cpu")


def test_equal_layouts_are_told_apart_by_name(
    tmp_path: Path, known: dict[str, WeightFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = WeightFile("twin.pt", "Twin", "https://example.org", "MIT", "small", entry=("model",))
    files = (*known.values(), twin)
    monkeypatch.setattr(store, "_by_user", lambda: {"conv": files})
    torch.save({"model": Small().state_dict()}, tmp_path / "x.pt")
    with pytest.raises(UsageError, match=r"small\.pt or twin\.pt, their layouts are the same; say which"):
        store.add(tmp_path / "x.pt")
    assert store.add(tmp_path / "x.pt", "twin.pt").file == twin
    (tmp_path / "x.pt").rename(tmp_path / "twin.pt")
    assert store.add(tmp_path / "twin.pt").file == twin


def test_the_command_line(
    tmp_path: Path, known: dict[str, WeightFile], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": Small().state_dict()}, tmp_path / "s.pt")
    assert main(["checkpoints", "list"]) == 0
    printed = capsys.readouterr().out
    assert "conv, second\n  missing  small.pt                       Small [MIT]\n" in printed
    assert max(len(line) for line in printed.splitlines() if not line.startswith("Folder:")) <= 120
    assert main(["checkpoints", "path", "small.pt"]) == 2
    assert main(["checkpoints", "add", str(tmp_path / "s.pt")]) == 0
    assert "s.pt is small.pt: Small" in capsys.readouterr().out
    assert main(["checkpoints", "path", "small.pt"]) == 0
    assert capsys.readouterr().out.strip() == str(place / "small.pt")
    assert main(["checkpoints", "list", "small.pt", "--keys"]) == 0
    assert "first.weight  3x4" in capsys.readouterr().out
    assert main(["checkpoints", "verify"]) == 0
    assert main(["checkpoints", "verify", "conv"]) == 1  # the others are missing
    (place / "small.pt").write_bytes(b"changed")
    assert main(["checkpoints", "verify"]) == 1
    assert "has changed since it was filed" in capsys.readouterr().out
    assert main(["checkpoints", "add", str(tmp_path / "nothing.pt")]) == 2


def test_a_folder_files_what_it_can(
    tmp_path: Path, known: dict[str, WeightFile], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    torch.save({"model": Small().state_dict()}, folder / "s.pt")
    (folder / "README.txt").write_text("hello")
    torch.save({"model": {"alien": torch.zeros(2)}}, folder / "alien.pt")
    assert main(["checkpoints", "add", str(folder.parent)]) == 1
    printed = capsys.readouterr()
    assert "1 filed, 1 not recognised, 1 not needed" in printed.out
    assert "alien.pt" in printed.err
    assert "README.txt" not in printed.err
    assert (place / "small.pt").is_file()


def test_what_the_authors_committed_is_known_again(
    tmp_path: Path, known: dict[str, WeightFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello\n")
    assert store._git_sha1(tmp_path / "a.txt") == "ce013625030ba8dba906f756967f9e9ca394464a"


class _Ranged(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, and breaks off after half of what is asked when told to."""

    broken = False

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        part = content[start:]
        self.wfile.write(part[: len(part) // 2] if type(self).broken else part)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.bin").write_bytes(bytes(range(256)) * 20_000)
    handler = functools.partial(_Ranged, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Ranged, "broken", True)
    with pytest.raises(UsageError, match="goes on from there"):
        download(f"{server}/file.bin", tmp_path / "got.bin")
    came = (tmp_path / "got.bin.part").stat().st_size
    assert 0 < came < 5_120_000
    assert not (tmp_path / "got.bin").exists()
    monkeypatch.setattr(_Ranged, "broken", False)
    download(f"{server}/file.bin", tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == bytes(range(256)) * 20_000
    assert not (tmp_path / "got.bin.part").exists()


def test_without_a_network_it_is_said(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
    with pytest.raises(UsageError, match=r"/file\.bin: the server can't be reached \(Connection refused\)$"):
        download(address, tmp_path / "got.bin")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"hello\r\n\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc", "ValueError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "IncompleteRead"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[there/\r\n\r\n", "Invalid IPv6 URL"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, answer: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UsageError, match=rf"/x\.pt: what came can't be understood .*{said}"):
            download(f"http://127.0.0.1:{server.getsockname()[1]}/x.pt", tmp_path / "x.pt")
        thread.join()
    assert not (tmp_path / "x.pt").exists()
    with pytest.raises(UsageError, match="is no address"):
        download("http://[there/x.pt", tmp_path / "x.pt")


def test_downloads_are_http_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only http"):
        download("file:///etc/passwd", tmp_path / "x")


def test_a_name_with_a_link_is_fetched_and_one_without_names_its_page(
    tmp_path: Path,
    server: str,
    place: Path,
    known: dict[str, WeightFile],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save({"model": Small().state_dict()}, tmp_path / "served" / "w.pt")
    linked = WeightFile("small.pt", "Small", "page", "MIT", "small", url=f"{server}/w.pt", entry=("model",))
    monkeypatch.setattr(store, "_by_user", lambda: {"conv": (linked, known["other.pt"])})
    assert main(["checkpoints", "add", "conv"]) == 1
    printed = capsys.readouterr().out
    assert (place / "small.pt").is_file()
    assert "other.pt has no direct link; fetch it from https://example.org/other" in printed
    assert main(["checkpoints", "verify", "small.pt"]) == 0
    # A server that shows a page where the file should be
    (place / "small.pt").unlink()
    (tmp_path / "served" / "w.pt").write_text("<html>Not found</html>")
    assert main(["checkpoints", "add", "small.pt"]) == 2
    printed = capsys.readouterr().err
    assert "/w.pt was not kept" in printed
    assert "it is a web page" in printed
    assert not [path for path in (place / ".downloads").rglob("*") if path.is_file()]
