"""Which slots of a pack train as one tensor program, and what stands in for a cell that is not wanted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract.method import Method, Params
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Task
from promptgrid.engine.data import PackData, Prepared
from promptgrid.engine.scoring import answers_of, scores_of
from promptgrid.engine.training.keeping import Validate
from promptgrid.engine.training.packed import PackedMethod
from promptgrid.engine.training.rounds import mixtures_of, schedules_for, schedules_of, set_of
from promptgrid.engine.training.sampling import Sampler
from promptgrid.engine.training.schedule import Schedule
from promptgrid.engine.training.speed import Choose, Speed, chooser, plainly
from promptgrid.engine.training.trainer import Fit, fit
from promptgrid.spec import Cell, Pack, Refused
from promptgrid.spec.metrics import metric_of

ROOM = 0.9
"""The share of a GPU's free memory that a pack may take."""
NEAR = 16
"""Cells of a head or a cache that a CPU trains at once: the numbers of more fall out of its cache between two steps."""


@dataclass(frozen=True)
class Program:
    """Slots that train as one: equal batch sizes, longest first. Each slot has the schedules of its own cell.

    ``rounds`` holds the schedules of all slots, round by round: one round, but for methods that train on a pool, label
    it again and train again. Such slots go through their rounds in step.
    """

    cells: tuple[Cell, ...]
    rounds: tuple[tuple[Schedule, ...], ...]


@dataclass(frozen=True)
class Trained:
    """What one cell learned: its parameters (on the device), mean losses by epoch, validation scores by checkpoint.

    ``queries`` are the examples that a black box had been asked about behind each epoch, ``checkpoints`` behind each
    validation score; empty of a model that is open. ``seconds`` is its share of the program's time, by its share of the
    steps; ``speed`` the shortcuts taken.
    """

    params: Params
    losses: Tensor
    validation: list[float]
    seconds: float
    speed: str = ""
    queries: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()


def programs_of(cells: Sequence[Cell], data: PackData, waves: int = 1) -> list[Program]:
    """The programs of the slots of a pack, whatever is wanted of it; each in ``waves`` parts where memory is short.

    Cells of other shots take other numbers of steps: they train side by side and leave when they are done. Cells with
    too few examples for a whole batch have smaller batches, and those are programs of their own: a method's losses know
    no mask, and a mean over a padded batch would be another loss; as are those whose epochs end in a smaller batch at
    another step, or of another size. So are, for methods that keep a row for each
    training example (kind ``cache``), cells with other numbers of examples; cells that tell other classes apart; and,
    for methods that train on a pool, cells of other shots or with other numbers of examples in any round. Where the
    method does not pack, every cell is a program.
    """
    groups: dict[object, list[tuple[Cell, tuple[Schedule, ...]]]] = {}
    for cell in cells:
        schedules, split = schedules_of(cell, data), data.split(cell)
        if schedules:
            rows = len(split.train) if data.method.kind == "cache" else 0
            mixtures = mixtures_of(cell, data)
            pooled = (cell.shots, mixtures) if any(pool for _, pool in mixtures) else ()
            alone = "" if data.method.packs else cell.key
            sizes = tuple(schedule.sizes for schedule in schedules)
            name = sizes, rows, split.classes, schedules[0].rule, pooled, alone
            groups.setdefault(name, []).append((cell, schedules))
    programs = []
    for members in groups.values():
        ordered = sorted(members, key=lambda member: -member[1][0].total)
        size = -(-len(ordered) // waves)
        for first in range(0, len(ordered), size):
            own, schedules_by_cell = zip(*ordered[first : first + size], strict=True)
            programs.append(Program(own, tuple(zip(*schedules_by_cell, strict=True))))
    return programs


def waves_for(pack: Pack, device: str, kind: str) -> int:
    """In how many parts the programs of ``pack`` fit the memory that ``device`` has free.

    What a pack takes is what its records measured, or an estimate until there are some. A CPU is taken to have room:
    packs are cut for it when they are planned, those on frozen features once more for its cache.
    """
    if not device.startswith("cuda"):
        return waves_near_cache(len(pack.cells), kind)
    if not pack.gpu_memory_mb:
        return 1
    free = torch.cuda.mem_get_info(device)[0] / 2**20
    return max(1, min(len(pack.cells), math.ceil(pack.gpu_memory_mb / (ROOM * free))))


def waves_near_cache(cells: int, kind: str) -> int:
    """In how many parts a CPU trains ``cells`` cells of methods of this ``kind``."""
    return math.ceil(cells / NEAR) if kind in {"head", "cache"} else 1


def train(
    program: Program,
    ready: dict[str, Prepared],
    data: PackData,
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
    fits: list[Fit] = []
    for turn in range(len(program.rounds)):
        step = _share_of(progress, turn, len(program.rounds))
        fits.append(_fit(program, slots, data, fits[-1] if fits else None, turn, step))
    sign = metric_of(data.opened.protocol.choose_by).sign
    totals = [sum(schedule.total for schedule in own) for own in zip(*program.rounds, strict=True)]
    a_step = (time.perf_counter() - began) / sum(totals)
    return {
        cell.key: Trained(
            params={name: value[place] for name, value in fits[-1].params.items()},
            losses=torch.cat([found.losses[place] for found in fits]),
            validation=[sign * score for found in fits for score in found.validation[place]],
            seconds=a_step * totals[place],
            speed=str(_taken([found.speed for found in fits])),
            **_queries(fits[-1].queries[place], program.rounds[-1][place], bool(fits[-1].validation[place])),
        )
        for place, cell in enumerate(program.cells)
        if cell.key in ready
    }


def _taken(speeds: list[Speed]) -> Speed:
    """The shortcuts that any round took."""
    compiled, captured = any(one.compiled for one in speeds), any(one.captured for one in speeds)
    return replace(speeds[0], compiled=compiled, captured=captured)


def _queries(asked: list[int], schedule: Schedule, validated: bool) -> dict[str, tuple[int, ...]]:
    """Examples asked about behind each epoch and checkpoint, from those behind each step; none of an open model."""
    if not asked or not asked[-1]:
        return {}
    ends = [min(schedule.total, epoch * schedule.each) for epoch in range(1, schedule.epochs + 1)]
    marks = sorted(schedule.checkpoints()) if validated else []
    return {
        "queries": tuple(asked[end - 1] for end in ends),
        "checkpoints": tuple(asked[mark - 1] for mark in marks),
    }


def _fit(
    program: Program,
    slots: list[Prepared],
    data: PackData,
    before: Fit | None,
    turn: int,
    progress: Callable[[float], None],
) -> Fit:
    """One round of training all slots, the only one but for methods that train on a pool."""
    learned = [
        None if before is None else {name: value[place] for name, value in before.params.items()}
        for place in range(len(slots))
    ]
    looked_at = [set_of(slot, data, own, turn) for slot, own in zip(slots, learned, strict=True)]
    schedules = schedules_for(program.rounds[turn], slots, looked_at, turn)
    stacked = _starts(slots, data, turn, learned)
    sampler = Sampler(looked_at, [slot.cell for slot in slots], schedules, turn)
    best = slots[0].cell.selection == "val"
    traced = data.opened.protocol.traced and bool(slots[0].split.val)
    validate: Validate | None = _validator(slots, data) if best or traced else None
    choose = _choice(data, slots[0].cell, before)
    packed = _packed(program, slots, data, turn, looked_at[0].mixture or (0, 0))
    return fit(packed, stacked, sampler, schedules, validate, progress, choose, keep_best=best)


def _starts(slots: list[Prepared], data: PackData, turn: int, learned: Sequence[Params | None]) -> Params:
    """What the slots start round ``turn`` from, each (slots, ...); ``learned`` is what the round before made."""
    goes_on = type(slots[0].method).resume is Method.resume and not data.method.afresh
    drawn: dict[str, Params] = {}
    starts = []
    for slot, own in zip(slots, learned, strict=True):
        if own is not None and goes_on:  # each slot from its own: a stand-in took other steps than the cell it is like
            starts.append(own)
            continue
        if slot.cell.key not in drawn:
            drawn[slot.cell.key] = start(slot, data.device, turn)
        fresh = drawn[slot.cell.key]
        starts.append(fresh if own is None else slot.method.resume(own, fresh, replace(slot.task, turn=turn)))
    return {name: torch.stack([own[name] for own in starts]) for name in starts[0]}


def _share_of(progress: Callable[[float], None], turn: int, rounds: int) -> Callable[[float], None]:
    return lambda done: progress((turn + done) / rounds)


def _choice(data: PackData, cell: Cell, before: Fit | None) -> Choose:
    """What settles on shortcuts; a black box is asked plainly, and never to try one.

    Later rounds compute in the precision of the round before, and are compiled or captured only where that was.
    """
    choose = plainly if data.asked_plainly else chooser(data.device, cell.precision)
    if before is None:
        return choose
    again = before.speed.compiled or before.speed.captured
    return lambda step, steps, settled: choose(step, steps if again else 0, before.speed)


def start(ready: Prepared, device: str, turn: int = 0) -> Params:
    """The parameters that a cell starts from, on ``device``: drawn, or carried over from where they were learned.

    What a method keeps as it is (``frozen``) belongs to the task at hand and is never carried into training. A first
    stage carries some parameters over, and the others are drawn. Every round that starts ``afresh`` draws from a stream
    of its own.

    Raises:
        Refused: what was learned has other shapes than this task needs.
    """
    cell, carried = ready.cell, ready.carried
    if carried is not None and cell.reading == "evaluate":
        return carried
    names = cell.identity.get("split"), cell.shots, cell.seed, "init", *([turn] if turn else [])
    drawn = {name: value.to(device) for name, value in ready.method.init(ready.task, stream(*names)).items()}
    if carried is None:
        return drawn
    stage = ready.method.first_stage
    source, wanted = (cell.source, drawn) if cell.source or stage is None else (stage.dataset, stage.kept)
    for name in wanted:
        needed = tuple(drawn[name].shape) if name in drawn else None
        found = tuple(carried[name].shape) if name in carried else None
        if found is None or found != needed:
            raise Refused(f"parameter {name!r} learned on {source} does not fit", where=cell.dataset, got=found,
                          expected=str(needed))  # fmt: skip
    kept = wanted - ready.method.frozen if isinstance(wanted, frozenset) else wanted.keys() - ready.method.frozen
    return {name: carried[name] if name in kept else value for name, value in drawn.items()}


def _packed(
    program: Program, slots: Sequence[Prepared], data: PackData, turn: int, mixture: tuple[int, int]
) -> PackedMethod:
    knobs = {
        name: torch.tensor([float(getattr(slot.method, name)) for slot in slots], device=data.device)
        for name in data.method.knobs()
    }
    shots = [cell.shots for cell in program.cells]
    mixed = torch.tensor(shots, device=data.device) if len(set(shots)) > 1 else None
    shared: Task = replace(slots[0].task.without_examples(), shots=shots[0], turn=turn, mixture=mixture)
    return PackedMethod(slots[0].method, knobs, shared, mixed, alone=data.apart and len(slots) == 1)


def _validator(slots: Sequence[Prepared], data: PackData) -> Callable[[int, Params], float]:
    """(slot, its parameters) to what the protocol chooses by on its few validation examples, the higher the better."""
    name = data.opened.protocol.choose_by
    sign = metric_of(name).sign
    columns = {slot.split.val: data.columns("val", slot.split.val) for slot in slots}
    labels = {slot.split.val: data.labels(slot.split.val, slot.split.classes) for slot in slots}

    def validate(place: int, params: Params) -> float:
        slot = slots[place]
        if not slot.split.val:
            raise ValueError("selection by validation examples, but the split has none")
        seen = slot.split.val
        logits = answers_of(slot.method, params, slot.task, columns[seen], data.chunk)
        scored = slot.split.validation(slot.method)
        none = None if scored.left_out is None else slot.split.classes.index(scored.left_out)
        return sign * scores_of(logits, labels[seen], (name,), none, scored.scored_by)[name]

    return validate
