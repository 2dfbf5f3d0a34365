"""Metrics know their unit, direction and range; records are checked against them."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError
from tests.store.synthetic import make_cell

from promptgrid.spec import Record
from promptgrid.spec.metrics import METRICS, metric_of


@pytest.mark.parametrize(
    ("name", "unit", "better"),
    [
        ("accuracy", "fraction", "higher"),
        ("base_accuracy", "fraction", "higher"),
        ("new_macro_f1", "fraction", "higher"),
        ("recall@5", "fraction", "higher"),
        ("psnr", "dB", "higher"),
        ("test_nll", "nats", "lower"),
        ("mae", "none", "lower"),
        ("fpr95", "fraction", "lower"),
        ("something_of_a_plugin", "fraction", "higher"),
    ],
)
def test_a_name_says_which_metric_it_is(name: str, unit: str, better: str) -> None:
    metric = metric_of(name)
    assert (metric.name, metric.unit, metric.better) == (name, unit, better)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_can_be_printed(name: str) -> None:
    metric = METRICS[name]
    assert metric.low < metric.high
    assert metric.title
    assert metric.scale
    assert 0 < metric.tie * metric.factor < 1


def test_fractions_tie_within_a_twentieth_of_a_point() -> None:
    assert metric_of("accuracy").tie == 0.0005


@pytest.mark.parametrize(("name", "value"), [("psnr", 31.7), ("nll", 2.3), ("srcc", -0.2), ("accuracy", 1.0)])
def test_a_record_keeps_a_value_in_its_own_unit(name: str, value: float) -> None:
    assert Record(cell=make_cell(1), metrics={name: value}).metrics == {name: value}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("accuracy", 71.2, r"outside \[0, 1\]"),
        ("base_accuracy", -0.1, r"outside \[0, 1\]"),
        ("srcc", 1.5, r"outside \[-1, 1\]"),
        ("psnr", math.inf, r"outside \[0, inf\)"),
        ("nll", math.nan, "nll"),
    ],
)
def test_a_record_refuses_what_is_out_of_range(name: str, value: float, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Record(cell=make_cell(1), metrics={name: value})
