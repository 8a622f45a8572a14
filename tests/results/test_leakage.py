"""The leakage audit: what is published of training speakers, in a run's files, its summary and its report."""

from __future__ import annotations

import csv
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from detector import Detector
from report_runs import FakeRun

from vceval import registry
from vceval.cli import main as cli
from vceval.converters.base import Converter, ConverterInfo
from vceval.converters.world import World
from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.reports.build import build
from vceval.results.leakage import EXPOSURES, audit, counts, exposure, published_source
from vceval.results.marks import rankings_of
from vceval.results.rundir import RunDirectory
from vceval.results.summary import summarise
from vceval.results.table import Tally

TABLE = files("vceval.converters") / "training_speakers.csv"


@pytest.mark.parametrize(
    ("converter", "corpus", "speaker", "expected"),
    [
        ("vevo", "vctk", "p225", "unseen"),  # trained on Emilia alone
        ("meanvc2", "libritts", "1188", "unseen"),
        ("vqmivc", "vctk", "p225", "unseen"),  # held out, all others trained on
        ("vqmivc", "vctk", "p226", "trained"),
        ("vqmivc", "vctk080", "p226", "trained"),
        ("vqmivc", "VCTK-Corpus-0.92", "P226", "trained"),
        ("vqmivc", "VCTK", "226", "trained"),
        ("vqmivc", "aishell3", "SSB0005", "unseen"),  # trained on VCTK alone
        ("vqmivc", "vcc2020", "TEF1", "unseen"),
        ("vqmivc", "librispeech", "1089", "unseen"),
        ("vqmivc", "mine", "p226", "unknown"),  # nobody knows what that corpus is
        ("vqmivc", "vctk", None, "unknown"),
        ("yourtts", "vctk", "p261", "unseen"),
        ("yourtts", "vctk", "p226", "trained"),
        ("yourtts", "libritts", "1188", "unseen"),
        ("yourtts", "libritts", "14", "unknown"),
        ("freevc", "vctk", "p280", "unseen"),
        ("freevc-24", "vctk", "p225", "trained"),
        ("freevc-s", "libritts", "1089", "unseen"),
        ("adainvc", "vctk", "p225", "unknown"),  # the list is not published
        ("adainvc", "vcc2020", "TEF1", "unseen"),
        ("againvc", "vctk", "p225", "unknown"),
        ("autovc", "vctk", "p225", "unknown"),
        ("maevc", "vctk", "p225", "unknown"),
        ("fragmentvc", "aishell3", "SSB0005", "unknown"),
        ("mediumvc", "vctk", "p249", "trained"),
        ("mediumvc", "vctk", "p250", "unknown"),
        ("knnvc", "librispeech", "19", "trained"),  # train-clean-100
        ("knnvc", "libritts", "19", "trained"),
        ("knnvc", "librispeech", "1089", "unseen"),
        ("knnvc", "vctk", "p225", "unseen"),
        ("openvoice", "vctk", "p225", "unknown"),
        ("openvoice", "demo", "slt", "unseen"),  # made for this package
        ("world", "vctk", "p225", "unseen"),  # nothing was trained
        ("world", "mine", None, "unseen"),
        ("command", "vctk", "p225", "unknown"),
        ("given", "vctk", "p225", "unknown"),
    ],
)
def test_what_is_published(converter, corpus, speaker, expected):
    assert exposure(converter, corpus, speaker) == expected


def test_the_table_is_well_formed():
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    registered = {*registry.names("converter"), "*"}
    assert len({(row["converter"], row["corpus"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["converter"] in registered, row
        assert row["corpus"] in {"vctk", "libri", "vcc2020", "aishell3", "demo", "*"}
        assert row["exposure"] in EXPOSURES
        assert row["speakers"]
        assert row["source"]
        # The rest of the corpus is spoken of exactly where not all of it is named
        assert (row["others"] in EXPOSURES) == (row["speakers"] != "*"), row
    assert len(next(row for row in rows if row["converter"] == "knnvc")["speakers"].split()) == 251


def test_what_is_known_of_a_converter_stands_in_one_place():
    with open(TABLE, encoding="utf-8", newline="") as stream:
        listed = {row["converter"] for row in csv.DictReader(stream)} - {"*"}
    stated = {
        name for name in registry.names("converter") if registry.load("converter", name).info.trained_on is not None
    }
    assert listed
    assert stated == {"adainvc-demo", "resynthesis", "source", "target", "world"}
    assert not listed & stated


def test_the_lists_that_were_gathered_are_all_in_the_table(shared):
    names = {"VQMIVC": "vqmivc", "YourTTS": "yourtts", "FreeVC": "freevc", "AdaIN-VC": "adainvc", "AGAIN-VC": "againvc"}
    with open(shared / "corpora" / "training_speakers.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with open(shared / "corpora" / "vctk_speakers.csv", encoding="utf-8", newline="") as stream:
        speakers = [row["speaker"] for row in csv.DictReader(stream)]
    assert len(rows) == len(names)
    for row in rows:
        listed = set(row["speakers"].split())
        for speaker in speakers:
            expected = "unknown" if row["split"] == "unknown" else "unseen" if speaker in listed else "trained"
            assert exposure(names[row["system"]], "vctk", speaker) == expected, (row["system"], speaker)


def test_what_a_converter_says_of_itself_comes_first(monkeypatch):
    class Mine(Converter):
        info = ConverterInfo("mine", "Mine", 16_000, "MIT", "", "native", trained_on={"VCTK": frozenset({"p225"})})

    load = registry.load
    monkeypatch.setattr(registry, "load", lambda kind, name: Mine if name == "vqmivc" else load(kind, name))
    assert exposure("vqmivc", "vctk", "p225") == "trained"
    assert exposure("vqmivc", "vctk", "p226") == "unseen"
    assert exposure("vqmivc", "aishell3", "SSB0005") == "unseen"
    assert exposure("vqmivc", "mine", "p225") == "unknown"


@pytest.mark.parametrize("foreign", [(), ("mine",)])
def test_a_system_with_a_model_for_each_target_was_trained_on_it_by_whoever(foreign):
    source, prompt = (Utterance(name, Path(name), "vctk") for name in "sp")
    pair = ConversionPair("1", "vctk", source=source, prompts=(prompt,), source_speaker="p225", target_speaker="p226")
    for name in ("rvc", "sovits"):
        [found] = audit({"mine": name}, [("mine", pair)], foreign)
        assert (found.source, found.target) == ("unknown", "trained"), name
    [found] = audit({"mine": "chatterbox"}, [("mine", pair)], foreign)
    assert (found.source, found.target) == ("unknown", "unknown")


def test_sources_are_named():
    assert "test speakers" in published_source("vqmivc", "VCTK")
    assert published_source("openvoice", "vctk") == ""


def test_speakers_are_looked_up_in_the_corpus_that_is_named():
    assert exposure("knnvc", "LibriTTS-R", "19") == exposure("knnvc", "libri", "19") == "trained"
    for mixed in ("LibriTTS-to-VCTK", "demonstration", "VoxCeleb"):  # speaker 19 of what?
        assert exposure("knnvc", mixed, "19") == "unknown"


def pair(identity: str, source: str, target: str, dataset: str = "vctk") -> ConversionPair:
    utterance = Utterance(identity, Path(f"{identity}.wav"), dataset, source)
    return ConversionPair(
        identity, dataset, utterance, (utterance,), source_speaker=source, target_speaker=target, direction="F2F"
    )


def test_pairs_are_marked_and_counted():
    # p225 is held out by VQMIVC and YourTTS, p231 by VQMIVC alone, p226 by nobody
    pairs = [pair("a", "p231", "p225"), pair("b", "p226", "p225"), pair("c", "p225", "p226")]
    found = audit({"one": "vqmivc", "two": "adainvc"}, [("one", p) for p in pairs] + [("two", p) for p in pairs[:1]])
    assert [(e.system, e.pair, e.source, e.target, e.trained) for e in found] == [
        ("one", "a", "unseen", "unseen", False),
        ("one", "b", "trained", "unseen", True),
        ("one", "c", "unseen", "trained", True),
        ("two", "a", "unknown", "unknown", False),
    ]
    assert counts(found, "target") == {"trained": 1, "unseen": 2, "unknown": 1}
    assert counts(found, "source") == {"trained": 1, "unseen": 2, "unknown": 1}


def test_a_source_of_another_corpus_is_looked_up_there():
    mixed = ConversionPair(
        "x", "vctk", Utterance("u", Path("u.wav"), "librispeech", "19"), source_speaker="19", target_speaker="p225"
    )
    [entry] = audit({"k": "knnvc"}, [("k", mixed)])
    assert (entry.source, entry.target) == ("trained", "unseen")


@pytest.fixture
def summary():
    """Two systems and a control; one system heard the speakers of half the pairs, where its values are high."""

    class Mean(Detector):
        measures = Detector.measures[:1]

    pairs = {p.id: p for p in [pair(f"seen{n}", "p231", "p226") for n in range(4)]}
    pairs |= {p.id: p for p in [pair(f"held{n}", "p231", "p225") for n in range(4)]}
    scores = [
        Score(system, name, "detector", "mean", value, value, 1.0)
        for system in ("one", "two", "source")
        for name in pairs
        for value in [10.0 if (system, name[:4]) == ("one", "seen") else 1.0]
        if (system, name) not in (("one", "seen0"), ("one", "held0"), ("one", "held1"))
    ]
    failures = [Failure("one", name, "convert", "", "broken") for name in ("seen0", "held0")]
    skips = [Skip("one", "held1", "detector", "mean", "other", "no")]
    systems = [{"name": n, "title": n, "expected": 8, "control": n == "source"} for n in ("one", "two", "source")]
    work = [(name, p) for name in ("one", "two") for p in pairs.values()]
    found = audit({"one": "vqmivc", "two": "world"}, work)
    return summarise(Tally(pairs, scores, failures, skips), systems, [Mean()], None, found)


def test_the_summary_has_the_figures_without_speakers_trained_on(summary):
    training = summary["training"]
    by_kind = {"trained": 4, "unseen": 4, "unknown": 0}
    assert training["systems"] == [
        {"system": "one", "pairs": 8, "left": 4, "targets": by_kind, "sources": {**by_kind, "trained": 0, "unseen": 8}},
        {"system": "two", "pairs": 8, "left": 8, "targets": {**by_kind, "trained": 0, "unseen": 8},
         "sources": {**by_kind, "trained": 0, "unseen": 8}},
    ]  # fmt: skip
    full = {c["system"]: c for c in summary["cells"] if (c["dataset"], c["direction"]) == ("all", "all")}
    left = {c["system"]: c for c in training["cells"]}
    assert [(c["dataset"], c["direction"]) for c in training["cells"]] == [("all", "all")] * 3
    assert (full["one"]["value"], full["one"]["n"], full["one"]["failed"]) == (pytest.approx(32 / 5), 5, 2)
    assert (left["one"]["value"], left["one"]["n"], left["one"]["failed"], left["one"]["skipped"]) == (1.0, 2, 1, 1)
    assert (left["two"]["n"], left["source"]["n"]) == (8, 8)
    assert not training["same_pairs"]


def test_systems_trained_on_the_same_speakers_are_ranked_without_them():
    """The figures that are left rest on the same pairs of all systems: one is ahead on these alone."""
    pairs = {p.id: p for p in [pair(f"seen{n}", "p231", "p226") for n in range(6)]}
    sources, targets = ("p231", "p258", "p262"), ("p225", "p239", "p243", "p251")
    pairs |= {p.id: p for p in [pair(f"held{n}", sources[n % 3], targets[n % 4]) for n in range(12)]}
    scores = [
        Score(system, name, "detector", "mean", value, value, 1.0)
        for system in ("one", "two")
        for number, name in enumerate(pairs)
        for value in [
            (5.0 if system == "two" else 3.0) * (-1 if name[:4] == "seen" else 1)
            + number * (2 if system == "two" else 3) % 7 / 10
        ]
    ]
    systems = [{"name": n, "title": n, "expected": 18, "control": False} for n in ("one", "two")]
    found = audit({"one": "vqmivc", "two": "vqmivc"}, [(name, p) for name in ("one", "two") for p in pairs.values()])
    training = summarise(Tally(pairs, scores), systems, [Detector()], None, found)["training"]
    assert training["same_pairs"]
    ranking = rankings_of(training["rankings"], training["comparisons"])["mean", "all", "all"]
    assert (ranking.pairs, ranking.best, ranking.second) == (12, {"two"}, {"one"})


def test_without_an_audit_there_is_no_section(summary):
    assert summarise(Tally({}), [], [Detector()])["training"] is None


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A finished run whose first system was trained on a quarter of the pairs' speakers."""
    fake = FakeRun(tmp_path / "run", tmp_path / "corpus")
    for number in range(8):
        fake.pair(f"q{number}", "p1", f"p{1 + number % 4}", "vctk")
    names = [p.id for p in fake.pairs]
    fake.system("good", names, "Good & system", level=0.5)
    fake.system("bad", names, level=2.0)
    fake.system("source", names, control=True)
    kinds = {"trained": 2, "unseen": 2, "unknown": 4}
    cells = [{**c, "n": 6, "expected": 6} for c in fake.cells() if (c["dataset"], c["direction"]) == ("all", "all")]
    none = {"trained": 0, "unseen": 8, "unknown": 0}
    training = {
        "systems": [
            {"system": "good", "pairs": 8, "left": 6, "targets": kinds, "sources": none},
            {"system": "bad", "pairs": 8, "left": 8, "targets": none, "sources": none},
        ],
        "same_pairs": False,
        "cells": cells,
    }
    return fake.finish(training=training)


def test_the_report_shows_counts_and_the_table_again(run):
    build(run)
    page = (run.report / "index.html").read_text(encoding="utf-8")
    section = page.split('<section id="training"')[1].split("</section>")[0]
    assert "Results without speakers trained on" in section
    assert 'class="num best"' not in section
    assert "not a ranking on equal terms" in section
    assert "6/6" in section
    assert '<a href="#training">' in page
    sentence = "Trained on the target or source speaker: Good &amp; system (2 of 8 pairs)"
    assert page.count(sentence) >= 2  # at the top, and in the caption of the main table
    tables = run.report / "tables"
    rows = list(csv.reader((tables / "training.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][:5] == ["System", "Pairs", "Target trained", "Target unseen", "Target unknown"]
    assert rows[1] == ["Good & system", "8", "2", "2", "4", "0", "8", "0", "6"]
    assert "without speakers trained on" in (tables / "main_unseen.md").read_text(encoding="utf-8")
    assert "2 of 8 pairs" in (tables / "main.tex").read_text(encoding="utf-8")
    cells = list(csv.DictReader((tables / "main_unseen.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["n"] for row in cells} == {"6"}


def test_a_system_of_which_nothing_is_left_is_named(run):
    summary = run.read_json("summary.json")
    summary["training"]["systems"][0]["left"] = 0
    run.write_json("summary.json", summary)
    build(run)
    assert "No pair is left of: Good &amp; system." in (run.report / "index.html").read_text(encoding="utf-8")


def test_where_no_speaker_was_trained_on_the_table_is_not_repeated(run):
    summary = run.read_json("summary.json")
    summary["training"]["cells"] = []
    summary["training"]["systems"][0]["left"] = 8
    run.write_json("summary.json", summary)
    build(run)
    assert not (run.report / "tables" / "main_unseen.md").exists()
    page = (run.report / "index.html").read_text(encoding="utf-8")
    assert "Training speakers" in page
    assert "Trained on the target or source speaker" not in page


def test_a_real_run_writes_the_audit(tmp_path, monkeypatch):
    """A converter that was trained on two of the demo's voices, by its own word."""
    monkeypatch.chdir(tmp_path)
    info = ConverterInfo("world", "World", 16_000, "x", "", "native", trained_on={"demo": frozenset({"slt", "kal"})})
    monkeypatch.setattr(World, "info", info)
    options = ["--limit", "8", "--converters", "source,world", "--metrics", "sanity", "--workers", "1"]
    assert cli.main(["run", *options]) == 0
    folder = RunDirectory(tmp_path / "runs" / "demo")
    pairs = {row["pair"]: row for row in folder.read_pairs()}
    rows = folder.read_leakage()
    assert {row["system"] for row in rows} == {"world"}
    assert {row["pair"] for row in rows} == set(pairs)
    for row in rows:
        for role in ("source", "target"):
            heard = pairs[row["pair"]][f"{role}_speaker"] in ("slt", "kal")
            assert row[f"{role}_exposure"] == ("trained" if heard else "unseen")
    [entry] = folder.read_json("summary.json")["training"]["systems"]
    trained = sum("trained" in (row["source_exposure"], row["target_exposure"]) for row in rows)
    assert 0 < trained < 8
    assert entry["left"] == 8 - trained
    assert "main_unseen" in (folder.report / "index.html").read_text(encoding="utf-8")


def test_no_native_converter_with_weights_claims_to_be_untrained():
    for name in registry.names("converter"):
        if find_spec(registry.origin("converter", name).partition(":")[0]) is None:
            continue
        kind = registry.load("converter", name)
        if getattr(kind, "files", ()):
            assert kind.info.trained_on is None or kind.info.trained_on, name
