"""A first stage: what another method learned on another dataset, from which a method begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from promptgrid.spec.cell import Setting


@dataclass(frozen=True)
class FirstStage:
    """A cell that is learned before a method's own. All cells on one backbone that say the same begin from the same.

    Attributes:
        method: its name.
        settings: as a suite would write them.
        dataset: the source: no class and no example of it is one of the cell's own dataset.
        shots: training examples a class; where a class has fewer, all it has.
        seed: of its draw and its start, whatever the cell's own.
        kept: names of the learned parameters that are begun from; what else it learned is thrown away.
    """

    method: str
    dataset: str
    kept: frozenset[str]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    shots: int = 10_000
    seed: int = 1
