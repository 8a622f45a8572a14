"""The notebook of the examples: it runs as it stands, and shows what was seen when it ran."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
#: Beginnings of paths of one machine.
PLACES = re.compile(r"/(?:home|root|tmp|work|Users|mnt|opt|var|usr)/")


def outputs(cell: dict[str, Any]) -> list[str]:
    """What a cell shows, by kind; what is told on the way is left out."""
    kinds = []
    for one in cell["outputs"]:
        if one["output_type"] == "stream":
            kinds += [one["name"]] if one["name"] != "stderr" else []
        else:
            assert one["output_type"] in ("execute_result", "display_data"), one
            kinds += sorted(one["data"])
    return kinds


def cells(book: Any) -> list[dict[str, Any]]:
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return found


def test_what_is_stored_is_small_and_of_no_machine(stored: dict[str, Any]) -> None:
    assert NOTEBOOK.stat().st_size < 400_000
    for cell in cells(stored):
        text = json.dumps({**cell, "outputs": [_without_sounds(one) for one in cell["outputs"]]})
        assert not PLACES.search(text), text[:2000]
        assert "stderr" not in {one.get("name") for one in cell["outputs"]}
    assert all(cell["outputs"] for cell in cells(stored))
    assert any("audio/mpeg" in json.dumps(cell) for cell in cells(stored))


def _without_sounds(output: dict[str, Any]) -> dict[str, Any]:
    data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
    if "text/html" in data:
        data["text/html"] = re.sub(r"data:audio/mpeg;base64,[A-Za-z0-9+/=]+", "", "".join(data["text/html"]))
    return {**output, "data": data}


def test_it_runs_and_shows_the_same_kinds_of_things(
    stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "executing a notebook needs nbclient, nbformat and ipykernel: pip install 'vceval[test]'"
    nbformat = pytest.importorskip("nbformat", reason=why)
    nbclient = pytest.importorskip("nbclient", reason=why)
    pytest.importorskip("ipykernel", reason=why)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(NOTEBOOK, 4)
    nbclient.NotebookClient(
        book, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert [outputs(cell) for cell in cells(book)] == [outputs(cell) for cell in cells(stored)]
    assert (tmp_path / "runs" / "notebook" / "report" / "index.html").is_file()
