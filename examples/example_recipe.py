"""A recipe: the same quantity by another definition, called ``pauses:strict``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from example_metric import Pauses

from vceval.metrics.base import Recipe


@dataclass(frozen=True)
class PausesWithRecipes(Pauses):
    """The metric of ``example_metric.py`` with a table of recipes."""

    recipes: ClassVar[Mapping[str, Recipe | str]] = {
        "strict": Recipe(
            "Pauses 60 dB below the loudest frame, as Roe counts them.",
            label="Roe",
            variant="as Roe counts them",
            changes={"floor_db": 60.0, "source": "Roe, Pauses revisited, 2026"},
        ),
    }
