"""Fits the parameters of all cells of a program as one tensor program; cells that are done leave it.

A window draws the batches of some steps. A step (``_descend``) has gradients computed (``_gradients``) in the way that
was settled on (``_choose``), lets the method regulate them, and hands them to the optimizer; a policy of several turns
does so for each. What is computed is always the same (``_found``): the policy's gradients, for which it asks for losses
(``_losses``) as often as it needs them. Behind the step the average and the keeper look at the parameters. Between
windows cells that are done leave (``_leave``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.policies import Alternate, Policy, Sphere, Spsa
from promptgrid.contract.task import Batch
from promptgrid.engine.training.keeping import Average, Keeper, Validate
from promptgrid.engine.training.loss_scale import LossScale
from promptgrid.engine.training.optimizers import Optimizer
from promptgrid.engine.training.packed import PackedMethod
from promptgrid.engine.training.policies import Moment, gradients, together
from promptgrid.engine.training.sampling import Prefetched, Sampler
from promptgrid.engine.training.schedule import Schedule
from promptgrid.engine.training.speed import PLAIN, Choose, Found, Speed, plainly

WINDOW = 64
"""Steps whose batches are drawn and looked up at once."""
MOVING_WINDOW = 16
"""The same where every epoch brings new views, which are kept for so long."""


@dataclass
class Fit:
    """What training gave.

    Attributes:
        params: of every slot, each (K, ...).
        losses: the mean loss of every epoch (epochs,) of each slot.
        by_step: the loss of every step (steps,) of each slot.
        validation: the scores of its checkpoints, of each slot; empty lists without validation.
        queries: examples that a black box had been asked about behind each step of each slot, to learn from.
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
    sampler: Sampler,
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
        sampler: training examples of the K cells.
        schedules: of the K cells, longest first, with equal batch sizes: a cell that has taken its steps leaves, and
            the others go on without it.
        validate: (slot, its parameters) to how good they are on validation examples, the higher the better.
        progress: told the share done after each window of steps.
        choose: decides on shortcuts when the first batch is there.
        keep_best: where there is validation, the best checkpoint is kept, the later on ties; else the last step.
    """
    lengths = [schedule.total for schedule in schedules]
    if lengths != sorted(lengths, reverse=True) or len({schedule.sizes for schedule in schedules}) > 1:
        raise ValueError("slots come longest first and with equal batch sizes")
    run = _Run(packed, params, sampler, schedules, choose, validate, keep_best)
    try:
        while run.active:
            run.window()
            progress(run.share)
    finally:
        run.ways = {}  # they know the run: without this what failed would hold its memory while it is tried again
    return run.result()


@dataclass
class _Run:
    """One fit under way. Slots 0 to ``active`` are still learning."""

    packed: PackedMethod
    params: Params
    sampler: Sampler
    schedules: Sequence[Schedule]
    choose: Choose
    validate: Validate | None
    keep_best: bool
    step: int = 0
    finished: Params = field(default_factory=dict)
    speed: Speed = PLAIN
    taken: Speed = PLAIN
    policy: Policy | None = None
    ways: dict[Speed, Callable[..., Found]] = field(default_factory=dict)
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
        self.rates = self._rates()
        decays = [float(schedule.recipe.optimizer.weight_decay) for schedule in self.schedules]
        self.optimizer = Optimizer(self.schedules[0].recipe, self._tensor(decays), self._factors())
        self.losses = torch.zeros(self.lengths[0], self.active, dtype=self.precision, device=self.device)
        self.keeper = Keeper(self.validate, self.schedules) if self.validate else None
        self.asked: list[int] = []
        self.average = Average(self._weights(), self.trained) if self.schedules[0].recipe.average else None

    @property
    def estimated(self) -> bool:
        """Whether gradients come from losses around the parameters."""
        return isinstance(self.policy, Spsa | Sphere)

    @property
    def turns(self) -> range:
        """The turns of a step; adversaries take several."""
        return range(len(self.policy.turns) if isinstance(self.policy, Alternate) else 1)

    @property
    def share(self) -> float:
        """How much of the work is done."""
        return sum(min(self.step, length) for length in self.lengths) / sum(self.lengths)

    def window(self) -> None:
        """The next steps, at most until the next cells leave."""
        most = MOVING_WINDOW if self.sampler.moving else WINDOW
        steps = min(most, self.lengths[self.active - 1] - self.step)
        window = self.sampler.prefetch(steps, self.active)
        if not self.ways:
            self._choose(window)
        for place in range(steps):
            batch = window.batch(place)
            before = self._queries()
            if self.now.tracks and not self.estimated:
                self._track(self.trained, batch, window.seeds[place])
            loss = self._descend(batch, window.seeds[place])
            self.asked.append(self._queries() - before)
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
            return Fit(self.finished, losses, by_step, [[] for _ in self.lengths], queries, self.taken)
        kept = self.keeper.stacked() if self.keep_best else self.finished
        return Fit(kept, losses, by_step, self.keeper.scores, queries, self.taken)

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
        self.now, self.active = self.now.first(left), left
        self.ways = {}

    def _choose(self, window: Prefetched) -> None:
        """Settle on the shortcuts of the steps until the next cells leave, by steps whose results are thrown away."""
        held, scale, before = self.held, replace(self.scale), self.speed if self.step else None
        ahead = self.lengths[self.active - 1] - self.step
        self.policy = self._policy()

        def step(speed: Speed, place: int) -> Found:
            self._run_at(speed)
            batch = window.batch(place)
            try:
                turns = [self._gradients(batch, window.seeds[place], turn) for turn in self.turns]
            finally:
                self.held = held
            grads = {name: grad for _, own in turns for name, grad in own.items()}
            return torch.stack([loss.detach() for loss, _ in turns]).sum(0), grads

        self._run_at(self.choose(step, 0 if self.estimated else ahead, before))
        self.scale = self._scale() if before is None else scale
        self.ways = {self.speed: self.ways[self.speed]}
        self.taken = replace(
            self.speed,
            compiled=self.taken.compiled or self.speed.compiled,
            captured=self.taken.captured or self.speed.captured,
        )

    def _run_at(self, speed: Speed) -> None:
        other, self.speed = speed.autocast != self.speed.autocast, speed
        if other:
            self.scale = self._scale()
        if speed not in self.ways:
            self.ways[speed] = speed.of(self._found, self.device)

    def _scale(self) -> LossScale:
        """Loss scales where cells start from them, those of fp16."""
        return LossScale.of(self.active, self.device) if self.speed.autocast == "fp16" else LossScale()

    def _descend(self, batch: Batch, seeds: Tensor) -> Tensor:
        """Move the parameters by one step; the losses (A,) before it."""
        rate = self.rates[self.step, : self.active]
        if not isinstance(self.policy, Alternate):
            loss, grads = self._gradients(batch, seeds)
            with torch.no_grad():
                grads = self.now.regulated(self.trained | self.held, grads)
                self.optimizer.update(self.trained, grads, rate)
            return loss
        total = torch.zeros_like(rate)
        for turn in self.turns:
            loss, grads = self._gradients(batch, seeds, turn)
            with torch.no_grad():
                own = {name: self.trained[name] for name in grads}
                self.optimizer.update(own, grads, rate, same_step=turn > 0)
            total = total + loss.detach()
        return total

    def _gradients(self, batch: Batch, seeds: Tensor, turn: int = 0) -> Found:
        """Losses (A,) and the gradient of each cell's own loss, after the step policy."""
        while True:
            way, held = self.ways[self.speed], self.held
            found = way(self.trained, held, batch.columns, seeds, self.scale.scales, turn)
            if self.estimated or self.scale.fits(found[1]):
                return found

    def _found(
        self,
        trained: Params,
        held: Params,
        columns: Params,
        seeds: Tensor,
        scales: Tensor | None,
        turn: int,
    ) -> Found:
        losses = partial(self._losses, held, Batch(columns), seeds)
        return gradients(self.policy, losses, trained, Moment(self.step + 1, seeds, scales, turn))

    def _losses(self, held: Params, batch: Batch, seeds: Tensor, trained: Params) -> dict[str, Tensor]:
        """Named losses, each (A,); where they are asked for around the parameters, what follows the batches goes on."""
        found = self.now.losses(trained | (self.held if self.estimated else held), batch, seeds)
        if self.estimated and self.now.tracks:
            self._track(trained, batch, seeds)
        return found

    def _track(self, trained: Params, batch: Batch, seeds: Tensor) -> None:
        with torch.no_grad():
            self.held = self.held | self.now.tracked(trained | self.held, batch, seeds)

    def _queries(self) -> int:
        """Examples asked about so far of a backbone that counts; 0 of one that is open."""
        return int(getattr(self.packed.task.backbone, "queries", 0))

    def _policy(self) -> Policy | None:
        return together([schedule.policy for schedule in self.schedules[: self.active]], self._tensor([]))

    def _rates(self) -> Tensor:
        """(steps, K) learning rates, 0 once a cell is done."""
        columns = [self._tensor(schedule.rates()) for schedule in self.schedules]
        return torch.nn.utils.rnn.pad_sequence(columns)

    def _factors(self) -> Params:
        """(K,) multiples of the learning rate of each parameter that has its own."""
        rates = {
            name: [schedule.recipe.rules[name].rate for schedule in self.schedules]
            for name in self.schedules[0].recipe.rules
        }
        return {
            name: self.held[said[0]].to(self.precision)
            if isinstance(said[0], str)
            else self._tensor([float(each) for each in said])
            for name, said in rates.items()
            if set(said) != {1.0}
        }

    def _weights(self) -> Tensor:
        """(steps, K): how much the parameters behind each step count in the average of the epochs."""
        columns = [self._tensor(schedule.weights()) for schedule in self.schedules]
        return torch.nn.utils.rnn.pad_sequence(columns)

    def _tensor(self, numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=self.precision, device=self.device)
