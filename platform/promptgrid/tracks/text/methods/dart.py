"""DART-style soft template: the template's words and the label words are free vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.spec import Refused
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.tracks.text.methods.parts.tuned import OUTPUT_LAYER, AtMask
from promptgrid.tracks.text.methods.parts.verbalizers import first_rows
from promptgrid.tracks.text.reading import written
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class DART(AtMask):
    """DART-style soft template: embeddings of the template's words and decoder rows of the label words are learned.

    Source: Zhang et al., sections 3.1 and 3.2; ZhengxiangShi/PowerfulPromptFT b4ecdea ("soft").
    Both start from the words themselves, so that untrained it answers as the template does. The whole model is tuned
    with them. Recipe as prompt fine-tuning, with ``ratio`` 10 on what is drawn here.
    Learns n x d for n template tokens, C x (d + 1), and the model.
    Deviations: the paper's fluency constraint, a second masked-word loss, is left out; a template token is a vector of
    its own, apart from the same word in a text, where the original overwrites unused words of the vocabulary.
    """

    name: ClassVar[str] = "dart"
    paper: ClassVar[str] = "Zhang et al., ICLR 2022, arXiv:2108.13161"
    axes: ClassVar = Axes("context", "weights", prompt="soft_tuning", family="single_tower")

    ratio: float = 10.0

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",)}

    @property
    def open_vocabulary(self) -> bool:
        return False

    @property
    def own_names(self) -> tuple[str, ...]:
        return ("template", "rows", "row_biases")

    @property
    def unread(self) -> frozenset[str]:
        return OUTPUT_LAYER

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        rows, biases = first_rows(task)
        return {"template": template_start(task).float(), "rows": rows.float(), "row_biases": biases.float()}

    def written(self, params: Params, words: Tensor, batch: Batch, task: TextTask) -> Tensor:
        return written(words, batch["template_at"], params["template"])

    def answer(self, params: Params, state: Tensor, task: TextTask) -> Tensor:
        return task.backbone.decoder_input(state, own_weights(params)) @ params["rows"].mT + params["row_biases"]


def template_start(task: TextTask) -> Tensor:
    """(n, d) embeddings of the template's own words.

    Raises:
        Refused: the template has no words of its own.
    """
    examples = task.examples
    if examples is None or "template_at" not in examples:
        raise Refused("a soft template needs a template with words of its own", where=task.dataset, got=task.template)
    ids = examples["templated"][0][examples["template_at"][0]]
    return task.backbone.embed(ids)
