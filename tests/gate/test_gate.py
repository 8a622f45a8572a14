"""The gate: what passes, what is worse, what can't be told, what may not be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from made_runs import RULES, MadeRun, write_rules

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.gate.baseline import read, resolve, save
from vceval.gate.check import check
from vceval.gate.evidence import of_run
from vceval.gate.preconditions import refuse_unless_comparable
from vceval.gate.rules import DEFAULT, read_rules
from vceval.gate.verdict import Result, Verdict
from vceval.records import Failure
from vceval.results.rundir import RunDirectory
from vceval.results.views import load


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return MadeRun().fill().write(tmp_path / "before")


def gated(before: Path, now: MadeRun, rules: Path | None = None) -> Result:
    given = read_rules(rules or write_rules(before.parent))
    return check(of_run(now.write(before.parent / "now")), resolve(before), given)


def only(result: Result, rule: str, system: str = "A", direction: str = "all") -> Verdict:
    [found] = [v for v in result.verdicts if (v.rule, v.system, v.direction) == (rule, system, direction)]
    return found


def test_the_same_scores_pass(before: Path) -> None:
    result = gated(before, MadeRun().fill())
    assert result.outcome == "pass"
    assert {v.rule for v in result.verdicts} == {
        "sv_accept", "mcd", "wer", "missing", "control", "new failures", "new flags",
    }  # fmt: skip
    assert all("not one pair differs" in v.message for v in result.verdicts if v.figures)


def test_rounding_noise_of_another_machine_passes(before: Path) -> None:
    assert gated(before, MadeRun().fill().worsen("mcd", 1e-5, noise=1e-4)).outcome == "pass"


def test_a_worse_measure_is_named_with_its_worst_pairs(before: Path) -> None:
    result = gated(before, MadeRun().fill().worsen("mcd", 0.5, noise=0.3))
    assert [v.rule for v in result.verdicts if v.outcome == "regress"] == ["mcd"]
    found = only(result, "mcd")
    assert found.figures is not None
    assert found.figures.worsening == pytest.approx(0.5, abs=0.1)
    assert found.figures.low is not None
    assert found.figures.low > 0.1
    assert len(found.offenders) == 5
    worsenings = [one.worsening or 0 for one in found.offenders]
    assert worsenings == sorted(worsenings, reverse=True)
    assert found.offenders[0].audio.endswith(f"{found.offenders[0].pair}.flac")


def test_an_improvement_passes_whatever_the_direction(before: Path) -> None:
    result = gated(before, MadeRun().fill().worsen("mcd", -0.5, noise=0.1).worsen("wer", -1.0, noise=0.01))
    assert [only(result, rule).outcome for rule in ("mcd", "wer")] == ["pass", "pass"]


def test_falling_acceptance_is_worse_and_rising_error_rate_too(before: Path) -> None:
    now = MadeRun().fill()
    for key, (numerator, denominator) in now.sums.items():
        if key[0] == "A" and key[2] == "sv_accept" and (int(key[1][1]) + int(key[1][-1])) % 2:
            now.sums[key] = (0.0, denominator)
        if key[0] == "A" and key[2] == "wer":
            now.sums[key] = (numerator + 3 + (key[1] < "s4"), denominator)
    result = gated(before, now)
    assert {v.rule for v in result.verdicts if v.outcome == "regress"} == {"sv_accept", "wer"}


def test_too_few_pairs_are_undecided_and_say_how_many_would_be_enough(before: Path) -> None:
    found = only(gated(before, MadeRun().fill().worsen("mcd", 0.1, noise=0.4)), "mcd")
    assert found.outcome == "undecided"
    assert found.figures is not None
    enough = found.figures.enough
    assert enough is not None
    assert enough.pairs > 64
    assert enough.grown
    assert all(enough.levels[side] > 8 for side in enough.grown)
    assert f"about {enough.pairs:,} pairs of {enough.levels[enough.grown[0]]} {enough.grown[0]} s" in found.message


def test_as_many_pairs_as_it_asks_for_are_enough(before: Path, tmp_path: Path) -> None:
    """Where nothing changed, the number of pairs that an undecided rule names lets most runs pass."""
    figures = only(gated(before, MadeRun().fill().worsen("mcd", 0.1, noise=0.4)), "mcd").figures
    assert figures is not None
    assert figures.enough is not None
    size = [figures.enough.levels[side] for side in ("target", "source")]
    passed = 0
    for seed in range(8):
        old = MadeRun(*size).fill().write(tmp_path / f"{seed}" / "before")
        now = MadeRun(*size).fill().worsen("mcd", 0.0, noise=0.4, seed=seed)
        passed += only(gated(old, now), "mcd").outcome == "pass"
    assert passed >= 5


def test_a_handful_of_pairs_decides_nothing(tmp_path: Path) -> None:
    before = MadeRun(targets=3, sources=3).fill().write(tmp_path / "before")
    found = only(gated(before, MadeRun(targets=3, sources=3).fill().worsen("mcd", 3.0, noise=0.1)), "mcd")
    assert found.outcome == "blind"
    assert found.sight is not None
    assert found.sight.add == "1 more pair, as the rule asks for"
    accepted = write_rules(tmp_path, RULES.replace("worsening: 0.1", "worsening: 0.1, accept_blind: true"))
    result = gated(before, MadeRun(targets=3, sources=3).fill().worsen("mcd", 3.0, noise=0.1), accepted)
    assert only(result, "mcd").outcome == "undecided"
    assert "asks for 10 pairs" in only(result, "mcd").message
    same = gated(before, MadeRun(targets=3, sources=3).fill())
    assert only(same, "mcd").outcome == "pass"
    assert same.outcome == "blind"


@pytest.mark.parametrize(("targets", "sources", "side"), [(1, 16, "target"), (16, 1, "source")])
def test_one_speaker_on_a_side_leaves_the_other(tmp_path: Path, targets: int, sources: int, side: str) -> None:
    before = MadeRun(targets, sources).fill().write(tmp_path / "before")
    found = only(gated(before, MadeRun(targets, sources).fill().worsen("mcd", 1.0, noise=0.2)), "mcd")
    assert found.outcome == "regress"
    assert found.figures is not None
    assert (found.figures.targets, found.figures.sources) == (targets, sources)
    assert f"{targets} target and {sources} source speakers" in found.message
    assert f"One {side} speaker: says nothing of others" in found.message


def test_one_utterance_of_nonsense_does_not_decide(before: Path) -> None:
    now = MadeRun().fill()
    now.sums["A", "s0-t0", "wer"] = (400.0, 10.0)
    found = only(gated(before, now), "wer")
    assert found.outcome != "regress"
    assert found.figures is not None
    assert found.figures.capped == (0, 1)
    assert found.figures.new - found.figures.old < 0.02
    assert "capped 0 before, 1 now" in found.message


def test_many_rules_are_corrected_together(before: Path, tmp_path: Path) -> None:
    now = MadeRun().fill().worsen("mcd", 0.35, noise=0.4)
    text = "schema: 1\nrules:\n" + "".join(
        f"  - {{measure: {m}, worsening: 0.1, directions: [{d}]}}\n"
        for m in ("mcd", "wer")
        for d in ("all", "F2F", "F2M")
    )
    single = "schema: 1\nrules:\n  - {measure: mcd, worsening: 0.1}\n"
    alone = only(gated(before, now, write_rules(tmp_path, single)), "mcd")
    among = only(gated(before, now, write_rules(tmp_path, text)), "mcd")
    assert alone.figures is not None
    assert among.figures is not None
    assert alone.figures.p == among.figures.p == alone.figures.p_holm
    assert among.figures.p_holm == pytest.approx(6 * (among.figures.p or 0))


def test_a_rule_for_a_direction_looks_at_that_direction(before: Path, tmp_path: Path) -> None:
    now = MadeRun().fill()
    for key, (numerator, denominator) in now.sums.items():
        if key[0] == "A" and key[2] == "mcd" and int(key[1][-1]) % 2:
            now.sums[key] = (numerator + 1.0 + 0.01 * len(now.sums), denominator)
    text = "schema: 1\nrules:\n  - {measure: mcd, worsening: 0.1, directions: [F2F, F2M]}\n"
    result = gated(before, now, write_rules(tmp_path, text))
    assert only(result, "mcd", direction="F2F").outcome == "regress"
    assert only(result, "mcd", direction="F2M").outcome == "pass"


def test_a_relative_allowance_is_a_share_of_the_old_value(before: Path, tmp_path: Path) -> None:
    for share, outcome in ((0.05, "regress"), (0.5, "pass")):
        text = f"schema: 1\nrules:\n  - {{measure: mcd, relative_worsening: {share}}}\n"
        found = only(gated(before, MadeRun().fill().worsen("mcd", 1.2, noise=0.1), write_rules(tmp_path, text)), "mcd")
        assert found.outcome == outcome
        assert found.figures is not None
        assert found.figures.allowed == pytest.approx(share * found.figures.old)


def test_what_is_missing_is_a_failure_with_names(before: Path) -> None:
    now = MadeRun().fill()
    for measure in ("mcd", "wer"):
        del now.sums["A", "s1-t2", measure]
    result = gated(before, now)
    found = only(result, "missing")
    assert found.outcome == "regress"
    assert "2 values of 1 pairs" in found.message
    assert [(one.pair, one.said) for one in found.offenders] == [("s1-t2", "no mcd, wer")]
    gone = MadeRun(systems={"target": True}).fill()
    assert only(gated(before, gone), "missing").outcome == "regress"


def test_fewer_pairs_than_the_baseline_are_missing_not_another_list(before: Path) -> None:
    result = gated(before, MadeRun(targets=7).fill())
    assert "8 pairs" in only(result, "missing").message
    assert only(result, "missing").outcome == "regress"


def test_new_failures_and_flags_are_named_and_known_ones_are_not(tmp_path: Path) -> None:
    known = Failure("A", "s0-t0", "score", "wer", "why")
    first = MadeRun(flags={("A", "s3-t3"): ["clipped"]}, failures=[known]).fill()
    before = first.write(tmp_path / "before")
    same = MadeRun(flags={("A", "s3-t3"): ["clipped"]}, failures=[known]).fill()
    assert gated(before, same).outcome == "pass"
    more = MadeRun(flags={("A", "s3-t3"): ["clipped", "cut off"]}, failures=[known]).fill()
    more.failures.append(Failure("A", "s1-t1", "convert", "", "crashed"))
    result = gated(before, more)
    assert only(result, "new flags").offenders[0].said == "flagged: cut off"
    assert only(result, "new failures").message == "1 new failures, allowed 0: s1-t1"
    assert {v.rule for v in result.verdicts if v.outcome == "regress"} == {"new flags", "new failures"}


def heard(folder: Path, flags: Mapping[str, Sequence[str]], later: Mapping[str, Sequence[str]] | None = None) -> Path:
    """Write a run in whose recordings, of its only seed or of two, these signs of made-up texts were heard."""
    run = RunDirectory(MadeRun().fill().write(folder))
    takes = [run.read_takes().assign(seed=seed) for seed in range(1 if later is None else 2)]
    for take, found in zip(takes, (flags, later or {}), strict=False):
        for pair, signs in found.items():
            where = (take["measure"] == "wer") & (take["system"] == "A") & (take["pair"] == pair)
            take.loc[where, "details"] = json.dumps({"heard": "a a a a", "text_flags": list(signs)})
    pandas.concat(takes).to_parquet(run.root / "scores.parquet", index=False)
    return folder


@pytest.mark.parametrize("seed", [0, 1])
def test_texts_that_suddenly_loop_are_red_by_default(tmp_path: Path, seed: int) -> None:
    known = {"s0-t0": ["repeated words"]}
    looping = {f"s{n}-t1": ["repeated words", "too many words"] for n in range(3)}
    before = of_run(heard(tmp_path / "before", known, {} if seed else None))
    flagged = (known, looping) if seed else (known | looping, None)
    now = of_run(heard(tmp_path / "now", *flagged))
    result = check(now, before, read_rules())
    found = only(result, "new flags")
    assert (found.outcome, result.outcome) == ("regress", "regress")
    assert found.message == "3 new flags, allowed 0: s0-t1, s1-t1, s2-t1"
    assert found.offenders[0].said == "flagged: repeated words, too many words"
    assert only(check(now, now, read_rules()), "new flags").outcome == "pass"


@pytest.mark.parametrize("metric", ["sanity", "wer"])
def test_flags_that_nobody_looked_for_are_no_pass(before: Path, metric: str) -> None:
    baseline = of_run(before)
    run = replace(baseline, metrics={name: text for name, text in baseline.metrics.items() if name != metric})
    with pytest.raises(UsageError, match=f"{metric} was not measured in the run"):
        refuse_unless_comparable(run, baseline, [], read_rules().counts)
    refuse_unless_comparable(run, baseline, [])


def test_a_flag_of_any_seed_counts(tmp_path: Path) -> None:
    run = RunDirectory(MadeRun(flags={("A", "s3-t3"): ["clipped"]}).fill().write(tmp_path / "run"))
    first = run.read_takes()
    later = first.assign(seed=1)
    where = (later["measure"] == "sanity_flags") & (later["system"] == "A") & later["pair"].isin(["s1-t1", "s3-t3"])
    later.loc[where, "details"] = json.dumps({"flags": ["cut off"]})
    pandas.concat([first, later]).to_parquet(run.root / "scores.parquet", index=False)
    found = of_run(run.root)
    flags = {(system, found.pairs[key].name): flags for (system, key), flags in found.flags.items()}
    assert flags == {("A", "s1-t1"): ("cut off",), ("A", "s3-t3"): ("clipped", "cut off")}
    shown = load(run).flags
    assert (shown["A", "s1-t1"], shown["A", "s3-t3"]) == ((), ("clipped",))


def test_a_control_that_moves_says_that_the_measuring_changed(before: Path) -> None:
    result = gated(before, MadeRun().fill().worsen("mcd", -0.3, system="target"))
    found = only(result, "control", "target")
    assert found.outcome == "regress"
    assert "it is the measuring that changed" in found.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"suite": "made@2"}, "suites differ: made@2 in the run, made@1 in the baseline"),
        ({"text": "other"}, "pair lists differ: 64 of the 64 pairs"),
        ({"signatures": {"sv": "SV|enc:b|v:1", "mcd": "MCD|order:24|v:1", "wer": "WER|asr:p|v:1", "sanity": "S"}},
         "sv: signatures differ: enc:b in the run, enc:a in the baseline"),
        ({"signatures": {"sv": "SV|enc:a|v:1", "mcd": "MCD|order:24|v:1", "wer": "WER|asr:q|v:1", "sanity": "S"}},
         "wer: signatures differ: asr:q in the run, asr:p in the baseline"),
        ({"calibration": {"sv": {"d": {"threshold": 0.8, "trials_sha256": "t"}}}},
         "sv: calibrated differently on d: threshold 0.8 in the run, 0.7 in the baseline"),
        ({"calibration": {"sv": {"d": {"threshold": 0.7, "trials_sha256": "u"}}}},
         "sv: calibrated on other trials of d"),
    ],
)  # fmt: skip
def test_what_was_measured_otherwise_is_refused(before: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match="may not be held against") as error:
        gated(before, MadeRun(**change).fill())  # type: ignore[arg-type]
    assert said in str(error.value)


def test_a_threshold_of_another_machine_is_the_same(before: Path) -> None:
    calibration = {"sv": {"d": {"threshold": 0.70009, "trials_sha256": "t", "encoder": "a", "eer": 0.1}}}
    assert gated(before, MadeRun(calibration=calibration).fill()).outcome == "pass"


def test_another_number_of_seeds_is_said_and_decides_nothing(before: Path, tmp_path: Path) -> None:
    file = tmp_path / "base.json"
    save(before, file)
    told = "seeds of A: 3 in the run, 1 in the baseline; a mean over more seeds has less noise"
    result = check(of_run(MadeRun(seeds=3).fill().write(tmp_path / "now")), read(file), read_rules())
    assert told in result.notes
    assert not [verdict for verdict in result.verdicts if verdict.outcome == "regress"]
    older = json.loads(file.read_text())
    older |= {"schema": 2, "systems": [row[:3] for row in older["systems"]]}
    file.write_text(json.dumps(older))
    assert not [note for note in check(of_run(tmp_path / "now"), read(file), read_rules()).notes if "seeds" in note]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: 2\nrules: []\n", "schema: is 2"),
        ("schema: 1\nrules: []\n", "guards nothing"),
        ("schema: 1\nrules:\n  - {measure: mcd}\n", "one of the two"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: -1}\n", "0 or more"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: .nan}\n", "0 or more"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1, relative_worsening: 1}\n", "one of the two"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1, directons: [F2F]}\n", "no known key"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1, directions: [A2B]}\n", "directions"),
        ("schema: 1\nconfidence: 95\nrules:\n  - {measure: mcd, worsening: 1}\n", "below 1"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1, cap: 0}\n", "above 0"),
        ("schema: 1\nrules:\n  - {measure: utmos, worsening: 1}\n", "no values of 'utmos'"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1, systems: [B]}\n", "no system B"),
        ("schema: 1\nrules:\n  - {new: bugs}\n", "failures, flags"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1, directions: [M2M]}\n", "no pairs of M2M"),
        ("schema: 1\nrules:\n  - {measure: mcd, worsening: 1}\n  - {measure: mcd, worsening: 2}\n", "two rules on mcd"),
    ],
)
def test_wrong_rules_are_refused_by_name(before: Path, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"gate\.yaml") as error:
        gated(before, MadeRun().fill(), write_rules(tmp_path, text))
    assert said in str(error.value)


def test_the_default_rules_are_those_of_the_readme() -> None:
    found = read_rules(DEFAULT)
    assert {(r.measure, r.worsening, r.cap) for r in found.measures} == {
        ("sv_accept", 0.01, None), ("mcd", 0.1, None), ("wer", 0.01, 1.0), ("bandwidth", 0.5, None),
    }  # fmt: skip
    assert {(r.what, r.allowed) for r in found.counts} == {("failures", 0), ("flags", 0)}


def test_rules_that_the_baseline_has_nothing_for_are_noted_not_passed(tmp_path: Path) -> None:
    def without() -> MadeRun:
        made = MadeRun().fill()
        made.sums = {key: sums for key, sums in made.sums.items() if key[2] != "mcd"}
        return made

    result = check(of_run(without().write(tmp_path / "now")), of_run(tmp_path / "now"), read_rules())
    assert any("no rule on mcd" in note for note in result.notes)
    assert not [v for v in result.verdicts if v.rule == "mcd"]


def test_exit_codes_and_files(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = str(write_rules(tmp_path))
    good = MadeRun().fill().write(tmp_path / "good")
    bad = MadeRun().fill().worsen("mcd", 1.0, 0.1).write(tmp_path / "bad")
    vague = MadeRun().fill().worsen("mcd", 0.1, 0.4).write(tmp_path / "vague")
    other = MadeRun(suite="other@1").fill().write(tmp_path / "other")
    file = tmp_path / "base.json"
    assert main(["baseline", "save", str(before), str(file)]) == 0

    def gate(run: Path, *more: str) -> int:
        files = ["--json", str(tmp_path / "out.json"), "--rules", small]
        return main(["gate", str(run), "--baseline", str(file), *files, *more])

    assert gate(good) == 0
    assert gate(bad) == 1
    content = json.loads((tmp_path / "out.json").read_text())
    assert (content["outcome"], content["red"]) == ("regress", True)
    capsys.readouterr()
    assert [gate(vague, "--undecided", what) for what in ("warn", "pass", "fail")] == [0, 0, 1]
    capsys.readouterr()
    assert gate(other) == 2
    assert "suites differ" in capsys.readouterr().err
    assert json.loads((tmp_path / "out.json").read_text())["outcome"] == "refused"
    assert main(["gate", str(good)]) == 2
    assert main(["gate", str(good), str(bad), "--baseline", str(file)]) == 2
    assert main(["gate", str(good), "--baseline", str(tmp_path / "nothing")]) == 2
    assert "vceval baseline save" in capsys.readouterr().err
