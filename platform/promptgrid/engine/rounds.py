"""Training on an unlabelled pool: which of its images a round takes, and how long it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from promptgrid.contract import Params
from promptgrid.tracks.image.data.pack_data import Bench, Prepared
from promptgrid.engine.schedule import Schedule
from promptgrid.engine.scoring import logits_of
from promptgrid.engine.sampling import Album


def album_of(slot: Prepared, bench: Bench, learned: Params | None, turn: int) -> Album:
    """What ``slot`` trains on in round ``turn``: its labelled images, or those of its pool that its method chooses.

    ``learned`` is what the round before has made of its parameters, None in the first round.
    """
    pool = slot.task.unlabelled
    if pool is None or not slot.method.draws(slot.task, len(pool)):
        return slot.album
    logits, task = None, replace(slot.task, turn=turn)
    if learned is not None:
        second = slot.task.second.unlabelled if slot.task.second is not None else None
        logits = logits_of(slot.method, learned, task, pool, slot.task.unlabelled_pixels, second)
    with torch.no_grad():
        return bench.desk.pooled(slot, slot.method.relabel(task, logits))


def mixture_of(album: Album) -> tuple[int, int]:
    """How many labelled images and how many of the pool ``album`` holds."""
    pool = 0 if album.pseudo is None else int(album.pseudo.sum())
    return len(album.labels) - pool, pool


def schedules_for(
    promised: tuple[Schedule, ...], slots: Sequence[Prepared], looked_at: Sequence[Album], turn: int
) -> tuple[Schedule, ...]:
    """The schedules of the round, for as many images as were chosen: only a slot alone may choose fewer than promised.

    Raises:
        ValueError: a method that packs chose another number of images than it said.
    """
    if looked_at[0].pseudo is None:
        return promised
    for slot, album in zip(slots, looked_at, strict=True):
        said = slot.method.draws(slot.task, len(slot.split.unlabelled))[turn]
        chosen = mixture_of(album)[1]
        if chosen > said or (chosen < said and slot.method.packs):
            raise ValueError(f"method {slot.method.name!r} said it trains on {said} images of the pool, not {chosen}")
    if slots[0].method.packs:
        return promised
    (slot,), (album,) = slots, looked_at
    task = replace(slot.task, turn=turn, mixture=mixture_of(album))
    found = Schedule.of(slot.method, task, sum(mixture_of(album)))
    return promised if found is None else (found,)
