"""Which cells run as one tensor program, and what a pack is expected to cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import cast

from promptgrid.contract import Backbone, Method, Sphere, Spsa, Task
from promptgrid.contract.black_box import INSIDE_IMAGES
from promptgrid.spec import Cell, Machine, Pack, canonical_json
from promptgrid.tracks.image.engine.schedule import steps_per_epoch

GPU_BASE_MB = 1200.0
"""A CUDA context with the weights of a ViT-B; what a pack really took replaces the sum once it has been measured."""
LARGEST = 64
"""Cells in a pack: beyond, a step is bound by arithmetic on every machine we measured."""
LONGEST = 90.0
"""Expected seconds of a pack: a grid of one method on one task still keeps several workers busy."""
LEAST_ROOM = 0.25
"""The share of a machine's room that is left to cells, however much their pack holds beside them."""
CALL_SECONDS = 2e-3
"""What a step takes beside its arithmetic; the cells of a pack share it (counted as eight)."""


@dataclass(frozen=True)
class Room:
    """How much a pack may hold on a kind of machine (MB), and how fast that works (multiply-adds, doubled, a second).

    Both are round numbers and never asked of the machine at hand: packs are the same on every machine of a kind.
    """

    memory_mb: float
    flops_a_second: float


ROOMS: dict[Machine, Room] = {"cpu": Room(1500.0, 1.2e11), "cuda": Room(12_000.0, 1e13)}
"""Of a CPU: one core, several workers side by side. Of a GPU: one of 16 GB, where packs are split that do not fit."""


@dataclass(frozen=True)
class Shape:
    """Sizes that decide what one training step of a cell costs; those of ViT-B/16 where a backbone does not say."""

    classes: int
    images: int
    text_width: int = 512
    text_layers: int = 12
    vision_width: int = 768
    vision_layers: int = 12
    patches: int = 196
    image_size: int = 224

    @classmethod
    def of(cls, backbone: Backbone, classes: int, images: int) -> Shape:
        """The sizes of ``backbone``, loaded."""
        return cls(
            classes=classes,
            images=images,
            text_width=backbone.text.width,
            text_layers=backbone.text.layers,
            vision_width=backbone.vision.width,
            vision_layers=backbone.vision.layers,
            patches=(backbone.image_size // backbone.patch_size) ** 2,
            image_size=backbone.image_size,
        )


def group_of(cell: Cell, method: type[Method]) -> str:
    """Cells with equal groups differ only in shots, seed, source and knobs and may share a pack."""
    knobs = method.knobs()
    plain = {name: value for name, value in cell.settings.items() if name not in knobs}
    parts = [cell.protocol, cell.method, plain, cell.backbone, cell.dataset, cell.selection, cell.precision]
    how = [cell.scored, cell.reading, cell.views]
    own = [] if method.packs else [cell.key]
    return canonical_json([*parts, *how, *own])


@dataclass(frozen=True)
class Expectation:
    """What one cell is expected to take: training steps, seconds and MB of activations.

    ``shared_mb`` is held once by a pack, however many cells it has.
    """

    steps: int
    seconds: float
    memory_mb: float
    shared_mb: float = 0.0

    def load(self, room: Room) -> float:
        """The share of a pack that it fills."""
        left = max(LEAST_ROOM * room.memory_mb, room.memory_mb - self.shared_mb)
        return max(1.0 / LARGEST, self.memory_mb / left, self.seconds / LONGEST)


def packs_of(cells: Iterable[Cell], expect: Callable[[Cell], Expectation], room: Room = ROOMS["cpu"]) -> list[Pack]:
    """Every distinct cell in one pack.

    The cells of a group are laid out longest first and cut into packs of about equal load, so that cells of one length
    stay together, nothing is nearly empty, and no pack keeps one worker busy for long while the others are idle.

    Args:
        cells: of a whole plan, finished or not: packs never depend on what is missing.
        expect: what a cell takes.
        room: what a pack may take.
    """
    groups: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, {})[cell.key] = cell
    packs = []
    for members in groups.values():
        listed = sorted(((expect(cell), cell) for cell in members.values()), key=lambda pair: -pair[0].steps)
        total = sum(one.load(room) for one, _ in listed)
        share = total / math.ceil(total - 1e-6)
        parts: dict[int, list[tuple[Expectation, Cell]]] = {}
        before = 0.0
        for one, cell in listed:
            load = one.load(room)
            parts.setdefault(int((before + load / 2) / share), []).append((one, cell))
            before += load
        packs += [_pack(part) for part in parts.values()]
    return packs


def _pack(part: list[tuple[Expectation, Cell]]) -> Pack:
    return Pack(
        cells=tuple(cell for _, cell in part),
        seconds=sum(one.seconds for one, _ in part),
        gpu_memory_mb=GPU_BASE_MB + max(one.shared_mb for one, _ in part) + sum(one.memory_mb for one, _ in part),
    )


def work(method: Method, task: Task, labelled: int, pool: int) -> tuple[int, int]:
    """(training steps, batch size) that ``method`` takes on ``labelled`` training images and a pool of ``pool``."""
    drawn = method.draws(task, pool)
    if not drawn:
        stages = [_fit(method, replace(task, turn=turn), labelled) for turn in range(method.stages)]
        return sum(steps for steps, _ in stages), max(batch for _, batch in stages)
    shots = labelled if method.with_labelled else 0
    rounds = [_fit(method, replace(task, turn=turn), shots + count) for turn, count in enumerate(drawn)]
    return sum(steps for steps, _ in rounds), max(batch for _, batch in rounds)


def _fit(method: Method, task: Task, images: int) -> tuple[int, int]:
    recipe = method.recipe(task)
    if recipe is None:
        return 0, images
    size, keep_last = recipe.batches.size, recipe.batches.keep_last
    steps = recipe.iterations or recipe.epochs * steps_per_epoch(images, size, keep_last)
    return steps, min(size, images)


def step_flops(method: Method, shape: Shape, batch: int) -> float:
    """Multiply-adds, doubled, of one training step: towers that need gradients count three times."""
    text = 24.0 * shape.text_width**2 * shape.text_layers * _text_tokens(method, shape, batch) * 3
    image = 24.0 * shape.vision_width**2 * shape.vision_layers * (shape.patches + 17) * batch * 3
    heads = 6.0 * shape.text_width * (shape.classes + shape.images) * batch
    return text + image * _looks(method) / 3 + heads


def adapting_flops(method: Method, shape: Shape, images: int) -> float:
    """Of adapting to ``images`` test images one by one: their views through the image tower, and the steps."""
    plan = method.adaptation
    if plan is None:
        return 0.0
    look = 24.0 * shape.vision_width**2 * shape.vision_layers * (shape.patches + 17) * (plan.views + plan.generated)
    return images * (look + plan.steps * step_flops(method, shape, max(1, plan.views // 10)))


def cell_memory_mb(method: Method, shape: Shape, batch: int) -> float:
    """Activations kept for the backward pass of one cell, and its training images.

    About 12 numbers a token, width and layer (measured with five methods on the bundled backbone: within 40 %).
    """
    text = _text_tokens(method, shape, batch) * shape.text_width * shape.text_layers
    tokens = (shape.patches + 17) * batch
    layers = 2 if "logits" in method.needs else shape.vision_layers  # without gradients nothing is kept
    image = tokens * shape.vision_width * layers if _looks(method) else 0
    kept = shape.images * shape.image_size**2 * 3 if _looks(method) else 0
    return (12 * 4 * (text + image) + kept) / 2**20 + 0.5


def halves_mb(method: Method, shape: Shape) -> float:
    """The frozen blocks that take part in a step once more, in half precision: 12 width² numbers a layer."""
    text = shape.text_width**2 * shape.text_layers if _text_tokens(method, shape, 1) else 0
    image = shape.vision_width**2 * shape.vision_layers if INSIDE_IMAGES & method.needs else 0
    return 2 * 12 * (text + image) / 2**20


def _text_tokens(method: Method, shape: Shape, batch: int) -> int:
    """Tokens that pass the text tower in a step: one context, and about five of each class behind it."""
    if not {"text_tokens", "text_blocks"} & method.needs:
        return 0
    return (shape.classes * 5 + 17) * (batch * _views(method) if method.texts_per_image else 1)


def _looks(method: Method) -> float:
    """Forward passes of the image tower in a step: three for each view to learn from, one for each loss asked for."""
    if "logits" in method.needs:
        policy = method.step(Task("", (), "{}", cast(Backbone, None)))
        return float(policy.asks) if isinstance(policy, Spsa | Sphere) else 1.0
    return 3.0 * _views(method) if INSIDE_IMAGES & method.needs else 0.0


def _views(method: Method) -> int:
    """Views of a training image that a step looks at."""
    return 1 + len(method.beside)
