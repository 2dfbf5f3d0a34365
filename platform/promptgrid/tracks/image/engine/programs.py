"""Which slots of a pack train as one tensor program, and what stands in for a cell that is not wanted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract import Params, Task, stream
from promptgrid.spec import Cell, Pack, Refused
from promptgrid.tracks.image.engine.preparing import Bench, Prepared, schedule_of
from promptgrid.tracks.image.engine.schedule import Schedule
from promptgrid.tracks.image.engine.scoring import logits_of
from promptgrid.tracks.image.engine.speed import chooser
from promptgrid.tracks.image.engine.stock import second_features
from promptgrid.tracks.image.engine.support import Support
from promptgrid.tracks.image.engine.trainer import PackedMethod, fit

ROOM = 0.9
"""The share of a GPU's free memory that a pack may take."""


@dataclass(frozen=True)
class Program:
    """Slots that train as one: equal batch sizes, longest first. Each slot has the schedule of its own cell."""

    cells: tuple[Cell, ...]
    schedules: tuple[Schedule, ...]


@dataclass(frozen=True)
class Trained:
    """What one cell learned: its parameters (on the device), mean losses by epoch, validation scores.

    ``seconds`` is its share of the program's time, by its share of the steps; ``speed`` the shortcuts taken.
    """

    params: Params
    losses: Tensor
    validation: list[float]
    seconds: float
    speed: str = ""


def programs_of(cells: Sequence[Cell], bench: Bench, waves: int = 1) -> list[Program]:
    """The programs of the slots of a pack, whatever is wanted of it; each in ``waves`` parts where memory is short.

    Cells of other shots take other numbers of steps: they train side by side and leave when they are done. Cells with
    too few images for a whole batch have smaller batches, and those are programs of their own: a method's losses know
    no mask, and a mean over a padded batch would be another loss. So are, for methods that keep a row for each
    training image (kind ``cache``), cells with other numbers of images; and cells that tell other classes apart.
    """
    groups: dict[object, list[tuple[Cell, Schedule]]] = {}
    for cell in cells:
        schedule, split = schedule_of(cell, bench), bench.desk.split(cell)
        if schedule is not None:
            rows = len(split.train) if bench.method.kind == "cache" else 0
            groups.setdefault((schedule.batch, rows, split.classes, schedule.rule), []).append((cell, schedule))
    programs = []
    for members in groups.values():
        ordered = sorted(members, key=lambda member: -member[1].total)
        size = -(-len(ordered) // waves)
        for first in range(0, len(ordered), size):
            own, schedules = zip(*ordered[first : first + size], strict=True)
            programs.append(Program(own, schedules))
    return programs


def waves_for(pack: Pack, device: str) -> int:
    """In how many parts the programs of ``pack`` fit the memory that ``device`` has free.

    What a pack takes is what its records measured, or an estimate until there are some. A CPU is taken to have room:
    packs are cut for it when they are planned.
    """
    if not device.startswith("cuda") or not pack.gpu_memory_mb:
        return 1
    free = torch.cuda.mem_get_info(device)[0] / 2**20
    return max(1, min(len(pack.cells), math.ceil(pack.gpu_memory_mb / (ROOM * free))))


def train(
    program: Program,
    ready: dict[str, Prepared],
    bench: Bench,
    progress: Callable[[float], None],
) -> dict[str, Trained]:
    """What each prepared cell of ``program`` learned, by key.

    Slots whose cells are not ``ready`` are filled with a stand-in, a prepared cell that takes the steps of the missing
    one, so that every tensor has the shape that the whole pack gives it: a resumed cell has the bits it would have had
    the first time, and the code and data of a cell that is not wanted are never run.
    """
    present = [ready[cell.key] for cell in program.cells if cell.key in ready]
    if not present:
        return {}
    slots = [ready.get(cell.key, present[0]) for cell in program.cells]
    began = time.perf_counter()
    starts = {one.cell.key: start(one) for one in present}
    stacked = {
        name: torch.stack([starts[slot.cell.key][name] for slot in slots]).to(bench.device)
        for name in starts[present[0].cell.key]
    }
    support = Support([slot.album for slot in slots], [slot.cell for slot in slots], program.schedules)
    validate = _validator(slots, bench) if slots[0].cell.selection == "val" else None
    choose = chooser(bench.device, present[0].cell.precision)
    found = fit(_packed(program, slots, bench), stacked, support, program.schedules, validate, progress, choose)
    a_step = (time.perf_counter() - began) / sum(schedule.total for schedule in program.schedules)
    return {
        cell.key: Trained(
            params={name: value[place] for name, value in found.params.items()},
            losses=found.losses[place],
            validation=found.validation[place],
            seconds=a_step * program.schedules[place].total,
            speed=str(found.speed),
        )
        for place, cell in enumerate(program.cells)
        if cell.key in ready
    }


def start(ready: Prepared) -> Params:
    """The parameters that a cell starts from: drawn, or carried over from where they were learned.

    What a method keeps as it is (``frozen``) belongs to the task at hand and is never carried into training.

    Raises:
        Refused: what was learned has other shapes than this task needs.
    """
    cell, carried = ready.cell, ready.carried
    if carried is not None and cell.reading == "evaluate":
        return carried
    drawn = ready.method.init(ready.task, stream(cell.identity.get("split"), cell.shots, cell.seed, "init"))
    if carried is None:
        return drawn
    for name, value in drawn.items():
        if name not in carried or carried[name].shape != value.shape:
            found = tuple(carried[name].shape) if name in carried else None
            raise Refused(f"parameter {name!r} learned on {cell.source} does not fit", where=cell.dataset, got=found,
                          expected=str(tuple(value.shape)))  # fmt: skip
    return {name: value if name in ready.method.frozen else carried[name] for name, value in drawn.items()}


def _packed(program: Program, slots: Sequence[Prepared], bench: Bench) -> PackedMethod:
    knobs = {
        name: torch.tensor([float(getattr(slot.method, name)) for slot in slots], device=bench.device)
        for name in bench.method.knobs()
    }
    shots = [cell.shots for cell in program.cells]
    mixed = torch.tensor(shots, device=bench.device) if len(set(shots)) > 1 else None
    shared: Task = replace(slots[0].task.without_images(), shots=shots[0])
    return PackedMethod(slots[0].method, knobs, shared, mixed)


def _validator(slots: Sequence[Prepared], bench: Bench) -> Callable[[int, Params], float]:
    """(slot, its parameters) to the accuracy on its few validation images."""
    pixels = {slot.split.val: bench.desk.pixels("val", slot.split.val) for slot in slots}
    second = {slot.split.val: second_features(bench, "val", slot.split.val) for slot in slots}

    def validate(place: int, params: Params) -> float:
        slot = slots[place]
        if slot.task.validation is None:
            raise ValueError("selection by validation images, but the split has none")
        held = slot.task.validation
        seen = slot.split.val
        logits = logits_of(slot.method, params, slot.task, held.features, pixels[seen], second[seen])
        return float((logits.argmax(1) == held.labels).double().mean())

    return validate
