"""What is timed: one method on a made-up task of a given size, the same for every variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.clip import Classifier, Labelled, Params, Recipe, Task, stream
from promptgrid.spec import Cell
from promptgrid.tracks.image.backbones.dual_encoder import DualEncoder

SHOTS = 16


@dataclass(frozen=True)
class Family:
    """A family of methods by one of its members: ``batch`` images a step, as in its recipe."""

    method: str
    about: str
    batch: int
    settings: dict[str, Any]


FAMILIES = {
    "coop": Family("coop", "text tower, one context for all classes", 32, {"context_length": 16}),
    "cocoop": Family("cocoop", "text tower, a context for each image", 1, {}),
    "maple": Family("maple", "prompts in both towers", 4, {}),
    "vpt": Family("vpt", "tokens in the image tower", 32, {}),
    "clip_lora": Family("clip_lora", "weight deltas in both towers, without dropout", 32, {"rate": 0.0}),
    "clip_adapter": Family("clip_adapter", "a head on frozen features", 32, {}),
    "taskres": Family("taskres", "residuals of the class texts on frozen features", 256, {}),
    "tip_adapter_f": Family("tip_adapter_f", "a trained cache of the features of 16 shots", 256, {}),
    "tpt": Family("tpt", "a context tuned on each test image by itself: a step is an image", 64, {}),
}


@dataclass(frozen=True)
class Problem:
    """K cells of one method: random images, real class names, ``steps`` steps of ``batch`` images.

    Attributes:
        kind: the method as it is found.
        encoder: the towers, of ``task`` too.
        method: with its recipe cut to ``steps`` iterations.
        cells: they name the random streams.
        task: on the engine's backbone.
        features: (N, width) frozen features, shared by the cells.
        pixels: (N, 3, size, size) uint8.
        labels: (N,).
    """

    family: Family
    kind: type[Classifier]
    encoder: DualEncoder
    method: Classifier
    cells: tuple[Cell, ...]
    task: Task
    features: Tensor
    pixels: Tensor
    labels: Tensor

    @property
    def inside_image_tower(self) -> bool:
        """Whether the image tower takes part in every step."""
        return "vision_blocks" in self.method.needs

    def part(self, cells: int, steps: int) -> Problem:
        """The first ``cells`` cells, taking ``steps`` steps."""
        return replace(self, method=_limited(self.kind, steps)(**_settings(self.family)), cells=self.cells[:cells])

    def start(self, slot: int) -> Params:
        """The parameters that the cell in ``slot`` starts from, in the precision of the features."""
        drawn = self.method.init(self.task, stream("bench", self.cells[slot].seed, "init"))
        return {name: value.to(self.features) for name, value in drawn.items()}

    def recipe(self) -> Recipe:
        """How the method is fitted."""
        recipe = self.method.recipe(self.task)
        if recipe is None:
            raise ValueError(f"{self.method.name} is not fitted by descent")
        return recipe


def problem(
    family: Family, method: type[Classifier], backbone: DualEncoder, classes: tuple[str, ...], cells: int
) -> Problem:
    """``cells`` cells that take one step each; the images are noise, which costs what photographs cost.

    There are two batches of them, or for a cache, which has a row for each, as many as 16 shots have.
    """
    count = SHOTS * len(classes) if method.kind == "cache" else 2 * family.batch
    family = replace(family, batch=min(family.batch, count))
    noise = torch.Generator().manual_seed(0)
    size = backbone.image_size
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=noise, dtype=torch.uint8)
    labels = torch.randint(0, len(classes), (count,), generator=noise)
    with torch.no_grad():
        features = torch.cat([backbone.encode_pixels(part) for part in torch.split(pixels, 64)])
    device = features.device
    task = Task.of(dataset="bench", classes=classes, template="a photo of a {}.", backbone=backbone, shots=1)
    task = task.but(support=Labelled(features, labels.to(device)))
    names = tuple(_cell(method.name, seed) for seed in range(1, cells + 1))
    limited = _limited(method, 1)(**_settings(family))
    return Problem(family, method, backbone, limited, names, task, features, pixels, labels.to(device))


def _settings(family: Family) -> dict[str, Any]:
    return family.settings | {"batch_size": family.batch}


def _limited(method: type[Classifier], steps: int) -> type[Classifier]:
    """``method`` with a recipe of ``steps`` iterations and no closing search."""

    def recipe(self: Classifier, task: Task) -> Recipe | None:
        full = method.recipe(self, task)
        return None if full is None else replace(full, iterations=steps)

    return type(f"Timed{method.__name__}", (method,), {"recipe": recipe, "__module__": method.__module__})


def _cell(method: str, seed: int) -> Cell:
    place = {"method": method, "dataset": "bench", "backbone": "", "protocol": "few_shot", "track": "image"}
    return Cell(
        **place,
        settings={},
        shots=1,
        seed=seed,
        selection="last",
        precision="fp32",
        identity={**place, "seed": seed, "split": "bench"},
    )
