"""What the gate can see: figures that simulation agrees with, blindness that is said and acted on, plans."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import RULES, MadeRun, write_rules

from vceval.benchmarks.simulations.nights import Pattern, measured_noise, simulate
from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.gate import outputs, plan
from vceval.gate.baseline import read, save
from vceval.gate.check import check
from vceval.gate.evidence import Evidence, of_run, speakers_of
from vceval.gate.rules import Rules, read_rules
from vceval.gate.sight import NIGHT_NOISE, TIMES
from vceval.statistics.components import Design


@pytest.fixture
def same(tmp_path: Path) -> Evidence:
    return of_run(MadeRun().fill().write(tmp_path / "run"))


def given(folder: Path, *changes: tuple[str, str]) -> Rules:
    text = RULES
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_rules(write_rules(folder, text))


def test_the_noise_is_that_of_the_simulation() -> None:
    noise = measured_noise()
    assert NIGHT_NOISE.keys() == noise.keys()
    for name, known in NIGHT_NOISE.items():
        night = simulate(name, noise[name], Pattern(20, 20, 3), 20, 0)
        values = [sums[0] / sums[1] for sums in (night.new, night.old)]
        assert float((values[0] - values[1]).std()) == pytest.approx(known, rel=0.1), name


def test_an_unchanged_run_stays_what_it_is_and_blindness_is_said(same: Evidence, tmp_path: Path) -> None:
    rules = given(tmp_path, ("sv_accept, worsening: 0.1", "sv_accept, worsening: 0.01"))
    result = check(same, same, rules)
    [found] = [verdict for verdict in result.verdicts if verdict.rule == "sv_accept"]
    assert found.outcome == "pass"
    assert "not one pair differs" in found.message
    assert found.sight is not None
    assert found.sight.blind
    assert not found.sight.measured
    assert found.sight.caught is not None
    assert TIMES * 0.01 < found.sight.caught[0] < found.sight.caught[1]
    assert result.outcome == "blind"
    assert result.said() == "10 pass; 1 rule is blind"
    assert outputs.to_text(result, "warn").endswith("gate: blind (10 pass; 1 rule is blind)")
    content = json.loads(json.dumps(result.as_json()))
    assert (content["outcome"], content["blind"]) == ("blind", 1)
    junit = outputs.to_junit(result, "pass")
    assert junit.count("<failure") == 1
    assert 'type="blind"' in junit
    assert "to see 5 times that, add about" in junit
    page = outputs.to_markdown(result, tmp_path / "gate.md", None, "warn")
    assert page.startswith("## 🙈 blind")
    assert "more target speakers" in page


def test_a_blind_rule_that_is_accepted_decides_unless_all_are_blind(same: Evidence, tmp_path: Path) -> None:
    accepted = ("sv_accept, worsening: 0.1", "sv_accept, worsening: 0.01, accept_blind: true")
    result = check(same, same, given(tmp_path, accepted))
    assert (result.outcome, list(result.blind)) == ("pass", [])
    assert "(blind): accepted in the rules." in outputs.to_text(result, "warn")
    alone = "schema: 1\nrules:\n  - {measure: sv_accept, worsening: 0.01, accept_blind: true}\n"
    result = check(same, same, read_rules(write_rules(tmp_path, alone)))
    assert (result.outcome, len(result.blind)) == ("blind", 1)


def test_blindness_follows_the_noise_of_the_night_not_its_outcome(tmp_path: Path, same: Evidence) -> None:
    rules = given(tmp_path)
    sights = []
    for by, noise in ((0.0, 0.1), (0.3, 0.1), (0.0, 1.2), (0.3, 1.2)):
        run = of_run(MadeRun().fill().worsen("mcd", by, noise).write(tmp_path / f"{by}-{noise}"))
        [found] = [verdict for verdict in check(run, same, rules).verdicts if verdict.rule == "mcd"]
        assert found.sight is not None
        assert found.sight.measured
        sights.append(found.sight)
    assert [sight.blind for sight in sights] == [False, False, True, True]
    assert sights[0].caught == pytest.approx(sights[1].caught)
    assert sights[2].caught == pytest.approx(sights[3].caught)


def test_a_collapse_is_red_though_the_rule_is_blind(tmp_path: Path, same: Evidence) -> None:
    run = of_run(MadeRun().fill().worsen("mcd", 5.0, 1.2).write(tmp_path / "now"))
    result = check(run, same, given(tmp_path))
    [found] = [verdict for verdict in result.verdicts if verdict.rule == "mcd"]
    assert (found.outcome, result.outcome) == ("regress", "regress")
    assert found.sight is not None
    assert found.sight.blind
    assert len(found.offenders) == 5


def test_nothing_allowed_is_no_multiple_and_unknown_noise_no_blindness(tmp_path: Path, same: Evidence) -> None:
    rules = given(tmp_path, ("mcd, worsening: 0.1", "mcd, worsening: 0.0"), ("measure: wer", "measure: sanity_flags"))
    sights = {verdict.rule: verdict.sight for verdict in check(same, same, rules).verdicts if verdict.sight}
    assert not sights["mcd"].blind
    assert sights["sanity_flags"].caught is None
    assert not sights["sanity_flags"].blind
    assert "unknown" in "\n".join(plan.table(plan.of_runs(same, same, rules)))


def test_texts_are_a_side_where_they_repeat_and_old_baselines_have_none(tmp_path: Path) -> None:
    """Texts go with neither speaker here, so that they are a side of their own."""

    class Texts(MadeRun):
        @property
        def pairs(self):  # type: ignore[no-untyped-def]
            made = super().pairs
            return {
                name: replace(pair, transcript=f"text {number % 7}") for number, (name, pair) in enumerate(made.items())
            }

    run = of_run(Texts().fill().write(tmp_path / "run"))
    assert len({pair.text for pair in run.pairs.values()}) == 7
    save(tmp_path / "run", tmp_path / "base.json")
    assert read(tmp_path / "base.json").pairs == run.pairs
    content = json.loads((tmp_path / "base.json").read_text())
    content["schema"] = 1
    content["pairs"] = [row[:6] for row in content["pairs"]]
    content["systems"] = [row[:3] for row in content["systems"]]
    (tmp_path / "old.json").write_text(json.dumps(content))
    old = read(tmp_path / "old.json")
    assert {pair.text for pair in old.pairs.values()} == {None}
    rules = given(tmp_path)
    for baseline in (read(tmp_path / "base.json"), old):  # the run knows the texts of its pairs
        [figures] = [v.figures for v in check(run, baseline, rules).verdicts if v.rule == "mcd" and v.figures]
        assert (figures.targets, figures.sources, figures.texts) == (8, 8, 7)
    [figures] = [v.figures for v in check(old, old, rules).verdicts if v.rule == "mcd" and v.figures]
    assert figures.texts == 0


def test_texts_that_are_not_known_are_not_one_text(same: Evidence) -> None:
    pairs = list(same.pairs.values())
    half = [replace(pair, text=None) if number % 2 else pair for number, pair in enumerate(pairs)]
    assert Design(*speakers_of(half)[:3]).levels["text"] == 4 + 32


@pytest.mark.parametrize("targets", [1, 2, 3])
def test_one_and_two_target_speakers(tmp_path: Path, targets: int) -> None:
    """One speaks of itself; two can't be told to be alike, and the gate says that it is blind."""
    before, now = (MadeRun(targets=targets, sources=20).fill() for _ in range(2))
    runs = [of_run(made.write(tmp_path / name)) for made, name in ((before, "a"), (now.worsen("mcd", 0.5, 0.3), "b"))]
    views = plan.of_runs(runs[1], runs[0], given(tmp_path))
    lines = plan.table(views)
    assert all(len(line) <= 80 for line in lines)
    [mcd] = [view for view in views if view.measure.name == "mcd"]
    assert (mcd.targets, mcd.sources, mcd.pairs) == (targets, 20, 20 * targets)
    text = " ".join(lines)
    assert ("One target speaker: the gate speaks of this one and says nothing of others." in text) == (targets == 1)
    assert mcd.sight.blind == (targets > 1)
    if targets > 1:
        assert "more target speakers" in mcd.sight.add


def test_plans_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, now = MadeRun().fill(), MadeRun().fill().worsen("mcd", 0.0, 0.1)
    runs = [str(made.write(tmp_path / name)) for made, name in ((before, "before"), (now, "now"))]
    small = str(write_rules(tmp_path))
    assert main(["baseline", "save", runs[0], str(tmp_path / "base.json")]) == 0
    capsys.readouterr()
    assert main(["gate", "plan", runs[0], "--rules", small]) == 0
    of_a_run = capsys.readouterr().out
    assert main(["gate", "plan", str(tmp_path / "base.json"), "--rules", small]) == 0
    assert capsys.readouterr().out == of_a_run
    assert "A: mcd                         64     8 × 8    0.100  0." in of_a_run
    assert main(["gate", "plan", runs[1], "--baseline", runs[0], "--rules", small]) == 0
    assert "where run and baseline differ: theirs" in " ".join(capsys.readouterr().out.split())
    assert main(["gate", "plan", runs[0]]) == 1
    printed = capsys.readouterr().out
    assert "The gate exits with 1 while it is blind." in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert main(["gate", "plan", "demo"]) == 0
    assert "adainvc-demo: wer" in capsys.readouterr().out
    assert main(["gate", "plan", "demo", "--baseline", runs[0]]) == 2
    assert "is no run" in capsys.readouterr().err
    assert main(["gate", "plan", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_share_needs_a_run(tmp_path: Path) -> None:
    rules = given(tmp_path, ("mcd, worsening", "mcd, relative_worsening"))
    label, pairs, systems, metrics = plan.open_suite("demo", None)
    with pytest.raises(UsageError, match="is known from a run only"):
        plan.of_suite(label, pairs, systems, metrics, rules)
    only_utmos = read_rules(write_rules(tmp_path, "schema: 1\nrules:\n  - {measure: utmos, worsening: 0.1}\n"))
    with pytest.raises(UsageError, match="no rule is about what demo@1 measures"):
        plan.of_suite(label, pairs, systems, metrics, only_utmos)
