"""How parameters are fitted, as a few nouns: an optimizer, a schedule of rates, batches, rules, an average."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Number = float | Tensor
Per = Literal["epoch", "iteration"]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: g = grad + decay w; m = momentum m + g (at first g); w = w - rate m.

    With ``nesterov`` w = w - rate (g + momentum m). Source: torch.optim.SGD.
    """

    learning_rate: Number
    weight_decay: Number = 0.0
    momentum: float = 0.9
    nesterov: bool = False

    def __str__(self) -> str:
        momentum = f"{'Nesterov ' if self.nesterov else ''}momentum {self.momentum:g}"
        return f"SGD {self.learning_rate:g}, weight decay {self.weight_decay:g}, {momentum}"


@dataclass(frozen=True)
class Adam:
    """Adam, with weight decay as a part of the gradient. Source: Kingma and Ba, ICLR 2015; torch.optim.Adam."""

    learning_rate: Number
    weight_decay: Number = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.learning_rate:g}, weight decay {self.weight_decay:g}"


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, with weight decay beside the gradient: w shrinks by rate decay w first.

    Source: Loshchilov and Hutter, ICLR 2019; torch.optim.AdamW.
    """


class RateSchedule(ABC):
    """How the learning rate moves. A subclass is a frozen dataclass with ``per`` as a field or a property."""

    @property
    @abstractmethod
    def per(self) -> Per:
        """Whether it moves every epoch or every iteration."""

    @abstractmethod
    def rate_at(self, peak: float, at: int, of: int) -> float:
        """The rate of epoch (or iteration) ``at`` of ``of``, counted from 0, where the recipe's own is ``peak``."""

    def rates(self, peak: float, steps: int, each: int) -> list[float]:
        """The rate of every step of ``steps``, ``each`` of them an epoch."""
        if self.per == "iteration":
            return [self.rate_at(peak, step, steps) for step in range(steps)]
        epochs = -(-steps // each)
        by_epoch = [self.rate_at(peak, epoch, epochs) for epoch in range(epochs)]
        return [by_epoch[step // each] for step in range(steps)]


@dataclass(frozen=True)
class Constant(RateSchedule):
    """The same rate throughout."""

    per: Per = "epoch"

    def __str__(self) -> str:
        return "constant rate"

    def rate_at(self, peak: float, at: int, of: int) -> float:
        """``peak``."""
        return peak


@dataclass(frozen=True)
class Cosine(RateSchedule):
    """Half a cosine from the rate to ``final``. Source: Loshchilov and Hutter, ICLR 2017, without restarts.

    ``span`` is the part of it that is walked, where other fits walk the rest.
    """

    final: float = 0.0
    span: tuple[float, float] = (0.0, 1.0)
    per: Per = "epoch"

    def __str__(self) -> str:
        first, last = self.span
        part = "" if (first, last) == (0.0, 1.0) else f" from {first:g} to {last:g} of its way"
        return f"cosine by {self.per}{f' to {self.final:g}' if self.final else ''}{part}"

    def rate_at(self, peak: float, at: int, of: int) -> float:
        """From ``peak`` on, one move short of ``final`` at the end."""
        first, last = self.span
        share = 0.5 * (1.0 + math.cos(math.pi * (first + (last - first) * (at / of))))
        return self.final + (peak - self.final) * share


@dataclass(frozen=True)
class Polynomial(RateSchedule):
    """From the rate to ``final``, as (1 - w)^power: w is the share of ``span`` (of the fit) behind each move."""

    span: float = 1.0
    power: float = 1.0
    final: float = 0.0
    per: Per = "iteration"

    def __str__(self) -> str:
        return f"polynomial of power {self.power:g} by {self.per} to {self.final:g} after {self.span:g} of the fit"

    def rate_at(self, peak: float, at: int, of: int) -> float:
        """At 0 one move of it is behind; ``final`` once the span is over."""
        walked = min(1.0, (at + 1) / (self.span * of))
        return self.final + (peak - self.final) * math.pow(1.0 - walked, self.power)


@dataclass(frozen=True)
class Inverse(RateSchedule):
    """The rate times (1 + slope n)^-power after n moves, however long the fit is."""

    slope: float
    power: float
    per: Per = "iteration"

    def __str__(self) -> str:
        return f"rate times (1 + {self.slope:g} n)^-{self.power:g} after n {self.per}s"

    def rate_at(self, peak: float, at: int, of: int) -> float:
        """``peak`` at 0."""
        return peak * math.pow(1.0 + self.slope * at, -self.power)


@dataclass(frozen=True)
class Warmup(RateSchedule):
    """Other rates for the first epochs, or iterations where ``then`` moves by those; behind them ``then``.

    Attributes:
        length: how many.
        rate: of all of them; ``linear``: of the first alone, and n / ``length`` of the recipe's after n.
        shape: of the warm-up.
        recount: ``then`` starts behind it as if the whole fit were ahead, and does not quite reach its end (Dassl's
            WARMUP_RECOUNT); else it runs over what is left.
        then: the schedule behind it.
    """

    length: int = 1
    rate: float = 1e-5
    shape: Literal["constant", "linear"] = "constant"
    recount: bool = True
    then: RateSchedule = field(default_factory=Cosine)

    def __str__(self) -> str:
        shape = f"linear warm-up from {self.rate:g}" if self.shape == "linear" else f"warm-up at {self.rate:g}"
        return f"{self.length} {self.per}{'s' * (self.length != 1)} of {shape}, {self.then}"

    @property
    def per(self) -> Per:
        """As ``then``."""
        return self.then.per

    def rate_at(self, peak: float, at: int, of: int) -> float:
        """The warm-up's, or that of ``then``."""
        if at >= self.length:
            return self.then.rate_at(peak, at - self.length, of if self.recount else max(1, of - self.length))
        return peak * (at / self.length) if at and self.shape == "linear" else self.rate


@dataclass(frozen=True)
class Batches:
    """How batches are made.

    Attributes:
        size: examples a batch; fewer where there are fewer.
        keep_last: where batches do not divide the examples, an epoch ends in a smaller one; else those are left out.
        by_task: every batch is of one task of a joined dataset (``a+b``), and the tasks take turns.
    """

    size: int = 32
    keep_last: bool = False
    by_task: bool = False

    def __str__(self) -> str:
        return f"batch {self.size}" + " of one task" * self.by_task + ", the last one kept" * self.keep_last


@dataclass(frozen=True)
class Rule:
    """What differs for one parameter.

    Attributes:
        rate: times the learning rate; a text names the frozen scalar parameter that holds the number.
        decay: times the weight decay.
        momentum: in the place of SGD's.
        clip: the greatest norm of its own gradient.
        every: it is stepped at each n-th step only, while its momentum gathers all gradients.
    """

    rate: float | str = 1.0
    decay: float = 1.0
    momentum: float | None = None
    clip: float | None = None
    every: int = 1


@dataclass(frozen=True)
class GaussianAverage:
    """Kept is the sum of the parameters behind each epoch, weighted by a Gaussian of ``mean`` and ``deviation``.

    With selection on validation examples the best epoch is chosen among the epochs as they are.
    Source: Khattak et al., ICCV 2023 (PromptSRC), Gaussian weighted prompt aggregation.
    """

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"averaged over epochs by N({self.mean:g}, {self.deviation:g}²)"

    def weights(self, epochs: int) -> list[float]:
        """N(e; mean, deviation²) of e = 1 .. ``epochs``, over its sum."""
        distances = [((epoch - self.mean) / self.deviation) ** 2 / 2 for epoch in range(1, epochs + 1)]
        heights = [math.exp(min(distances) - distance) for distance in distances]
        return [height / sum(heights) for height in heights]


@dataclass(frozen=True)
class Recipe:
    """How parameters are fitted. Numbers may differ between the cells of a pack; the rest may not.

    Attributes:
        optimizer: with the learning rate and the weight decay.
        epochs: how long.
        batches: how they are made.
        schedule: of the learning rate; by default CoOp's, one epoch at 1e-5 and then a cosine by epoch.
        rules: for single parameters, by name.
        average: what is kept in the place of the last step.
        clip: the greatest norm of a cell's whole gradient.
        iterations: how long, in the place of ``epochs``.
    """

    optimizer: SGD | Adam
    epochs: int = 50
    batches: Batches = field(default_factory=Batches)
    schedule: RateSchedule = field(default_factory=Warmup)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    average: GaussianAverage | None = None
    clip: float | None = None
    iterations: int | None = None

    def __str__(self) -> str:
        length = f"{self.iterations} iterations" if self.iterations else f"{self.epochs} epochs"
        told = [str(each) for each in (self.optimizer, self.batches, length, self.schedule, self.average) if each]
        if self.clip is not None:
            told.append(f"gradients clipped at {self.clip:g}")
        if self.rules:
            names = ", ".join(self.rules) if len(self.rules) < 4 else f"{len(self.rules)} parameters"
            told.append(f"rules of their own for {names}")
        return ", ".join(told)

    def rates(self, steps: int, each: int) -> list[float]:
        """The learning rate of every step of ``steps``, ``each`` of them an epoch; settings are plain numbers."""
        return self.schedule.rates(float(self.optimizer.learning_rate), steps, each)
