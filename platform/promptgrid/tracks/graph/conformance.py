"""The promises of graph methods: those of :mod:`promptgrid.contract.conformance`, on a small tower and a few graphs.

A third party's test is two lines::

    def test_mine():
        check_method(MyGraphMethod)
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import numpy as np
import torch

from promptgrid.contract.conformance import Practice, Trial
from promptgrid.contract.conformance import method as core
from promptgrid.contract.method import Method
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch, Labelled
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.backbones.practice import practice_tower
from promptgrid.tracks.graph.data.pack_data import ROWS, shown_batch
from promptgrid.tracks.graph.data.padding import padded
from promptgrid.tracks.graph.datasets.graph import Example
from promptgrid.tracks.graph.task import GraphTask

CLASSES, SHOTS, MOST = ("ring", "star", "path"), 3, 7


class GraphPractice(Practice):
    """Graph methods on ``backbone``; on a small random tower when None. Its task is small graphs of three shapes."""

    kinds: ClassVar = frozenset({"nodes", "weights", "head", "zero-shot"})
    new_classes: ClassVar = ("tree", "clique", "grid", "cycle")

    def __init__(self, backbone: GraphBackbone | None = None) -> None:
        self.backbone = practice_tower() if backbone is None else backbone
        self.offers = self.backbone.offers | {"own", "smoothed"}

    def trial(self, method: Method, seed: int = 1) -> Trial:
        labels = torch.arange(len(CLASSES)).repeat_interleave(SHOTS)
        examples, held = (self.graphs(labels, f"{part} {seed}") for part in ("training", "validation"))
        spoken = torch.nn.functional.normalize(
            torch.randn(7, self.backbone.shape.text or 1, generator=stream("conformance", "spoken")), dim=-1
        )
        given: dict[str, Any] = {
            "spoken": dict(zip((*CLASSES, *self.new_classes), spoken, strict=True)), "wide": self.backbone.raw,
        }  # fmt: skip
        read = next((name for name in ROWS if name in method.needs), None)
        if read:
            given |= {"support": Labelled(examples[read], labels), "validation": Labelled(held[read], labels)}
        wanted = {"x", "links", "there"} if "graph" in method.needs else set()
        shown = Batch({name: examples[name] for name in examples if name in wanted | method.needs}, labels=labels)
        given["examples"] = shown
        return self.begun(
            method, GraphTask("conformance", CLASSES, self.backbone, SHOTS, given=given), shown, seed=seed
        )

    def graphs(self, labels: torch.Tensor, name: str) -> Batch:
        """All columns of a graph of each label's shape, with features drawn from ``name``."""
        rng = stream("conformance", "graphs", name)
        examples, first = [], 0
        for label in labels.tolist():
            count = int(torch.randint(3, MOST + 1, (), generator=rng))
            ends = [[(at, (at + 1) % count) for at in range(count)], [(0, at) for at in range(1, count)],
                    [(at, at + 1) for at in range(count - 1)]][label]  # fmt: skip
            links = np.array([*ends, *((b, a) for a, b in ends)], dtype=np.int64)
            examples.append(Example(np.arange(first, first + count), links))
            first += count
        table = torch.randn(first, self.backbone.raw, generator=rng)
        batch = shown_batch(padded(examples, MOST, 2 * MOST), table)
        with torch.no_grad():
            features = self.backbone.features(self.backbone.seen(batch))
        return batch.but(own=batch.x[:, 0], smoothed=batch.x.mean(1), features=features)

    def fingerprint(self) -> bytes:
        found = hashlib.sha256()
        for name, value in sorted(self.backbone.tensors.items()):
            found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return found.digest()


def check_method(method: type[Method], backbone: GraphBackbone | None = None, **settings: Any) -> None:
    """All promises of a method on ``backbone`` (a small practice one by default), with ``settings`` for defaults.

    Raises:
        AssertionError: the first promise that is not kept, in a sentence.
    """
    core.check_method(method, GraphPractice(backbone), **settings)
