import numpy as np
import pandas as pd
import pytest
from scipy import stats

from promptgrid.leaderboard.analysis.comparison import compare_all


def table(methods: int, datasets: int, step: float, noise: float = 0.01) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    values = (
        step * np.arange(methods)[::-1, None] + rng.normal(0, 0.1, datasets) + rng.normal(0, noise, (methods, datasets))
    )
    return pd.DataFrame(values, index=[f"m{i}" for i in range(methods)])


def test_nine_methods_on_eight_datasets_can_say_nothing_and_the_reason_is_given():
    found = compare_all(table(9, 8, step=0.2))
    assert found.groups == ()
    assert "8 datasets" in found.why_not
    assert "36 pairs" in found.why_not
    assert list(found.ranks) == [f"m{i}" for i in range(9)]


def test_eleven_methods_on_eleven_datasets_can_say_nothing_and_ten_on_twelve_can():
    assert compare_all(table(11, 11, step=0.2)).why_not  # 2/2^11 = .00098 > .05/55
    assert compare_all(table(10, 12, step=0.2)).why_not == ""  # 2/2^12 = .00049 < .05/45


def test_alike_methods_are_not_drawn():
    found = compare_all(table(4, 12, step=0.0))
    expected = stats.friedmanchisquare(*table(4, 12, step=0.0).to_numpy()).pvalue
    assert found.friedman_p == pytest.approx(expected)
    assert "Friedman" in found.why_not


def test_groups_join_what_no_test_tells_apart():
    values = table(4, 14, step=0.3)
    values.loc["m1"] = values.loc["m0"] + np.tile([0.001, -0.001], 7)
    found = compare_all(values)
    assert found.why_not == ""
    assert [set(group) for group in found.groups] == [{"m0", "m1"}]


def test_two_methods_or_none_are_too_few():
    assert "3 complete" in compare_all(table(2, 12, step=0.3)).why_not
    assert "there are 0" in compare_all(table(2, 12, step=0.3).iloc[:0]).why_not


def test_incomplete_rows_take_no_part():
    values = table(4, 14, step=0.3)
    values.iloc[0, 0] = np.nan
    assert "m0" not in compare_all(values).ranks
