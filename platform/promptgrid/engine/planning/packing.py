"""Which cells run as one tensor program, and what a pack is expected to cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from promptgrid.contract.method import Method
from promptgrid.contract.task import Task
from promptgrid.engine.training.schedule import steps_per_epoch
from promptgrid.spec import Cell, Machine, Pack, canonical_json

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
    """(training steps, batch size) that ``method`` takes on ``labelled`` training examples and a pool of ``pool``."""
    drawn = method.draws(task, pool)
    if not drawn:
        stages = [_fit(method, replace(task, turn=turn), labelled) for turn in range(method.stages)]
        return sum(steps for steps, _ in stages), max(batch for _, batch in stages)
    shots = labelled if method.with_labelled else 0
    rounds = [_fit(method, replace(task, turn=turn), shots + count) for turn, count in enumerate(drawn)]
    return sum(steps for steps, _ in rounds), max(batch for _, batch in rounds)


def _fit(method: Method, task: Task, examples: int) -> tuple[int, int]:
    recipe = method.recipe(task)
    if recipe is None:
        return 0, examples
    size, keep_last = recipe.batches.size, recipe.batches.keep_last
    steps = recipe.iterations or recipe.epochs * steps_per_epoch(examples, size, keep_last)
    return steps, min(size, examples)
