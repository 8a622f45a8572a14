"""Ordinary mistakes of other people's metrics, converters and corpora, each in a package that is really installed.

What a plug-in declares wrongly is told before any work starts; what it returns wrongly costs the values that it is
about, never the run. The demo corpus is scored, two pairs of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas
import pytest
import soundfile
from installed import install, vceval

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Statistics

Done = CompletedProcess[str]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def failures(run: Path, column: str = "metric") -> dict[str, list[str]]:
    """Reasons of the failures, by metric or by system."""
    found: dict[str, list[str]] = {}
    for row in rows(run / "failures.csv"):
        found.setdefault(row[column], []).append(row["reason"])
    return found


def values(run: Path, measure: str, system: str = "source") -> list[float]:
    table = pandas.read_parquet(run / "scores.parquet")
    return [float(v) for v in table[(table["measure"] == measure) & (table["system"] == system)]["value"]]


# Metrics: what they return

METRICS = '''
import math, sys
from pathlib import Path
import numpy as np
from vceval.errors import UnmetNeed
from vceval.metrics.base import Measure, Metric, Statistics

SEEN = []
ABSENT = object()


def metric(name, statistics, **declared):
    """Make the class of a metric that is written as it should be, but for what is given here."""
    written = {
        "name": name, "title": name, "version": "1.0", "needs": frozenset(), "source": "nobody",
        "measures": (Measure(name, name, "", "higher"),), "statistics": statistics,
        "signature": lambda self: name.upper() + "|v:1.0", **declared,
    }
    return type(name, (Metric,), {key: value for key, value in written.items() if value is not ABSENT})


def first(conversion):
    """Whether a conversion is of the first pair that was seen in this process."""
    SEEN.append(conversion.pair.id)
    return conversion.pair.id == SEEN[0]


def fine(value):
    return lambda self, conversion: Statistics({self.name: (value, 1.0)})


def refuse(*_):
    raise KeyError("by mistake")


def missing(need):
    def statistics(self, conversion):
        raise UnmetNeed(need, "it lacks something")
    return statistics


# What is harmless
numpy32 = metric("numpy32", lambda self, c: Statistics({"numpy32": (np.sqrt(np.float32(0.25)), np.int64(1))}))
no_axes = metric("no_axes", fine(np.array(2.0)))
whole = metric("whole", lambda self, c: Statistics({"whole": (3, 4)}))
rich = metric("rich", lambda self, c: Statistics({"rich": (1.0, 1.0)}, {
    "mean": np.float32(0.5), "frames": np.arange(3), "file": Path("a.wav"), "share": math.nan, "flags": {1},
    "name": "caf\\udce9", 7: True,
}))
unprepared = metric("unprepared", fine(1.0), prepare=refuse, batch=8)

# What costs a value
nan_once = metric("nan_once", lambda self, c: Statistics({"nan_once": (math.nan if first(c) else 1.0, 1.0)}))
empty = metric("empty", lambda self, c: Statistics({"empty": (1.0, 0.0 if first(c) else 2.0)}))
endless = metric("endless", fine(np.float32("inf")))
misspelt = metric("misspelt", lambda self, c: Statistics({"mispelt": (1.0, 1.0)}))
forgetful = metric("forgetful", lambda self, c: Statistics({"forgetful": (1.0, 1.0)}), measures=(
    Measure("forgetful", "a", "", "lower"), Measure("forgotten", "b", "", "lower")))
twofold = metric("twofold", lambda self, c: Statistics({"twofold": (1.0, 1.0)}, {}, {"twofold": ("source", "why")}))
texts = metric("texts", fine("0.5"))
bare = metric("bare", lambda self, c: Statistics({"bare": 0.5}))
listed = metric("listed", lambda self, c: Statistics([("listed", 0.5)]))
nothing = metric("nothing", lambda self, c: None)
number = metric("number", lambda self, c: 0.5)
moody = metric("moody", missing("mood"))
terse = metric("terse", lambda self, c: Statistics({}, {}, {"terse": "no reason"}))
odd_unmet = metric("odd_unmet", lambda self, c: Statistics({}, {}, {"odd_unmet": ("mood", "why")}))
unkept = metric("unkept", lambda self, c: Statistics({"unkept": (1.0, 1.0)}, {"how": lambda: 1}))
circular = metric("circular", lambda self, c: Statistics({"circular": (1.0, 1.0)}, LOOP))
LOOP = {}
LOOP["again"] = LOOP
thrown = metric("thrown", refuse)
quits = metric("quits", lambda self, c: sys.exit("by mistake"))
closed = metric("closed", fine(1.0), open=refuse)
garbled = metric("garbled", lambda self, c: open("caf\\udce9/none"))
unlearnt = metric("unlearnt", fine(1.0), calibrate=refuse)
quits_early = metric("quits_early", fine(1.0), calibrate=lambda self, dataset, natural: sys.exit(3))
unanalysed = metric("unanalysed", fine(1.0), analyse=refuse, calibrate=lambda self, dataset, natural: refuse())
learnt_nan = metric("learnt_nan", fine(1.0), calibrate=lambda self, dataset, natural: {"threshold": np.float32("nan")})
learnt_list = metric("learnt_list", fine(1.0), calibrate=lambda self, dataset, natural: [1.0])
DETECTOR = (Measure("no_scores", "a", "", "lower", reduction="eer"),)
no_scores = metric("no_scores", fine(1.0), measures=DETECTOR, calibrate=lambda self, dataset, natural: {"n": 3})
odd_scores = metric("odd_scores", fine(1.0), calibrate=lambda self, dataset, natural: {"natural_scores": [1.0]})
learns = metric("learns", fine(1.0), calibrate=lambda self, dataset, natural: {"mean": np.float32(0.5)})
'''

HARMLESS = {"numpy32": 0.5, "no_axes": 2.0, "whole": 0.75, "rich": 1.0, "unprepared": 1.0, "learns": 1.0}
ONE_PAIR = {
    "nan_once": "measure 'nan_once': numerator nan is no finite number",
    "empty": "measure 'empty': denominator 0 is not above 0, so there is no value",
}
BOTH_PAIRS = {
    "endless": "numerator np.float32(inf) is no finite number",
    "misspelt": "statistics() names 'mispelt'; the measures declared are misspelt",
    "forgetful": "statistics() must give each measure once, in sums or unmet: see 'forgotten'",
    "twofold": "in sums or unmet: see 'twofold'",
    "texts": "numerator '0.5' is no finite number",
    "bare": "measure 'bare' must have (numerator, denominator), not 0.5",
    "listed": "sums of Statistics must be a mapping, not a list",
    "nothing": "statistics() gave None, not Statistics",
    "number": "statistics() gave a float, not Statistics",
    "moody": "UnmetNeed of 'mood', which is none of source, reference",
    "terse": "unmet measure 'terse' must have (need, reason), not 'no reason'",
    "odd_unmet": "unmet measure 'odd_unmet' must have (need, reason)",
    "unkept": "details of Statistics: a function can't be stored",
    "circular": "details of Statistics: maximum recursion depth",
    "thrown": "KeyError: 'by mistake'",
    "quits": "SystemExit: by mistake",
    "closed": "KeyError: 'by mistake'",
    "garbled": "FileNotFoundError: [Errno 2] No such file or directory: 'caf\\udce9/none'",
    "unlearnt": "no calibration: KeyError: 'by mistake'",
    "quits_early": "no calibration: SystemExit: 3",
    "unanalysed": "no calibration: KeyError",
    "learnt_nan": "no calibration: calibrate() gave what can't be kept: nan is not finite",
    "learnt_list": "no calibration: calibrate() gave a list, not a mapping",
    "no_scores": "no calibration: calibrate() must give natural_scores",
    "odd_scores": "no calibration: calibrate() must give natural_scores",
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Callable[[], Done], Done]:
    """A run with all metrics that return something odd: its folder, the command again, and what the first one said."""
    place = tmp_path_factory.mktemp("metrics")
    names = [*HARMLESS, *ONE_PAIR, *BOTH_PAIRS]
    site = install(place / "site", "odd_metrics", METRICS, metrics=names)

    def run() -> Done:
        return vceval(
            site, place, "run", "--limit", 2, "--converters", "source", "--metrics", ",".join([*names, "bandwidth"]),
            "--workers", 1, "--out", "run", variables={"VCEVAL_CACHE": str(place / "cache")},
        )  # fmt: skip

    return place / "run", run, run()


def test_a_run_with_odd_metrics_goes_to_its_end(scored: tuple[Path, Callable[[], Done], Done]) -> None:
    run, _, done = scored
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    count = len(ONE_PAIR) + 2 * len(BOTH_PAIRS)
    assert f"vceval: {count} failures, listed in" in done.stderr
    assert json.loads((run / "run.json").read_text())["state"] == "finished"
    assert (run / "report" / "index.html").is_file()
    assert len(values(run, "bandwidth")) == 2
    assert set(failures(run)) == {*ONE_PAIR, *BOTH_PAIRS}


@pytest.mark.parametrize("name", HARMLESS)
def test_numbers_of_any_library_are_taken(scored: tuple[Path, Callable[[], Done], Done], name: str) -> None:
    assert values(scored[0], name) == [HARMLESS[name]] * 2


def test_details_are_kept_as_json_has_them(scored: tuple[Path, Callable[[], Done], Done]) -> None:
    table = pandas.read_parquet(scored[0] / "scores.parquet")
    details = json.loads(table[table["measure"] == "rich"]["details"].iloc[0])
    assert details == {
        "mean": 0.5, "frames": [0, 1, 2], "file": "a.wav", "share": None, "flags": [1], "name": "caf\\udce9", "7": True,
    }  # fmt: skip
    assert json.loads((scored[0] / "calibration.json").read_text())["learns"] == {"vceval demo corpus": {"mean": 0.5}}


@pytest.mark.parametrize("name", ONE_PAIR)
def test_a_value_that_is_none_costs_its_pair(scored: tuple[Path, Callable[[], Done], Done], name: str) -> None:
    assert failures(scored[0])[name] == [ONE_PAIR[name]]
    assert len(values(scored[0], name)) == 1


@pytest.mark.parametrize("name", BOTH_PAIRS)
def test_what_a_metric_returns_wrongly_is_counted(scored: tuple[Path, Callable[[], Done], Done], name: str) -> None:
    found = failures(scored[0])[name]
    assert len(found) == 2
    for reason in found:
        assert BOTH_PAIRS[name] in reason
    assert values(scored[0], name) == []


def test_the_same_command_again_finishes_too(scored: tuple[Path, Callable[[], Done], Done]) -> None:
    run, again, first = scored
    before = failures(run)
    done = again()
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == first.stdout
    assert {name: len(found) for name, found in failures(run).items()} == {n: len(f) for n, f in before.items()}


def test_a_journal_of_unchecked_values_is_gone_on_with(tmp_path: Path) -> None:
    """As earlier versions wrote them, whose runs ended at such a value, again and again."""
    command = ("run", "--limit", 2, "--converters", "source", "--metrics", "bandwidth", "--workers", 1, "--out", "run")
    assert vceval(tmp_path, tmp_path, *command).returncode == 0
    journal = tmp_path / "run" / "journal" / "score.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        line.pop("crc32", None)  # which they did not write
    next(line for line in lines if "sums" in line)["sums"]["bandwidth"][1] = 0.0
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "run" / "summary.json").unlink()
    done = vceval(tmp_path, tmp_path, *command)
    assert done.returncode == 1, done.stderr
    assert failures(tmp_path / "run") == {
        "bandwidth": ["measure 'bandwidth': denominator 0 is not above 0, so there is no value"]
    }
    assert len(values(tmp_path / "run", "bandwidth")) == 1


def test_statistics_are_checked_where_they_are_made() -> None:
    found = Statistics({"a": (np.float32(1.5), True)}, {"x": np.float64(2.0)}, {"b": ("source", "none")})
    assert found == Statistics({"a": (1.5, 1.0)}, {"x": 2.0}, {"b": ("source", "none")})
    assert [type(number) for number in found.sums["a"]] == [float, float]
    for numerator, denominator in ((np.nan, 1.0), (1.0, -1.0), (1.0, np.inf), (1 + 2j, 1.0), (10**400, 1.0)):
        with pytest.raises(ItemError, match="measure 'a'"):
            Statistics({"a": (numerator, denominator)})  # type: ignore[dict-item]


# Metrics: what they declare

DECLARED = (
    METRICS.split("# What is harmless")[0]
    + """
no_needs = metric("no_needs", fine(1.0), needs=ABSENT)
text_needs = metric("text_needs", fine(1.0), needs="transcript")
odd_needs = metric("odd_needs", fine(1.0), needs=frozenset({"mood"}))
other_name = metric("another", fine(1.0))
no_measures = metric("no_measures", fine(1.0), measures=ABSENT)
one_measure = metric("one_measure", fine(1.0), measures=(Measure("one_measure", "a", "", "lower")))
twice = metric("twice", fine(1.0), measures=(Measure("a", "a", "", "lower"), Measure("a", "b", "", "lower")))
unit = metric("unit", fine(1.0), measures=(Measure("unit", "a", None, "lower"),))
direction = metric("direction", fine(1.0), measures=(Measure("direction", "a", "", "up"),))
scale = metric("scale", fine(1.0), measures=(Measure("scale", "a", "", "lower", scale=0),))
slash = metric("slash", fine(1.0), measures=(Measure("a/b", "a", "", "lower"),))
eer = metric("eer", fine(1.0), measures=(Measure("eer", "a", "", "lower", reduction="eer"),))
ranker = metric("ranker", fine(1.0), measures=(Measure("ranker", "a", "", "lower", ranked_by="nothing"),))
no_version = metric("no_version", fine(1.0), version=1)
letters = metric("letters", fine(1.0), packages="numpy")
unsigned = metric("unsigned", fine(1.0), signature=lambda self: None)
signs_badly = metric("signs_badly", fine(1.0), signature=refuse)
unscored = metric("unscored", ABSENT)
batchless = metric("batchless", fine(1.0), batch=0)
demanding = metric("demanding", fine(1.0), __init__=lambda self, weights: None)
recipes = metric("recipes", fine(1.0), recipes={"gone": "broken:Nobody", "wrong": "broken:fine", "none": "nowhere:X"})
SCORE, RATE = Measure("score", "a", "", "higher"), Measure("rate", "b", "%", "higher", thresholded="score")
learnt = {"calibrate": lambda self, dataset, natural: {"mean": 1.0}}
unlearnt = metric("unlearnt", fine(1.0), measures=(SCORE, RATE))
unscored_rate = metric("unscored_rate", fine(1.0), measures=(RATE,), **learnt)
rate_of_rate = metric("rate_of_rate", fine(1.0), **learnt, measures=(
    SCORE, RATE, Measure("again", "c", "%", "higher", thresholded="rate")))
odd_rate = metric("odd_rate", fine(1.0), **learnt, measures=(
    Measure("odd_rate", "c", "%", "higher", thresholded=None),))
function = fine
class plain: pass
clash = metric("clash", fine(1.0), measures=(Measure("bandwidth", "a", "kHz", "higher"),))
"""
)

UNUSABLE = {
    "no_needs": "there is no needs: it must be a frozenset of any of source, reference, transcript",
    "text_needs": "needs is 'transcript': it must be a frozenset of any of source",
    "odd_needs": "needs is frozenset({'mood'}): it must be a frozenset of any of source",
    "other_name": "name is 'another': it must be 'other_name', as it is registered",
    "no_measures": "there is no measures: it must be a tuple of one Measure or more",
    "one_measure": "(Measure(...),) for one",
    "twice": "each with a name of its own",
    "unit": "measure 'unit': unit is None: it must be a text, empty for a figure without a unit",
    "direction": "measure 'direction': better is 'up': it must be one of lower, higher",
    "scale": "measure 'scale': scale is 0: it must be a number other than 0",
    "slash": "measure 'a/b': name is 'a/b': it must be of letters, digits and ._:+-",
    "eer": "measure 'eer' is an eer: it needs a method calibrate()",
    "unlearnt": "measure 'rate' is thresholded: it needs reduction 'ratio' and a method calibrate()",
    "unscored_rate": "thresholded must name a measure of scores of the same metric (there is none), not 'score'",
    "rate_of_rate": "thresholded must name a measure of scores of the same metric (score), not 'rate'",
    "odd_rate": "thresholded is None: it must be the name of a measure, empty for none",
    "ranker": "measure 'ranker': ranked_by must be another measure of ranker that is ranked by itself, not 'nothing'",
    "no_version": "version is 1: it must be a text",
    "letters": "packages is 'numpy': it must be a tuple of names of distributions",
    "unsigned": "signature() must give one line of text, not None",
    "signs_badly": "signature() raises KeyError: 'by mistake'",
    "unscored": "there is no method statistics()",
    "batchless": "batch must be a whole number above 0, not 0",
    "demanding": "its constructor raises TypeError",
    "function": "is no Metric: make it a class that extends vceval.metrics.base.Metric",
    "plain": "is no Metric: make it a class that extends vceval.metrics.base.Metric",
}
UNIMPORTABLE = {
    "absent": "can't be imported: AttributeError: module 'broken' has no attribute 'absent'",
    "raises": "can't be imported: ZeroDivisionError: division by zero; correct it or leave it out",
    "leaves": "can't be imported: SystemExit: 2; correct it or leave it out",
    "uninstalled": "can't be imported: No module named 'nowhere_to_be_found'; install what it needs or leave it out",
}


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("declared") / "site"
    others = {"raises": "1 / 0", "leaves": "raise SystemExit(2)", "uninstalled": "import nowhere_to_be_found"}
    install(site, "broken", DECLARED, metrics=[*UNUSABLE, "recipes", "clash", "absent"])
    for name, text in others.items():
        install(site, f"broken_{name}", text, metrics=[f"{name}=broken_{name}:M"])
    return site


@pytest.fixture(scope="module")
def told(declared: Path) -> dict[str, str]:
    """What ``vceval list metrics`` says of every metric."""
    done = vceval(declared, declared.parent, "list", "metrics", "--json")
    assert done.returncode == 0, done.stderr
    return {one["name"]: one["unusable"] or f"{one['title']} {one['signature']}" for one in json.loads(done.stdout)}


@pytest.mark.parametrize("name", [*UNUSABLE, *UNIMPORTABLE])
def test_what_a_metric_declares_wrongly_is_said(told: dict[str, str], name: str) -> None:
    place = f"broken_{name}:M" if name in ("raises", "leaves", "uninstalled") else f"broken:{name}"
    assert f"metric '{name}' ({place})" in told[name]
    assert {**UNUSABLE, **UNIMPORTABLE}[name] in told[name]


def test_recipes_that_are_nowhere(told: dict[str, str]) -> None:
    assert "RECIPES|v:1.0" in told["recipes"]
    assert "metric 'recipes:gone' (broken:Nobody) can't be imported: AttributeError" in told["recipes:gone"]
    assert "metric 'recipes:wrong' (broken:fine) is no Metric" in told["recipes:wrong"]
    assert "metric 'recipes:none' (nowhere:X) can't be imported: No module named 'nowhere'" in told["recipes:none"]
    assert "BANDWIDTH|" in told["bandwidth"]


@pytest.mark.parametrize("name", ["no_needs", "raises", "recipes:gone"])
def test_a_metric_that_is_declared_wrongly_stops_the_run_before_it_starts(declared: Path, name: str) -> None:
    done = vceval(declared, declared.parent, "run", "--limit", 1, "--metrics", f"{name},bandwidth", "--out", "none")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"vceval: metric {name!r} (broken")
    assert "leave it out" in line
    assert not (declared.parent / "none").exists()


def test_two_metrics_with_a_measure_of_one_name(declared: Path) -> None:
    done = vceval(declared, declared.parent, "run", "--limit", 1, "--metrics", "bandwidth,clash", "--out", "none")
    assert done.returncode == 2
    assert done.stderr == (
        "vceval: metrics 'bandwidth' (vceval.metrics.bandwidth:Bandwidth) and 'clash' (broken:clash) both have a "
        "measure 'bandwidth': give that of the plug-in another name, or leave one of them out with --metrics\n"
    )
    assert vceval(declared, declared.parent, "run", "--limit", 1, "--metrics", "clash", "--dry-run").returncode == 0


def test_two_plugins_of_one_name(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "ours", "", metrics=["bandwidth=ours:Width"])
    done = vceval(site, tmp_path, "run", "--limit", 1, "--metrics", "bandwidth", "--out", "none")
    assert done.returncode == 2
    assert done.stderr == (
        "vceval: two plug-ins are both called metric 'bandwidth': ours:Width and vceval.metrics.bandwidth:Bandwidth; "
        "uninstall one\n"
    )


def test_a_measure_says_itself_what_is_wrong() -> None:
    assert Measure("a", "b", "", "lower").declaration_faults() == []
    assert len(Measure("", "", 1, "up", "1", -1, "mean").declaration_faults()) == 7  # type: ignore[arg-type]
    assert Measure("a", "b", "", "lower", worst=1, ranked_by="c").declaration_faults() == []
    assert Measure("a", "b", "", "lower", reduction="auc", best=0.5).declaration_faults() == []
    for wrong in (
        {"worst": "1"},
        {"worst": float("nan")},
        {"worst": True},
        {"worst": 0.0, "reduction": "eer"},
        {"best": 0.5},
        {"best": "half", "reduction": "eer"},
        {"ranked_by": None},
    ):
        [fault] = Measure("a", "b", "", "lower", **wrong).declaration_faults()  # type: ignore[arg-type]
        assert next(iter(wrong)) in fault


# Converters: what they return

CONVERTERS = '''
import sys
import numpy as np
import soundfile
from vceval.signal.audio import Waveform
from vceval.converters.base import Converter, ConverterInfo
from vceval.errors import ItemError, UnmetNeed

ABSENT = object()


def converter(name, convert=ABSENT, **declared):
    """Make the class of a converter that is written as it should be, but for what is given here."""
    written = {"info": ConverterInfo(name, name, 16000, "none", "", "native"), "convert": convert, **declared}
    return type(name, (Converter,), {key: value for key, value in written.items() if value is not ABSENT})


def each(change, rate=16000):
    """A convert that gives a changed source for every request."""
    return lambda self, requests: [Waveform(change(request.source.samples), rate) for request in requests]


def refuse(*_):
    raise KeyError("by mistake")


def same(samples):
    return samples


def written(self, requests):
    for request in requests:
        request.output.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(request.output, request.source.samples, 16000)
    return [request.output for request in requests]


STEPS = {
    "encode_content": lambda self, sources: sources, "encode_speaker": lambda self, prompts: [0 for _ in prompts],
    "decode": lambda self, items, seeds: [content for content, _ in items],
}

# What is harmless
doubles = converter("doubles", each(lambda samples: samples.astype(float)))
halves = converter("halves", each(lambda samples: samples.astype(np.float16)))
lists = converter("lists", each(lambda samples: samples.tolist()))
column = converter("column", each(lambda samples: samples[:, None]))
odd_rate = converter("odd_rate", each(same, np.float64(16000)))
lazy = converter("lazy", lambda self, requests: (Waveform(request.source.samples, 16000) for request in requests))
writes = converter("writes", written)
steps = converter("steps", **{**STEPS, "encode_content": lambda self, sources: iter(sources)})
unclosed = converter("unclosed", each(same), close=refuse)

# What costs the pairs
integers = converter("integers", each(lambda samples: (samples * 32767).astype(np.int16)))
stereo = converter("stereo", each(lambda samples: np.stack([samples, samples])))
ragged = converter("ragged", each(lambda samples: [[0.1], [0.1, 0.2]]))
words = converter("words", each(lambda samples: ["a", "b"]))
holes = converter("holes", each(lambda samples: samples * np.float32("nan")))
silent = converter("silent", each(lambda samples: samples[:0]))
no_rate = converter("no_rate", each(same, "16000"))
slow_rate = converter("slow_rate", each(same, 16))
nothing = converter("nothing", lambda self, requests: None)
fewer = converter("fewer", lambda self, requests: [])
arrays = converter("arrays", lambda self, requests: [request.source.samples for request in requests])
paths = converter("paths", lambda self, requests: [str(request.pair.source.path) for request in requests])
moody = converter("moody", lambda self, requests: [UnmetNeed("mood", "why") for _ in requests])
quits = converter("quits", lambda self, requests: sys.exit("by mistake"))
locked = converter("locked", each(same), open=refuse)
miscounts = converter("miscounts", **{**STEPS, "encode_content": lambda self, sources: sources[:0]})
undecoded = converter("undecoded", **{**STEPS, "decode": lambda self, items, seeds: None})

# What is declared wrongly
no_info = converter("no_info", each(same), info=ABSENT)
text_info = converter("text_info", each(same), info="text_info")
rate_info = converter("rate_info", each(same), info=ConverterInfo("rate_info", "a", "16 kHz", "none", "", "native"))
heard_info = converter("heard_info", each(same),
                       info=ConverterInfo("heard_info", "a", None, "none", "", "native", trained_on={"VCTK": "p225"}))
says_what = converter("says_what", each(same), text_from="target")
batchless = converter("batchless", each(same), batch_size=0)
stepless = converter("stepless", encode_content=STEPS["encode_content"])
gone_assets = converter("gone_assets", each(same), assets=lambda self: {"weights": "weights.pt"})
mute = converter("mute", each(same), missing_files=refuse)
together = converter("together", each(same), largest_batch=lambda self, device: None)
brittle = converter("brittle", each(same), __init__=refuse)
function = each(same)
'''

CONVERTED = ("doubles", "halves", "lists", "column", "odd_rate", "lazy", "writes", "steps", "unclosed")
UNCONVERTED = {
    "integers": "the converter gave samples of type int16; give floats of full scale 1.0",
    "stereo": "converted audio must be mono and not empty, got shape (2, ",
    "ragged": "the converter gave samples that numpy can't read: ValueError",
    "words": "the converter gave samples of type <U1",
    "holes": "converted audio holds NaN or infinite samples",
    "silent": "converted audio must be mono and not empty, got shape (0,)",
    "no_rate": "the converter gave a sample rate of '16000', not one of 8000 to 96000 Hz",
    "slow_rate": "the converter gave a sample rate of 16, not one of 8000 to 96000 Hz",
    "nothing": "TypeError: convert() gave NoneType, not a list of results",
    "fewer": "the converter gave 0 results for 1 pairs",
    "arrays": "the converter gave a ndarray, not audio",
    "paths": "the converter gave a str, not audio",
    "moody": "the converter gave an UnmetNeed of 'mood', which is none of source",
    "quits": "SystemExit: by mistake",
    "locked": "KeyError: 'by mistake'",
    "miscounts": "gave 0 results for 1 inputs",
    "undecoded": "TypeError: decode() gave NoneType, not a list of results",
}
MISDECLARED = {
    "no_info": "there is no info: it must be a ConverterInfo('no_info', its title, its sample rate or None",
    "text_info": "info is 'text_info': it must be a ConverterInfo(",
    "rate_info": "info: sample_rate is '16 kHz': it must be a whole number of Hz, or None",
    "heard_info": "info: trained_on is {'VCTK': 'p225'}: it must be a dict of corpus names to frozensets of speakers",
    "says_what": "text_from is 'target': it must be source or natural",
    "batchless": "batch_size is 0: it must be a whole number above 0",
    "stepless": "there is no encode_speaker, decode: write encode_content, encode_speaker, decode, or convert alone",
    "gone_assets": "assets() must give names to Paths of files that are there, not {'weights': 'weights.pt'}",
    "mute": "missing_files() raises KeyError: 'by mistake'",
    "together": "largest_batch() must give a number above 0, not None",
    "brittle": "its constructor raises KeyError: 'by mistake'",
    "function": "is no Converter: make it a class that extends vceval.converters.base.Converter",
}


@pytest.fixture(scope="module")
def odd_converters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("converters") / "site"
    names = [*CONVERTED, *UNCONVERTED, *MISDECLARED]
    return install(site, "odd_converters", CONVERTERS, converters=names)


@pytest.fixture(scope="module")
def converted(odd_converters: Path) -> tuple[Path, Done]:
    """A run with all converters that return something odd, on one pair."""
    place = odd_converters.parent
    done = vceval(
        odd_converters, place, "run", "--limit", 1, "--converters", ",".join([*CONVERTED, *UNCONVERTED, "source"]),
        "--metrics", "bandwidth", "--workers", 1, "--out", "run",
    )  # fmt: skip
    return place / "run", done


def test_a_run_with_odd_converters_goes_to_its_end(converted: tuple[Path, Done]) -> None:
    run, done = converted
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"vceval: {len(UNCONVERTED)} failures, listed in" in done.stderr
    assert set(failures(run, "system")) == set(UNCONVERTED)
    assert (run / "report" / "index.html").is_file()


@pytest.mark.parametrize("name", CONVERTED)
def test_samples_of_any_library_are_taken(converted: tuple[Path, Done], name: str) -> None:
    run = converted[0]
    [path] = (run / "audio" / name).iterdir()
    [source] = [row["path"] for row in rows(run / "audio.csv") if row["system"] == "source"]
    samples, rate = soundfile.read(path)
    original = soundfile.read(source)[0]
    assert rate == 16_000
    assert samples.shape == original.shape
    assert float(np.abs(samples - original).max()) < 1e-3
    assert len(values(run, "bandwidth", name)) == 1


@pytest.mark.parametrize("name", UNCONVERTED)
def test_what_a_converter_returns_wrongly_is_counted(converted: tuple[Path, Done], name: str) -> None:
    [reason] = failures(converted[0], "system")[name]
    assert UNCONVERTED[name] in reason


def test_a_converter_that_cannot_be_closed_costs_nothing(converted: tuple[Path, Done]) -> None:
    assert "vceval: unclosed can't be closed: KeyError: 'by mistake'" in converted[1].stderr


@pytest.mark.parametrize("name", MISDECLARED)
def test_a_converter_that_is_declared_wrongly_stops_the_run_before_it_starts(odd_converters: Path, name: str) -> None:
    from importlib.metadata import EntryPoint

    from vceval import registry
    from vceval.errors import UsageError
    from vceval.records import System
    from vceval.runner.factory import try_converter

    if name == "no_info":  # what a user reads
        place = odd_converters.parent
        done = vceval(odd_converters, place, "run", "--limit", 1, "--converters", "no_info", "--out", "none")
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("vceval: converter 'no_info' (odd_converters:no_info) can't be used: there is no info")
        assert line.endswith("Correct it or leave it out")
        assert not (place / "none").exists()
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(odd_converters))
        points = {name: EntryPoint(name, f"odd_converters:{name}", registry.GROUPS["converter"])}
        patch.setattr(registry, "_table", lambda kind: points)
        with pytest.raises(UsageError) as caught:
            try_converter(System(name, name), "cpu")
    assert str(caught.value).startswith(f"converter {name!r} (odd_converters:{name}) ")
    assert MISDECLARED[name] in str(caught.value)


# Corpora

CORPORA = '''
import math
from pathlib import Path
import numpy as np
from vceval.corpora.base import Corpus, CorpusInfo
from vceval.corpora.folders import FolderCorpus
from vceval.corpora.base import Layout
from vceval.records import Utterance

ABSENT = object()


def corpus(name, read, kind=Corpus, **declared):
    """Make the class of a reader that is written as it should be, but for what is given here."""
    info = CorpusInfo(name, name, ("en",), 16000, "none", "", "")
    written = {"info": info, "read": read, "__module__": __name__, **declared}
    return type(name, (kind,), {key: value for key, value in written.items() if value is not ABSENT})


def files(self):
    return sorted(self.root.rglob("*.wav"))


def fine(self):
    for path in files(self):
        yield Utterance(path.stem, path, "odd", path.stem[0], "F", "en", path.stem, 4.0)


def loose(self):
    """As a table of pandas gives it."""
    for number, path in enumerate(files(self)):
        yield Utterance(np.int64(number), str(path), "odd", np.int32(ord(path.stem[0])), "female", "en",
                        math.nan, np.float32(4.0))


def sloppy(self):
    yield from list(fine(self))
    path = files(self)[0]
    yield path
    yield None
    yield Utterance(None, path, "odd", "a")
    yield Utterance("nowhere", None, "odd", "a")
    yield Utterance("a0", files(self)[1], "odd", "a")
    yield Utterance("b9", path, "odd", "b", "x", ["en"], b"text", -1.0)


def breaks(self):
    yield from list(fine(self))[:2]
    raise KeyError("by mistake")


well = corpus("well", fine)
pandas_like = corpus("pandas_like", loose)
lists = corpus("lists", lambda self: list(fine(self)))
sloppily = corpus("sloppily", sloppy)
empty = corpus("empty", lambda self: iter(()))
broken = corpus("broken", breaks)
nothing = corpus("nothing", lambda self: None)
rootless = corpus("rootless", fine, __init__=lambda self, root: None)
brittle = corpus("brittle", fine, __init__=lambda self, root: 1 / 0)
no_info = corpus("no_info", fine, info=ABSENT)
language = corpus("language", fine, info=CorpusInfo("language", "a", "en", 16000, "none", "", ""))
unread = corpus("unread", ABSENT)
laid_out = corpus("laid_out", fine, FolderCorpus, layout=Layout("voices/*.wav", lambda f: (f / "voices").is_dir()))
no_layout = corpus("no_layout", fine, FolderCorpus)
'''

UNREADABLE = {
    "empty": "holds no utterances of empty",
    "broken": "corpus 'broken' (odd_corpora:broken) can't be read: KeyError: 'by mistake'; correct its read(), or the",
    "nothing": "corpus 'nothing' (odd_corpora:nothing) can't be read: TypeError: 'NoneType' object is not iterable",
    "rootless": "corpus 'rootless' (odd_corpora:rootless) can't be used: its __init__ must call super().__init__(root)",
    "brittle": "corpus 'brittle' (odd_corpora:brittle) can't be used: its constructor raises ZeroDivisionError",
    "no_info": "corpus 'no_info' (odd_corpora:no_info) can't be used: there is no info: it must be a CorpusInfo(",
    "language": "info: languages is 'en': it must be a tuple of texts; ('en',) for one",
    "unread": "there is no method read()",
    "no_layout": "layout is None: it must be a Layout(what is looked for, a test of a folder",
}


@pytest.fixture(scope="module")
def odd_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with readers, and beside it a folder ``data`` with three recordings each of the speakers a and b."""
    place = tmp_path_factory.mktemp("corpora")
    voices = place / "data" / "voices"
    voices.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for speaker in "ab":
        for number in range(3):
            soundfile.write(voices / f"{speaker}{number}.wav", rng.normal(0, 0.1, 8_000), 16_000)
    names = ["well", "pandas_like", "lists", "sloppily", "laid_out", *UNREADABLE]
    return install(place / "site", "odd_corpora", CORPORA, corpora=names)


def draw(site: Path, name: str, data: str = "data") -> Done:
    return vceval(
        site, site.parent, "run", "--corpus", name, "--data", data, "--draw-pairs", 2, "--converters", "source",
        "--metrics", "bandwidth", "--workers", 1, "--out", name,
    )  # fmt: skip


def test_what_a_reader_yields_is_put_right_or_noted(odd_corpora: Path) -> None:
    done = draw(odd_corpora, "sloppily")
    assert done.returncode == 0, done.stderr
    notes = json.loads((odd_corpora.parent / "sloppily" / "run.json").read_text())["notes"]
    wanted = (
        "read() gave a PosixPath, not an Utterance; left out",
        "read() gave a NoneType, not an Utterance; left out",
        "utterance with the id None, not a text; left out",
        "utterance 'nowhere' has no path but None; left out",
        "second recording with the id a0; the first one is used",
        "b9: gender 'x' can't be used; unknown",
        "b9: language ['en'] can't be used; unknown",
        "b9: transcript b'text' can't be used; unknown",
        "b9: duration -1.0 can't be used; unknown",
    )
    assert sorted(wanted) == sorted(next(words for words in wanted if words in note) for note in notes)
    assert len(notes) == len(wanted)
    assert len(values(odd_corpora.parent / "sloppily", "bandwidth")) == 2


def test_numbers_and_empty_cells_of_a_table_are_taken(odd_corpora: Path) -> None:
    done = draw(odd_corpora, "pandas_like")
    assert done.returncode == 0, done.stderr
    run = odd_corpora.parent / "pandas_like"
    assert json.loads((run / "run.json").read_text())["notes"] == []
    pairs = rows(run / "pairs.csv")
    assert {pair["direction"] for pair in pairs} == {"F2F"}
    assert {pair["target_speaker"] for pair in pairs} <= {str(ord("a")), str(ord("b"))}
    assert {pair["transcript"] for pair in pairs} == {""}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_corpus_that_is_written_wrongly_is_told_before_any_work(odd_corpora: Path, name: str) -> None:
    done = draw(odd_corpora, name)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert UNREADABLE[name] in line
    assert not (odd_corpora.parent / name).exists()


def test_a_folder_corpus_from_outside_carries_its_layout(odd_corpora: Path) -> None:
    assert draw(odd_corpora, "laid_out").returncode == 0
    (odd_corpora.parent / "elsewhere").mkdir()
    done = draw(odd_corpora, "laid_out", "elsewhere")
    assert done.returncode == 2
    assert (
        "elsewhere: no laid_out here; looked for voices/*.wav in it and in the folders in it; it is empty"
        in done.stderr
    )
    done = draw(odd_corpora, "vctk")
    assert "this looks like laid_out: use corpus laid_out" in done.stderr


def test_a_broken_reader_is_listed_with_its_fault(odd_corpora: Path) -> None:
    done = vceval(odd_corpora, odd_corpora.parent, "list", "corpora", "--json")
    assert done.returncode == 0, done.stderr
    told = {one["name"]: one for one in json.loads(done.stdout)}
    assert told["no_info"]["unusable"].startswith("corpus 'no_info' (odd_corpora:no_info)")
    assert told["vctk"]["title"] == "VCTK 0.92"
