"""``vceval checkpoints add``: several paths, zip archives, editions, and what a run says of them."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from vceval.checkpoints import store
from vceval.checkpoints.unpacking import is_packed, unpacked
from vceval.checkpoints.weightfile import WeightFile
from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.records import ConversionPair, System, Utterance
from vceval.results.leakage import audit
from vceval.runner import plan_suite, tables
from vceval.runner.factory import make_converter

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Path]:
    """Files of three layouts that are known, written; of the first the hash is known, of the second the size."""
    sizes = {"first.pt": 3, "second.pt": 4, "third.pt": 5}
    monkeypatch.setattr(WeightFile, "build", lambda self: torch.nn.Linear(2, sizes[self.name]))
    paths = {}
    for name, size in sizes.items():
        paths[name] = tmp_path / f"downloaded-{name}"
        torch.save(torch.nn.Linear(2, size).state_dict(), paths[name])
    sha = hashlib.sha256(paths["first.pt"].read_bytes()).hexdigest()
    more = {"first.pt": {"sha256": sha}, "second.pt": {"size": paths["second.pt"].stat().st_size}, "third.pt": {}}
    files = tuple(
        WeightFile(name, name, "https://example.org", "MIT", name, archive="https://example.org/all.zip", **more[name])
        for name in sizes
    )
    monkeypatch.setattr(store, "_by_user", lambda: {"conv": files})
    monkeypatch.setattr(store, "UNNEEDED", ())
    return paths


def zipped(path: Path, members: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            item = zipfile.ZipInfo(name)
            item.external_attr = attributes.get("mode", 0o644) << 16
            archive.writestr(item, content)
    return path


def test_several_paths(known: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = tmp_path / "strange.pt"
    strange.write_bytes(b"\x80\x02}.")
    assert main(["checkpoints", "add", *map(str, known.values())]) == 0
    said = capsys.readouterr().out
    for path in known.values():
        assert f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}" in said
    assert said.count("; the published file\n") == 2
    assert said.count("; unknown edition: no hash of it was published\n") == 1
    assert main(["checkpoints", "add", str(strange), str(known["first.pt"])]) == 2
    both = capsys.readouterr()
    assert "strange.pt" in both.err
    assert "first.pt is first.pt" in both.out
    assert main(["checkpoints", "add", str(strange), str(known["first.pt"]), "--as", "first.pt"]) == 2
    assert "--as says what one file is; 2 are given" in capsys.readouterr().err


def test_a_file_of_another_hash_is_an_unknown_edition(known: dict[str, Path], tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "other.pt")
    assert store.add(tmp_path / "other.pt").edition == store.OTHER
    assert store.add(known["first.pt"]).edition == store.PUBLISHED


def test_a_zip(known: dict[str, Path], tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = {f"inner/{name}": path.read_bytes() for name, path in known.items()} | {"inner/notes.txt": b"hello"}
    archive = zipped(tmp_path / "all.zip", members)
    assert is_packed(archive)
    assert not is_packed(known["first.pt"])  # a zip archive, too
    assert main(["checkpoints", "add", str(archive)]) == 0
    assert "3 filed, 0 not recognised, 1 not needed" in capsys.readouterr().out
    assert (place / "first.pt").read_bytes() == known["first.pt"].read_bytes()
    assert not [one for one in place.iterdir() if one.name.startswith(".unpacked")]
    assert main(["checkpoints", "add", str(archive), "--as", "first.pt"]) == 2
    assert "all.zip is a zip archive" in capsys.readouterr().err


def test_a_zip_is_fetched(known: dict[str, Path], tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def download(url: str, path: Path) -> Path:
        fetched.append(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        return zipped(path, {name: one.read_bytes() for name, one in known.items()})

    monkeypatch.setattr("vceval.checkpoints.download.download", download)
    assert main(["checkpoints", "add", "conv"]) == 0
    assert fetched == ["https://example.org/all.zip"]  # once for all three
    assert sorted(one.name for one in place.glob("*.pt")) == sorted(known)
    assert not list((place / ".downloads").iterdir())


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [("../out.pt", 0o644, "leads out of its folder"), ("/out.pt", 0o644, "leads out of its folder"),
     ("a/../../out.pt", 0o644, "leads out of its folder"), ("C:/out.pt", 0o644, "leads out of its folder"),
     ("..\\out.pt", 0o644, "leads out of its folder"), ("link.pt", stat.S_IFLNK | 0o777, "is a link")],
)  # fmt: skip
def test_a_zip_that_would_write_elsewhere(tmp_path: Path, place: Path, name: str, mode: int, said: str) -> None:
    archive = zipped(tmp_path / "bad.zip", {"fine.txt": b"", name: b"/etc"}, mode=mode)
    with pytest.raises(UsageError, match=rf"bad\.zip: .*{said}; nothing of it was kept"), unpacked(archive, place):
        pass
    assert not place.exists()
    assert not (tmp_path / "out.pt").exists()


def test_a_zip_that_would_fill_the_disk(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.pt", bytes(80 << 20))
    assert main(["checkpoints", "add", str(tmp_path / "bomb.zip")]) == 2
    assert "claims to unpack to 83,886,080" in capsys.readouterr().err
    many = zipped(tmp_path / "many.zip", {f"{number}.txt": b"" for number in range(3)})
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(many.read_bytes().replace(b"PK\x03\x04", b"PK\x09\x09", 1))
    with pytest.raises(UsageError, match="can't be unpacked"), unpacked(damaged, place):
        pass
    with zipfile.ZipFile(damaged, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("zeros.pt", bytes(1000))
    content = bytearray(damaged.read_bytes())
    content[45:60] = bytes(15)
    damaged.write_bytes(content)
    with pytest.raises(UsageError, match="can't be unpacked"), unpacked(damaged, place):
        pass
    # The end of an archive of many parts
    damaged.write_bytes(many.read_bytes()[:-22] + b"PK\x06\x07" + b"\1" * 16 + many.read_bytes()[-22:])
    assert not is_packed(damaged)
    assert main(["checkpoints", "add", str(damaged)]) == 2
    assert "its end is missing" in capsys.readouterr().err
    monkeypatch.setattr("vceval.checkpoints.unpacking._FILES", 2)
    with pytest.raises(UsageError, match=r"the archive holds 3 files"), unpacked(many, place):
        pass


def test_weights_of_another_hash_inherit_no_training_speakers() -> None:
    heard = Utterance("a", Path("a.wav"), "vctk", "p226")
    pair = ConversionPair("one", "vctk", heard, (heard,), source_speaker="p226", target_speaker="p226")
    work = [("theirs", pair), ("mine", pair)]
    found = audit({"theirs": "vqmivc", "mine": "vqmivc"}, work, {"mine"})
    assert [(one.source, one.target) for one in found] == [("trained", "trained"), ("unknown", "unknown")]


def test_a_run_knows_whose_weights_are_not_the_published(tmp_path: Path) -> None:
    system = System("mine", "freevc-24", {"weights": str(tmp_path)})
    (tmp_path / "freevc-24.pth").write_bytes(b"trained at home")
    files = make_converter(system).files  # type: ignore[attr-defined]
    assert store.editions(files, make_converter(system).assets()) == {"freevc-24.pth": store.OTHER}
    assert plan_suite._strange([system, System("w", "world")]) == [f"mine: {store.OTHER} (freevc-24.pth)"]
    assert tables._foreign(system)
    assert not tables._foreign(System("w", "world"))
    store.mark_made_up(tmp_path / "freevc-24.pth")
    assert store.editions(files, make_converter(system).assets()) == {"freevc-24.pth": store.MADE_UP}
    assert tables._foreign(system)
    # No hash is known of these: who uses others has to say so
    assert not tables._foreign(System("v", "vevo", {"weights": str(tmp_path)}))
    assert tables._foreign(System("v", "vevo", {"weights": str(tmp_path), "other_weights": True}))
