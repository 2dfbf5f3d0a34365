"""Methods on any tower of tokens keep their promises on a tower of points."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from tests.towers.test_methods import METHODS, Points, PointTask, clouds

from promptgrid.contract.conformance import Practice, Trial, check_method
from promptgrid.contract.method import Method
from promptgrid.contract.task import Batch, Labelled
from promptgrid.towers.methods.linear_probe import LinearProbe


class PointPractice(Practice):
    """Methods on clouds of points, in float32."""

    kinds: ClassVar = frozenset({"tokens", "head"})
    new_classes: ClassVar = ("d", "e")

    def __init__(self) -> None:
        self.tower, self.offers = Points(), frozenset({"features", "tokens", "blocks", "weights"})
        self.tower.blocks.frozen = {name: value.float() for name, value in self.tower.blocks.frozen.items()}

    def trial(self, method: Method, seed: int = 1) -> Trial:
        drawn, plain = clouds(seed)
        points, labels = drawn.points.float(), drawn.labels
        features = self.tower.features(Batch(points=points))
        given = {"support": Labelled(features, labels), "validation": Labelled(features.roll(1, 0), labels.roll(1, 0))}
        task = PointTask("points", plain.classes, self.tower, given=given)
        return self.begun(method, task, Batch(points=points, features=features, labels=labels), seed=seed)

    def fingerprint(self) -> bytes:
        return b"".join(value.numpy().tobytes() for value in self.tower.weights().values())


@pytest.mark.parametrize("method", [*(own for own, _ in METHODS.values()), LinearProbe()], ids=lambda own: own.name)
def test_it_keeps_the_contract(method: Any) -> None:
    check_method(type(method), PointPractice(), **vars(method))
