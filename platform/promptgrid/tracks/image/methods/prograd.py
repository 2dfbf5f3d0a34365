"""ProGrad: never step against what zero-shot CLIP knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import (
    Axes,
    Backbone,
    Number,
    Outputs,
    Params,
    Project,
    PromptTokens,
    Recipe,
    Task,
    Trained,
    knob,
)
from promptgrid.contract.task import spoken
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian

TEACHERS = {
    "OxfordPets": "a type of pet, a photo of a {}.",
    "OxfordFlowers": "a type of flower, a photo of a {}.",
    "FGVCAircraft": "a type of aircraft, a photo of a {}.",
    "DTD": "a texture of {}.",
    "Food101": "a type of food, a photo of {}.",
}
"""Templates with the class at the end, where the dataset's own has it elsewhere."""
STRENGTHS = {"OxfordFlowers": 0.8, "DTD": 0.8, "EuroSAT": 0.8}
"""lambda at 8 and more shots; 1 elsewhere."""


@dataclass(frozen=True)
class ProGrad(Trained):
    """ProGrad: CoOp whose steps never oppose what zero-shot CLIP knows.

    Source: Zhu et al., method section; BeierZhu/Prompt-align 1b76203.
    Only the cross-entropy is descended; ``knowledge`` = -T² mean_x sum_c p_zs(c) log p(c) guides it: the
    part of the gradient that opposes it is projected away.
    Context 16; the template's words take its last slots and zeros lead (``from_template = false``: N(0, 0.02²) as
    CoOp). Words are counted by spaces, and as many tokens of the template are learned; where it has more, as at a
    comma, its last ones stay frozen behind the context: "a type of pet, a photo of a" is 8 zeros, 8 learned tokens and
    a frozen "a" (``every_token``: 7 zeros and 9 learned tokens). strength (lambda) 1, temperature T 1; recipe as CoOp.
    Learns 8,192 numbers on ViT-B/16.
    Deviations: fp32; more words than slots keep the last; random start where the template begins with the name.
    """

    name: ClassVar[str] = "prograd"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Zhu et al., ICCV 2023, arXiv:2205.14865"
    axes: ClassVar = Axes("context", "text", prompt="soft_tuning", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens"})

    context_length: int = 16
    from_template: bool = True
    every_token: bool = False
    strength: Number = knob(1.0, low=0.0, high=1.0)
    temperature: Number = knob(1.0, low=0.1, high=10.0, log=True)
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, context_length=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        words = self._words(task)
        if not words:
            return {"context": gaussian(rng, self.context_length, task.backbone.text.width)}
        learned = task.words(words).detach()[: self._learned(words, task)]
        zeros = learned.new_zeros(self.context_length - len(learned), learned.shape[-1])
        return {"context": torch.cat([zeros, learned])}

    def recipe(self, task: Task) -> Recipe | None:
        short = not self.epochs and paper_name(task.dataset) == "ImageNet"
        return replace(self, epochs=50).recipe(task) if short else super().recipe(task)

    def text(self, params: Params, task: Task) -> Tensor:
        words = self._words(task)
        lead = ["X"] * (self.context_length - self._learned(words, task)) + [words] * bool(words)
        prompts = _prompts(task.backbone, task.classes, " ".join(lead), self.context_length)
        return task.backbone.encode_context(prompts, params["context"])

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        teacher = task.scale * F.normalize(out.image, dim=-1) @ task.text_of((_teacher(task),)).mT
        wanted = (teacher / self.temperature).softmax(-1)
        learned = (out.logits / self.temperature).log_softmax(-1)
        knowledge = -(wanted * learned).sum(-1).mean() * self.temperature**2
        return {"cross_entropy": F.cross_entropy(out.logits, labels), "knowledge": knowledge}

    def step(self, task: Task) -> Project | None:
        strength = published(self, "strength", STRENGTHS if task.shots >= 8 else {}, task.dataset)
        return Project("cross_entropy", "knowledge", strength)

    def _words(self, task: Task) -> str:
        """The words that the context starts from, as many as it has room for; '' for a random start."""
        words = _teacher(task).split("{}")[0].split() if self.from_template else []
        while self.every_token and len(words) > 1 and len(task.words(" ".join(words))) > self.context_length:
            words = words[1:]
        return " ".join(words[-self.context_length :])

    def _learned(self, words: str, task: Task) -> int:
        """How many tokens of ``words`` are learned, the first ones."""
        return min(self.context_length, len(task.words(words)) if self.every_token and words else len(words.split()))


@lru_cache(maxsize=256)
def _prompts(backbone: Backbone, classes: tuple[str, ...], lead: str, length: int) -> PromptTokens:
    """``lead`` before every name, its first ``length`` tokens the context, what it has more frozen behind that."""
    tokens = backbone.tokenize([f"{lead} {name}." for name in spoken(classes)])
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    slots = torch.where((places > 0) & (places <= length), places - 1, -1)
    with torch.no_grad():
        return PromptTokens(backbone.embed_tokens(tokens), slots, tokens.argmax(-1))


def _teacher(task: Task) -> str:
    return TEACHERS.get(paper_name(task.dataset), task.template)
