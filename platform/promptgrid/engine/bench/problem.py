"""What is timed: one method on a made-up task of a given size, the same for every variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor

from promptgrid.contract.columns import Column
from promptgrid.contract.method import Method, Params
from promptgrid.contract.randomness import stream
from promptgrid.contract.recipe import Recipe
from promptgrid.contract.task import Task
from promptgrid.spec import Cell

KINDS = ("small", "large", "old", "young", "wild", "red", "blue", "wooden", "broken", "painted")
"""Words before names of classes where more are asked for than there are."""


@dataclass(frozen=True)
class Family:
    """A family of methods by one of its members: ``batch`` examples a step, as in its recipe."""

    method: str
    about: str
    batch: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """K cells of one method, ``steps`` steps of ``batch`` examples each.

    Attributes:
        kind: the method as it is found.
        method: with its recipe cut to ``steps`` iterations.
        cells: they name the random streams.
        task: on the engine's backbone.
        like: a tensor on the device, in the precision of the parameters.
        labels: (N,).
        columns: of the training set that the cells share.
    """

    family: Family
    kind: type[Any]
    method: Any
    cells: tuple[Cell, ...]
    task: Task
    like: Tensor
    labels: Tensor
    columns: Mapping[str, Column]

    @property
    def apart(self) -> bool:
        """Whether the engine trains these cells one behind the other; see ``PackData.apart``."""
        return False

    def part(self, cells: int, steps: int) -> Self:
        """The first ``cells`` cells, taking ``steps`` steps."""
        return replace(self, method=limited(self.kind, self.family, steps), cells=self.cells[:cells])

    def start(self, slot: int) -> Params:
        """The parameters that the cell in ``slot`` starts from, in the precision of ``like``."""
        drawn = self.method.init(self.task, stream("bench", self.cells[slot].seed, "init"))
        return {name: value.to(self.like) for name, value in drawn.items()}

    def recipe(self) -> Recipe:
        """How the method is fitted."""
        recipe: Recipe | None = self.method.recipe(self.task)
        if recipe is None:
            raise ValueError(f"{self.method.name} is not fitted by descent")
        return recipe


def limited(method: type[Method], family: Family, steps: int) -> Any:
    """A ``method`` of ``family`` with a recipe of ``steps`` iterations and no closing search."""

    def recipe(self: Method, task: Task) -> Recipe | None:
        full = method.recipe(self, task)
        return None if full is None else replace(full, iterations=steps)

    kind = type(f"Timed{method.__name__}", (method,), {"recipe": recipe, "__module__": method.__module__})
    return kind(**family.settings | {"batch_size": family.batch})


def cells_of(track: str, method: str, count: int) -> tuple[Cell, ...]:
    """``count`` cells of ``method`` with seeds from 1 on."""
    place = {"method": method, "dataset": "bench", "backbone": "", "protocol": "few_shot", "track": track}
    return tuple(
        Cell(
            **place,
            settings={},
            shots=1,
            seed=seed,
            selection="last",
            precision="fp32",
            identity={**place, "seed": seed, "split": "bench"},
        )
        for seed in range(1, count + 1)
    )


def many(names: tuple[str, ...]) -> tuple[str, ...]:
    """``names``, then each again with a word before it."""
    return names + tuple(f"{kind} {name}" for kind in KINDS for name in names)
