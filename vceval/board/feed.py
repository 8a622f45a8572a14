"""The Atom feed of a board: its newest results.

Source: Nottingham and Sayre, "The Atom Syndication Format", RFC 4287, 2005.
"""

from __future__ import annotations

from xml.etree import ElementTree

from vceval.board.assemble import Assembled

__all__ = ["atom"]

_NAMESPACE = "http://www.w3.org/2005/Atom"
#: Results that it holds.
_NEWEST = 100


def atom(found: Assembled) -> str:
    """Write the feed; links are relative to it."""
    ElementTree.register_namespace("", _NAMESPACE)
    names = found.intake.keys
    shown = [
        (row.published, suite, row, names[row.key])
        for suite in found.board.suites for table in suite.tables for row in table.rows if not row.control
    ]  # fmt: skip
    shown.sort(key=lambda one: (one[0], one[2].sha256), reverse=True)
    feed = _part(None, "feed")
    _part(feed, "title", "Voice conversion results")
    _part(feed, "id", "urn:vceval:board")
    _part(feed, "updated", found.board.newest or "1970-01-01T00:00:00Z")
    _part(feed, "link", rel="self", href="feed.xml")
    _part(feed, "link", rel="alternate", href="index.html")
    for published, suite, row, name in shown[:_NEWEST]:
        entry = _part(feed, "entry")
        _part(entry, "title", f"{row.title} on {suite.name}")
        _part(entry, "id", f"urn:sha256:{row.sha256}")
        _part(entry, "updated", published)
        _part(entry, "link", rel="alternate", href=row.page)
        _part(_part(entry, "author"), "name", name)
        older = f", replaces {len(row.history)} older" if row.history else ""
        _part(entry, "summary", f"{row.title}, converter {row.converter or 'not named'}, by {name}{older}.")
    return ElementTree.tostring(feed, encoding="unicode", xml_declaration=True) + "\n"


def _part(parent: ElementTree.Element | None, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    name = f"{{{_NAMESPACE}}}{tag}"
    made = ElementTree.Element(name, attributes) if parent is None else ElementTree.SubElement(parent, name, attributes)
    made.text = text or None
    return made
