"""Which cells run as one tensor program, and what a pack is expected to cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from promptgrid.contract import Method
from promptgrid.spec import Cell, Pack, canonical_json

MEMORY_MB = 1500.0
GPU_BASE_MB = 1200.0
"""A CUDA context with the weights of a ViT-B; what a pack really took replaces the sum once it has been measured."""
LARGEST = 16
FLOPS_A_SECOND = 6e10
CALL_SECONDS = 2e-3


@dataclass(frozen=True)
class Shape:
    """Sizes that decide what one training step of a cell costs."""

    classes: int
    images: int
    text_width: int = 192
    text_layers: int = 4
    vision_width: int = 192
    vision_layers: int = 6
    patches: int = 36


def group_of(cell: Cell, method: type[Method]) -> str:
    """Cells with equal groups differ only in seed and knobs and may share a pack."""
    knobs = method.knobs()
    plain = {name: value for name, value in cell.settings.items() if name not in knobs}
    parts = [cell.protocol, cell.method, plain, cell.backbone, cell.dataset, cell.shots, cell.selection, cell.precision]
    parts += [cell.scored] if cell.scored != "test" else []
    own = [] if method.packs else [cell.key]
    return canonical_json([*parts, *own])


@dataclass(frozen=True)
class Expectation:
    """What one cell of a group is expected to take: seconds, MB of activations; and how many fit a pack."""

    largest: int
    seconds: float
    memory_mb: float


def packs_of(cells: Iterable[Cell], expected: Mapping[str, Expectation]) -> list[Pack]:
    """Every distinct cell in one pack, in the order of the plan.

    Args:
        cells: of a whole plan, finished or not: packs never depend on what is missing.
        expected: of one cell, by group.
    """
    groups: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, {})[cell.key] = cell
    packs = []
    for group, members in groups.items():
        listed = list(members.values())
        one = expected[group]
        for start in range(0, len(listed), one.largest):
            part = tuple(listed[start : start + one.largest])
            memory = GPU_BASE_MB + one.memory_mb * len(part)
            packs.append(Pack(cells=part, seconds=one.seconds * len(part), gpu_memory_mb=memory))
    return packs


def step_flops(method: Method, shape: Shape, batch: int) -> float:
    """Multiply-adds, doubled, of one training step: towers that need gradients count three times."""
    tokens = shape.classes * 16
    if method.name == "cocoop":
        tokens *= batch
    text = 24.0 * shape.text_width**2 * shape.text_layers * tokens * 3
    image = 24.0 * shape.vision_width**2 * shape.vision_layers * (shape.patches + 17) * batch * 3
    heads = 6.0 * shape.text_width * (shape.classes + shape.images) * batch
    learns_text = bool({"text_tokens", "text_blocks"} & method.needs)
    return text * learns_text + image * ("vision_blocks" in method.needs) + heads


def cell_memory_mb(method: Method, shape: Shape, batch: int) -> float:
    """Activations kept for the backward pass of one cell, roughly: 20 numbers a token, width and layer."""
    tokens = shape.classes * 16 * (batch if method.name == "cocoop" else 1)
    text = tokens * shape.text_width * shape.text_layers if {"text_tokens", "text_blocks"} & method.needs else 0
    patches = (shape.patches + 17) * batch
    image = patches * shape.vision_width * shape.vision_layers if "vision_blocks" in method.needs else 0
    return 20 * 4 * (text + image) / 2**20 + 1.0
