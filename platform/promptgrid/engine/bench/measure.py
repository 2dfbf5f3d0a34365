"""Times the variants of one family side by side, and says how far their losses are apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Protocol

import torch
from torch import Tensor

from promptgrid.contract.recipe import Recipe
from promptgrid.contract.track import Timing
from promptgrid.engine.bench.problem import Problem
from promptgrid.engine.bench.rate import matmul_rate
from promptgrid.engine.outcomes.provenance import forget_peak, peak_memory_mb
from promptgrid.engine.training.packed import PackedMethod
from promptgrid.engine.training.programs import waves_near_cache
from promptgrid.engine.training.sampling import Sampler, TrainingSet, epoch_batches, streams
from promptgrid.engine.training.schedule import Schedule, steps_per_epoch
from promptgrid.engine.training.speed import DTYPES, PLAIN, Choose, Half, Speed, plainly
from promptgrid.engine.training.trainer import Fit, fit

Loop = Callable[[Any], Callable[[], Tensor]]
"""From a problem to what trains its first cell and gives the losses (steps, 1)."""
ROUNDS = 3
CAPTURED_STEPS = 150
"""Steps of a turn at least where the first of them capture a graph."""
ENOUGH = 60.0
"""Seconds behind which no further round is begun; there is one that warms up, and one more."""


@dataclass(frozen=True)
class Row:
    """One line of the benchmark; ``ms`` is the least time of one step of one cell, ``ratio`` is (a) over it.

    ``floor_ms`` is the arithmetic floor and ``share`` the part of it reached, the median of the turns, each against the
    matmul rate measured in it: the clock of a shared machine drifts within minutes. ``difference`` is the largest gap
    to (a) of a step's loss over ``steps`` steps, of the first cell of a pack. (a) is the reference loop; of a pack in
    half precision the same pack in fp32. Each is held to the matmul rate of its own ``precision``. ``peak_mb`` is the
    most that a GPU held meanwhile, all cells and the towers together; None on a CPU.
    """

    family: str
    method: str
    classes: int
    batch: int
    variant: str
    pack: int
    precision: str
    ms: float
    ratio: float
    floor_ms: float
    share: float
    difference: float | None
    steps: int
    peak_mb: float | None = None


@dataclass(frozen=True)
class Floor:
    """The fewest operations of a step of a cell, and the width of the product whose rate is taken for the machine's."""

    flops: float
    width: int


@dataclass
class Variant:
    """Something that takes steps: ``of(n)()`` takes ``n`` steps of all its cells and gives their losses (n, cells).

    ``base`` is what it is compared with, itself where that is None; ``half`` the precision of its products.
    """

    name: str
    pack: int
    of: Callable[[int], Callable[[], Tensor]]
    base: Variant | None = None
    half: Half | None = None
    best: float = float("inf")
    steps: int = 1
    shares: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    least: int = 1

    def __post_init__(self) -> None:
        self.steps = self.least

    def turn(self, clock: Callable[[], float], floor: float) -> None:
        """One timed turn, in which the arithmetic alone would take ``floor`` seconds a step of a cell."""
        run = self.of(self.steps)
        began = clock()
        run()
        took = (clock() - began) / (self.steps * self.pack)
        self.best = min(self.best, took)
        self.shares.append(floor / took)

    def size(self, seconds: float = 1.0) -> None:
        """Size the turns to come by the first one, which warmed up and counts only where a step takes a turn.

        A turn takes about ``seconds``, or one step where a step takes longer.
        """
        self.shares.clear()
        self.steps = max(self.least, min(200, round(seconds / (self.best * self.pack))))
        self.best = float("inf") if self.best * self.pack < seconds else self.best


def side_by_side(
    whole: Problem,
    loops: Mapping[str, Loop],
    floor: Floor,
    name: str,
    packs: Sequence[int],
    timing: Timing,
    say: Callable[[str], None],
    half: Half | None = None,
) -> list[Row]:
    """Rows of one family: the reference, what each shortcut gains, packs of ``packs``.

    With ``half`` the rows are those of the engine alone, in fp32 and in half precision by turns.

    Args:
        whole: as many cells as the largest pack has, one step each.
        loops: by name what trains the first cell without the engine; the first of them is the reference.
        floor: of a step of a cell.
        name: of the family.
        packs: numbers of cells trained as one program.
        timing: what the benchmark was asked for.
        say: told what is being timed.
        half: the half precision.
    """
    sizes = [1, *(size for size in packs if size > 1)]
    variants = _exact(whole, sizes, loops) if half is None else _halved(whole, sizes, half)
    classes = len(whole.task.classes)
    called = f"{name}, {classes} classes"

    def tell(what: str) -> None:
        say(f"{called}: {what}")

    gaps = differences(variants, timing.steps, tell)
    floors = timed(variants, floor.flops, floor.width, whole.like, timing.seconds, tell)
    common = Common(name, whole.kind.name, classes, whole.family.batch, precision_of(whole.like), timing.steps)
    return rows_of(variants, common, floors, gaps)


def precision_of(like: Tensor) -> str:
    """``fp32`` or ``fp64``."""
    return str(like.dtype).replace("torch.float", "fp")


@dataclass(frozen=True)
class Common:
    """What the rows of one family have in common; ``precision`` is that of what is not in half precision."""

    family: str
    method: str
    classes: int
    batch: int
    precision: str
    steps: int


def rows_of(
    variants: Sequence[Variant], common: Common, floors: Mapping[Half | None, float], differences: Mapping[str, float]
) -> list[Row]:
    """A row for each of ``variants``, which were timed; each is compared with its base, or with itself."""
    return [
        Row(
            family=common.family,
            method=common.method,
            classes=common.classes,
            batch=common.batch,
            variant=variant.name,
            pack=variant.pack,
            precision=variant.half or common.precision,
            ms=1e3 * variant.best,
            ratio=(variant.base or variant).best / variant.best,
            floor_ms=1e3 * floors[variant.half],
            share=median(variant.shares),
            difference=differences.get(variant.name),
            steps=common.steps,
            peak_mb=variant.peak_mb,
        )
        for variant in variants
    ]


def timed(
    variants: list[Variant], flops: float, width: int, like: Tensor, seconds: float, say: Callable[[str], None]
) -> dict[Half | None, float]:
    """Time ``variants`` in turns; by precision the median seconds of the arithmetic floor, which each is set against.

    Args:
        variants: they keep what was measured.
        flops: the fewest operations of a step of a cell.
        width: of the product whose rate is taken for the machine's.
        like: a tensor on the device, in the precision of what is not in half precision.
        seconds: about what a turn of a variant takes.
        say: told what is being timed.
    """
    clock, on_gpu = _clock(like.device), like.device.type == "cuda"
    floors: dict[Half | None, list[float]] = {variant.half: [] for variant in variants}
    began = clock()
    for turn in range(ROUNDS + 1):
        if turn > 1 and clock() - began > ENOUGH:
            break
        for kind, found in floors.items():
            found.append(flops / matmul_rate(width, like if kind is None else like.to(DTYPES[kind]), clock))
        for variant in variants:
            say(variant.name)
            forget_peak(str(like.device))
            variant.turn(clock, floors[variant.half][-1])
            variant.peak_mb = peak_memory_mb(str(like.device)) if on_gpu else None
            if turn == 0:
                variant.size(seconds)
    return {kind: median(found) for kind, found in floors.items()}


def _exact(whole: Problem, sizes: Sequence[int], loops: Mapping[str, Loop]) -> list[Variant]:
    """What a fork would run, and beside it what the engine makes of it, in one precision."""
    (first, loop), *others = loops.items()
    reference = Variant(first, 1, _looped(whole, loop))
    kept = [Variant(name, 1, _looped(whole, other), reference) for name, other in others]
    packs = [Variant(_called(k), k, _engine(whole, k), reference) for k in sizes]
    if whole.like.device.type == "cuda":
        graph = Speed(captured=True)
        packs += [
            Variant(f"{_called(k)}, CUDA graph", k, _engine(whole, k, graph), reference, least=CAPTURED_STEPS)
            for k in sizes
        ]
    return [reference, *kept, *packs]


def _halved(whole: Problem, sizes: Sequence[int], half: Half) -> list[Variant]:
    """Every pack in fp32, and behind it in half precision."""
    variants: list[Variant] = []
    for k in sizes:
        exact = Variant(_called(k), k, _engine(whole, k))
        variants += [exact, Variant(f"{_called(k)}, {half}", k, _engine(whole, k, Speed(half)), exact, half)]
    return variants


def _looped(whole: Problem, loop: Loop) -> Callable[[int], Callable[[], Tensor]]:
    return lambda steps: loop(whole.part(1, steps))


def _called(cells: int) -> str:
    return f"pack of {cells}" if cells > 1 else "exact shortcuts"


def _engine(whole: Problem, cells: int, speed: Speed = PLAIN) -> Callable[[int], Callable[[], Tensor]]:
    """A pack as it is run: on a CPU one of heads goes in parts that stay near its cache."""
    on_cpu = whole.like.device.type == "cpu"
    waves = cells if whole.apart else waves_near_cache(cells, whole.method.kind) if on_cpu else 1
    size = -(-cells // waves)

    def of(steps: int) -> Callable[[], Tensor]:
        given = whole.part(cells, steps)
        parts = [replace(given, cells=given.cells[first : first + size]) for first in range(0, cells, size)]
        runs = [packed(part, lambda *step: speed) for part in parts]
        return lambda: torch.stack([losses for run in runs for losses in run().by_step], dim=1)

    return of


def packed(given: Problem, choose: Choose = plainly) -> Callable[[], Fit]:
    """What trains the cells of ``given`` as one pack, with the shortcuts that ``choose`` chooses."""
    cells, method = len(given.cells), given.method
    starts = [given.start(slot) for slot in range(cells)]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    device = given.labels.device
    knobs = {name: torch.full((cells,), float(getattr(method, name)), device=device) for name in method.knobs()}
    training = TrainingSet(given.labels, given.columns)
    schedule = Schedule.of(method, given.task, len(given.labels))
    if schedule is None:
        raise ValueError(f"{method.name} is not fitted by descent")
    schedules = [schedule] * cells
    support = [training] * cells
    pack = PackedMethod(method, knobs, given.task, alone=given.apart and cells == 1)
    return lambda: fit(pack, stacked, Sampler(support, given.cells, schedules), schedules, choose=choose)


class Stepping(Protocol):
    """A loop over the steps of the first cell of ``problem``."""

    problem: Any
    recipe: Recipe

    def step(self, chosen: Tensor, rate: float, seed: Tensor) -> float:
        """One step at learning rate ``rate`` on the examples at ``chosen`` (B,); the loss before it."""


def looped(loop: Stepping) -> Tensor:
    """(steps, 1) losses of the first cell under the reference loop, on the batches the engine draws."""
    given = loop.problem
    examples, size = len(given.labels), given.family.batch
    keep_last = loop.recipe.batches.keep_last
    total, each = loop.recipe.iterations or 1, steps_per_epoch(examples, size, keep_last)
    rates = loop.recipe.rates(total, each)
    orders, drops = streams(given.cells, "batches"), streams(given.cells, "dropout")
    losses: list[float] = []
    for epoch in range(-(-total // each)):
        for chosen in list(epoch_batches(orders, examples, size, keep_last))[: total - epoch * each]:
            seed = torch.randint(2**62, (), generator=drops[0])
            losses.append(loop.step(chosen[0].to(given.labels.device), rates[len(losses)], seed))
    return torch.tensor(losses, dtype=torch.float64).unsqueeze(1)


def differences(variants: list[Variant], steps: int, say: Callable[[str], None]) -> dict[str, float]:
    """The largest gap of each variant's first cell to what it is compared with; none if ``steps`` is 0."""
    losses: dict[str, Tensor] = {}
    found: dict[str, float] = {}
    for variant in variants if steps else ():
        say(f"losses over {steps} steps: {variant.name}")
        losses[variant.name] = variant.of(steps)()[:, 0].double()
        if variant.base is not None:
            found[variant.name] = float((losses[variant.name] - losses[variant.base.name]).abs().max())
    return found


def _clock(device: torch.device) -> Callable[[], float]:
    """CPU seconds of one thread (the machine may be shared), wall seconds of several or behind a GPU."""
    if device.type != "cuda":
        return time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock
