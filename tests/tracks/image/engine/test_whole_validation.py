"""A method may ask for all validation images of its classes, where others choose by a few."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.contracts.small_world import MemoryCache, Pictures, backbone, request, track

from promptgrid.contract.clip import Labelled
from promptgrid.spec import Pack
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.methods import tip_adapter


@pytest.mark.parametrize(("search_on", "whole"), [("whole", True), ("few", False)])
def test_tip_adapter_looks_at_the_split_that_it_says(
    search_on: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Labelled] = []
    search = tip_adapter.best_on

    def watched(held: Labelled, *rest: Any) -> Any:
        asked.append(held)
        return search(held, *rest)

    monkeypatch.setattr(tip_adapter, "best_on", watched)
    (cell,) = track().resolve([request("tip_adapter", search_on=search_on)])
    (outcome,) = track().run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail
    dataset, split = Pictures(), track().resolver.split(cell)
    indices = dataset.splits["val"] if whole else list(split.val)
    assert len(split.val) < len(dataset.splits["val"])
    (held,) = asked
    assert held.labels.tolist() == [dataset.labels[index] for index in indices]
    wanted = backbone().encode_pixels(read_pixels(dataset, indices, backbone().preprocessing))
    torch.testing.assert_close(held.features, wanted, rtol=0, atol=1e-5)
