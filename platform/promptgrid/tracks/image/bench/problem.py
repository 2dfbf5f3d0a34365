"""What is timed: one method on made-up images of a given number of classes, the same for every variant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract.clip import Classifier, Labelled, Task
from promptgrid.contract.columns import Column, Views
from promptgrid.engine.bench.problem import Family, Problem, cells_of, limited
from promptgrid.towers.clip.models.dual_encoder import DualEncoder

SHOTS = 16
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
class ImageProblem(Problem):
    """Random images with real class names.

    Attributes:
        encoder: the towers, of ``task`` too.
        pixels: (N, 3, size, size) uint8.
    """

    method: Classifier
    task: Task
    encoder: DualEncoder
    pixels: Tensor

    @property
    def features(self) -> Tensor:
        """(N, width) frozen features, shared by the cells."""
        return self.like

    @property
    def inside_image_tower(self) -> bool:
        """Whether the image tower takes part in every step."""
        return "vision_blocks" in self.method.needs


def problem(
    family: Family, method: type[Classifier], backbone: DualEncoder, classes: tuple[str, ...], cells: int
) -> ImageProblem:
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
    timed = limited(method, family, 1)
    columns: dict[str, Column] = {"features": Views.still(features)}
    if "vision_blocks" in timed.needs:
        columns["patches"] = Views.still(pixels, backbone.patches, kept=True)
    return ImageProblem(
        family=family,
        kind=method,
        method=timed,
        cells=cells_of("image", method.name, cells),
        task=task,
        like=features,
        labels=labels.to(device),
        columns=columns,
        encoder=backbone,
        pixels=pixels,
    )
