"""References: every paper that a run rests on is there, under a key that stays, in BibTeX that works."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import report_runs

from vceval import registry
from vceval.reports.bibliography import bibtex, references
from vceval.results import views
from vceval.results.views import MetricView, Report, SystemView

#: Keys that papers cite: none may be renamed or dropped.
PUBLISHED_KEYS = {
    "anastassiou2024seedtts", "baas2023knnvc", "black2001flite", "casanova2022yourtts", "chen2021againvc",
    "chou2019adainvc", "desplanques2020ecapa", "gu2021mediumvc", "hsu2016vae", "huang2022s3prlvc",
    "hugginsdaines2006pocketsphinx", "kaneko2019starganvc2", "kubichek1993mcd", "li2023freevc", "lin2021fragmentvc",
    "liu2024seedvc", "maevc2022", "morise2016world", "panayotov2015librispeech", "qian2019autovc",
    "qin2023openvoice", "radford2023whisper", "reddy2022dnsmos", "saeki2022utmos", "shi2021aishell3",
    "sim2024skqvc", "stahl2025distillmos", "tang2021clsvc", "veaux2017vctk", "wan2018ge2e", "wang2021vqmivc",
    "wu2020vqvcplus", "yamagishi2019vctk", "zen2019libritts", "zhao2020vcc",
}  # fmt: skip


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return views.load(report_runs.single(tmp_path))


def system(name: str, converter: str = "given") -> SystemView:
    return SystemView(name, name, False, "", converter, None, "", "", 1, 1, 0)


def keys(text: str) -> set[str]:
    return set(re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE))


def test_keys_stay() -> None:
    assert set(references()) >= PUBLISHED_KEYS


@pytest.mark.parametrize("key", references())
def test_every_reference_says_what_it_is_cited_for(key: str) -> None:
    entry = references()[key]
    assert entry["title"]
    assert 1970 < entry["year"] < 2100
    assert entry["type"] in ("inproceedings", "article", "misc")
    assert any(entry.get(kind) for kind in ("systems", "corpora", "metrics", "parts"))
    if entry["type"] != "misc":
        assert entry.get("booktitle") or entry.get("journal")
    assert re.fullmatch(r"\d{4}\.\d{5}", entry.get("eprint", "0000.00000"))


def test_every_converter_with_a_paper_has_its_reference(report: Report) -> None:
    for name in registry.names("converter"):
        if name in ("chunked", "command", "precomputed", "source", "target"):
            continue
        found = keys(bibtex(replace(report, systems=[system("mine", name)], metrics={}, datasets=[])))
        assert len(found) == 1, name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("AdaIN-VC", "chou2019adainvc"), ("FreeVC-wo-SR", "li2023freevc"), ("VQVC+-37", "wu2020vqvcplus"),
        ("StarGAN-VC2", "kaneko2019starganvc2"), ("MediumVC-WO-S", "gu2021mediumvc"), ("vae-gan", None),
        ("HLE-VQVAE", None), ("my own system", None),
    ],
)  # fmt: skip
def test_systems_are_known_by_the_names_people_use(report: Report, name: str, key: str | None) -> None:
    found = keys(bibtex(replace(report, systems=[system(name)], metrics={}, datasets=[])))
    assert found == ({key} if key else set())


def test_metrics_and_corpora_bring_their_papers(report: Report) -> None:
    signatures = {
        "mcd": "MCD|sp:world-power|order:24|v:1.0",
        "sv": "SV|enc:ecapa-00000000|v:1.0",
        "wer:s3prl": "WER:s3prl|asr:whisper-base.en,greedy|norm:s3prl-1|v:1.0",
        "sv:spoof-eer": "SPOOF-EER|enc:resemblyzer-0.1.4|v:1.0",
        "mos": "MOS|model:distillmos-v7-b18b3ac6|v:2.0",
        "mos:dnsmos": "MOS|model:dnsmos-269fbebd|v:1.0",
    }
    metrics = {name: MetricView(name, name, text, "") for name, text in signatures.items()}
    found = keys(bibtex(replace(report, systems=[], metrics=metrics, datasets=["VCTK-Corpus-0.92", "LibriTTS"])))
    assert found == {
        "kubichek1993mcd", "morise2016world", "desplanques2020ecapa", "radford2023whisper", "huang2022s3prlvc",
        "wan2018ge2e", "baas2023knnvc", "reddy2022dnsmos", "stahl2025distillmos", "yamagishi2019vctk",
        "zen2019libritts",
    }  # fmt: skip


def test_every_corpus_has_its_paper(report: Report) -> None:
    for name in registry.names("corpus"):
        if name == "csv":
            continue
        info = registry.load("corpus", name).info
        assert keys(bibtex(replace(report, systems=[], metrics={}, datasets=[info.title]))), name


def test_bibtex_reads_every_entry(report: Report, tmp_path: Path) -> None:
    program = shutil.which("bibtex")
    if program is None:
        pytest.skip("bibtex is not installed")
    signature = "|".join(part for entry in references().values() for part in entry.get("parts", ()))
    everything = replace(
        report,
        systems=[system("m@il {x} %", name) for name in registry.names("converter")],
        datasets=["VCTK", "VCTK 0.80", "LibriSpeech", "LibriTTS", "VCC2020", "AISHELL-3", "demo"],
        metrics={"mcd": MetricView("mcd", "MCD", signature, "")},
    )  # fmt: skip
    text = bibtex(everything)
    assert keys(text) == set(references())
    assert text.isascii()
    (tmp_path / "references.bib").write_text(text, encoding="ascii")
    (tmp_path / "all.aux").write_text("\\citation{*}\n\\bibstyle{plain}\n\\bibdata{references}\n", encoding="ascii")
    done = subprocess.run([program, "all"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stdout.splitlines() if "rror" in line]
    assert done.returncode == 0, done.stdout
    assert not complaints
    made = (tmp_path / "all.bbl").read_text(encoding="ascii")
    assert made.count("\\bibitem{") == len(references())
