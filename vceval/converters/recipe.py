"""Recipes: what is known of a converter that runs in an environment of its own, read from a folder.

A folder ``NAME`` holds ``recipe.yaml`` (:class:`RecipeFile`), ``pins.txt`` (the version of every package) and
``worker.py``, which runs in that environment. A package brings folders by an entry point of the group
``vceval.recipes``, whose value is the package that they lie in.
"""

from __future__ import annotations

import hashlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from vceval import registry
from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import UsageError
from vceval.protocol.schema import Names, Section, Text, mistake, read_document

__all__ = ["Checkout", "Model", "Recipe", "RecipeFile", "options_of", "recipe_of"]


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"is no SHA-256 of 64 hexadecimal digits: {text}")
    return text


def _inside(text: str) -> str:
    place = PurePosixPath(text)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"leads out of its folder: {text}")
    return text


def _resolvable(place: str) -> str:
    try:
        found = pkgutil.resolve_name(place)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"names nothing that can be imported: {place} ({error})") from None
    if not isinstance(found, WeightFile):
        raise ValueError(f"is no WeightFile: {place}")
    return place


#: A path within a folder, and several.
_Place = Annotated[Text, AfterValidator(_inside)]
_Places = Annotated[Names, AfterValidator(lambda texts: tuple(map(_inside, texts)))]
#: The value of an option.
_Plain = Annotated[bool | int | float | str, WithJsonSchema({"type": ["boolean", "number", "string"]})]


class FileEntry(Section):
    """A file that a model needs: its facts, or ``known``."""

    one_of = {"known": "a file that vceval knows, as module:NAME", "name": "a file described here"}  # noqa: RUF012

    known: Annotated[Text, AfterValidator(_resolvable)] | None = None
    """A file that a module describes, as ``module:NAME``."""

    name: _Place | None = None
    """Where it lies in the folder of weights, such as ``chatterbox/s3gen.safetensors``."""

    holds: Text = "weights"
    """What is in it, for people."""

    page: Text = "the page of its authors"
    """Where its authors publish it."""

    licence: Text = "not known"
    """Of the weights."""

    url: Text | None = None
    """A direct link."""

    sha256: Annotated[Text, AfterValidator(_digest)] | None = None
    """Of the published file: another file is refused."""

    size: int | None = Field(None, ge=1)
    """In bytes."""

    form: Literal["weights", "json"] = "weights"
    """``json``: a configuration."""

    network: Text = ""
    """``module:name`` of what builds its network in vceval, by which ``vceval checkpoints add`` knows it."""

    settings: Text = ""
    """``module:function`` that checks a configuration."""

    entry: Names = ()
    """Keys under which the tensors stand in the file."""

    also_called: _Places = ()
    """Other names of the same file."""

    def weight_file(self) -> WeightFile:
        """Give it as the checkpoints' store takes it."""
        if self.known is not None:
            found: WeightFile = pkgutil.resolve_name(self.known)
            return found
        values = self.model_dump(exclude={"known"})
        return WeightFile(**values)


class Model(Section):
    """A model that a worker converts with: one row of a table."""

    one_of = {"same_as": "a converter of vceval with the same weights", "title": "what tables call it"}  # noqa: RUF012

    title: Text | None = None
    """What tables call it."""

    same_as: Text | None = None
    """A converter of vceval that has the same weights: its facts are taken."""

    sample_rate: int | None = Field(None, ge=1)
    """Of the output in Hz, where it is always the same."""

    licence: str = ""
    """Of code and weights."""

    paper: str = ""
    """Authors, title, place."""

    draws_noise: bool = False
    """Whether the seed changes the output."""

    front_end: str = ""
    """What is done to recordings before the network hears them: ``resampler:soxr|trim:none|level:none``."""

    conditions_on: dict[str, Text] | None = None
    """Speaker encoders that it was conditioned on or trained with: key, and what for."""

    files: dict[str, FileEntry] = {}  # noqa: RUF012
    """What a file is for, and which it is."""


class Option(Section):
    """An option of the system that the worker is told."""

    default: _Plain
    """Its value where none is given; one that is given is of the same type."""

    meaning: Text
    """What it does, for people."""


class Checkout(Section):
    """A clone of a repository, which the user makes."""

    repository: Text
    """Where it is cloned from."""

    commit: Text
    """The one that this recipe was written for."""

    path_entries: _Places = ()
    """Folders in it that Python looks for modules in; ``.`` is the clone itself."""

    files: _Places = ()
    """Files that must be there, such as those of submodules."""

    requirements: _Place | None = None
    """Its own list of packages, which pip is given too."""


class Trial(Section):
    """What ``vceval env test`` does."""

    made_up: bool = False
    """Whether the worker can make weights of the right shapes up."""

    options: dict[str, _Plain] = {}  # noqa: RUF012
    """Options of the system for the test, such as few steps."""

    unproven: Names = ()
    """What such a test leaves open, beside the sound."""


class RecipeFile(Section):
    """recipe.yaml: a converter in an environment of its own."""

    kind: Literal["packages", "checkout"]
    """``packages`` come from an index; ``checkout`` needs a clone of a repository as well."""

    code: Text
    """Where the code is."""

    via: Text = ""
    """What runs the model where that is not its authors' code; stands in the title."""

    python: Annotated[Names, Field(min_length=1)]
    """Versions of Python that it runs on, such as 3.11."""

    devices: Annotated[tuple[Literal["cpu", "cuda"], ...], Field(strict=False, min_length=1)]
    """Kinds of devices that it runs on."""

    requirements: Names = ()
    """What is asked of pip; everything else comes along, as pinned."""

    without: Names = ()
    """Packages that come along and are removed again, as they break what is needed."""

    set_aside: dict[_Place, _Places] = {}  # noqa: RUF012
    """Package to compiled files in it that are put out of the way where it can't be imported with them."""

    modules: Annotated[Names, Field(min_length=1)]
    """What must be importable at the end."""

    told: Names = ()
    """Packages whose versions are shown."""

    checkout: Checkout | None = None
    """For the kind ``checkout``."""

    models: Annotated[dict[str, Model], Field(min_length=1)]
    """By name; the first one is taken where none is chosen."""

    options: dict[str, Option] = {}  # noqa: RUF012
    """Options of the system, beside those that every recipe has."""

    prompts: Literal["each", "joined", "none"] = "joined"
    """What the worker takes: every prompt, one file of all joined, or none."""

    any_to_one: bool = False
    """Whether every target speaker has a model of their own: the option ``speakers`` names them."""

    each_target: Names = ("model",)
    """Files that the option ``speakers`` must name for each target."""

    longest_source: float = Field(60.0, gt=0)
    """Seconds; longer sources are refused."""

    longest_prompt: float = Field(600.0, gt=0)
    """Seconds; longer prompts are refused."""

    warm_up: bool = False
    """Whether the first pair is converted once before it counts, as building the model draws random numbers."""

    test: Trial = Trial()
    """What ``vceval env test`` does."""

    @model_validator(mode="after")
    def _fitting(self) -> RecipeFile:
        if (self.kind == "checkout") != (self.checkout is not None):
            raise mistake("checkout", "stands where kind is checkout, and nowhere else")
        if self.any_to_one != (self.prompts == "none"):
            raise mistake("prompts", "is none where any_to_one is true, and nowhere else")
        taken = sorted(COMMON & self.options.keys())
        if taken:
            raise mistake("options", f"names what every recipe has: {', '.join(taken)}")
        wrong = sorted(self.test.options.keys() - self.options.keys())
        if wrong:
            raise mistake("test", f"sets options that the recipe has not: {', '.join(wrong)}")
        return self


#: Options of every system that a recipe makes.
COMMON = {"model", "weights", "other_weights", "python", "checkout", "timeout", "speakers"}


@dataclass(frozen=True)
class Recipe:
    """A recipe by its name: what its folder says, and the folder."""

    name: str
    folder: Path
    says: RecipeFile

    @property
    def pins(self) -> Path:
        """File with the version of every package."""
        return self.folder / "pins.txt"

    @property
    def worker(self) -> Path:
        """The program's part that is this recipe's own."""
        return self.folder / "worker.py"

    def fingerprint(self) -> str:
        """Tell what an environment is made of from what it was in another release."""
        says = self.says
        asked = [*says.requirements, *says.without, *says.set_aside, says.checkout.commit if says.checkout else ""]
        text = "\n".join([*asked, self.pins.read_text("utf-8")])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def recipe_of(name: str) -> Recipe:
    """Read a recipe.

    Raises:
        UsageError: there is none of that name, or a file of it is missing or wrong.
    """
    folders = registry.recipe_folders()
    if name not in folders:
        raise registry.unknown_name("recipe", name, sorted(folders))
    folder = folders[name]
    for file in ("pins.txt", "worker.py"):
        if not (folder / file).is_file():
            raise UsageError(f"{folder}: the recipe {name} lacks {file}")
    return Recipe(name, folder, read_document(folder / "recipe.yaml", RecipeFile))


def options_of(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options that a recipe has of its own.

    Raises:
        TypeError: there is no such option.
        UsageError: a value is of another type.
    """
    values = {name: option.default for name, option in recipe.says.options.items()}
    for name, value in given.items():
        if name not in values:
            known = ", ".join(sorted({*values, *COMMON}))
            raise TypeError(f"there is no option {name!r}; there are {known}")
        default = values[name]
        # A whole number will do where any number is asked for; True is no number
        whole = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(default) and not whole:
            raise UsageError(f"{recipe.name}: {name} is {value!r}; it must be of the type of {default!r}")
        values[name] = float(value) if whole else value
    return values
