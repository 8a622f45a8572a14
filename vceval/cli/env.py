"""``vceval env``: environments of their own on the command line."""

from __future__ import annotations

import argparse
import sys

from vceval import registry
from vceval.results import terminal

__all__ = ["add_commands"]

#: Columns by which what does not fit a line of the list is set in.
_INDENT = 4


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval env`` to the parser."""
    top = commands.add_parser("env", help="make, list and remove environments for systems with needs of their own")
    actions = top.add_subparsers(title="actions", metavar="ACTION", required=True)
    make = actions.add_parser(
        "create",
        help="make an environment; packages come from wherever pip is configured to look",
        description="Needs about 2 GB with a torch for CPUs and several times that with one for CUDA; which one comes "
        "is up to pip's configuration (pip config, PIP_INDEX_URL, PIP_FIND_LINKS).",
    )
    make.add_argument("name", metavar="NAME", help=f"one of: {', '.join(registry.recipe_folders())}")
    make.add_argument("--python", default=sys.executable, metavar="PROGRAM", help="interpreter to base it on")
    make.add_argument("--fresh", action="store_true", help="make it again even if it is there")
    make.add_argument(
        "--checkout", default="", metavar="DIR", help="your clone of the repository, for recipes that run from one"
    )
    make.set_defaults(command=_create)
    test = actions.add_parser(
        "test",
        help="convert three pairs with made-up weights of the right shapes; say what that does not prove",
        description="Needs the environment, and no weights. Exit code 1 where a pair fails.",
    )
    test.add_argument("name", metavar="NAME")
    test.add_argument("--weights", default="", metavar="DIR", help="use the files in this folder instead")
    test.add_argument(
        "--keep",
        default="",
        metavar="DIR",
        help="leave the made-up weights in this new folder, with a file for run --systems",
    )
    test.set_defaults(command=_test)
    listing = actions.add_parser("list", help="say which there are, and what runs in them")
    listing.set_defaults(command=_list)
    for word, meaning, command in (
        ("path", "print its folder; exit code 1 where it can't be used", _path),
        ("remove", "remove it", _remove),
    ):
        action = actions.add_parser(word, help=meaning)
        action.add_argument("name", metavar="NAME")
        action.set_defaults(command=command)


def _create(options: argparse.Namespace) -> int:
    from vceval.converters import environments

    environments.create(options.name, options.python, options.fresh, options.checkout)
    return 0


def _test(options: argparse.Namespace) -> int:
    from vceval.conformance.trial import try_recipe

    return try_recipe(options.name, options.weights, options.keep)


def _list(options: argparse.Namespace) -> int:
    from vceval.converters import environments

    for name in registry.recipe_folders():
        licence = registry.load("converter", name).info.licence
        print(terminal.line(f"{name}  [{licence}]: {environments.state(name).text}", _INDENT))
    return 0


def _path(options: argparse.Namespace) -> int:
    from vceval.converters import environments

    print(environments.place_of(options.name))
    return 0 if environments.state(options.name).usable else 1


def _remove(options: argparse.Namespace) -> int:
    from vceval.converters import environments

    environments.remove(options.name)
    print(f"Removed {environments.place_of(options.name)}")
    return 0
