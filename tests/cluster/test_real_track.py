"""The image track through every runner: the same suite gives the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.cluster import Options, execute, make_plan
from promptgrid.spec.suite import parse_suite
from promptgrid.store import Store

SUITE = {
    "name": "real",
    "protocol": "few_shot",
    "methods": ["zero_shot", "tip_adapter_f", {"name": "coop", "context_length": 4, "epochs": 4}],
    "datasets": ["weather", "digits"],
    "shots": [2],
    "seeds": [1, 2],
}
QUIET = Options(mirror=False, quiet=True, inline=True)


@pytest.mark.usefixtures("ray_here")
def test_local_one_and_two_workers_and_a_resumed_half_agree(tmp_path: Path) -> None:
    digests = {}
    for name, workers in {"local": None, "one": 1, "two": 2}.items():
        store = Store(tmp_path / name)
        plan = make_plan(parse_suite(SUITE, name), store)
        summary = execute(plan, store, local=workers is None, workers=workers, options=QUIET)
        assert (summary.done, summary.failed) == (12, 0)
        digests[name] = store.scores_digest(plan.cells)
    assert len(set(digests.values())) == 1

    store = Store(tmp_path / "resumed")
    half = parse_suite(SUITE | {"seeds": [1, 2], "datasets": ["digits"]}, "half")
    execute(make_plan(half, store), store, local=True, options=QUIET)
    plan = make_plan(parse_suite(SUITE, "whole"), store)
    assert len(plan.finished) == 6
    assert execute(plan, store, local=True, options=QUIET).done == 6
    assert store.scores_digest(plan.cells) == digests["local"]
