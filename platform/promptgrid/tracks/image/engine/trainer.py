"""Fits the parameters of all cells of a program as one tensor program; cells that are done leave it.

A window draws the batches of some steps. A step (``_descend``) asks the policy for gradients (``_gradients``), which
asks for losses (``_losses``) as often as it needs them, lets the method regulate them, and hands them to the optimizer;
a policy of several turns does so for each. Behind it the average and the keeper look at the parameters. Between windows
cells that are done leave (``_leave``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor

from promptgrid.contract import Alternate, Batch, Params, Sphere, Spsa
from promptgrid.contract.black_box import queries_of
from promptgrid.contract.method import Policy
from promptgrid.tracks.image.engine.loss_scale import LossScale
from promptgrid.tracks.image.engine.optimizers import Optimizer
from promptgrid.tracks.image.engine.packed import PackedMethod
from promptgrid.tracks.image.engine.policies import Moment, gradient, gradients, together
from promptgrid.tracks.image.engine.schedule import Schedule
from promptgrid.tracks.image.engine.speed import PLAIN, Choose, Speed, plainly
from promptgrid.tracks.image.engine.support import Support, Window

WINDOW = 64
"""Steps whose batches are drawn and looked up at once."""
MOVING_WINDOW = 16
"""The same where every epoch brings new views, which are kept for so long."""
Validate = Callable[[int, Params], float]


@dataclass
class Fit:
    """What training gave.

    Attributes:
        params: of every slot, each (K, ...).
        losses: the mean loss of every epoch (epochs,) of each slot.
        by_step: the loss of every step (steps,) of each slot.
        validation: the scores of its checkpoints, of each slot; empty lists without validation.
        queries: images that a black box had been asked about behind each step of each slot, to learn from.
        speed: the shortcuts that were taken.
    """

    params: Params
    losses: list[Tensor]
    by_step: list[Tensor]
    validation: list[list[float]]
    queries: list[list[int]] = field(default_factory=list)
    speed: Speed = PLAIN


def fit(
    packed: PackedMethod,
    params: Params,
    support: Support,
    schedules: Sequence[Schedule],
    validate: Validate | None = None,
    progress: Callable[[float], None] = lambda done: None,
    choose: Choose = plainly,
    keep_best: bool = True,
) -> Fit:
    """Train every cell; cells share no parameter, so the gradient of the summed loss is the gradient of each.

    Args:
        packed: the method with its (K,) knobs.
        params: initial parameters, each (K, ...); left as they are.
        support: training images of the K cells.
        schedules: of the K cells, longest first, with equal batch sizes: a cell that has taken its steps leaves, and
            the others go on without it.
        validate: (slot, its parameters) to its validation accuracy.
        progress: told the share done after each window of steps.
        choose: decides on shortcuts when the first batch is there.
        keep_best: where there is validation, the best checkpoint is kept, the later on ties; else the last step.
    """
    lengths = [schedule.total for schedule in schedules]
    if lengths != sorted(lengths, reverse=True) or len({schedule.batch for schedule in schedules}) > 1:
        raise ValueError("slots come longest first and with equal batch sizes")
    run = _Run(packed, params, support, schedules, choose, validate, keep_best)
    while run.active:
        run.window()
        progress(run.share)
    return run.result()


@dataclass
class _Run:
    """One fit under way. Slots 0 to ``active`` are still learning."""

    packed: PackedMethod
    params: Params
    support: Support
    schedules: Sequence[Schedule]
    choose: Choose
    validate: Validate | None
    keep_best: bool
    step: int = 0
    finished: Params = field(default_factory=dict)
    speed: Speed = PLAIN
    scale: LossScale = field(default_factory=LossScale)

    def __post_init__(self) -> None:
        frozen = self.packed.method.frozen
        self.lengths = [schedule.total for schedule in self.schedules]
        self.active = len(self.lengths)
        self.now = self.packed
        self.trained = {name: value.clone() for name, value in self.params.items() if name not in frozen}
        self.held = {name: value for name, value in self.params.items() if name in frozen}
        self.finished = {name: value.clone() for name, value in self.params.items()}
        self.device = next(iter(self.params.values())).device
        self.precision = next(iter(self.params.values())).dtype
        self._run_at(PLAIN)
        self.rates = self._rates()
        decays = [float(schedule.recipe.weight_decay) for schedule in self.schedules]
        self.optimizer = Optimizer(self.schedules[0].recipe, self._tensor(decays), self._factors())
        self.losses = torch.zeros(self.lengths[0], self.active, dtype=self.precision, device=self.device)
        self.keeper = _Keeper(self.validate, self.schedules) if self.validate else None
        self.asked: list[int] = []
        self.average = _Average(self._weights(), self.trained) if self.schedules[0].recipe.averaging else None

    @property
    def share(self) -> float:
        """How much of the work is done."""
        return sum(min(self.step, length) for length in self.lengths) / sum(self.lengths)

    def window(self) -> None:
        """The next steps, at most until the next cells leave."""
        most = MOVING_WINDOW if self.support.moving else WINDOW
        steps = min(most, self.lengths[self.active - 1] - self.step)
        window = self.support.window(steps, self.active)
        policy = self._policy()
        if not self.step:
            self._choose(window, policy)
        for place in range(steps):
            batch = window.batch(place, self.packed.task.backbone, self.packed.method.needs)
            before = queries_of(self.packed.task.backbone)
            if self.now.tracks and not isinstance(policy, Spsa | Sphere):
                self._track(self.trained, batch, window.seeds[place])
            loss = self._descend(batch, window.labels[place], window.seeds[place], policy)
            self.asked.append(queries_of(self.packed.task.backbone) - before)
            with torch.no_grad():
                self.losses[self.step, : self.active] = loss.detach()
                if self.average is not None:
                    self.average.add(self.step, self.trained)
            self.step += 1
            if self.keeper is not None:
                self.keeper.see(self.step, self.active, self.trained | self.held)
        self._leave()

    def result(self) -> Fit:
        """Once all have left."""
        by_step = [column[:length] for column, length in zip(self.losses.cpu().unbind(1), self.lengths, strict=True)]
        losses = [
            torch.stack([part.mean() for part in torch.split(column, schedule.each)])
            for column, schedule in zip(by_step, self.schedules, strict=True)
        ]
        asked = list(accumulate(self.asked))
        queries = [asked[:length] for length in self.lengths]
        if self.keeper is None:
            return Fit(self.finished, losses, by_step, [[] for _ in self.lengths], queries, self.speed)
        kept = self.keeper.stacked() if self.keep_best else self.finished
        return Fit(kept, losses, by_step, self.keeper.scores, queries, self.speed)

    def _leave(self) -> None:
        """Set down the cells that have taken their steps; the tensors of the others shrink."""
        left = sum(length > self.step for length in self.lengths)
        if left == self.active:
            return
        kept = self.trained if self.average is None else self.average.sums
        for name, value in (kept | (self.held if self.now.tracks else {})).items():
            self.finished[name][left : self.active] = value[left : self.active]
        self.trained = {name: value[:left].clone() for name, value in self.trained.items()}
        self.held = {name: value[:left].clone() for name, value in self.held.items()}
        self.optimizer.keep(left)
        self.scale.keep(left)
        self.now = self.now.first(left)
        self.loss_of = self.speed.of(self.now.losses, self.device)
        self.active = left

    def _choose(self, window: Window, policy: Policy | None) -> None:
        """Settle on the shortcuts by steps whose results are thrown away."""
        held = self.held

        def step(speed: Speed) -> None:
            if speed != self.speed:
                self._run_at(speed)
            batch = window.batch(0, self.packed.task.backbone, self.packed.method.needs)
            self._gradients(batch, window.labels[0], window.seeds[0], policy)

        self._run_at(self.choose(step, self.lengths[0]))
        self.held = held

    def _run_at(self, speed: Speed) -> None:
        self.speed, self.loss_of = speed, speed.of(self.now.losses, self.device)
        self.scale = LossScale.of(self.active, self.device) if speed.autocast == "fp16" else LossScale()

    def _descend(self, batch: Batch, labels: Tensor, seeds: Tensor, policy: Policy | None) -> Tensor:
        """Move the parameters by one step; the losses (A,) before it."""
        rate = self.rates[self.step, : self.active]
        if not isinstance(policy, Alternate):
            loss, grads = self._gradients(batch, labels, seeds, policy)
            with torch.no_grad():
                grads = self.now.regulated(self.trained | self.held, grads)
                self.optimizer.update(self.trained, grads, rate)
            return loss
        total = torch.zeros_like(rate)
        for place, (loss_name, prefix) in enumerate(policy.turns):
            own = {name: value for name, value in self.trained.items() if name.startswith(prefix)}
            leaves = {name: value.detach().requires_grad_() for name, value in own.items()}
            fits = False
            while not fits:
                loss = self.loss_of(self.trained | leaves | self.held, batch, labels, seeds)[loss_name]
                grads = gradient(loss, leaves, self.scale.scales)
                fits = self.scale.fits(grads)
            with torch.no_grad():
                self.optimizer.update(own, grads, rate, same_step=place > 0)
            total = total + loss.detach()
        return total

    def _gradients(self, batch: Batch, labels: Tensor, seeds: Tensor, policy: Policy | None) -> tuple[Tensor, Params]:
        """Losses (A,) and the gradient of each cell's own loss, after the step policy."""
        estimated = isinstance(policy, Spsa | Sphere)
        losses = partial(self._losses, batch, labels, seeds, estimated)
        while True:
            loss, grads = gradients(policy, losses, self.trained, Moment(self.step + 1, seeds, self.scale.scales))
            if estimated or self.scale.fits(grads):
                return loss, grads

    def _losses(self, batch: Batch, labels: Tensor, seeds: Tensor, track: bool, trained: Params) -> dict[str, Tensor]:
        """Named losses, each (A,); with ``track``, what follows the batches goes on behind them."""
        found: dict[str, Tensor] = self.loss_of(trained | self.held, batch, labels, seeds)
        if track and self.now.tracks:
            self._track(trained, batch, seeds)
        return found

    def _track(self, trained: Params, batch: Batch, seeds: Tensor) -> None:
        with torch.no_grad():
            self.held = self.held | self.now.tracked(trained | self.held, batch, seeds)

    def _policy(self) -> Policy | None:
        return together([schedule.policy for schedule in self.schedules[: self.active]], self._tensor([]))

    def _rates(self) -> Tensor:
        """(steps, K) learning rates, 0 once a cell is done."""
        columns = [self._tensor(schedule.rates()) for schedule in self.schedules]
        return torch.nn.utils.rnn.pad_sequence(columns)

    def _factors(self) -> Params:
        """(K,) multiples of the learning rate of each parameter that has its own."""
        recipes = [schedule.recipe for schedule in self.schedules]
        return {
            name: self.held[said].to(self.precision)
            if isinstance(said, str)
            else self._tensor([float(dict(recipe.rates)[name]) for recipe in recipes])
            for name, said in recipes[0].rates
        }

    def _weights(self) -> Tensor:
        """(steps, K): how much the parameters behind each step count in the average of the epochs."""
        columns = [self._tensor(schedule.weights()) for schedule in self.schedules]
        return torch.nn.utils.rnn.pad_sequence(columns)

    def _tensor(self, numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=self.precision, device=self.device)


class _Average:
    """The weighted sum of the parameters behind the epochs."""

    def __init__(self, weights: Tensor, params: Params) -> None:
        self.weights = weights
        self.ends = weights.ne(0).any(1).tolist()
        self.sums = {name: torch.zeros_like(value) for name, value in params.items()}

    def add(self, step: int, params: Params) -> None:
        """Take in ``params`` (A, ...) of the first A slots, as step ``step`` leaves them."""
        if not self.ends[step]:
            return
        for name, value in params.items():
            cells = len(value)
            weight = self.weights[step, :cells].view(-1, *[1] * (value.dim() - 1))
            self.sums[name][:cells].addcmul_(weight, value)


class _Keeper:
    """Keeps, for every cell, the parameters of its best validation score (the later on ties)."""

    def __init__(self, validate: Validate, schedules: Sequence[Schedule]) -> None:
        self.validate = validate
        self.marks = [schedule.checkpoints() for schedule in schedules]
        self.best: list[Params] = [{} for _ in schedules]
        self.scores: list[list[float]] = [[] for _ in schedules]

    def see(self, steps: int, active: int, params: Params) -> None:
        """Score those of the first ``active`` slots for which it is time after ``steps`` steps."""
        for slot in range(active):
            if steps not in self.marks[slot]:
                continue
            own = {name: value[slot] for name, value in params.items()}
            score = self.validate(slot, own)
            if score >= max(self.scores[slot], default=score):
                self.best[slot] = {name: value.clone() for name, value in own.items()}
            self.scores[slot].append(score)

    def stacked(self) -> Params:
        """The best parameters, each (K, ...)."""
        return {name: torch.stack([best[name] for best in self.best]) for name in self.best[0]}
