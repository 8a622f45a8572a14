"""Converters that run in environments of their own: a class for each recipe, named as the recipe is."""

from __future__ import annotations

import json
import pkgutil
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from vceval import registry
from vceval.checkpoints import store
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters import environments
from vceval.converters import recipe as recipes
from vceval.converters.base import Converter, ConverterInfo, Footprint, Outcome, Request
from vceval.converters.command import Command
from vceval.converters.native import check_length
from vceval.converters.recipe import Recipe
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.storage.cache import file_digest
from vceval.storage.processes import LONGEST_WAIT, is_wait

__all__ = ["SKELETON", "ByRecipe", "class_of", "command_of"]

#: The program that runs a recipe's worker.
SKELETON = Path(__file__).with_name("recipes") / "skeleton.py"


def __getattr__(name: str) -> type[ByRecipe]:
    """Give the class of a recipe, as an entry point asks for it."""
    if name not in registry.recipe_folders():
        raise AttributeError(f"there is no recipe {name!r}")
    return class_of(name)


@cache
def class_of(name: str) -> type[ByRecipe]:
    """Make the converter of a recipe.

    Raises:
        UsageError: there is no such recipe, or a file of it is missing or wrong.
    """
    recipe = recipes.recipe_of(name)
    first = next(iter(recipe.says.models))
    files = tuple(file for file in files_of(recipe, first).values() if file.network or file.settings)
    info = info_of(recipe, first)
    told = f"{info.title}, by recipe."
    return type(
        name, (ByRecipe,),
        {"recipe": recipe, "info": info, "files": files, "__module__": __name__, "__doc__": told},
    )  # fmt: skip


def files_of(recipe: Recipe, model: str) -> dict[str, WeightFile]:
    """Give the files of a model by what they are for."""
    return {use: entry.weight_file() for use, entry in recipe.says.models[model].files.items()}


def info_of(recipe: Recipe, model: str) -> ConverterInfo:
    """Describe a model as tables show it."""
    says, via = recipe.says.models[model], recipe.says.via
    suffix = f" ({via})" if via else ""
    if says.same_as is not None:
        native: ConverterInfo = registry.load("converter", says.same_as).info
        licence = "; ".join(part for part in (native.licence, says.licence) if part)
        return replace(
            native, name=recipe.name, title=native.title + suffix, licence=licence, kind="external",
            front_end=says.front_end,
        )  # fmt: skip
    return ConverterInfo(
        name=recipe.name,
        title=f"{says.title}{suffix}",
        sample_rate=says.sample_rate,
        licence=says.licence,
        paper=says.paper,
        kind="external",
        checkpoints=tuple(file.name for file in files_of(recipe, model).values()),
        trained_on=None,
        draws_noise=says.draws_noise,
        front_end=says.front_end,
        encoders=says.conditions_on,
        any_to_one=recipe.says.any_to_one,
    )


def command_of(recipe: Recipe, python: str, asked: Mapping[str, Any]) -> list[str]:
    """Give the words that start a recipe's worker.

    ``-I``: neither this package's folder nor PYTHONPATH may put modules in the way of the environment's.
    """
    clone = recipe.says.checkout
    told = {
        "prompts": recipe.says.prompts, "warm_up": recipe.says.warm_up,
        "path_entries": clone.path_entries if clone else (), **asked,
    }  # fmt: skip
    return [python, "-I", str(SKELETON), str(recipe.worker), json.dumps(told)]


class ByRecipe(Converter):
    """A converter in the environment of its recipe (``vceval env create NAME``), one pair at a time, on one thread.

    The worker may not use the network. Files whose published SHA-256 is known are held against it.

    Args:
        model: one of the recipe's; none: its first.
        weights: folder of the model's files; by default the place where ``vceval checkpoints add`` files them.
        other_weights: whether files may be others than the published ones; stands in the title then.
        python: interpreter to use instead of the environment's.
        checkout: the clone to use instead of the one that the environment was made with.
        timeout: seconds that one pair may take, the first one including the start.
        speakers: for systems with a model for each target: target speaker to ``model`` (a path) and what else the
            recipe's page names; or the path of a YAML file with such a table.
        own: options of the recipe.

    Raises:
        UsageError: there is no such model or interpreter, or a value is wrong.
        TypeError: there is no such option.
    """

    recipe: ClassVar[Recipe]
    files: ClassVar[tuple[WeightFile, ...]] = ()
    batch_size = 1

    def __init__(
        self, *, model: str = "", weights: str = "", other_weights: bool = False, python: str = "", checkout: str = "",
        timeout: float = 600.0, speakers: Mapping[str, Any] | str | None = None, **own: Any,
    ) -> None:  # fmt: skip
        name, models = self.recipe.name, self.recipe.says.models
        model = model or next(iter(models))
        if model not in models:
            raise UsageError(f"{name}: there is no model {model!r}; there are {', '.join(models)}")
        python = str(Path(python).expanduser()) if python else ""
        if python and shutil.which(python) is None:
            raise UsageError(f"{name}: there is no interpreter {python!r}")
        if not is_wait(timeout):
            raise UsageError(f"{name}: timeout {timeout} is not positive, or above {LONGEST_WAIT:,} s")
        if speakers is not None and not self.recipe.says.any_to_one:
            raise TypeError("speakers is for systems that have a model for each target speaker")
        self.model, self.weights, self.other_weights = model, weights, other_weights
        self.python, self.checkout, self.timeout = python, checkout, timeout
        self.options = recipes.options_of(self.recipe, own)
        self.speakers = _speakers(name, speakers, self.recipe.says.each_target)
        self._program: Command | None = None
        vars(self)["files"] = tuple(self._files.values())
        # What a table says of this row depends on the model
        info = info_of(self.recipe, model)
        said = [f"{key} {self.options[key]}" for key in own] + (["other weights"] if other_weights else [])
        vars(self)["info"] = replace(info, title=f"{info.title}, {', '.join(said)}") if said else info

    def open(self, device: str) -> None:
        """Get the worker ready; it starts at the first pair.

        Raises:
            UsageError: the environment, the clone or a file is missing, or a file is not the published one.
        """
        says, name = self.recipe.says, self.recipe.name
        if device.partition(":")[0] not in says.devices:
            raise UsageError(f"{name} runs on {' and '.join(says.devices)} only, not on {device}")
        if lacking := self.missing_files():
            raise UsageError("; ".join(lacking))
        files = {use: self._located(file) for use, file in self._files.items()}
        for use, file in self._files.items():
            self._check(file, Path(str(files[use])))
        asked = {
            "model": self.model, "files": {use: str(path) for use, path in files.items()}, "options": self.options,
            "speakers": self.speakers, "checkout": str(self._clone() or ""),
        }  # fmt: skip
        self._program = Command(command=command_of(self.recipe, self._interpreter(), asked), timeout=self.timeout)
        self._program.open(device)

    def signature(self) -> str:
        """Name what is done to recordings, as far as the recipe says it, the model and every option of its own."""
        options = [f"{name}:{value}" for name, value in self.options.items()]
        return "|".join([super().signature(), f"model:{self.model}", *options])

    def close(self) -> None:
        """Stop the worker."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def footprint(self) -> Footprint:
        """Tell what the worker reported of itself."""
        return Footprint(program=0) if self._program is None else self._program.footprint()

    def assets(self) -> dict[str, Path]:
        """Give the files that are there, by name, the worker, and what says which versions the environment has."""
        found = {file.name: self._located(file) for file in self._files.values()}
        for speaker, row in self.speakers.items():
            found |= {f"{key} of {speaker}": Path(str(row[key])) for key in ("model", "index", "config") if key in row}
        if not self.python and environments.interpreter(self.recipe.name) is not None:
            found[f"environment {self.recipe.name}"] = environments.record_of(self.recipe.name)
        found["worker"] = self.recipe.worker
        return {name: place for name, place in found.items() if place is not None and place.is_file()}

    def missing_files(self) -> list[str]:
        """Say whether the environment, the clone, files or the table of speakers are missing."""
        messages = []
        try:
            self._interpreter()
            self._clone()
        except UsageError as error:
            messages.append(str(error))
        for file in self._files.values():
            if self._located(file) is None:
                filing = "file it with: vceval checkpoints add PATH" if file.network or file.settings else (
                    f"put it there as {(self._folder or store.store()) / file.name}")  # fmt: skip
                messages.append(
                    f"{file.name} is not in {self._folder or store.store()}: {file.holds}. Get it from "
                    f"{file.url or file.page} and {filing}"
                )
        if self.recipe.says.any_to_one and not self.speakers:
            messages.append(
                f"{self.recipe.name} has a model for each target speaker: name them in a --systems file by the option "
                f"speakers, target speaker to {', '.join(f'{key}: PATH' for key in self.recipe.says.each_target)}"
            )
        for speaker, row in self.speakers.items():
            messages += [
                f"{self.recipe.name}: the {key} of speaker {speaker}, {row[key]}, is not there"
                for key in ("model", "index", "config")
                if key in row and not Path(str(row[key])).is_file()
            ]
        return messages

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Convert one by one."""
        if self._program is None:
            raise UsageError(f"{self.recipe.name}: not opened")
        return [self._one(self._program, request) for request in requests]

    def _one(self, program: Command, request: Request) -> Outcome:
        says = self.recipe.says
        if says.any_to_one and request.pair.target_speaker not in self.speakers:
            return UnmetNeed(
                "model", f"{self.recipe.name} has no model of speaker {request.pair.target_speaker}; it has those of "
                f"{', '.join(sorted(self.speakers))}",
            )  # fmt: skip
        try:
            check_length(request.source, "source", maximum=says.longest_source)
            for prompt in request.prompts if says.prompts != "none" else ():
                check_length(prompt, "prompt", maximum=says.longest_prompt)
        except ItemError as error:
            return error
        return program.convert([request])[0]

    @property
    def _files(self) -> Mapping[str, WeightFile]:
        return files_of(self.recipe, self.model)

    @property
    def _folder(self) -> Path | None:
        return Path(self.weights).expanduser() if self.weights else None

    def _located(self, file: WeightFile) -> Path | None:
        found = store.locate(file, self._folder)
        return None if found is None else found.resolve()

    def _check(self, file: WeightFile, path: Path) -> None:
        """Hold a file against what is known of the published one.

        Raises:
            UsageError: it is another one.
        """
        if file.form == "json" and file.settings:
            pkgutil.resolve_name(file.settings)(str(path), file.name, file.plain(path))
        if file.sha256 is None or self.other_weights or file_digest(path) == file.sha256:
            return
        raise UsageError(
            f"{path} is not the published {file.name}: its SHA-256 is {file_digest(path)}, not {file.sha256}. Get it "
            f"again from {file.url or file.page}, or say that it is meant: other_weights: true in a --systems file"
        )

    def _interpreter(self) -> str:
        """Find the interpreter that has the packages.

        Raises:
            UsageError: there is none.
        """
        if self.python:
            return self.python
        found = environments.interpreter(self.recipe.name)
        if found is None:
            raise UsageError(
                f"{self.recipe.name} runs in an environment of its own: {environments.state(self.recipe.name).text} "
                f"(or name an interpreter that has its packages by the option python)"
            )
        return str(found)

    def _clone(self) -> Path | None:
        """Find the clone that the recipe needs.

        Raises:
            UsageError: it is not named, not there, or lacks files.
        """
        if self.recipe.says.checkout is None:
            return None
        return environments.clone_of(self.recipe, self.checkout)


def _speakers(name: str, given: Mapping[str, Any] | str | None, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read the table of target speakers, each with the files that are wanted.

    Raises:
        UsageError: it has another form.
    """
    from vceval.protocol.schema import read_yaml

    where = f"{name}: speakers"
    if isinstance(given, str):
        where, given = given, read_yaml(Path(given).expanduser())
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}: {given!r} is no table of target speakers")
    for speaker, row in given.items():
        lacking = [key for key in wanted if not isinstance(row, Mapping) or not isinstance(row.get(key), str)]
        if lacking:
            example = ", ".join(f"{key}: PATH" for key in wanted)
            raise UsageError(f"{where}: {speaker}: {row!r} names no {lacking[0]}; write {speaker}: {{{example}}}")
        pitch = row.get("median_f0")
        if pitch is not None and not (isinstance(pitch, int | float) and 40 <= pitch <= 800):
            raise UsageError(f"{where}: {speaker}: median_f0 is {pitch!r}, not Hz from 40 to 800")
    return {
        str(speaker): {key: str(Path(value).expanduser().resolve()) if key in ("model", "index", "config") else value
                       for key, value in row.items()}
        for speaker, row in given.items()
    }  # fmt: skip
