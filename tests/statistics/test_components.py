"""Variance components: published data sets, the likelihood computed the long way, and what may not change a result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vceval.statistics.components import Design

# Davies and Goldsmith, "Statistical Methods in Research and Production", 1972. Estimates: lme4 (REML).
DYESTUFF = (
    (1545, 1440, 1440, 1520, 1580), (1540, 1555, 1490, 1560, 1495), (1595, 1550, 1605, 1510, 1560),
    (1445, 1440, 1595, 1465, 1545), (1595, 1630, 1515, 1635, 1625), (1520, 1455, 1450, 1480, 1445),
)  # fmt: skip
#: Diameters by plate, of six samples each.
PENICILLIN = (
    "27 23 26 23 23 21", "27 23 26 23 23 21", "25 21 25 24 24 20", "26 23 25 23 23 20", "25 22 26 22 23 20",
    "24 22 25 23 22 19", "24 20 23 21 22 19", "26 22 26 24 24 21", "24 21 24 22 22 20", "24 21 24 23 22 19",
    "26 23 26 24 24 21", "25 22 26 24 24 20", "26 24 26 24 25 22", "26 23 26 23 23 20", "26 23 25 24 24 22",
    "25 22 25 23 23 20", "25 21 24 23 23 20", "25 22 24 23 23 19", "24 21 23 21 21 19", "26 23 26 24 24 21",
    "25 21 24 22 22 18", "25 22 25 22 22 20", "24 21 24 22 24 19", "24 21 24 22 21 18",
)  # fmt: skip
#: Strengths by batch: three casks, two tests each.
PASTES = (
    "62.8 62.6 60.1 62.3 62.7 63.1", "60 61.4 57.5 56.9 61.1 58.9", "58.7 57.5 63.9 63.1 65.4 63.7",
    "57.1 56.4 56.9 58.6 64.7 64.5", "55.1 55.1 54.7 54.2 58.8 57.5", "63.4 64.9 59.3 58.1 60.5 60",
    "62.5 62.6 61 58.7 56.9 57.7", "59.2 59.4 65.2 66 64.8 64.1", "54.8 54.8 64 64 57.7 56.8",
    "58.3 59.3 59.2 59.2 58.9 56.6",
)  # fmt: skip


def flat(rows: tuple[str, ...]) -> list[float]:
    return [float(value) for row in rows for value in row.split()]


def test_one_side_dyestuff() -> None:
    values = [float(value) for batch in DYESTUFF for value in batch]
    found = Design([place // 5 for place in range(30)]).mean_error(values)
    assert found is not None
    assert found.variances == pytest.approx({"target": 1764.05, "residual": 2451.25}, rel=1e-5)
    assert found.variance**0.5 == pytest.approx(19.383, abs=5e-4)
    assert found.freedom == pytest.approx(5.0, abs=0.1)  # batches less one


def test_crossed_sides_penicillin() -> None:
    values = flat(PENICILLIN)
    found = Design([place // 6 for place in range(144)], [place % 6 for place in range(144)]).mean_error(values)
    assert found is not None
    assert found.variances["target"] == pytest.approx(0.7169, abs=5e-5)
    assert found.variances["source"] == pytest.approx(3.7309, abs=5e-5)
    assert found.variances["residual"] == pytest.approx(0.3024, abs=5e-5)
    assert found.variance**0.5 == pytest.approx(0.8086, abs=5e-5)


def test_nested_sides_pastes() -> None:
    values = flat(PASTES)
    found = Design([place // 2 for place in range(60)], [place // 6 for place in range(60)]).mean_error(values)
    assert found is not None
    assert found.variances["target"] == pytest.approx(8.434, abs=1e-3)
    assert found.variances["source"] == pytest.approx(1.657, abs=1e-3)
    assert found.variances["residual"] == pytest.approx(0.678, abs=1e-3)
    assert found.variance**0.5 == pytest.approx(0.6769, abs=5e-5)


def made(seed: int, texts: bool) -> tuple[Design, list[NDArray[np.float64]], NDArray[np.float64]]:
    """An unbalanced design, the 0-1 matrices of its components, and values over it."""
    random = np.random.default_rng(seed)
    count = int(random.integers(25, 60))
    sides = [random.integers(levels, size=count) for levels in random.integers(3, 7, size=2)]
    if texts:
        sides.append(random.integers(6, size=count))
    design = Design(*(side.tolist() for side in sides))
    values = sum(random.normal(size=7)[side] * random.uniform(0, 2) for side in sides) + random.normal(size=count)
    groups = [*sides, sides[0] * 100 + sides[1]]
    matrices = [(side[:, None] == side).astype(np.float64) for side in groups]
    return design, [*matrices, np.eye(count)], np.asarray(values)


def dense(values: NDArray[np.float64], matrices: list[NDArray[np.float64]], variances: list[float]) -> float:
    """Restricted log-likelihood, from whole matrices."""
    whole = sum(part * variance for part, variance in zip(matrices, variances, strict=True))
    inverse = np.linalg.inv(np.asarray(whole))
    total = float(inverse.sum())
    weights = inverse.sum(axis=0) / total
    residuals = values - weights @ values
    return -0.5 * float(np.linalg.slogdet(np.asarray(whole))[1] + np.log(total) + residuals @ inverse @ residuals)


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_likelihood_is_largest_there(seed: int, texts: bool) -> None:
    design, matrices, values = made(seed, texts)
    found = design.mean_error(values)
    assert found is not None
    names = ["target", "source", *["text"] * texts, "meeting", "residual"]
    if "meeting" not in found.variances:
        names.remove("meeting")
        del matrices[-2]
    variances = [found.variances[name] for name in names]
    best = dense(values, matrices, variances)
    for place, variance in enumerate(variances):
        for factor in (0.98, 1.02):
            other = [*variances]
            other[place] = variance * factor if variance else 1e-3 * (factor > 1)
            assert dense(values, matrices, other) <= best + 1e-6
    shares = [float(matrix.sum()) / len(values) ** 2 for matrix in matrices]
    assert found.variance == pytest.approx(float(np.dot(shares, variances)), rel=1e-6)
    assert sum(found.shares.values()) == pytest.approx(1.0)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.01, 100.0), st.floats(-1e3, 1e3))
def test_order_names_unit_and_origin_change_nothing(seed: int, scale: float, origin: float) -> None:
    random = np.random.default_rng(seed)
    targets, sources = random.integers(5, size=40), random.integers(4, size=40)
    values = random.normal(size=5)[targets] + random.normal(size=40)
    found = Design(targets.tolist(), sources.tolist()).mean_error(values)
    order = random.permutation(40)
    names = [f"p{9 - target}" for target in targets[order]]
    other = Design(names, [f"s{source}" for source in sources[order]]).mean_error(values[order] * scale + origin)
    assert found is not None
    assert other is not None
    assert other.variance == pytest.approx(found.variance * scale**2, rel=1e-4)
    assert other.freedom == pytest.approx(found.freedom, rel=1e-3)


def test_values_that_the_speakers_decide_alone() -> None:
    targets, sources = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)
    found = Design(targets.tolist(), sources.tolist()).mean_error(targets**2.0 + 10.0 * sources)
    assert found is not None
    assert found.variances["target"] == pytest.approx(float(np.var(np.arange(6) ** 2.0, ddof=1)), rel=0.02)
    assert found.variances["source"] == pytest.approx(250.0, rel=0.02)


def test_values_without_spread_have_no_error() -> None:
    assert Design(["a", "b", "a"]).mean_error([0.1, 0.1, 0.1]) is None
    assert Design(["a"]).mean_error([3.0]) is None


def test_what_can_not_be_told_apart_is_one_component() -> None:
    whole = Design(["a"] * 6, [1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3])
    assert [side.name for side in whole.sides] == ["source"]  # one target; each source has its own text
    single = Design([1, 2, 3, 4], [1, 2, 3, 4])
    assert single.sides == ()  # each pair has speakers of its own: they are its own noise
    assert Design([None] * 4, [1, 1, 2, 2]).levels == {"target": 0, "source": 2, "text": 0}


def test_many_meetings_beside_texts_still_count() -> None:
    random = np.random.default_rng(3)
    targets, sources = np.repeat(np.arange(20), 120), np.tile(np.repeat(np.arange(20), 6), 20)
    texts = np.arange(2400) % 30
    values = random.normal(size=(20, 20))[targets, sources] + 0.2 * random.normal(size=2400)
    found = Design(targets.tolist(), sources.tolist(), texts.tolist()).mean_error(values)
    assert found is not None
    # 400 meetings and not 2,400 pairs; the meetings alone, computed by the two-way analysis of their means, give
    means = np.array([values[(targets == t) & (sources == s)].mean() for t in range(20) for s in range(20)])
    table = means.reshape(20, 20) - means.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = np.square(table - rows[:, None] - columns).sum() / 361
    sides = [max(float(np.square(side).sum()) / 19 - rest / 20, 0.0) for side in (rows, columns)]
    assert found.variance == pytest.approx((sides[0] + sides[1]) / 20 + rest / 400, rel=0.05)


def test_sides_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths differ: target 2, source 3"):
        Design([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="lengths differ"):
        Design([1, 2]).mean_error([1.0, 2.0, 3.0])


def test_texts_count_where_they_repeat() -> None:
    assert Design(["a", "a", "b"], None, ["x", "y", "z"]).levels["text"] == 0
    assert Design(["a", "a", "b"], None, ["x", None, None]).levels["text"] == 0
    assert Design(["a", "a", "b", "b"], None, ["x", "x", None, None]).levels["text"] == 3  # each unknown one is its own


def test_many_texts_count_as_few_do(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(9)
    targets, sources = np.repeat(np.arange(8), 200), np.tile(np.repeat(np.arange(8), 25), 8)
    texts = np.arange(1600) % 50
    values = 0.5 * random.normal(size=8)[targets] + 0.8 * random.normal(size=50)[texts] + random.normal(size=1600)
    sides = targets.tolist(), sources.tolist(), texts.tolist()
    fitted = Design(*sides).mean_error(values)
    monkeypatch.setattr("vceval.statistics.components._MOST_TEXTS", 10)
    moments = Design(*sides).mean_error(values)
    assert fitted is not None
    assert moments is not None
    assert moments.variances["text"] == pytest.approx(fitted.variances["text"], rel=0.1)
    assert moments.variance == pytest.approx(fitted.variance, rel=0.1)
    assert moments.freedom == pytest.approx(fitted.freedom, rel=0.5)
    assert sum(moments.shares.values()) == pytest.approx(1.0)


def test_a_side_of_few_groups_is_kept_where_not_all_can_be_told() -> None:
    """Nearly every listener rates one file of a system: what files differ by counts all the same."""
    listeners = [min(place, 99) for place in range(120)]
    files = [place % 40 for place in range(120)]
    design = Design(listeners, files)
    assert [side.name for side in design.sides] == ["source"]
    values = np.repeat(np.random.default_rng(0).normal(size=(1, 40)), 3, axis=0).ravel()
    error = design.mean_error(values + np.random.default_rng(1).normal(0, 0.5, 120))
    assert error is not None
    assert error.shares["source"] > 0.5
