"""A parser that names the nearest right word, shows examples, and looks names up only where help is printed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from vceval.cli.examples import EXAMPLES
from vceval.registry import did_you_mean

__all__ = ["Parser", "knows"]

_EXAMPLES = "examples:\n"


class _Help(argparse.HelpFormatter):
    """Help whose examples stay on lines of their own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrapped, mark, examples = text.partition(_EXAMPLES)
        return "\n\n".join(
            filter(None, (super()._fill_text(wrapped, width, indent) if wrapped else "", mark + examples))
        )


class Parser(argparse.ArgumentParser):
    """A command; what is wrong with its words is said in one line, with the nearest that it knows."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("formatter_class", _Help)
        super().__init__(*arguments, **options)

    def format_help(self) -> str:
        """The help, with the command's examples at the end."""
        epilog, shown = self.epilog, EXAMPLES.get(self.prog.partition(" ")[2], ())
        try:
            if shown:
                self.epilog = (epilog or "") + _EXAMPLES + "\n".join(f"  {example}" for example in shown)
            return super().format_help()
        finally:
            self.epilog = epilog

    def parse_known_args(self, *arguments: Any, **options: Any) -> tuple[Any, list[str]]:
        """Parse; a command without commands of its own refuses what it does not know itself."""
        found, rest = super().parse_known_args(*arguments, **options)
        if rest and self._subparsers is None:
            self._unknown(rest)
        return found, rest

    def _unknown(self, words: Sequence[str]) -> NoReturn:
        word = next((word for word in words if word.startswith("-")), words[0])
        if not word.startswith("-"):
            self.error(f"does not take {word!r}")
        name = word.partition("=")[0]
        known = {option.lstrip("-"): option for option in self._option_string_actions}
        self.error(f"unknown option {name}{did_you_mean(name.lstrip('-'), known, shown=known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices if " " not in str(choice)]
            what = action.metavar if isinstance(action.metavar, str) else "/".join(action.option_strings) or "name"
            hint = did_you_mean(str(value), known) or f"; known: {', '.join(known)}"
            raise argparse.ArgumentError(None, f"unknown {what.lower()} {str(value)!r}{hint}")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and where help is."""
        message = re.sub(r"^the following arguments are required: ", "required: ", message)
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")


class _Known:
    """Names that are looked up when they are printed."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    def __str__(self) -> str:
        return ", ".join(self._names())


def knows(action: argparse.Action, names: Callable[[], Iterable[str]]) -> None:
    """Let the help of an option say ``%(known)s``: names that cost time to find."""
    setattr(action, "known", _Known(names))  # noqa: B010 - argparse puts attributes of an action into its help
