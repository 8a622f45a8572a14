"""Python environments of their own for systems whose dependencies don't get along with everybody else's.

``vceval env create coqui`` makes one, with pinned packages, among the user's data; a worker program of the converter
``openvoice`` is run with its interpreter. Nothing is fetched at any other time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from vceval.errors import UsageError

__all__ = ["RECIPES", "Recipe", "State", "create", "interpreter", "place_of", "record_of", "remove", "root", "state"]

#: Written last of all; an environment without it was never finished.
_RECORD = "vceval-environment.json"
#: Printed by the environment's own interpreter.
_VERSIONS = (
    "import json, platform, sys; from importlib.metadata import version; "
    "print(json.dumps({'python': platform.python_version(), **{name: version(name) for name in sys.argv[1:]}}))"
)
_WHERE = "import sysconfig; print(sysconfig.get_paths()['platlib'])"


@dataclass(frozen=True)
class Recipe:
    """How an environment is made.

    name: what users call it. serves: the converters that run in it.
    requirements: what is asked of pip; everything else comes along.
    pins: file in ``vceval.converters`` with the version of every package.
    modules: what must be importable at the end. told: packages whose versions are shown.
    set_aside: compiled files of torchaudio that are put out of the way where they can't be loaded.
    """

    name: str
    serves: tuple[str, ...]
    requirements: tuple[str, ...]
    pins: str
    modules: tuple[str, ...]
    told: tuple[str, ...]
    set_aside: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Tell this recipe from what it was in another release."""
        text = "\n".join([*self.requirements, files("vceval.converters").joinpath(self.pins).read_text("utf-8")])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


RECIPES = {
    "coqui": Recipe(
        name="coqui",
        serves=("openvoice",),
        # six is imported by coqui-tts, which does not ask for it. torchcodec need only be there: it is never loaded,
        # as files are read by librosa
        requirements=("torch", "torchaudio", "torchcodec", "coqui-tts", "six"),
        pins="coqui_pins.txt",
        modules=("TTS.vc.models.openvoice", "TTS.vc.models.freevc", "TTS.tts.models.vits"),
        told=("coqui-tts", "torch", "torchaudio"),
        # The wheel of the public index links CUDA; without these files torchaudio runs as plain Python
        set_aside=("_torchaudio.abi3.so", "libtorchaudio.abi3.so", "torchaudio_prefixctc.abi3.so"),
    ),
}


@dataclass(frozen=True)
class State:
    """What is known of an environment on this machine.

    usable: its interpreter can be run. text: in words. record: what was written down when it was made.
    """

    usable: bool
    text: str
    record: dict[str, Any]


def root() -> Path:
    """Folder of environments: ``$VCEVAL_ENVIRONMENTS``, else ``vceval/environments`` among the user's data."""
    named = os.environ.get("VCEVAL_ENVIRONMENTS")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(named or f"{data}/vceval/environments").expanduser()


def recipe_of(name: str) -> Recipe:
    """Find a recipe.

    Raises:
        UsageError: there is none of that name.
    """
    from vceval.registry import unknown_name

    if name not in RECIPES:
        raise unknown_name("environment", name, sorted(RECIPES))
    return RECIPES[name]


def place_of(name: str) -> Path:
    """Give the folder of an environment, whether it is there or not."""
    return root() / recipe_of(name).name


def _python(place: Path) -> Path:
    return place / "bin" / "python"


def state(name: str) -> State:
    """Find out whether an environment is there and complete; nothing in it is run."""
    recipe, place = recipe_of(name), place_of(name)
    make = f"vceval env create {name}"
    if not place.is_dir():
        return State(False, f"not made; to make it: {make}", {})
    try:
        record: dict[str, Any] = dict(json.loads((place / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return State(False, f"{place} was never finished; to make it again: {make}", {})
    if not os.access(_python(place), os.X_OK):
        return State(False, f"{place} has lost its Python; to make it again: {make}", record)
    versions = ", ".join(f"{package} {version}" for package, version in record.get("versions", {}).items())
    text = f"{place} ({versions})"
    if record.get("recipe") != recipe.fingerprint():
        text += f"; made by another release of vceval, to make it anew: {make}"
    return State(True, text, record)


def record_of(name: str) -> Path:
    """Where it is written down which versions an environment has; a run that uses it writes down the hash of that."""
    return place_of(name) / _RECORD


def interpreter(name: str) -> Path | None:
    """Give the interpreter of an environment; None where it is not there or not complete."""
    return _python(place_of(name)) if state(name).usable else None


def create(name: str, python: str = sys.executable, fresh: bool = False) -> Path:
    """Make an environment, unless it is there already and made by the same recipe; each step is printed.

    Packages come from wherever pip is configured to look. When a step fails, what was made is thrown away, and an older
    environment is put back.

    Args:
        name: of a recipe.
        python: interpreter to base it on.
        fresh: make it again in any case.

    Raises:
        UsageError: no such recipe or interpreter, somebody else is making it, or a step failed.
    """
    recipe, place = recipe_of(name), place_of(name)
    base = shutil.which(python)
    if base is None:
        raise UsageError(f"there is no program {python!r} to base the environment on")
    with _alone(place):
        found = state(name)
        if found.usable and not fresh and found.record.get("recipe") == recipe.fingerprint():
            print(f"It is here already: {found.text}")
            return place
        before = _before(place)
        if found.usable:
            # Not taken for good before the new one is there: making it may need a network that isn't
            shutil.rmtree(before, ignore_errors=True)
            place.rename(before)
        elif place.exists():
            print(f"Removing {place}", flush=True)
            _delete(place)
        try:
            _make(recipe, place, base)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            if before.exists():
                before.rename(place)
            raise
        shutil.rmtree(before, ignore_errors=True)
    print(f"Ready: {state(name).text}")
    return place


def _before(place: Path) -> Path:
    """Where an older environment waits while a new one is made."""
    return place.with_name(f".{place.name}.before")


def _make(recipe: Recipe, place: Path, base: str) -> None:
    python = str(_python(place))
    pins = files("vceval.converters").joinpath(recipe.pins)
    _step(f"1/4 An empty environment in {place}", [base, "-I", "-m", "venv", str(place)])
    _step(
        f"2/4 Packages: {', '.join(recipe.requirements)} and what they need, as pinned",
        [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-c", str(pins),
         *recipe.requirements],
    )  # fmt: skip
    print("3/4 torchaudio", flush=True)
    _mend(recipe, python)
    _step("4/4 Trying it", [python, "-I", "-c", f"import {', '.join(recipe.modules)}"])
    versions = json.loads(_ask(python, _VERSIONS, *recipe.told))
    record = {"recipe": recipe.fingerprint(), "versions": versions}
    (place / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _step(title: str, command: Sequence[str]) -> None:
    """Run a command whose output goes to the terminal.

    Raises:
        UsageError: it fails.
    """
    print(title, flush=True)
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise UsageError(f"step {title.partition(':')[0]}: {command[0]} can't be run ({error.strerror})") from error
    if done.returncode:
        raise UsageError(
            f"step {title.partition(':')[0]} failed with exit code {done.returncode}; what it said stands above. "
            f"The unfinished environment was removed"
        )


def _ask(python: str, code: str, *arguments: str) -> str:
    """Give what the environment's interpreter prints.

    Raises:
        UsageError: the code fails there.
    """
    done = subprocess.run([python, "-I", "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise UsageError(f"{python} can't tell about itself: {last}; the unfinished environment was removed")
    return done.stdout.strip()


def _mend(recipe: Recipe, python: str) -> None:
    """Put torchaudio's compiled files aside where they can't be loaded, as with a torch for CPUs."""
    if not recipe.set_aside:
        return
    done = subprocess.run([python, "-I", "-c", "import torchaudio"], capture_output=True, check=False)
    if not done.returncode:
        print("  loads as it is")
        return
    folder = Path(_ask(python, _WHERE)) / "torchaudio" / "lib"
    for name in recipe.set_aside:
        if (folder / name).is_file():
            (folder / name).rename(folder / f"{name}.set-aside")
            print(f"  {name} needs CUDA: set aside")


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Keep everybody else from making or removing the same environment meanwhile.

    Raises:
        UsageError: somebody else does, or the folder can't be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = (place.parent / f".{place.name}.lock").open("w")
    except OSError as error:
        raise UsageError(f"{place.parent} can't be written ({error.strerror})") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another vceval is at work on {place}; wait for it") from None
        yield


def _delete(place: Path) -> None:
    if place.is_symlink() or not ((place / "pyvenv.cfg").is_file() or not any(place.iterdir())):
        raise UsageError(f"{place} does not look like an environment that vceval made; remove it by hand")
    shutil.rmtree(place)


def remove(name: str) -> None:
    """Remove an environment.

    Raises:
        UsageError: it is not there, is in the making, or is something else.
    """
    place = place_of(name)
    if not place.is_dir():
        raise UsageError(f"there is no environment {name} to remove: {place} is not there")
    with _alone(place):
        _delete(place)
        shutil.rmtree(_before(place), ignore_errors=True)
