"""`promptgrid published`: what papers report, and what only memory says kept apart."""

from __future__ import annotations

import json

from tests.cli.conftest import Invoke


def test_what_nobody_published_is_listed_on_demand_only(invoke: Invoke) -> None:
    shown = json.loads(invoke("published", "--json").stdout)
    everything = json.loads(invoke("published", "--all", "--json").stdout)
    assert {row["evidence"] for row in shown} == {"R", "S", "A"}
    assert {row["evidence"] for row in everything} == {"R", "S", "A", "M", "D"}
    assert shown == [row for row in everything if row["shown"]]


def test_figures_are_found_by_method_dataset_and_protocol(invoke: Invoke) -> None:
    asked = ("--method", "cocoop", "--dataset", "dtd", "--protocol", "base_to_new")
    found = json.loads(invoke("published", *asked, "--json").stdout)
    assert {row["metric"]: row["value"] for row in found} == {
        "base_accuracy": 77.01,
        "new_accuracy": 56.0,
        "harmonic_mean": 64.85,
    }


def test_marks_tell_memory_from_print(invoke: Invoke) -> None:
    words = invoke("published", "--method", "blackvip", "--all").output
    assert "M*" in words
    assert "15 more are nobody's published result" in invoke("published", "--method", "blackvip").output


def test_an_unknown_method_is_refused_with_the_nearest(invoke: Invoke) -> None:
    refused = invoke("published", "--method", "cocop")
    assert refused.exit_code == 2
    assert "did you mean" in refused.output
