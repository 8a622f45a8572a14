"""No system is ranked by an encoder that it was made with, or by one related to it."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
from made_outcomes import ACCEPT, outcomes_of

from vceval import registry
from vceval.errors import UsageError
from vceval.protocol.manifest import read_table
from vceval.protocol.systems import read_systems, system_of
from vceval.records import System
from vceval.results.encoder_audit import _table, encoders_of, kin, namesake, unsaid
from vceval.results.marks import mark_sentence, rankings_of
from vceval.results.panel import panels_of
from vceval.results.ranking import ranked


def metrics(*names: str) -> list[object]:
    return [registry.load("metric", name)() for name in names]


def test_every_converter_says_its_encoders() -> None:
    controls = {"source", "target", "resynthesis", "command", "precomputed", "chunked"}
    own = {n for n in registry.names("converter") if registry.origin("converter", n).startswith("vceval.")}
    unpublished = {n for n in own if registry.origin("converter", n).startswith("vceval.converters.unpublished")}
    declared = {name for name in own if registry.load("converter", name).info.encoders is not None}
    assert own - controls - unpublished <= set(_table()) | declared


def test_own_and_related_encoders_are_found() -> None:
    systems = [
        System("MediumVC", "given"), System("mine", "freevc"), System("y", "yourtts"), System("knn", "knnvc"),
        System("fast", "chunked", {"of": "freevc"}), System("streamed", "given", {"of": "freevc"}),
        System("declared", "command", encoders=("campplus", "resemblyzer")), System("AdaIN-VC", "given"),
    ]  # fmt: skip
    found = kin(systems, metrics("sv", "sv:dvector", "sv:campplus", "mcd"))
    assert found == {
        ("MediumVC", "sv:dvector"): "conditioned on this encoder",
        ("mine", "sv"): "conditioned on GE2E, the same network with other weights",
        ("fast", "sv"): "conditioned on GE2E, the same network with other weights",
        ("streamed", "sv"): "conditioned on GE2E, the same network with other weights",
        ("declared", "sv"): "made with this encoder",
        ("declared", "sv:campplus"): "made with this encoder",
    }
    # What is declared replaces what is known
    assert encoders_of(System("MediumVC", "given", encoders=())) == {}


def test_converted_elsewhere_belongs_to_the_converter_of_its_name() -> None:
    assert namesake("MediumVC") == namesake("medium_vc") == "mediumvc"
    assert namesake("FreeVC-s") == "freevc-s"
    assert namesake("MediumVC-WO-S") == namesake("my system") == ""


def test_a_variant_that_says_nothing_is_ranked_and_told() -> None:
    systems = [
        System("MediumVC-WO-S", "given"), System("MediumVC-said", "given", encoders=()), System("MediumVC", "given"),
        System("FreeVC-s", "given"), System("FragmentVC-5utt", "given"), System("own", "command"),
    ]  # fmt: skip
    [told] = unsaid(systems, metrics("sv", "sv:dvector"))
    assert told.startswith("MediumVC-WO-S is named like mediumvc, and mediumvc is conditioned on this encoder (sv:dve")
    assert "column 'encoders': dvector" in told
    assert unsaid(systems, metrics("sv", "mcd")) == []


def test_a_plug_in_declares_its_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    world = registry.load("converter", "world")
    monkeypatch.setattr(world, "info", dataclasses.replace(world.info, encoders={"dvector": "trained to please"}))
    assert kin([System("w", "world")], metrics("sv:dvector")) == {("w", "sv:dvector"): "trained to please this encoder"}
    wrong = dataclasses.replace(world.info, encoders=["dvector"])
    assert any("encoders" in fault for fault in wrong.declaration_faults())


def test_systems_declare_theirs(tmp_path: Path) -> None:
    assert system_of("mine[dvector, ge2e]=command:python w.py").encoders == ("dvector", "ge2e")
    assert system_of("mine=command:python w.py").encoders is None
    assert system_of("mine[]=precomputed:x").encoders == ()
    with pytest.raises(UsageError, match="stand in brackets after its name"):
        system_of("mine[dvector=command:x")
    (tmp_path / "s.yaml").write_text(
        "systems:\n  mine: {converter: command, command: [x], encoders: [campplus]}\n  other: {converter: world}\n"
    )
    mine, other = read_systems(tmp_path / "s.yaml")
    assert (mine.encoders, dict(mine.options)) == (("campplus",), {"command": ["x"]})
    assert other.encoders is None


def test_tables_of_conversions_declare_theirs(tmp_path: Path) -> None:
    rows = ["system,converted,target,encoders", "a,1.wav,t.wav,dvector", "a,2.wav,t2.wav,", "b,3.wav,t.wav,"]
    (tmp_path / "c.csv").write_text("\n".join(rows))
    assert read_table(tmp_path / "c.csv").encoders == {"a": ("dvector",)}
    (tmp_path / "c.csv").write_text("\n".join([*rows, "a,4.wav,t3.wav,ge2e"]))
    with pytest.raises(UsageError, match=r"c\.csv.*a has the encoders.*ge2e.*dvector.* before"):
        read_table(tmp_path / "c.csv")


def test_kin_are_shown_and_not_ranked() -> None:
    given = {
        name: {"accept": [1.0 if n % 20 < share else 0.0 for n in range(40)]}
        for name, share in (("A", 20), ("B", 14), ("C", 2))
    }
    outcomes = outcomes_of(given, [ACCEPT])
    plain = rankings_of(*ranked(outcomes, list(given), [ACCEPT]))["accept", "all", "all"]
    assert plain.order[0] == "A"
    own = {("A", "sv"): "conditioned on this encoder"}
    found = rankings_of(*ranked(outcomes, list(given), [ACCEPT], kin=own))["accept", "all", "all"]
    assert list(found.order) == ["B", "C"]
    assert found.unranked == {"A": "conditioned on this encoder"}
    assert outcomes.cell("A", ACCEPT, outcomes.everything).value == 1.0
    words = mark_sentence([("SV acc.", found)], {"A": "System A"})
    assert "Shown, not ranked: System A (conditioned on this encoder)." in words


def test_a_panel_says_how_far_encoders_agree_and_whom_they_turn_round() -> None:
    measures = [
        replace(ACCEPT, name=name, metric=metric, question="voice")
        for name, metric in (("sv_accept", "sv"), ("sv_accept:x", "sv:x"))
    ]
    given = {
        system: {
            name: [1.0 if (7 * n + n // 20) % 20 < share[place] else 0.0 for n in range(40)]
            for name, share in (("sv_accept", (19, 12, 2)), ("sv_accept:x", (2, 12, 19)))
        }
        for place, system in enumerate("ABC")
    }
    outcomes = outcomes_of(given, measures)
    _, comparisons = ranked(outcomes, list("ABC"), measures)
    named = [replace(measure, thresholded="cos") for measure in measures]
    [panel] = panels_of(outcomes, list("ABC"), [("sv", "One"), ("sv:x", "Two"), ("mcd", "")], named, comparisons, {})
    [agreement] = panel["agreement"]
    assert agreement["tau"] == -1.0
    assert ["A", "C"] in agreement["against"]
    assert (agreement["first"], agreement["second"], agreement["systems"]) == ("One", "Two", 3)
    own = {("A", "sv:x"): "made with this encoder"}
    [panel] = panels_of(outcomes, list("ABC"), [("sv", "One"), ("sv:x", "Two")], named, comparisons, own)
    assert panel["agreement"][0]["left_out"] == ["A"]
    assert panels_of(outcomes, list("ABC"), [("sv", "One"), ("sv:x", "One")], named, comparisons, {}) == []
