"""A large report: the page stays small, its data lies in chunks, and the browser loads only what it shows."""

from __future__ import annotations

import importlib.util
import resource
from pathlib import Path
from types import ModuleType

import pytest
from pages import OpenPage, wait_for
from places import ROOT

from vceval.reports import figures
from vceval.reports.build import make
from vceval.reports.samples import CHUNK

PAIRS = 600


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = ROOT / "benchmarks" / "speed" / "report.py"
    spec = importlib.util.spec_from_file_location("large_report", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_large_page_is_small_and_loads_what_it_shows(
    generator: ModuleType, open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "draw", lambda *_: ([], []))
    run = generator.write_run(tmp_path / "run", PAIRS, 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    index = make([run], run.report, spectrograms=0).index
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert index.stat().st_size < 200_000
    assert len(list(run.report.glob("data/samples-*.js"))) == -(-PAIRS // CHUNK)
    page, seen = open_page(index)
    assert not [url for url in seen.requests if "samples-" in url]
    page.evaluate("document.getElementById('samples').scrollIntoView()")
    wait_for(page, "document.querySelectorAll('article.sample').length === 10")
    assert len({url for url in seen.requests if "samples-" in url}) == 1
    assert page.inner_text(".pager span") == f"of {PAIRS // 10}"
    page.evaluate("document.querySelector('.pager input').value = 60")
    page.evaluate("document.querySelector('.pager input').dispatchEvent(new Event('change'))")
    last = run.read_pairs()[-1]["pair"]
    wait_for(page, f"[...document.querySelectorAll('article.sample h3')].some((one) => one.textContent === '{last}')")
    assert page.evaluate("document.querySelectorAll('*').length") < 6000
    assert seen.errors == []
