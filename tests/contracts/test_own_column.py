"""A need that nobody had before, the depth map of each image, is one column file in somebody else's package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tests.contracts.small_world import MemoryCache, SmallBackbones, SmallDatasets, request

from promptgrid import catalog
from promptgrid.contract import Outcome
from promptgrid.spec import Cell, Pack, Refused, Request
from promptgrid.tracks.image.track import ImageTrack

COLUMN = '''"""Column ``depth``: how far away each pixel of an image is."""

import numpy as np
import torch

from promptgrid.contract import ColumnSource, Table
from promptgrid.spec import Refused, digest


class Depth(ColumnSource):
    """(B, height, width) floats in 0 .. 1; a stand-in that takes dark for far."""

    name = "depth"
    needs = frozenset({"depth"})

    def training(self, data, drawn):
        return self.scoring(data, "train", drawn.indices)

    def scoring(self, data, split, indices):
        images = [np.asarray(data.opened.dataset.read(index), dtype=np.float32) for index in indices]
        return Table(torch.from_numpy(np.stack(images)).mean(-1) / 255.0)

    def admit(self, method, dataset):
        if dataset.card.name == "flat":
            raise Refused("a flat image has no depth", where=dataset.card.name)

    def identity(self, dataset):
        return digest(["dark is far, version 1", dataset.card.sha256])
'''
METHOD = '''"""Depth offset: a method that looks at the new column."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from promptgrid.contract.clip import Trained


@dataclass(frozen=True)
class DepthOffset(Trained):
    """Depth offset: moves image features by what is seen of near and far."""

    name: ClassVar[str] = "depth_offset"
    kind: ClassVar[str] = "head"
    paper: ClassVar[str] = "unpublished"
    needs: ClassVar[frozenset[str]] = frozenset({"depth"})

    def init(self, task, rng):
        return {"near": torch.zeros(task.backbone.width), "far": torch.zeros(task.backbone.width)}

    def image(self, params, batch, task):
        near = batch.depth.mean((1, 2)).unsqueeze(1)
        return batch.features + near * params["near"] + (1.0 - near) * params["far"]
'''
ENTRIES = """[promptgrid.columns]
depth = their_depth:Depth
[promptgrid.methods]
depth_offset = their_offset:DepthOffset
"""


@pytest.fixture
def wing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageTrack]:
    """The image wing as it is found beside that package, on small pictures."""
    info = tmp_path / "their_depth-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-depth\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "their_depth.py").write_text(COLUMN)
    (tmp_path / "their_offset.py").write_text(METHOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog.track.cache_clear()
    found = catalog.track("image")
    assert isinstance(found, ImageTrack)
    own = found.resolver
    yield ImageTrack(own.methods, [SmallDatasets()], [SmallBackbones()], own.protocols, own.columns)
    catalog.track.cache_clear()


def test_a_method_trains_on_the_new_column_and_is_scored_on_it(wing: ImageTrack) -> None:
    cells = wing.resolve([request_of(seed) for seed in (1, 2)])
    assert all(cell.identity["columns"].keys() == {"depth"} for cell in cells)  # type: ignore[union-attr]
    assert len({cell.group for cell in cells}) == 1, "its cells share a pack"
    found = run(wing, cells, {cell.key for cell in cells})
    assert [outcome.record.status for outcome in found] == ["done", "done"], [one.record.message for one in found]
    for outcome in found:
        reached = [bool(torch.from_numpy(value).abs().sum() > 0) for value in outcome.state.values()]
        assert reached == [True, True]
    (alone,) = run(wing, cells, {cells[1].key})
    assert alone.record.metrics == found[1].record.metrics, "a resumed cell has its numbers"


def test_what_another_column_would_give_is_another_key(wing: ImageTrack, monkeypatch: pytest.MonkeyPatch) -> None:
    import their_depth  # type: ignore[import-not-found]

    module: ModuleType = their_depth
    (before,) = wing.resolve([request_of(1)])
    monkeypatch.setattr(module.Depth, "identity", lambda self, dataset: "dark is near")
    (after,) = wing.resolve([request_of(1)])
    assert before.key != after.key


def test_a_dataset_that_cannot_give_it_is_refused(wing: ImageTrack, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = wing.resolver.dataset("pictures")
    monkeypatch.setattr(dataset, "card", dataset.card.model_copy(update={"name": "flat"}))
    monkeypatch.setattr(wing.resolver, "look_again", lambda: None)
    with pytest.raises(Refused, match="a flat image has no depth"):
        wing.resolve([request_of(1)])


def request_of(seed: int) -> Request:
    return request("depth_offset", seed, "few_shot", epochs=2, batch_size=5)


def run(wing: ImageTrack, cells: list[Cell], wanted: set[str]) -> list[Outcome]:
    return list(wing.run(Pack(tuple(cells), wanted=frozenset(wanted)), MemoryCache(), "cpu"))
