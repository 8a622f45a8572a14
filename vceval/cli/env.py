"""``vceval env``: environments of their own on the command line."""

from __future__ import annotations

import argparse
import sys

from vceval.converters import environments

__all__ = ["add_commands"]


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
    make.add_argument("name", metavar="NAME", help=f"one of: {', '.join(environments.RECIPES)}")
    make.add_argument("--python", default=sys.executable, metavar="PROGRAM", help="interpreter to base it on")
    make.add_argument("--fresh", action="store_true", help="make it again even if it is there")
    make.set_defaults(command=_create)
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
    environments.create(options.name, options.python, options.fresh)
    return 0


def _list(options: argparse.Namespace) -> int:
    for name, recipe in environments.RECIPES.items():
        print(f"{name}  for {', '.join(recipe.serves)}: {environments.state(name).text}")
    return 0


def _path(options: argparse.Namespace) -> int:
    print(environments.place_of(options.name))
    return 0 if environments.state(options.name).usable else 1


def _remove(options: argparse.Namespace) -> int:
    environments.remove(options.name)
    print(f"Removed {environments.place_of(options.name)}")
    return 0
