"""What demo pages have published: source, prompts and conversion, by system; the catalogue that ``reproduce`` reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field

from vceval.converters.demo_words import Done
from vceval.protocol.schema import Section, Text, read_document

__all__ = ["Case", "DemoPagesFile", "Remote", "cases_of", "read_pages"]


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"is no SHA-256 of 64 hexadecimal digits: {text}")
    return text


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"is no address of http or https: {text}")
    return text


class PublishedFile(Section):
    """One file of a page."""

    path: Text
    """Behind the page's address of files."""

    sha256: Annotated[Text, AfterValidator(_digest)]
    """Of the file as it was published: another one is refused."""


class DemoConversion(Section):
    """One source in one voice, and what systems made of it."""

    source: PublishedFile
    """What was converted."""

    prompts: Annotated[tuple[PublishedFile, ...], Field(strict=False, min_length=1)]
    """What the voice was taken from."""

    published: Annotated[dict[str, PublishedFile], Field(min_length=1)]
    """The conversions, by the converter's name in ``vceval list converters``."""

    note: Text = "none"
    """What has to be known of it."""


class DemoPage(Section):
    """A page with conversions."""

    title: Text
    """What people call it."""

    page: Annotated[Text, AfterValidator(_address)]
    """Where people see it."""

    files: Annotated[Text, AfterValidator(_address)]
    """What the paths of its files are put behind; of one fixed state of the page."""

    authors_of: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Converters whose authors made the page; what it has of others was made by other people."""

    note: Text = "none"
    """What has to be known of the page."""

    did: dict[str, Annotated[tuple[Done, ...], Field(strict=False)]] = Field(default_factory=dict)
    """What the page did to the conversions of a converter, beyond rounding them to 16 bits."""

    conversions: Annotated[dict[str, DemoConversion], Field(min_length=1)]
    """By a name of the pair."""


class DemoPagesFile(Section):
    """Pages by a short name: the file for vceval reproduce --pages."""

    pages: Annotated[dict[str, DemoPage], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that is to be fetched: its address, and the SHA-256 that it must have."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.url).name


@dataclass(frozen=True, slots=True)
class Case:
    """One published conversion of one system. ``did``: what the page did to it; ``own``: its authors made the page."""

    id: str
    system: str
    title: str
    page: str
    source: Remote
    prompts: tuple[Remote, ...]
    published: Remote
    did: tuple[Done, ...]
    own: bool
    notes: tuple[str, ...]


@cache
def read_pages(path: Path | None = None) -> Mapping[str, DemoPage]:
    """Read a catalogue of pages, by default the one of vceval.

    Raises:
        UsageError: it is missing, or something in it is not as it must be.
    """
    return read_document(path or Path(__file__).with_name("demo_pages.yaml"), DemoPagesFile).pages


def cases_of(system: str, path: Path | None = None) -> list[Case]:
    """Give the published conversions of a converter: first those whose page its own authors made.

    Raises:
        UsageError: as :func:`read_pages`.
    """
    found = []
    for page_name, page in read_pages(path).items():
        for name, one in page.conversions.items():
            if system not in one.published:
                continue

            def remote(file: PublishedFile, base: str = page.files) -> Remote:
                return Remote(base + quote(file.path), file.sha256)

            notes = tuple(note for note in (page.note, one.note) if note != "none")
            found.append(
                Case(
                    f"{page_name}/{name}", system, page.title, page.page, remote(one.source),
                    tuple(remote(prompt) for prompt in one.prompts), remote(one.published[system]),
                    tuple(page.did.get(system, ())), system in page.authors_of, notes,
                )
            )  # fmt: skip
    return sorted(found, key=lambda case: not case.own)
