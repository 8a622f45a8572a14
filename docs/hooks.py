"""What the build adds to the pages: the command line, from its parser, and pages that lie elsewhere."""

from __future__ import annotations

import argparse
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
#: Pages and pictures that stay where they are and are part of the site all the same.
ELSEWHERE = ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/*/README.md", "benchmarks/*/*.png", "reports/example.png")
PAGES = "docs/pages/"
LINK = re.compile(r"\]\((?P<path>(?![a-z]+:)[^)#\s]+)")
COMMANDS = "<!-- commands -->"
#: Marks in docstrings that the code's editors read and a page does not need.
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command ``vceval``."""
    from vceval.cli.main import parser as made

    return made()


def commands(top: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """List a parser's commands and theirs, in the order of the help."""
    found = []
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in dict.fromkeys(action.choices.values()):
                found += [one, *commands(one)]
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere; ``benchmarks/speed/README.md`` is ``benchmarks/speed.md`` of the site."""
    for place, page in _added().items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the command line in its place, and turn links out of the folder of the pages into links to added pages."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, "\n".join(_shown(one) for one in commands(parser())))
    added = _added()
    origin = {uri: place for place, uri in added.items()}.get(page.file.src_uri, f"{PAGES}{page.file.src_uri}")

    def link(match: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(origin), match["path"]))
        found = added.get(place, place.removeprefix(PAGES))
        if files.get_file_from_path(found) is None:
            return match[0]
        return f"]({posixpath.relpath(found, posixpath.dirname(page.file.src_uri) or '.')}"

    return LINK.sub(link, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show docstrings without their marks, ``:meth:`` and ``::``."""
    return ROLE.sub("", html).replace("::</p>", ":</p>")


def _added() -> dict[str, str]:
    """From paths in the repository to those in the site."""
    places = [path.relative_to(ROOT).as_posix() for pattern in ELSEWHERE for path in sorted(ROOT.glob(pattern))]
    return {place: place.replace("/README.md", ".md") for place in places}


def _shown(command: argparse.ArgumentParser) -> str:
    name = command.prog
    return f"## {name}\n\n```text\n{_help(command)}```\n"


def _help(command: argparse.ArgumentParser) -> str:
    class Wide(command.formatter_class):  # type: ignore[name-defined, misc]
        """The same at any width of the terminal that the site is built in."""

        def __init__(self, prog: str) -> None:
            super().__init__(prog, width=80)

    command.formatter_class = Wide
    return command.format_help()
