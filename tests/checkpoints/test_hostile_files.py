"""Files made to harm whoever reads them: nothing in them is run, and what they claim is not believed."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval.checkpoints import arrays, pickles, torchscript, weights
from vceval.errors import UsageError

torch = pytest.importorskip("torch")


class Call:
    """Pickles as a call of a function that the text names."""

    def __init__(self, module: str, name: str, *arguments: Any, state: Any = None) -> None:
        self.what, self.arguments, self.state = (module, name), arguments, state

    def __reduce__(self) -> Any:
        raise TypeError("only by dumps() of this module")


class Name(str):
    """Pickles as a global name: ``module name``."""

    __slots__ = ()


def dumps(value: Any) -> bytes:
    """Write a pickle of protocol 2 that no honest program writes."""
    return b"\x80\x02" + _dumped(value) + b"."


def _dumped(value: Any) -> bytes:
    if isinstance(value, Name):
        return b"c" + value.replace(" ", "\n").encode() + b"\n"
    if isinstance(value, Call):
        made = b"c" + "\n".join(value.what).encode() + b"\n" + _dumped(value.arguments) + b"R"
        return made + (_dumped(value.state) + b"b" if value.state is not None else b"")
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_dumped, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_dumped(key) + _dumped(item) for key, item in value.items()) + b"u"
    if isinstance(value, bytes):
        return _dumped(Call("_codecs", "encode", value.decode("latin1"), "latin1"))
    return pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"")


def dtype(code: str, state: Any = (3, "<", None, None, None, -1, -1, 0)) -> Call:
    return Call("numpy", "dtype", code, 0, 1, state=state)


def array(shape: Any, kind: Any, raw: Any) -> Call:
    empty = (Name("numpy ndarray"), (0,), b"b")
    return Call("numpy.core.multiarray", "_reconstruct", *empty, state=(1, shape, kind, False, raw))


GOOD = struct.pack("<3f", 1.0, 2.0, 3.0)


def test_the_pickles_of_these_tests_are_read_where_they_are_honest(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(dumps({"mean": array((3,), dtype("f4"), GOOD)}))
    assert arrays.read_arrays(tmp_path / "a.pkl", {"mean": (3,)})["mean"].tolist() == [1.0, 2.0, 3.0]
    assert np.array_equal(pickle.loads((tmp_path / "a.pkl").read_bytes())["mean"], [1.0, 2.0, 3.0])


#: A type that NumPy believes: a field of objects, and flags which say that it has none.
POINTERS = (3, "|", None, ("a",), {"a": (dtype("O8"), 0)}, 8, 1, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"mean": Call("os", "mkdir", "sprung")}, "nothing in it was run"),
        ({"mean": Call("builtins", "eval", "1")}, "nothing in it was run"),
        ({"mean": Call("numpy", "load", "x")}, "nothing in it was run"),
        ({"mean": Call("numpy.core.multiarray", "fromfile", "x")}, "nothing in it was run"),
        ({"mean": array((1,), dtype("O8", (3, "|", None, None, None, -1, -1, 63)), [1])}, "arrays of O8"),
        ({"mean": array((1,), dtype("V8", POINTERS), b"AAAAAAAA")}, "arrays of V8"),
        ({"mean": array((3,), dtype("f4", POINTERS), GOOD)}, "arrays of O8"),
        ({"mean": array((3,), dtype("f4", (3, "<", None, ("a",), {"a": 1}, 4, 1, 0)), GOOD)}, "made-up types"),
        ({"mean": array((3,), Call("numpy.core.multiarray", "scalar", dtype("f4"), GOOD[:4]), GOOD)}, "no type"),
        ({"mean": array((3,), dtype("f8"), GOOD)}, r"12 bytes claims the shape \(3,\) of float64"),
        ({"mean": array((1 << 40,), dtype("f4"), GOOD)}, "12 bytes claims the shape"),
        ({"mean": array((-3,), dtype("f4"), GOOD)}, "no proper shape"),
        ({"mean": array(("3",), dtype("f4"), GOOD)}, "no proper shape"),
        ({"mean": array((3,), dtype("f4"), [1.0, 2.0, 3.0])}, "no values"),
        ({"mean": Call("numpy", "ndarray", (1 << 40,), "f8")}, "no values"),
        ({"mean": Call("numpy.core.multiarray", "scalar", "O", 1)}, "made-up types"),
        ({"mean": Call("_codecs", "encode", "x", "zlib")}, "encoding zlib"),
        ((1, 2), "a tuple, not arrays by name"),
        ({"std": array((3,), dtype("f4"), GOOD)}, "no array 'mean'; it holds std"),
        ({"mean": array((3,), dtype("b1"), b"\x00\x01\x00")}, "bool of shape"),
    ],
)
def test_pickles_of_arrays(content: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(dumps(content))
    with pytest.raises(UsageError, match=rf"a\.pkl: .*{said}"):
        arrays.read_arrays(tmp_path / "a.pkl", {"mean": (3,)})
    assert not (tmp_path / "sprung").exists()


def header(text: str) -> bytes:
    body = text.encode().ljust(118)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }", GOOD),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", pickle.dumps([1, 2, 3])),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", GOOD),
        ("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (3,), }", GOOD),
        ("__import__('os').mkdir('sprung')", GOOD),
    ],
)
def test_numpy_files(text: str, raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(header(text) + raw)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("mean.npy", header(text) + raw)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UsageError, match=rf"{name}: "):
            arrays.read_arrays(tmp_path / name, {"mean": (3,)})
    assert not (tmp_path / "sprung").exists()


def bomb(path: Path, names: list[str], size: int = 1 << 28) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            with archive.open(name, "w") as inner:
                for _ in range(size >> 20):
                    inner.write(bytes(1 << 20))


def test_archives_that_would_not_end_are_not_unpacked(tmp_path: Path) -> None:
    bomb(tmp_path / "a.npz", ["mean.npy"])
    bomb(tmp_path / "w.pt", ["x/data.pkl", "x/version"])
    bomb(tmp_path / "s.pt", ["x/constants.pkl", "x/data.pkl"])
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="claims to unpack to"):
            arrays.read_arrays(tmp_path / "a.npz", {"mean": (3,)})
        for name in ("w.pt", "s.pt"):
            with pytest.raises(UsageError, match="claims to unpack to"):
                weights.read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()


class _Pickler(pickle.Pickler):
    """Writes storages by name, as torch does."""

    def persistent_id(self, value: Any) -> Any:
        return value.identity if isinstance(value, Storage) else None


class Storage:
    def __init__(self, key: Any = "0", count: Any = 6, kind: Any = torch.FloatStorage, what: str = "storage") -> None:
        self.identity = (what, kind, key, "cpu", count)


class Tensor:
    def __init__(self, storage: Any, offset: Any = 0, size: Any = (2, 3), stride: Any = (3, 1)) -> None:
        self.given = (storage, offset, size, stride, False, OrderedDict())

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.given


class Module:
    """Pickles as a module of TorchScript."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def archive(path: Path, top: Any, **storages: bytes) -> Path:
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump(top)
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("x/constants.pkl", pickle.dumps(()))
        written.writestr(
            "x/data.pkl", buffer.getvalue().replace(f"c{__name__}\nModule".encode(), b"c__torch__\nModule")
        )
        for name, content in {"0": bytes(24), **storages}.items():
            written.writestr(f"x/data/{name.lstrip('_')}", content)
    return path


def test_archives_of_these_tests_are_read_where_they_are_honest(tmp_path: Path) -> None:
    inner = Module(weight=Tensor(Storage()), training=True)
    found = weights.read(archive(tmp_path / "a.pt", Module(inner=inner, rate=16_000, _hidden=1)))
    assert found[""] == {"rate": 16_000}
    assert found["inner.weight"].shape == (2, 3)
    shown = Tensor(Storage(count=1), 0, (1000, 1000), (0, 0))
    assert weights.read(archive(tmp_path / "a.pt", Module(w=shown)))["w"].shape == (1000, 1000)


def _looped() -> Module:
    top = Module()
    top.__dict__["inner"] = top
    return top


def _doubled() -> Module:
    inner = Module()
    for _ in range(40):
        inner = Module(a=inner, b=inner)
    return inner


@pytest.mark.parametrize(
    ("top", "said"),
    [
        (Module(w=Tensor(Storage(), 0, (3, 3))), "claims values that are not there"),
        (Module(w=Tensor(Storage(), 4)), "claims values that are not there"),
        (Module(w=Tensor(Storage(), 0, (1 << 40, 1 << 20), (0, 0))), "claims values that are not there"),
        (Module(w=Tensor(Storage(), -1)), "no proper shape"),
        (Module(w=Tensor(Storage(), 0, (2, 3), (-1, 1))), "no proper shape"),
        (Module(w=Tensor(Storage(), 0, (2, True))), "no proper shape"),
        (Module(w=Tensor(Storage(), 0, "ab")), "no proper shape"),
        (Module(w=Tensor(Storage(), 0, (2, 3), (1,))), "ValueError"),
        (Module(w=Tensor(Storage(count=1 << 50))), "cut short: 6 of"),
        (Module(w=Tensor(Storage(count="many"))), "no proper shape"),
        (Module(w=Tensor(Storage(key="../../secret"))), "no item named 'x/data/../../secret'"),
        (Module(w=Tensor(Storage(key="/etc/passwd"))), "no item named"),
        (Module(w=Tensor(Storage(key="odd"))), "ValueError"),
        (Module(w=Tensor(Storage(key=0))), "no known kind"),
        (Module(w=Tensor(Storage(kind="float33"))), "no known kind"),
        (Module(w=Tensor(Storage(what="file"))), "refused"),
        (Module(w=Tensor("no storage")), "has no values"),
        (_looped(), "RecursionError|more than 100000 modules"),
        (_doubled(), "more than 100000 modules"),
        (Module(w=os.getcwd), "refused"),
        (OrderedDict(w=Tensor(Storage())), "holds no module"),
    ],
)
def test_torchscript_archives(top: Any, said: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pt", top, odd=bytes(23), secret=bytes(24))
    with pytest.raises(UsageError, match=rf"a\.pt: .*({said})"):
        weights.read(path)


@pytest.mark.parametrize("read", [weights.read, lambda path: arrays.read_arrays(path, {"mean": (3,)})])
def test_a_pickle_leaves_nothing_behind(read: Callable[[Path], Any], tmp_path: Path) -> None:
    """Attributes can be put on whatever a pickle names: on nothing that outlives it."""
    slots = (None, {"__doc__": "changed", "__defaults__": (1,), "__kwdefaults__": {}, "marked": 1})
    names = {
        weights.read: ["__torch__ X", "torch.jit._pickle build_tensorlist", "torch._utils _rebuild_tensor_v2"],
    }.get(read, ["numpy.core.multiarray scalar", "numpy.core.multiarray _reconstruct", "numpy dtype", "_codecs encode"])
    before = {
        name: (dict(vars(value)), value.__doc__, getattr(value, "__defaults__", None))
        for module in (arrays, torchscript)
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    for name in names:
        content = b"\x80\x02" + _dumped(Name(name)) + _dumped(slots) + b"b."
        with zipfile.ZipFile(tmp_path / "a", "w") as written:
            written.writestr("x/constants.pkl", b"")
            written.writestr("x/data.pkl", content)
        if read is not weights.read:
            (tmp_path / "a").write_bytes(content)
        with pytest.raises(UsageError):
            read(tmp_path / "a")
    after = {
        name: (dict(vars(value)), value.__doc__, getattr(value, "__defaults__", None))
        for module in (arrays, torchscript)
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    assert after == before


def test_tensors_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    plain = network.state_dict()
    strange = {
        "sparse": torch.eye(3)[:2].to_sparse(),
        "quantised": torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8),
        "empty": torch.empty((2, 3), device="meta"),
        "complex": torch.zeros((2, 3), dtype=torch.complex64),
        "whole": torch.zeros((2, 3), dtype=torch.int64),
        "endless": torch.full((2, 3), torch.nan),
    }
    for name, value in strange.items():
        torch.save({**plain, "weight": value}, tmp_path / f"{name}.pt")
        with pytest.raises(
            UsageError, match=r"weight (is no plain tensor|holds torch\.int64|holds values that are not)"
        ):
            weights.load_strict(torch.nn.Linear(3, 2), weights.select(weights.read(tmp_path / f"{name}.pt")), name)


def test_numbers_of_numpy_beside_weights_are_read(tmp_path: Path) -> None:
    """Trainers keep a best loss so; a made-up type among them is refused."""
    torch.save({"model": {"w": torch.zeros(2)}, "loss": np.float64(1.5), "steps": np.int64(7)}, tmp_path / "w.pt")
    found = weights.read(tmp_path / "w.pt")
    assert (found["loss"], found["steps"]) == (1.5, 7)
    torch.save({"model": {"w": torch.zeros(2)}, "loss": np.array(["x"], dtype=object)[0:1]}, tmp_path / "o.pt")
    with pytest.raises(UsageError, match="refused"):
        weights.read(tmp_path / "o.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as whole, zipfile.ZipFile(tmp_path / "v.pt", "w") as other:
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith("data.pkl"):
                pointed = dtype("f8", (3, "|", None, ("a",), {"a": 1}, 8, 1, 0))
                content = dumps({"loss": Call("numpy._core.multiarray", "scalar", pointed, bytes(8))})
            other.writestr(name, content)
    with pytest.raises(UsageError, match=r"made-up types|can't be read"):
        weights.read(tmp_path / "v.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x02Nr\x00\x00\x00\x08.", "numbers an object 134,217,728 of 1"),
        (b"Np134217728\n.", "numbers an object 134,217,728 of 1"),
        (b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"abc.", "claims 1,099,511,627,776 bytes of which 4"),
        (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".", "claims 1,099,511,627,776 bytes of which 1"),
        (b"X\xff\xff\xff\x7fabc.", "claims 2,147,483,647 bytes of which 4"),
        (b"\x80\x02" + b"(" * 3_000_000, "more than 2,097,152 steps"),
    ],
)
def test_a_pickle_can_not_ask_for_more_memory_than_its_length_explains(
    content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as written:
        written.writestr("x/constants.pkl", b"")
        written.writestr("x/data.pkl", content)
    tracemalloc.start()
    for read in (
        lambda: arrays.read_arrays(tmp_path / "a.pkl", {"mean": (3,)}),
        lambda: weights.read(tmp_path / "a.pt"),
    ):
        with pytest.raises(UsageError, match=said):
            read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(content) + (4 << 20)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_age_pass(protocol: int) -> None:
    """Numbers, texts, bytes and shared objects, as every protocol writes them."""
    shared = ["é\n", b"\xff" * 300, 1 << 70, 1.5, None]
    content = {"a": [shared, shared, {"x" * 300: (1, 2, 3)}], "b": np.arange(5.0), "c": bytearray(b"ab"), "d": {1, 2}}
    text = pickle.dumps(content, protocol)
    pickles.check(text)
    for end in range(len(text)):
        pickles.check(text[:end]) if protocol == 0 else None
    # of Python 2, in text: a string with bytes of an array
    pickles.check(b"S'\\x80\\xff\\n'\np0\n(lp1\ng0\na.")
