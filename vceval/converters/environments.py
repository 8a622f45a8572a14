"""Python environments of their own for systems whose dependencies don't get along with everybody else's.

``vceval env create NAME`` makes that of a recipe, with pinned packages, among the user's data; the recipe's worker is
run with its interpreter. Nothing is fetched at any other time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.converters.recipe import Recipe, recipe_of
from vceval.errors import UsageError

__all__ = ["State", "clone_of", "create", "interpreter", "place_of", "record_of", "remove", "root", "state"]

#: Written last of all; an environment without it was never finished.
_RECORD = "vceval-environment.json"
#: Printed by the environment's own interpreter.
_VERSIONS = (
    "import json, platform, sys; from importlib.metadata import version; "
    "print(json.dumps({'python': platform.python_version(), **{name: version(name) for name in sys.argv[1:]}}))"
)
_WHERE = "import sysconfig; print(sysconfig.get_paths()['platlib'])"


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
    record = _recorded(place / _RECORD)
    if record is None:
        return State(False, f"{place} was never finished; to make it again: {make}", {})
    if not (_python(place).is_file() and os.access(_python(place), os.X_OK)):
        return State(False, f"{place} has lost its Python; to make it again: {make}", record)
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    text = f"{place} ({versions})" + (f" with {record['checkout']}" if record.get("checkout") else "")
    if record["recipe"] != recipe.fingerprint():
        text += f"; made by another release of vceval, to make it anew: {make}"
    return State(True, text, record)


def _recorded(path: Path) -> dict[str, Any] | None:
    """Read what was written down when an environment was made; None where that is not there, or not whole."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    kinds = {"recipe": str, "versions": dict}
    whole = isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in kinds.items())
    return record if whole and isinstance(record.get("checkout", ""), str) else None


def record_of(name: str) -> Path:
    """Where it is written down which versions an environment has; a run that uses it writes down the hash of that."""
    return place_of(name) / _RECORD


def interpreter(name: str) -> Path | None:
    """Give the interpreter of an environment; None where it is not there or not complete."""
    return _python(place_of(name)) if state(name).usable else None


def clone_of(recipe: Recipe, named: str = "") -> Path:
    """Find the clone that a recipe of the kind ``checkout`` runs: the one named, or that of its environment.

    Raises:
        UsageError: none is named, or it is not there or lacks files.
    """
    wanted = recipe.says.checkout
    if wanted is None:
        raise UsageError(f"{recipe.name} needs no clone of a repository; leave out --checkout")
    place = named or str(state(recipe.name).record.get("checkout", ""))
    how = f"clone {wanted.repository} (commit {wanted.commit}, with its submodules)"
    if not place:
        raise UsageError(f"{recipe.name} runs from a clone of its repository: {how} and name it by --checkout DIR")
    folder = Path(place).expanduser().resolve()
    if not folder.is_dir():
        raise UsageError(f"the clone {folder} is not there; {how}, and: vceval env create {recipe.name} --checkout DIR")
    named_files = [*wanted.files, *([wanted.requirements] if wanted.requirements else ())]
    lacking = [entry for entry in (*wanted.path_entries, *named_files) if not (folder / entry).exists()]
    if lacking:
        raise UsageError(f"the clone {folder} lacks {', '.join(lacking)}: {how} again")
    return folder


def commit_of(clone: Path) -> str:
    """Give the commit that a clone stands at; empty where git can't tell, as for an unpacked archive."""
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, "-C", str(clone), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def create(name: str, python: str = sys.executable, fresh: bool = False, checkout: str = "") -> Path:
    """Make an environment, unless it is there already and made by the same recipe; each step is printed.

    Packages come from wherever pip is configured to look. When a step fails, what was made is thrown away, and an older
    environment is put back.

    Args:
        name: of a recipe.
        python: interpreter to base it on.
        fresh: make it again in any case.
        checkout: the clone that the recipe runs, for the kind ``checkout``.

    Raises:
        UsageError: no such recipe or interpreter, one of a version that the recipe does not run on, a clone that is
            missing or lacks files, somebody else is making it, or a step failed.
    """
    recipe, place = recipe_of(name), place_of(name)
    clone = clone_of(recipe, checkout) if recipe.says.checkout or checkout else None
    base = _base(recipe, python)
    with _alone(place):
        found = state(name)
        same = found.record.get("recipe") == recipe.fingerprint()
        same = same and found.record.get("checkout", "") == str(clone or "")
        if found.usable and not fresh and same:
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
            _make(recipe, place, base, clone)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            print("The unfinished environment was removed", flush=True)
            if before.exists():
                before.rename(place)
            raise
        shutil.rmtree(before, ignore_errors=True)
    print(f"Ready: {state(name).text}")
    return place


def _before(place: Path) -> Path:
    """Where an older environment waits while a new one is made."""
    return place.with_name(f".{place.name}.before")


def _base(recipe: Recipe, python: str) -> str:
    """Find the interpreter that an environment is based on.

    Raises:
        UsageError: there is none, or it is of another version than the recipe runs on.
    """
    base = shutil.which(python)
    if base is None:
        raise UsageError(f"there is no program {python!r} to base the environment on")
    try:
        version = _ask(base, "import sys; print('%d.%d' % sys.version_info[:2])")
    except UsageError as error:
        raise UsageError(f"--python {python}: {error}") from error
    if version not in recipe.says.python:
        raise UsageError(
            f"{recipe.name} runs on Python {', '.join(recipe.says.python)}; {base} is {version}: name another one by "
            f"--python PROGRAM"
        )
    return base


def _make(recipe: Recipe, place: Path, base: str, clone: Path | None) -> None:
    python, says = str(_python(place)), recipe.says
    wanted = list(says.requirements)
    if clone is not None and says.checkout is not None and says.checkout.requirements:
        wanted += ["-r", str(clone / says.checkout.requirements)]
    began = time.monotonic()
    _step(f"1/4 An empty environment in {place}", [base, "-I", "-m", "venv", str(place)])
    _step(
        f"2/4 Packages: {', '.join(wanted)} and what they need, as pinned",
        [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-c", str(recipe.pins),
         *wanted],
    )  # fmt: skip
    print("3/4 What is in the way", flush=True)
    if says.without:
        _step(f"  removed: {', '.join(says.without)}", [python, "-I", "-m", "pip", "uninstall", "-y", *says.without])
    for package, libraries in says.set_aside.items():
        _mend(package, libraries, python)
    _step("4/4 Trying it", [python, "-I", "-c", f"import {', '.join(says.modules)}"])
    record: dict[str, Any] = {
        "recipe": recipe.fingerprint(), "versions": json.loads(_ask(python, _VERSIONS, *says.told)),
        "seconds": round(time.monotonic() - began), "bytes": _size(place),
    }  # fmt: skip
    if clone is not None and says.checkout is not None:
        commit = commit_of(clone)
        record |= {"checkout": str(clone), "commit": commit}
        if not commit.startswith(says.checkout.commit):
            print(f"The clone stands at {commit or 'no commit'}; the recipe was written for {says.checkout.commit}")
    (place / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{record['bytes'] / 1e6:,.0f} MB in {record['seconds']} s")


def _size(place: Path) -> int:
    return sum(path.lstat().st_size for path in place.rglob("*") if not path.is_dir())


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
            f"step {title.partition(':')[0]} failed with exit code {done.returncode}; what it said stands above"
        )


def _ask(python: str, code: str, *arguments: str) -> str:
    """Give what an interpreter prints.

    Raises:
        UsageError: the code fails there.
    """
    try:
        done = subprocess.run([python, "-I", "-c", code, *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsageError(f"{python} can't be run ({error.strerror})") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise UsageError(f"{python} can't tell about itself: {last}")
    return done.stdout.strip()


def _mend(package: str, libraries: Sequence[str], python: str) -> None:
    """Put a package's compiled files aside where they can't be loaded, as torchaudio's with a torch for CPUs."""
    done = subprocess.run([python, "-I", "-c", f"import {package}"], capture_output=True, check=False)
    if not done.returncode:
        print(f"  {package} loads as it is")
        return
    folder = Path(_ask(python, _WHERE)) / package
    for name in libraries:
        if (folder / name).is_file():
            (folder / name).rename(folder / f"{name}.set-aside")
            print(f"  {package}/{name} can't be loaded: set aside")


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
    if place.is_symlink() or not place.is_dir() or not ((place / "pyvenv.cfg").is_file() or not any(place.iterdir())):
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
