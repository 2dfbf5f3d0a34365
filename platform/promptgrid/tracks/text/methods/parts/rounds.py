"""Methods that also train on an unlabelled pool, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.randomness import stream
from promptgrid.contract.recipe import Number, Recipe
from promptgrid.contract.task import Batch, Chosen
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.towers.methods.parts.recipes import adamw
from promptgrid.tracks.text.methods.parts.masking import masked_word_loss
from promptgrid.tracks.text.methods.parts.tuned import AtMask
from promptgrid.tracks.text.reading import templated, written
from promptgrid.tracks.text.task import TextTask

LABELS = ("own", "random", "gold")
TEACH, PRETRAIN, FIT = 0, 1, 2


@dataclass(frozen=True)
class PromptedPretraining(AtMask):
    """Three rounds: fit on the few labels; read the pool with guessed labels written in; fit again from there.

    What the engine must offer: rounds by ``task.turn`` of which 0 and 2 draw nothing from the pool; :meth:`resume`
    between them; in round 1 batches of the pool's ``templated`` columns (labelled texts may stand among them, with
    their own labels); a recipe for each round; ``task.seed``, the cell's, while :meth:`relabel` is asked; with
    ``labels: gold`` the pool's true labels as ``task.pool_labels``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights", "unlabelled"})
    with_labelled: ClassVar[bool] = True

    labels: Literal["own", "random", "gold"] = "own"
    pool_rate: Number = knob(1e-4, low=1e-7, high=1e-2, log=True)
    pool_steps: int = 200

    @property
    def assets(self) -> frozenset[str]:
        return frozenset({"unlabelled", "pool_labels"} if self.labels == "gold" else {"unlabelled"})

    def draws(self, task: TextTask, pool: int) -> tuple[int, ...]:
        return (0, pool, 0)

    def relabel(self, task: TextTask, logits: Tensor | None) -> Chosen:
        if logits is None or task.turn != PRETRAIN:
            return NOTHING
        return Chosen(torch.arange(len(logits)), self._guessed(task, logits))

    def _guessed(self, task: TextTask, logits: Tensor) -> Tensor:
        """(M,) labels of the pool."""
        if self.labels == "own":
            return logits.argmax(-1)
        if self.labels == "random":
            rng = stream("random labels", task.dataset, 0 if task.seed is None else int(task.seed))
            return torch.randint(len(task.classes), (len(logits),), generator=rng)
        if task.pool_labels is None:
            raise ValueError("labels: 'gold' reads labels of the pool that this task was not given")
        return task.pool_labels

    def resume(self, learned: Params, fresh: Params, task: TextTask) -> Params:
        """What round ``task.turn`` starts from: the model as it came before the pool is read, else what was learned."""
        return fresh if task.turn == PRETRAIN else learned

    def recipe(self, task: TextTask) -> Recipe | None:
        return pool_recipe(self) if task.turn == PRETRAIN else super().recipe(task)

    def objective(self, params: Params, batch: Batch, task: TextTask) -> dict[str, Tensor]:
        if task.turn != PRETRAIN:
            return super().objective(params, batch, task)
        return {"masked_words": filled_lines_loss(params, batch, task)}


NOTHING = Chosen(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
"""A round without the pool."""


def pool_recipe(method: PromptedPretraining) -> Recipe:
    """AdamW (.9, .98, 1e-6) on the masked-word loss; what only answers does not move."""
    rates = dict.fromkeys(method.own_names, 0.0)
    return adamw(
        method.pool_rate,
        method.weight_decay,
        method.pool_steps,
        method.batch_size,
        rates=rates,
        betas=(0.9, 0.98),
        epsilon=1e-6,
    )


def filled_lines_loss(params: Params, batch: Batch, task: TextTask) -> Tensor:
    """The masked-word loss of templated texts with their label's word in the place of the mask.

    A word of several tokens stands there as the mean of their embeddings and is never asked for.
    """
    weights, text, labels = own_weights(params), templated(batch), batch["labels"]
    words = task.label_words.to(labels.device)
    at = batch["mask_at"].unsqueeze(-1)
    lines = text.ids.scatter(-1, at, words.first[labels].unsqueeze(-1))
    single = words.single[labels].unsqueeze(-1)
    here = torch.zeros_like(text.mask).scatter(-1, at, torch.ones_like(text.mask[:, :1]))
    mean = words.of_words(task.backbone.embed(words.tokens, weights))[:, 0][labels].unsqueeze(1)

    def labelled(embeddings: Tensor) -> Tensor:
        return torch.where(single.unsqueeze(-1), embeddings, written(embeddings, at, mean))

    return masked_word_loss(task, lines, text.mask, weights, never=here & ~single, written=labelled)
