"""Training on an unlabelled pool: which of its examples a round takes, and how long it lasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch

from promptgrid.contract.method import Params
from promptgrid.engine.data import PackData, Prepared
from promptgrid.engine.scoring import answers_of
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.engine.training.schedule import Schedule
from promptgrid.spec import Cell


def set_of(slot: Prepared, data: PackData, learned: Params | None, turn: int) -> TrainingSet:
    """What ``slot`` trains on in round ``turn``: its labelled examples, or those of its pool that its method chooses.

    ``learned`` is what the round before has made of its parameters, None in the first round.
    """
    pool = slot.split.unlabelled if "unlabelled" in slot.method.assets else ()
    draws = slot.method.draws(slot.task, len(pool)) if pool else ()
    if not draws:
        return slot.training
    logits, task = None, replace(slot.task, turn=turn)
    if learned is not None and draws[turn]:
        logits = answers_of(slot.method, learned, task, data.pool_columns(slot), data.chunk)
    with torch.no_grad():
        return data.pooled(slot, slot.method.relabel(replace(task, seed=torch.tensor(slot.cell.seed)), logits))


def schedules_for(
    promised: tuple[Schedule, ...], slots: Sequence[Prepared], looked_at: Sequence[TrainingSet], turn: int
) -> tuple[Schedule, ...]:
    """The schedules of the round, for as many examples as were chosen: only a lone slot may choose fewer than promised.

    Raises:
        ValueError: a method that packs chose another number of examples than it said.
    """
    if looked_at[0].mixture is None:
        return promised
    for slot, own in zip(slots, looked_at, strict=True):
        said = slot.method.draws(slot.task, len(slot.split.unlabelled))[turn]
        _, chosen = own.mixture or (0, 0)
        if chosen > said or (chosen < said and slot.method.packs):
            raise ValueError(f"method {slot.method.name!r} said it trains on {said} examples of the pool, not {chosen}")
    if slots[0].method.packs:
        return promised
    (slot,), (own,) = slots, looked_at
    mixture = own.mixture or (0, 0)
    found = Schedule.of(slot.method, replace(slot.task, turn=turn, mixture=mixture), sum(mixture))
    return promised if found is None else (found,)


def mixtures_of(cell: Cell, data: PackData) -> tuple[tuple[int, int], ...]:
    """How many labelled examples and how many of the pool each round of training ``cell`` takes, at most."""
    split, method = data.split(cell), data.build(cell)
    drawn = method.draws(data.task(cell), len(split.unlabelled))
    if not drawn:
        return ((len(split.train), 0),) * method.stages
    return tuple((len(split.train) if method.with_labelled else 0, count) for count in drawn)


def schedules_of(cell: Cell, data: PackData) -> tuple[Schedule, ...]:
    """How ``cell`` is trained, by round, found without looking at an example; empty where nothing is."""
    if cell.reading == "evaluate" or cell.members:
        return ()
    split, method = data.split(cell), data.build(cell)
    tasks, labels = data.opened.dataset.tasks, data.opened.dataset.labels
    by_task = list(Counter(tasks[labels[index]] for index in split.train).values()) if tasks else []
    task = data.task(cell)
    found = [
        Schedule.of(method, replace(task, turn=turn, mixture=mixture), sum(mixture), () if mixture[1] else by_task)
        for turn, mixture in enumerate(mixtures_of(cell, data))
    ]
    return tuple(schedule for schedule in found if schedule is not None)
