"""PCP: masked-word pretraining goes on over the pool, in the template and with guessed labels, before prompt tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.text.methods.parts.rounds import LABELS, PromptedPretraining


@dataclass(frozen=True)
class PCP(PromptedPretraining):
    """PCP: prompt fine-tuning, its guesses of the whole pool, masked words of the pool's lines, prompt fine-tuning.

    Source: Shi and Lipani, section 3; ZhengxiangShi/PowerfulPromptFT b4ecdea.
    A line is a text of the pool in the template with the word of its guessed label in it; 15 % of tokens are asked for,
    the label's word like any other; this starts from the model as it came, and the last fit from what it made.
    ``labels: random`` and ``gold`` put chance or the truth in the place of guesses: its lower and upper bound. Fits as
    ``prompt_finetune``; pool AdamW 1e-4 (.9, .98, 1e-6), 200 steps. Learns the model.
    Deviations: 200 steps of 16 for each round (the original: 1,000 of 8, 100 epochs of 128); the few labelled texts
    stand among the lines with their labels; exactly 15 % of a line; a label's word of several tokens is the mean of
    their embeddings; a cosine without warm-up.
    """

    name: ClassVar[str] = "pcp"
    paper: ClassVar[str] = "Shi and Lipani, NeurIPS 2023, arXiv:2305.01711"
    axes: ClassVar = Axes(
        "weight_deltas", "weights", supervision="semi_supervised", prompt="hard_instruction", design="data",
        family="single_tower",
    )  # fmt: skip

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",), "labels": LABELS, "pool_steps": 1}
