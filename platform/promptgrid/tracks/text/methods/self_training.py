"""Self-training: prompt fine-tuning again, with what it was most sure of in the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.task import Chosen
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.text.methods.parts.rounds import NOTHING
from promptgrid.tracks.text.methods.prompt_finetune import PromptFinetune
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class SelfTraining(PromptFinetune):
    """Self-training: a teacher fitted on the few labels guesses the pool; a student learns from both, from the start.

    Source: a baseline of Shi and Lipani's, section 4; the rule is Yarowsky's, ACL 1995.
    The ``share`` of the pool whose likeliest class is likeliest is taken with that class; cross-entropy of labelled and
    guessed texts alike. Each fit as ``prompt_finetune``. Learns the model. It asks of the engine what PCP does.
    Deviations: a share of the pool in the place of a threshold, so that cells of a pack learn from equally many; no
    augmented texts and no threshold that adapts (FixMatch, Dash); one round of guesses.
    """

    name: ClassVar[str] = "self_training"
    paper: ClassVar[str] = "Shi and Lipani, NeurIPS 2023, arXiv:2305.01711"
    axes: ClassVar = Axes(
        "weight_deltas", "weights", supervision="semi_supervised", design="data", prompt="hard_instruction",
        family="single_tower",
    )  # fmt: skip
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights", "unlabelled"})
    with_labelled: ClassVar[bool] = True
    afresh: ClassVar[bool] = True

    share: float = 0.5

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",), "share": 1.0}

    def taken(self, pool: int) -> int:
        """How many of ``pool`` texts the student learns from."""
        return max(1, round(self.share * pool))

    def draws(self, task: TextTask, pool: int) -> tuple[int, ...]:
        return (0, self.taken(pool))

    def relabel(self, task: TextTask, logits: Tensor | None) -> Chosen:
        if logits is None:
            return NOTHING
        sure, labels = logits.softmax(-1).max(-1)
        taken = sure.argsort(descending=True, stable=True)[: self.taken(len(logits))]
        return Chosen(taken, labels[taken])

    def resume(self, learned: Params, fresh: Params, task: TextTask) -> Params:
        """What round ``task.turn`` starts from: the model as it came."""
        return fresh
