"""What the cells of a pack train on: images held once, and the batches each cell draws from its own streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract import Backbone, Batch, stream
from promptgrid.spec import Cell
from promptgrid.tracks.image.engine.pixels import Pictures
from promptgrid.tracks.image.engine.schedule import Schedule, steps_per_epoch

Look = Callable[[int, int], tuple[Tensor, Tensor | None]]
ONLINE = 0


@dataclass(frozen=True, eq=False)
class Album:
    """The training images of one split: every cell with this split looks at the same album.

    Attributes:
        labels: (N,) class positions.
        look: views ``first`` to ``last`` (not included) as features (V, N, width) and, for methods inside the image
            tower, uint8 pixels (V, N, 3, size, size).
        tasks: (N,) which of several joined tasks each image is of; None where there is one.
        second: (N, second width) features of the images as a second backbone sees them, whatever the view.
        pseudo: (N,) whether an image is of the unlabelled pool; None where there is no pool.
        plain: (N, width) features of the images without augmentation; None where no one asks or there is no other.
        views: how many views each step draws from; 0: view e belongs to epoch e, and there is no end of them.
        domains: (N,) which of several domains each image is of; None where no one asks.
        beside: positions (B,) and the seed of a step to uint8 pixels (B, views, 3, size, size) of the views that the
            method names in ``beside``; None where it names none.
    """

    labels: Tensor
    look: Look
    views: int = 1
    tasks: Tensor | None = None
    second: Tensor | None = None
    pseudo: Tensor | None = None
    plain: Tensor | None = None
    domains: Tensor | None = None
    beside: Callable[[Tensor, int], Tensor] | None = None

    @classmethod
    def still(
        cls,
        features: Tensor,
        labels: Tensor,
        pixels: Tensor | None = None,
        tasks: Tensor | None = None,
        second: Tensor | None = None,
        pseudo: Tensor | None = None,
        domains: Tensor | None = None,
    ) -> Album:
        """One view of each image: (N, width) features, (N,) labels, (N, 3, size, size) pixels, (N,) tasks."""
        seen = features.unsqueeze(0), None if pixels is None else pixels.unsqueeze(0)
        return cls(labels, lambda first, last: seen, tasks=tasks, second=second, pseudo=pseudo, domains=domains)


class Feed:
    """The batches of one cell in the order of its steps."""

    def __init__(self, cell: Cell, album: Album, schedule: Schedule, turn: int = 0) -> None:
        self.album = album
        self._schedule = schedule
        self._orders, self._views, self._drops = (
            streams((cell,), purpose, turn)[0] for purpose in ("batches", "views", "dropout")
        )
        self._epoch = 0
        self._held = torch.zeros(0, 2, schedule.batch, dtype=torch.int64)

    def take(self, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (steps, B) in the album, their views (steps, B) and the dropout seed (steps,) of the next steps."""
        while len(self._held) < steps:
            order = self._drawn_order()
            self._held = torch.cat([self._held, torch.stack([order, self._drawn_views(order)], dim=1)])
            self._epoch += 1
        taken, self._held = self._held[:steps], self._held[steps:]
        return taken[:, 0], taken[:, 1], torch.randint(2**62, (steps,), generator=self._drops)

    def _drawn_order(self) -> Tensor:
        album, schedule = self.album, self._schedule
        if album.tasks is not None and schedule.recipe.batches.by_task:
            return order_by_task(self._orders, album.tasks, schedule.batch)
        return epoch_order(self._orders, len(album.labels), schedule.batch, schedule.recipe.batches.keep_last)

    def _drawn_views(self, order: Tensor) -> Tensor:
        if self.album.views == ONLINE:
            return torch.full_like(order, self._epoch)
        if self.album.views == 1:
            return torch.zeros_like(order)
        return torch.randint(self.album.views, order.shape, generator=self._views)


@dataclass(frozen=True)
class Window:
    """The next W steps of A cells, all their batches drawn.

    Attributes:
        features: (R, width) of every view that is looked at.
        pictures: the R images themselves, for methods inside the image tower.
        rows: (W, A, B) into both.
        labels: (W, A, B).
        seeds: (W, A).
        second: a step to (A, B, second width), for methods that look through a second backbone.
        pseudo: a step to (A, B), for methods that train on a pool.
        plain: a step to (A, B, width), for methods that look at an image with and without augmentation.
        domain: a step to (A, B), for methods that tell domains apart.
        beside: a step to (A, B, views, 3, size, size) uint8, for methods that name such views.
        sizes: of each step, how many of the B places are looked at: fewer in the short last batch of an epoch.
    """

    features: Tensor
    pictures: Pictures | None
    rows: Tensor
    labels: Tensor
    seeds: Tensor
    second: Callable[[int], Tensor] | None = None
    pseudo: Callable[[int], Tensor] | None = None
    plain: Callable[[int], Tensor] | None = None
    domain: Callable[[int], Tensor] | None = None
    beside: Callable[[int], Tensor] | None = None
    sizes: tuple[int, ...] = ()

    def labels_of(self, step: int) -> Tensor:
        """(A, B) labels of step ``step`` of this window."""
        return self.labels[step][:, : self._size(step)]

    def _size(self, step: int) -> int:
        return self.sizes[step] if self.sizes else self.rows.shape[-1]

    def batch(self, step: int, backbone: Backbone, needs: frozenset[str] = frozenset({"vision_blocks"})) -> Batch:
        """The batch (A, B, ...) of step ``step`` of this window, for a method that ``needs`` this of ``backbone``."""
        size = self._size(step)
        rows = self.rows[step][:, :size]
        flat = rows.flatten()
        features = self.features.index_select(0, flat).view(*rows.shape, self.features.shape[-1])
        looks = {"second": self.second, "pseudo": self.pseudo, "plain": self.plain, "domain": self.domain}
        extras = {name: look(step)[:, :size] for name, look in looks.items() if look is not None}
        seen: dict[str, Tensor] = {}
        if self.pictures is not None:
            with torch.no_grad():
                seen = self.pictures.shown(backbone, needs, flat)
        sights = {name: value.view(*rows.shape, *value.shape[1:]) for name, value in seen.items()}
        if self.beside is not None:
            pixels = self.beside(step)[:, :size]
            with torch.no_grad():
                patches = backbone.patches(pixels.flatten(0, 2))
            sights["beside"] = patches.view(*pixels.shape[:3], *patches.shape[1:])
        return Batch(features, **extras, **sights)


class Support:
    """What the cells of a program train on, in slot order: slots that leave do so from the end.

    Cells with the same split, shots and seed draw the same batches, so these are drawn once for all of them. ``turn``
    is the round of training on a pool that it is for.
    """

    def __init__(
        self, albums: Sequence[Album], cells: Sequence[Cell], schedules: Sequence[Schedule], turn: int = 0
    ) -> None:
        names = [(id(album), *_names(cell)) for album, cell in zip(albums, cells, strict=True)]
        first = {name: slot for slot, name in reversed(list(enumerate(names)))}
        order = sorted(first, key=lambda name: first[name])
        self._feeds = [Feed(cells[first[name]], albums[first[name]], schedules[first[name]], turn) for name in order]
        self._feed_of = torch.tensor([order.index(name) for name in names])
        self._schedule, self._step = schedules[0], 0
        self._spans: list[tuple[Album, int, int]] = []
        self._seen: tuple[Tensor, Pictures | None] = (torch.zeros(0), None)

    @property
    def moving(self) -> bool:
        """Whether every epoch brings views that were never seen."""
        return any(feed.album.views == ONLINE for feed in self._feeds)

    def window(self, steps: int, active: int) -> Window:
        """The next ``steps`` steps of the first ``active`` slots, which have their sizes in common."""
        sizes = tuple(self._schedule.size(self._step + step) for step in range(steps))
        self._step += steps
        feed_of = self._feed_of[:active]
        feeds = self._feeds[: int(feed_of.max()) + 1]
        drawn = [feed.take(steps) for feed in feeds]
        spans = _spans(feeds, [views for _, views, _ in drawn])
        starts = _starts(spans)
        rows = torch.stack([
            starts[feed.album] + (views - low) * len(feed.album.labels) + positions
            for (positions, views, _), feed in zip(drawn, feeds, strict=True)
            for low in [next(low for album, low, _ in spans if album is feed.album)]
        ])  # fmt: skip
        device = feeds[0].album.labels.device
        labels = torch.stack([
            feed.album.labels[positions.to(device)] for (positions, _, _), feed in zip(drawn, feeds, strict=True)
        ])  # fmt: skip
        seeds = torch.stack([seeds for _, _, seeds in drawn])
        features, pictures = self._look(spans)
        feed_of_there = feed_of.to(device)
        return Window(
            features=features,
            pictures=pictures,
            rows=rows[feed_of].transpose(0, 1).to(device),
            labels=labels[feed_of_there].transpose(0, 1).contiguous(),
            seeds=seeds[feed_of].transpose(0, 1).contiguous().to(device),
            second=_looked_up([feed.album.second for feed in feeds], drawn, feed_of_there),
            pseudo=_looked_up([feed.album.pseudo for feed in feeds], drawn, feed_of_there),
            plain=_looked_up([feed.album.plain for feed in feeds], drawn, feed_of_there),
            domain=_looked_up([feed.album.domains for feed in feeds], drawn, feed_of_there),
            beside=_restyled(feeds, drawn, feed_of),
            sizes=sizes,
        )

    def _look(self, spans: list[tuple[Album, int, int]]) -> tuple[Tensor, Pictures | None]:
        if spans != self._spans:
            seen = [album.look(low, high) for album, low, high in spans]
            features = torch.cat([found.flatten(0, 1) for found, _ in seen])
            pixels = [found.flatten(0, 1) for _, found in seen if found is not None]
            self._spans, self._seen = spans, (features, Pictures(torch.cat(pixels)) if pixels else None)
        return self._seen


def _looked_up(
    tables: list[Tensor | None], drawn: list[tuple[Tensor, Tensor, Tensor]], feed_of: Tensor
) -> Callable[[int], Tensor] | None:
    """A step to (A, B, ...): the rows of each feed's table that belong to the images of its batch."""
    if any(table is None for table in tables):
        return None

    def at(step: int) -> Tensor:
        pairs = zip(tables, drawn, strict=True)
        rows = [table[positions[step].to(table.device)] for table, (positions, _, _) in pairs if table is not None]
        return torch.stack(rows)[feed_of]

    return at


def _restyled(
    feeds: list[Feed], drawn: list[tuple[Tensor, Tensor, Tensor]], feed_of: Tensor
) -> Callable[[int], Tensor] | None:
    """A step to (A, B, views, 3, size, size): the views beside the images of each feed's batch."""
    looks = [feed.album.beside for feed in feeds]
    if any(look is None for look in looks):
        return None

    def at(step: int) -> Tensor:
        pairs = zip(looks, drawn, strict=True)
        rows = [look(positions[step], int(seeds[step])) for look, (positions, _, seeds) in pairs if look is not None]
        return torch.stack(rows)[feed_of]

    return at


def _spans(feeds: list[Feed], views: list[Tensor]) -> list[tuple[Album, int, int]]:
    """Every album once, with the range of its views that is needed."""
    found: dict[Album, tuple[int, int]] = {}
    for feed, drawn in zip(feeds, views, strict=True):
        low, high = (int(drawn.min()), int(drawn.max()) + 1) if feed.album.views == ONLINE else (0, feed.album.views)
        before = found.get(feed.album, (low, high))
        found[feed.album] = (min(low, before[0]), max(high, before[1]))
    return [(album, low, high) for album, (low, high) in found.items()]


def _starts(spans: list[tuple[Album, int, int]]) -> dict[Album, int]:
    """The first row of each album."""
    starts, row = {}, 0
    for album, low, high in spans:
        starts[album] = row
        row += (high - low) * len(album.labels)
    return starts


def _names(cell: Cell) -> tuple[object, ...]:
    return cell.track, cell.protocol, cell.identity.get("split", cell.dataset), cell.shots, cell.seed


def streams(cells: Sequence[Cell], purpose: str, turn: int = 0) -> list[torch.Generator]:
    """One generator a cell, named by its task and seed and not by its method, and by the round after the first.

    All methods see the same batches and the same draws for one (dataset, shots, seed): differences between methods
    are then paired, and a cell's numbers never depend on who shares its pack.
    """
    return [stream(*_names(cell), purpose, *([turn] if turn else [])) for cell in cells]


def epoch_order(generator: torch.Generator, images: int, batch_size: int, keep_last: bool = False) -> Tensor:
    """The (steps, B) positions of one epoch: a fresh shuffle, cut into batches.

    Where a short last batch is kept its row is filled up with the first positions again, which nobody looks at.
    """
    steps, size = steps_per_epoch(images, batch_size, keep_last), min(batch_size, images)
    order = torch.randperm(images, generator=generator)
    if keep_last:
        order = torch.cat([order, order])
    return order[: steps * size].view(steps, size)


def order_by_task(generator: torch.Generator, tasks: Tensor, batch_size: int) -> Tensor:
    """The (steps, B) positions of one epoch, each batch of one task.

    Every task's images are shuffled and cut into whole batches; the tasks take turns in their order, and those that
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
    generators: Sequence[torch.Generator], images: int, batch_size: int, keep_last: bool = False
) -> Iterator[Tensor]:
    """The (K, B) positions of each step of one epoch, a fresh shuffle for every cell; the last B may be smaller."""
    orders = [epoch_order(generator, images, batch_size, keep_last) for generator in generators]
    left = images
    for batch in torch.stack(orders, dim=1):
        yield batch[:, :left]
        left -= batch.shape[1]
