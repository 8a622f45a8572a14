"""``vceval schema``: the form of the YAML files that users write, for their editors."""

from __future__ import annotations

import argparse

__all__ = ["add_commands", "schema_of"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval schema`` to the parser."""
    schema = commands.add_parser(
        "schema",
        help="print the JSON schema of a YAML file, by which editors complete and check it, or of a JSON file",
        description="Save it beside your file, and begin the file with: # yaml-language-server: $schema=SCHEMA.json",
    )
    schema.add_argument(
        "what",
        choices=(
            "suite", "systems", "rules", "published", "config", "recipe", "stream", "demo-pages", "result", "board"
        ),
    )  # fmt: skip
    schema.set_defaults(command=_schema)


def schema_of(what: str) -> str:
    """Write the schema of one kind of file: one of the words that ``vceval schema`` takes."""
    from vceval.board.record import BoardFile
    from vceval.converters.demo_pages import DemoPagesFile
    from vceval.converters.recipe import RecipeFile
    from vceval.gate.rules import RulesFile
    from vceval.protocol.config import ConfigFile
    from vceval.protocol.published import PublishedFile
    from vceval.protocol.schema import Model, json_schema
    from vceval.protocol.suite import SuiteFile
    from vceval.protocol.systems import SystemsFile
    from vceval.publish.record import ResultFile
    from vceval.streaming.figures import StreamFile

    kinds: dict[str, type[Model]] = {
        "suite": SuiteFile, "systems": SystemsFile, "rules": RulesFile, "published": PublishedFile,
        "config": ConfigFile, "recipe": RecipeFile, "stream": StreamFile, "demo-pages": DemoPagesFile,
        "result": ResultFile, "board": BoardFile,
    }  # fmt: skip
    return json_schema(kinds[what])


def _schema(options: argparse.Namespace) -> int:
    print(schema_of(options.what), end="")
    return 0
