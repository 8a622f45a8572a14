"""Environments of their own: made step by step, cleaned up after failures, shown, removed."""

from __future__ import annotations

import fcntl
import json
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vceval import registry
from vceval.cli import doctor
from vceval.cli import main as cli
from vceval.converters import environments
from vceval.converters.recipe import recipe_of
from vceval.errors import UsageError

LIBRARIES = ("_torchaudio.abi3.so", "libtorchaudio.abi3.so", "torchaudio_prefixctc.abi3.so")

#: Stands for Python: makes a "virtual environment" with itself as interpreter, writes down what it is asked to do.
FAKE = """#!{python}
import json, os, pathlib, sys
words = sys.argv[1:]
assert words.pop(0) == "-I", "not isolated"
fault = os.environ.get("FAULT", "")
if words[:2] == ["-m", "venv"]:
    place = pathlib.Path(words[2])
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").write_text("home = nowhere")
    (place / "bin" / "python").write_text(pathlib.Path(__file__).read_text())
    (place / "bin" / "python").chmod(0o755)
    lib = place / "lib" / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    for name in {libraries}:
        (lib / name).write_bytes(bytes(1000))
    sys.exit(3 if fault == "venv" else 0)
place = pathlib.Path(__file__).resolve().parent.parent
if words[:2] == ["-m", "pip"]:
    (place / "pip.json").write_text(json.dumps(words[2:]))
    print("Collecting torch")
    sys.exit(1 if fault == "pip" else 0)
code = words[1]
if code.startswith("import sys; print"):
    print(os.environ.get("VERSION", "3.11"))
elif code == "import torchaudio":
    sys.exit(0 if fault == "cuda" else 1)
elif code.startswith("import TTS"):
    sys.exit("no module TTS" if fault == "import" else 0)
elif "sysconfig" in code:
    print(place / "lib")
elif fault == "versions":
    sys.exit("PackageNotFoundError: torch")
else:
    print(json.dumps({{"python": "3.11.7", **{{name: "1.0" for name in words[2:]}}}}))
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VCEVAL_ENVIRONMENTS", str(tmp_path / "data" / "environments"))
    monkeypatch.delenv("FAULT", raising=False)
    return tmp_path / "data" / "environments"


@pytest.fixture
def fake(tmp_path: Path) -> str:
    path = tmp_path / "python"
    path.write_text(FAKE.format(python=sys.executable, libraries=LIBRARIES))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_made_shown_and_removed(root: Path, fake: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env", "path", "openvoice"]) == 1
    assert cli.main(["env", "create", "openvoice", "--python", fake]) == 0
    said = capfd.readouterr().out
    places = [said.index(word) for word in ("1/4", "2/4", "Collecting torch", "3/4", "set aside", "4/4", "Ready: ")]
    assert places == sorted(places)
    asked = json.loads((root / "openvoice" / "pip.json").read_text())
    assert asked[0] == "install"
    assert asked[-5:] == ["torch", "torchaudio", "torchcodec", "coqui-tts", "six"]
    assert Path(asked[asked.index("-c") + 1]) == recipe_of("openvoice").pins
    assert environments.interpreter("openvoice") == root / "openvoice" / "bin" / "python"
    assert not any(name.startswith("--index") or "://" in name for name in asked)  # pip knows where to look

    assert cli.main(["env", "create", "openvoice", "--python", fake]) == 0
    assert cli.main(["env", "list"]) == 0
    assert cli.main(["env", "path", "openvoice"]) == 0
    said = capfd.readouterr().out
    assert "here already" in said
    assert "Collecting" not in said
    assert re.search(r"openvoice  \[MIT; coqui-tts.*\]: .*python 3\.11\.7, coqui-tts 1\.0, torch 1\.0", said)
    assert said.splitlines()[-1] == str(root / "openvoice")
    assert doctor.diagnose() == 0
    assert re.search(r"ok  env openvoice +.*coqui-tts 1\.0.*converter openvoice", capfd.readouterr().out)

    assert cli.main(["env", "remove", "openvoice"]) == 0
    assert not (root / "openvoice").exists()
    assert environments.interpreter("openvoice") is None
    assert cli.main(["env", "remove", "openvoice"]) == 2


def test_doctor_is_content_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.diagnose() == 0
    assert re.search(r"-   env openvoice +not made; to make it: vceval env create openvoice", capsys.readouterr().out)


@pytest.mark.parametrize(("fault", "kept"), [("", False), ("cuda", True)])
def test_torchaudio_is_mended_only_where_it_must_be(
    root: Path, fake: str, fault: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULT", fault)
    environments.create("openvoice", fake)
    folder = root / "openvoice" / "lib" / "torchaudio" / "lib"
    assert {path.name for path in folder.iterdir()} == {name if kept else f"{name}.set-aside" for name in LIBRARIES}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("venv", "step 1/4 .* exit code 3"),
        ("pip", "step 2/4 .*exit code 1"),
        ("import", "step 4/4 .*exit code 1"),
        ("versions", "PackageNotFoundError: torch"),
    ],
)
def test_a_failed_step_leaves_what_was_there(
    root: Path, fake: str, fault: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(UsageError, match=words):
        environments.create("openvoice", fake)
    assert not (root / "openvoice").exists()
    monkeypatch.delenv("FAULT")
    environments.create("openvoice", fake)
    (root / "openvoice" / "mine").touch()
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(UsageError, match=words):
        environments.create("openvoice", fake, fresh=True)
    assert environments.state("openvoice").usable
    assert (root / "openvoice" / "mine").exists()
    monkeypatch.delenv("FAULT")
    environments.create("openvoice", fake, fresh=True)
    assert not (root / "openvoice" / "mine").exists()
    assert sorted(path.name for path in root.iterdir()) == [".openvoice.lock", "openvoice"]


def test_an_interruption_cleans_up(root: Path, fake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        assert (root / "openvoice").is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "_mend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environments.create("openvoice", fake)
    assert not (root / "openvoice").exists()


def test_an_unfinished_one_is_not_used_but_made_again(root: Path, fake: str) -> None:
    environments.create("openvoice", fake)
    (root / "openvoice" / "vceval-environment.json").unlink()
    assert environments.interpreter("openvoice") is None
    assert "never finished" in environments.state("openvoice").text
    environments.create("openvoice", fake)
    assert environments.state("openvoice").usable


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "{}", '[["a", "b"]]', '{"recipe": "x", "versions": []}',
                                     '{"recipe": 1, "versions": {}}', "[" * 100_000])  # fmt: skip
def test_a_record_that_is_none_is_that_of_an_unfinished_one(
    root: Path, fake: str, content: str, capfd: pytest.CaptureFixture[str]
) -> None:
    environments.create("openvoice", fake)
    environments.record_of("openvoice").write_text(content)
    assert "never finished" in environments.state("openvoice").text
    assert cli.main(["env", "list"]) == 0
    assert cli.main(["env", "path", "openvoice"]) == 1


def test_what_stands_in_the_way_is_told(root: Path, fake: str, tmp_path: Path) -> None:
    root.mkdir(parents=True)
    (root / "openvoice").write_text("thesis")
    with pytest.raises(UsageError, match="does not look like an environment"):
        environments.create("openvoice", fake)
    (root / "openvoice").unlink()
    environments.create("openvoice", fake)
    (root / "openvoice" / "bin" / "python").unlink()
    (root / "openvoice" / "bin" / "python").mkdir()
    assert "lost its Python" in environments.state("openvoice").text
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(UsageError, match=r"--python .*program: .*program can't be run \(Exec format error\)"):
        environments.create("openvoice", str(program))
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(UsageError, match=r"can't tell about itself: nothing was said$"):
        environments.create("openvoice", str(program))


def test_one_of_another_recipe_is_told_and_made_again(root: Path, fake: str, capfd: pytest.CaptureFixture[str]) -> None:
    environments.create("openvoice", fake)
    record = root / "openvoice" / "vceval-environment.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "recipe": "older"}))
    found = environments.state("openvoice")
    assert found.usable
    assert "made by another release of vceval" in found.text
    environments.create("openvoice", fake)
    assert "another release" not in environments.state("openvoice").text
    (root / "openvoice" / "bin" / "python").unlink()
    assert not environments.state("openvoice").usable
    assert "lost its Python" in environments.state("openvoice").text


def test_what_it_did_not_make_is_left_alone(root: Path, fake: str) -> None:
    (root / "openvoice").mkdir(parents=True)
    (root / "openvoice" / "thesis.tex").touch()
    for attempt in (lambda: environments.create("openvoice", fake), lambda: environments.remove("openvoice")):
        with pytest.raises(UsageError, match="does not look like an environment"):
            attempt()
    assert (root / "openvoice" / "thesis.tex").exists()


def test_two_at_once_are_refused(root: Path, fake: str) -> None:
    root.mkdir(parents=True)
    with (root / ".openvoice.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another vceval is at work"):
            environments.create("openvoice", fake)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: environments.create("openvoise"), "unknown recipe 'openvoise'; did you mean openvoice"),
        (lambda: environments.create("openvoice", "no-such-python"), "no program 'no-such-python'"),
        (lambda: environments.remove("openvoice"), "no environment openvoice to remove"),
    ],
)
def test_wrong_use(attempt: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        attempt()


@pytest.mark.parametrize("name", registry.recipe_folders())
def test_everything_is_pinned(name: str) -> None:
    recipe = recipe_of(name)
    pins = [line for line in recipe.pins.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", pin) for pin in pins)
    plain = {re.sub("[-_.]+", "-", pin.partition("==")[0]).lower() for pin in pins}
    assert {re.sub("[-_.]+", "-", one.partition("[")[0]).lower() for one in recipe.says.requirements} <= plain


def test_a_python_of_another_version_is_refused(root: Path, fake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSION", "3.9")
    with pytest.raises(UsageError, match=r"openvoice runs on Python 3\.10, 3\.11, 3\.12; .* is 3\.9: name another"):
        environments.create("openvoice", fake)
    assert not root.exists()


def test_a_real_one(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """venv, pip and all, with a package of one line from a folder instead of the index."""
    pytest.importorskip("ensurepip")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / "toy-1.5-py3-none-any.whl", "w") as wheel:
        about = "toy-1.5.dist-info"
        wheel.writestr("toy.py", "name = 'toy'\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.5\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", f"toy.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    folder = tmp_path / "recipes" / "toy"
    folder.mkdir(parents=True)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    (folder / "recipe.yaml").write_text(
        f"{{kind: packages, code: here, python: ['{version}'], devices: [cpu], requirements: [toy], modules: [toy], "
        "told: [toy], models: {toy: {title: Toy}}}"
    )
    (folder / "pins.txt").write_text("toy==1.5\n")
    (folder / "worker.py").touch()
    monkeypatch.setattr(registry, "recipe_folders", lambda: {"toy": folder})
    recipe_of.cache_clear()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # must not show through
    (tmp_path / "toy.py").write_text("raise ImportError('the wrong one')")
    environments.create("toy")
    found = environments.state("toy")
    assert found.record["versions"]["toy"] == "1.5"
    python = environments.interpreter("toy")
    assert python is not None
    code = "import toy, sys; print(toy.name, sys.prefix)"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    name, prefix = done.stdout.split()
    assert name == "toy"
    assert Path(prefix).samefile(root / "toy")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root))
    with pytest.raises(UsageError, match="step 2/4"):
        environments.create("toy", fresh=True)
    assert environments.interpreter("toy") == python
