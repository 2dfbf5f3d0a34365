"""What packing can gain heads at most: a step of one cell against steps whose gradients need no Python.

`python -m tests.bench.heads`: a pack saves what is done once instead of once a cell, that is Python, ``vmap`` and
autograd. So the gradients of a step are written down as tensor operations (``make_fx``) and played back: what a cell
takes then is what its operations take, and no pack of the same operations is quicker.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tests.bench.measuring import show
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from promptgrid import catalog
from promptgrid.cluster.workers.allocator import keep_freed_memory
from promptgrid.engine.bench.measure import Variant, packed
from promptgrid.engine.training.programs import waves_near_cache
from promptgrid.engine.training.speed import PLAIN, Found, Speed
from promptgrid.tracks.image.bench.problem import FAMILIES, problem
from promptgrid.tracks.image.track import ImageTrack

HEADS = ("clip_adapter", "taskres", "tip_adapter_f")
PACK = 64
PLAYED = (4, 8, 16)
"""Cells whose operations are played back together; the quickest counts."""
TURNS = 5
"""The first warms up, and writes down; the least of the others counts."""


@dataclass(frozen=True)
class Played(Speed):
    """The gradients of a step by the tensor operations that they took when the step was first taken.

    ``made`` keeps them from one training to the next, which has to be of the same cells.
    """

    made: list[Callable[..., Found]] = field(default_factory=list, compare=False)

    def of(self, step: Callable[..., Found], device: torch.device) -> Callable[..., Found]:
        def played(*args: Any) -> Found:
            if not self.made:
                self.made.append(make_fx(lambda *given: step(*given))(*args))
            with torch.no_grad():
                return self.made[0](*args)

        return played


def row(track: ImageTrack, family: str, classes: int) -> dict[str, Any]:
    """Milliseconds of a step of a cell, what a pack gains, and what it would with no Python in the gradients."""
    resolver = track.resolver
    method = resolver.method(FAMILIES[family].method)
    names = tuple(resolver.dataset("concepts").card.classes[:classes])
    backbone = resolver.backbone_family("bundled").load("bundled", "cpu")
    whole = problem(FAMILIES[family], method, backbone, names, PACK)

    def variant(cells: int, speed: Speed = PLAIN) -> Variant:
        def of(steps: int) -> Callable[[], Tensor]:
            run = packed(whole.part(cells, steps), lambda step, ahead, settled: speed)
            return lambda: torch.stack(run().by_step, dim=1)

        return Variant("", cells, of)

    one, pack = variant(1), variant(-(-PACK // waves_near_cache(PACK, method.kind)))
    played = [variant(cells, Played()) for cells in PLAYED]
    for turn in range(TURNS):
        for each in (one, pack, *played):
            each.turn(time.process_time, 0.0)
            if turn == 0:
                each.size()
    least = min(each.best for each in played)
    return {
        "head": family,
        "classes": classes,
        "one cell": 1e3 * one.best,
        f"pack of {PACK}": 1e3 * pack.best,
        "operations": 1e3 * least,
        "pack gains": one.best / pack.best,
        "could gain": one.best / least,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    track = catalog.track("image")
    assert isinstance(track, ImageTrack)
    rows = [row(track, family, classes) for family in HEADS for classes in asked.classes]
    show("heads on frozen features, ms a step of a cell, one thread", rows, asked.json)


if __name__ == "__main__":
    main()
