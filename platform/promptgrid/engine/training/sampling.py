"""What the cells of a pack train on: examples held once, and the batches each cell draws from its own streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from promptgrid.contract.columns import Column, Show, Stream, Table, Views, as_it_is
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch
from promptgrid.engine.training.schedule import Schedule, steps_per_epoch
from promptgrid.spec import Cell

ONLINE = 0
CHUNK = 64
KEPT_BYTES = 2**28
"""What is kept of a column for a program; where there is more, each step makes its own."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The examples that a cell trains on: every cell with this split looks at the same set.

    Attributes:
        labels: (N,) class positions.
        columns: by name; all their views are numbered alike.
        views: how many views each step draws from; 0: view e belongs to epoch e, and there is no end of them.
        tasks: (N,) which of several joined tasks each example is of; None where there is one.
        mixture: how many of them are labelled and how many of an unlabelled pool; None where there is no pool.
    """

    labels: Tensor
    columns: Mapping[str, Column]
    views: int = 1
    tasks: Tensor | None = None
    mixture: tuple[int, int] | None = None


class BatchSampler:
    """The batches of one cell in the order of its steps."""

    def __init__(self, cell: Cell, training: TrainingSet, schedule: Schedule, turn: int = 0) -> None:
        self.training = training
        self._schedule = schedule
        self._orders, self._views, self._drops = (
            streams((cell,), purpose, turn)[0] for purpose in ("batches", "views", "dropout")
        )
        self._epoch = 0
        self._held = torch.zeros(0, 2, schedule.batch, dtype=torch.int64)

    def take(self, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (steps, B) in the training set, views (steps, B) and dropout seeds (steps,) of the next steps."""
        while len(self._held) < steps:
            order = self._drawn_order()
            self._held = torch.cat([self._held, torch.stack([order, self._drawn_views(order)], dim=1)])
            self._epoch += 1
        taken, self._held = self._held[:steps], self._held[steps:]
        return taken[:, 0], taken[:, 1], torch.randint(2**62, (steps,), generator=self._drops)

    def _drawn_order(self) -> Tensor:
        training, schedule = self.training, self._schedule
        if training.tasks is not None and schedule.recipe.batches.by_task:
            return order_by_task(self._orders, training.tasks, schedule.batch)
        return epoch_order(self._orders, len(training.labels), schedule.batch, schedule.recipe.batches.keep_last)

    def _drawn_views(self, order: Tensor) -> Tensor:
        if self.training.views == ONLINE:
            return torch.full_like(order, self._epoch)
        if self.training.views == 1:
            return torch.zeros_like(order)
        return torch.randint(self.training.views, order.shape, generator=self._views)


class Seen:
    """The views of several training sets that are looked at for some steps: R rows of one column.

    What is made of them is kept where the column says so and it fits ``KEPT_BYTES``; each row is the same to the bit as
    when it is made with others.
    """

    def __init__(self, column: Views, values: Tensor) -> None:
        self._show, self._values, self._keep = column.show, values, column.kept
        self._made: Tensor | None = None

    def rows(self, chosen: Tensor) -> Tensor:
        """(B, ...) of the rows ``chosen`` (B,)."""
        if self._keep and self._made is None:
            self._make()
        if self._made is not None:
            return self._made.index_select(0, chosen.to(self._made.device))
        return self._show(self._values.index_select(0, chosen.to(self._values.device)))

    def _make(self) -> None:
        first = self._show(self._values[:CHUNK])
        self._keep = first.nbytes / len(first) * len(self._values) <= KEPT_BYTES
        if self._keep:
            parts = torch.split(self._values, CHUNK)[1:]
            self._made = torch.cat([first, *(self._show(part) for part in parts)])


@dataclass(frozen=True)
class Prefetched:
    """The next W steps of A cells, all their batches drawn.

    Attributes:
        seen: columns of views, by name: R rows each.
        rows: (W, A, B) into them.
        drawn: the other columns, by name: a step and how many places are looked at to (A, B, ...).
        labels: (W, A, B).
        seeds: (W, A).
        sizes: of each step, how many of the B places are looked at: fewer in the short last batch of an epoch.
    """

    seen: Mapping[str, Seen]
    rows: Tensor
    drawn: Mapping[str, Callable[[int, int], Tensor]]
    labels: Tensor
    seeds: Tensor
    sizes: tuple[int, ...]

    def batch(self, step: int) -> Batch:
        """The batch (A, B, ...) of step ``step`` of these, with ``labels`` (A, B)."""
        size = self.sizes[step]
        rows = self.rows[step][:, :size]
        flat = rows.flatten()
        columns = {"labels": self.labels[step][:, :size]}
        with torch.no_grad():
            for name, column in self.seen.items():
                values = column.rows(flat)
                columns[name] = values.view(*rows.shape, *values.shape[1:])
            for name, at in self.drawn.items():
                columns[name] = at(step, size)
        return Batch(columns)


class Sampler:
    """What the cells of a program train on, in slot order: slots that leave do so from the end.

    Cells with the same split, shots and seed draw the same batches, so these are drawn once for all of them. ``turn``
    is the round of training on a pool that it is for.
    """

    def __init__(
        self, sets: Sequence[TrainingSet], cells: Sequence[Cell], schedules: Sequence[Schedule], turn: int = 0
    ) -> None:
        names = [(id(own), *_names(cell)) for own, cell in zip(sets, cells, strict=True)]
        first = {name: slot for slot, name in reversed(list(enumerate(names)))}
        order = sorted(first, key=lambda name: first[name])
        self._samplers = [
            BatchSampler(cells[first[name]], sets[first[name]], schedules[first[name]], turn) for name in order
        ]
        self._sampler_of = torch.tensor([order.index(name) for name in names])
        self._schedule, self._step = schedules[0], 0
        self._spans: list[tuple[TrainingSet, int, int]] = []
        self._seen: dict[str, Seen] = {}

    @property
    def moving(self) -> bool:
        """Whether every epoch brings views that were never seen."""
        return any(sampler.training.views == ONLINE for sampler in self._samplers)

    def prefetch(self, steps: int, active: int) -> Prefetched:
        """The next ``steps`` steps of the first ``active`` slots, which have their sizes in common."""
        sizes = tuple(self._schedule.size(self._step + step) for step in range(steps))
        self._step += steps
        sampler_of = self._sampler_of[:active]
        samplers = self._samplers[: int(sampler_of.max()) + 1]
        drawn = [sampler.take(steps) for sampler in samplers]
        spans = _spans(samplers, [views for _, views, _ in drawn])
        starts = _starts(spans)
        rows = torch.stack([
            starts[sampler.training] + (views - low) * len(sampler.training.labels) + positions
            for (positions, views, _), sampler in zip(drawn, samplers, strict=True)
            for low in [next(low for own, low, _ in spans if own is sampler.training)]
        ])  # fmt: skip
        device = samplers[0].training.labels.device
        labels = torch.stack([
            sampler.training.labels[positions.to(device)]
            for (positions, _, _), sampler in zip(drawn, samplers, strict=True)
        ])  # fmt: skip
        seeds = torch.stack([seeds for _, _, seeds in drawn])
        sampler_of_there = sampler_of.to(device)
        return Prefetched(
            seen=self._look(spans),
            rows=rows[sampler_of].transpose(0, 1).to(device),
            drawn=_looked_up(samplers, drawn, sampler_of, sampler_of_there),
            labels=labels[sampler_of_there].transpose(0, 1).contiguous(),
            seeds=seeds[sampler_of].transpose(0, 1).contiguous().to(device),
            sizes=sizes,
        )

    def _look(self, spans: list[tuple[TrainingSet, int, int]]) -> dict[str, Seen]:
        if spans != self._spans:
            columns = {name: column for name, column in spans[0][0].columns.items() if isinstance(column, Views)}
            self._spans, self._seen = (
                spans,
                {
                    name: Seen(
                        column, torch.cat([_views(own, name)(low, high).flatten(0, 1) for own, low, high in spans])
                    )
                    for name, column in columns.items()
                },
            )
        return self._seen


def _views(training: TrainingSet, name: str) -> Callable[[int, int], Tensor]:
    column = training.columns[name]
    assert isinstance(column, Views), "the cells of a program have the same columns"
    return column.look


Drawn = tuple[Tensor, Tensor, Tensor]
"""Positions (W, B), views (W, B) and seeds (W,) of one sampler."""


def _looked_up(
    samplers: list[BatchSampler], drawn: list[Drawn], sampler_of: Tensor, sampler_of_there: Tensor
) -> dict[str, Callable[[int, int], Tensor]]:
    """By column that has no views: a step and the places that are looked at to (A, B, ...)."""
    found: dict[str, Callable[[int, int], Tensor]] = {}
    for name, column in samplers[0].training.columns.items():
        own = [sampler.training.columns[name] for sampler in samplers]
        if isinstance(column, Table):
            tables = [one for one in own if isinstance(one, Table)]
            found[name] = partial(_from_tables, tables, drawn, sampler_of_there)
        elif isinstance(column, Stream):
            streams = [one for one in own if isinstance(one, Stream)]
            found[name] = partial(_from_streams, streams, drawn, sampler_of)
    return found


def _from_tables(tables: list[Table], drawn: list[Drawn], sampler_of: Tensor, step: int, size: int) -> Tensor:
    pairs = zip(tables, drawn, strict=True)
    rows = [table.values[positions[step].to(table.values.device)] for table, (positions, _, _) in pairs]
    return _shown(tables[0].show, torch.stack(rows)[sampler_of][:, :size])


def _from_streams(streams: list[Stream], drawn: list[Drawn], sampler_of: Tensor, step: int, size: int) -> Tensor:
    pairs = zip(streams, drawn, strict=True)
    rows = [stream.draw(positions[step], int(seeds[step])) for stream, (positions, _, seeds) in pairs]
    return _shown(streams[0].show, torch.stack(rows)[sampler_of][:, :size])


def _shown(show: Show, values: Tensor) -> Tensor:
    """What is seen of ``values`` (A, B, ...), all examples together."""
    if show is as_it_is:
        return values
    seen = show(values.flatten(0, 1))
    return seen.view(*values.shape[:2], *seen.shape[1:])


def _spans(samplers: list[BatchSampler], views: list[Tensor]) -> list[tuple[TrainingSet, int, int]]:
    """Every training set once, with the range of its views that is needed."""
    found: dict[TrainingSet, tuple[int, int]] = {}
    for sampler, drawn in zip(samplers, views, strict=True):
        low, high = (
            (int(drawn.min()), int(drawn.max()) + 1)
            if sampler.training.views == ONLINE
            else (0, sampler.training.views)
        )
        before = found.get(sampler.training, (low, high))
        found[sampler.training] = (min(low, before[0]), max(high, before[1]))
    return [(own, low, high) for own, (low, high) in found.items()]


def _starts(spans: list[tuple[TrainingSet, int, int]]) -> dict[TrainingSet, int]:
    """The first row of each training set."""
    starts, row = {}, 0
    for own, low, high in spans:
        starts[own] = row
        row += (high - low) * len(own.labels)
    return starts


def _names(cell: Cell) -> tuple[object, ...]:
    return cell.track, cell.protocol, cell.identity.get("split", cell.dataset), cell.shots, cell.seed


def streams(cells: Sequence[Cell], purpose: str, turn: int = 0) -> list[torch.Generator]:
    """One generator a cell, named by its task and seed and not by its method, and by the round after the first.

    All methods see the same batches and the same draws for one (dataset, shots, seed): differences between methods
    are then paired, and a cell's numbers never depend on who shares its pack.
    """
    return [stream(*_names(cell), purpose, *([turn] if turn else [])) for cell in cells]


def epoch_order(generator: torch.Generator, examples: int, batch_size: int, keep_last: bool = False) -> Tensor:
    """The (steps, B) positions of one epoch: a fresh shuffle, cut into batches.

    Where a short last batch is kept its row is filled up with the first positions again, which nobody looks at.
    """
    steps, size = steps_per_epoch(examples, batch_size, keep_last), min(batch_size, examples)
    order = torch.randperm(examples, generator=generator)
    if keep_last:
        order = torch.cat([order, order])
    return order[: steps * size].view(steps, size)


def order_by_task(generator: torch.Generator, tasks: Tensor, batch_size: int) -> Tensor:
    """The (steps, B) positions of one epoch, each batch of one task.

    Every task's examples are shuffled and cut into whole batches; the tasks take turns in their order, and those that
    have run out are passed over.
    """
    batches = []
    for task in sorted(set(tasks.tolist())):
        own = (tasks == task).nonzero().squeeze(1)
        own = own[torch.randperm(len(own), generator=generator)]
        steps = len(own) // batch_size
        batches += [(turn, task, own[turn * batch_size : (turn + 1) * batch_size]) for turn in range(steps)]
    return torch.stack([batch for _, _, batch in sorted(batches, key=lambda each: each[:2])])


def epoch_batches(
    generators: Sequence[torch.Generator], examples: int, batch_size: int, keep_last: bool = False
) -> Iterator[Tensor]:
    """The (K, B) positions of each step of one epoch, a fresh shuffle for every cell; the last B may be smaller."""
    orders = [epoch_order(generator, examples, batch_size, keep_last) for generator in generators]
    left = examples
    for batch in torch.stack(orders, dim=1):
        yield batch[:, :left]
        left -= batch.shape[1]
