"""``vceval completion``: what a shell reads to complete vceval's commands and options."""

from __future__ import annotations

import argparse

__all__ = ["add_commands", "script"]

SHELLS = ("bash", "fish", "zsh")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval completion`` to the parser; ``options.top`` is what is completed."""
    completion = commands.add_parser(
        "completion",
        help="print what a shell reads to complete commands and options",
        description="Save it where your shell looks: ~/.local/share/bash-completion/completions/vceval for bash, "
        "~/.config/fish/completions/vceval.fish for fish, a file _vceval in a folder of $fpath for zsh.",
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(command=_completion)


def script(shell: str, top: argparse.ArgumentParser) -> str:
    """Write the completion of a parser's commands for one shell; the parser is changed."""
    import shtab

    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):  # no shell sees a command of two words as one
            for name in [name for name in action.choices if " " in name]:
                del action.choices[name]
            action._choices_actions = [one for one in action._choices_actions if " " not in one.dest]
    _files(top)
    written: str = shtab.complete(top, shell)
    return written


def _files(parser: argparse.ArgumentParser) -> None:
    """Complete names of files after options that take one."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in dict.fromkeys(action.choices.values()):
                _files(one)
        elif getattr(action.type, "__name__", "") == "Path":
            setattr(action, "complete", shtab.FILE)  # noqa: B010 - where shtab looks


def _completion(options: argparse.Namespace) -> int:
    print(script(options.shell, options.top), end="")
    return 0
