"""What a suite with sources expands to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from promptgrid.spec import Refused, Request, read_suite
from promptgrid.spec.suite import parse_suite

SUITES = Path(__file__).parents[2] / "suites"


def _requests_of(**changes: Any) -> list[Request]:
    suite = {"name": "s", "protocol": "transfer", "methods": ["one"], "seeds": [1], "datasets": ["a", "b", "c"]}
    return [request for _, request in parse_suite(suite | changes, "s").requests(["a", "b", "c", "d"])]


def test_every_source_meets_every_target_in_every_reading_after_learning_itself() -> None:
    requests = _requests_of(sources="datasets", readings=["evaluate", "adapt"])
    assert [(r.protocol, r.dataset) for r in requests[:3]] == [("few_shot", name) for name in "abc"]
    kinds = Counter((r.protocol, r.reading) for r in requests[3:])
    assert kinds == {("transfer", "evaluate"): 9, ("transfer", "adapt"): 9}
    assert len({(r.source, r.dataset, r.reading) for r in requests}) == 21


def test_a_method_takes_part_in_its_own_readings_only() -> None:
    methods = ["one", {"name": "two", "readings": ["adapt"]}, {"name": "none", "readings": []}]
    requests = _requests_of(sources=["x"], methods=methods, readings=["evaluate", "adapt"])
    found = {name: Counter(r.reading for r in requests if r.method == name) for name in ("one", "two", "none")}
    assert found == {"one": {"": 1, "evaluate": 3, "adapt": 3}, "two": {"": 1, "adapt": 3}, "none": {"": 3}}
    assert {r.dataset for r in requests if r.method == "none"} == {"a", "b", "c"}


def test_others_pairs_each_target_with_the_union_of_the_rest() -> None:
    requests = _requests_of(sources="others")
    assert [(r.source, r.dataset) for r in requests if r.source] == [("b|c", "a"), ("a|c", "b"), ("a|b", "c")]
    assert [r.dataset for r in requests if not r.source] == ["b|c", "a|c", "a|b"]
    with pytest.raises(Refused, match="at least 2 datasets"):
        _requests_of(sources="others", datasets=["a"])


def test_the_transfer_study_has_400_pairs_a_mode() -> None:
    suite = read_suite(SUITES / "transfer_400.yaml")
    requests = list(suite.requests([]))
    pairs = Counter((request.method, request.reading) for _, request in requests)
    learned = {("coop", "evaluate"), ("vpt", "evaluate"), ("upt", "evaluate"), ("coop", "adapt")}
    assert {kind: pairs[kind] for kind in learned} == dict.fromkeys(learned, 400)
    assert {pairs[name, ""] for name in ("coop", "vpt", "upt", "zero_shot")} == {20}
    assert len(requests) == 4 * 400 + 4 * 20
