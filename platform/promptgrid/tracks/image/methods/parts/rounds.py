"""Learning from pseudo-labels in rounds (Menghini et al., 2023): what FPL, IFPL and GRIP have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import SGD, Batches, Chosen, Number, Outputs, Params, Recipe, Task, Trained, Warmup, knob
from promptgrid.tracks.image.methods.parts.pseudo import leaderboards, marked, masked_mean, unseen_from, zero_shot
from promptgrid.tracks.image.methods.parts.settings import check

ROUNDS = 10
STRATEGIES = ("fpl", "ifpl", "grip")


@dataclass(frozen=True)
class Pseudolabelled(Trained):
    """One of three strategies to learn prompts from few labels, or none, and pseudo-labels.

    ``fpl`` trains once, on the ``confident`` = 16 images a class that frozen CLIP is surest of. ``ifpl`` does so in
    ten rounds, and from the second on the model of the round before labels the pool. ``grip`` takes
    K = floor(i |U| / (10 C)) images a class (at least 1) in round i, and in the last one all. Every round starts from
    a prompt drawn afresh. Where the protocol has unseen classes, the pool is of those.
    """

    with_labelled: ClassVar[bool] = True
    afresh: ClassVar[bool] = True

    learning_rate: Number = knob(0.1, low=1e-5, high=1.0, log=True)
    weight_decay: Number = knob(0.1, low=0.0, high=0.5)
    batch_size: int = 16
    epochs: int = 150
    confident: int = 16
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        check(self, context_length=1, tokens=1, width=1, confident=1, rounds=1, strategy=STRATEGIES)

    @property
    def needs_labels(self) -> bool:
        return False

    @property
    def plan(self) -> str:
        """Which of the strategies."""
        return str(getattr(self, "strategy", self.name))

    def recipe(self, task: Task) -> Recipe:
        schedule = Warmup(5, 0.0, "linear", recount=False)
        return Recipe(SGD(self.learning_rate, self.weight_decay), self.epochs, Batches(self.batch_size), schedule)

    def most(self, classes: int, pool: int, turn: int) -> int:
        """How many pseudo-labelled images a class may have in round ``turn``."""
        if self.plan != "grip":
            return self.confident
        if turn + 1 == self.rounds:
            return -(-pool // classes)
        return max(1, (turn + 1) * pool // (self.rounds * classes))

    def draws(self, task: Task, pool: int) -> tuple[int, ...]:
        classes = len(task.classes) - unseen_from(task)
        turns = range(1 if self.plan == "fpl" else self.rounds)
        return tuple(min(pool, classes * self.most(classes, pool, turn)) for turn in turns)

    def relabel(self, task: Task, logits: Tensor | None) -> Chosen:
        said, first = zero_shot(task) if logits is None else logits, unseen_from(task)
        return leaderboards(said, self.most(said.shape[1] - first, len(said), task.turn), first)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        """gamma CE(labelled) + CE(pseudo), or with unseen classes CE(labelled) + lambda CE(pseudo).

        gamma = pseudo / labelled images, lambda its inverse; 0 stands for a mean over none.
        """
        pseudo = marked(out)
        each = F.cross_entropy(out.logits, labels, reduction="none")
        own, given = masked_mean(each, pseudo), masked_mean(each, 1.0 - pseudo)
        labelled, drawn = task.mixture
        if not labelled:
            return {"pseudo": own}
        if unseen_from(task):
            return {"labelled": given, "pseudo": own * (labelled / drawn)}
        return {"labelled": given * (drawn / labelled), "pseudo": own}
