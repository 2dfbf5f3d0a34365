"""SPG: a conditional GAN learns to write the context that suits an image, from one learned context a domain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Alternate, Axes, Batch, Number, Outputs, Params, Task, Trained, gaussian, knob
from promptgrid.contract.policies import Policy
from promptgrid.contract.recipe import AdamW, Batches, Recipe, Rule, Warmup
from promptgrid.tracks.image.methods.parts.adversaries import CLIPS, SEEN, adversaries, clips, duel, moved, write
from promptgrid.tracks.image.methods.parts.benchmarks import benchmark, set_for
from promptgrid.tracks.image.methods.parts.domains import by_domain
from promptgrid.tracks.image.methods.parts.per_image import in_parts, scores, unit_texts
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context
from promptgrid.tracks.image.methods.tables.spg import CLIPPING, RATES


@dataclass(frozen=True)
class SPG(Trained):
    """SPG: a generator writes a context for every image; the contexts that CoOp learns for each domain teach it.

    Source: Bai et al., sections 3.2 and 3.3; renytek13/Soft-Prompt-Generation fe128c0 (``spg_coop.py``,
    ``spg_cgan.py``). Stage I: a context v^d for each domain d, 4 tokens from "a photo of a", cross-entropy on the
    images of d; CoOp's recipe, 50 epochs. Stage II: G([z, f̂]), z ~ N(0, 1)^100, widths 128-256-512-1024, batch norms
    in all but the first (epsilon .8), leaky ReLU .2, tanh; D([v, f̂]), widths 512-512-512, dropout .4 in the last two;
    least squares: D to 1 on (v^domain, f̂) and to 0 on (G, f̂), then G to D = 1 by the D that has just moved. AdamW,
    decay 1e-4, batch 32, 70 epochs, 4 of linear warm-up; the gradient of each parameter clipped by itself
    (``clipping``); ``gan_rate`` 2e-4; on PACS and VLCS 2e-3, and on PACS bounds of its own. A test image is scored by
    the texts of its own context; with ``answers: labels``, an ablation, by the mean over domains of what the contexts
    v^d of stage I say.
    ``images_at_once`` bounds memory and changes no number.
    Deviations: z of test images is drawn once a cell and kept (the original draws anew for every image, so that its
    answers differ from run to run); labels of domains go by name (the original's index may slip); domains are learned
    side by side in mixed batches, each by the mean over its own images; G and D see the same images of a batch (the
    original draws two batches); no biases ahead of batch norms, which cancel them; the warm-up climbs from 0 and the
    cosine runs over the epochs behind it; the last step (the original: best on validation, in both stages); fp32.
    """

    name: ClassVar[str] = "spg"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Bai et al., ECCV 2024, arXiv:2404.19286"
    axes: ClassVar = Axes("prompt_network", "text", prompt="soft_tuning", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "domain_labels"})
    frozen: ClassVar[frozenset[str]] = frozenset({"noise", *SEEN})
    stages: ClassVar[int] = 2
    texts_per_image: ClassVar[bool] = True

    context_length: int = 4
    words: str = "a photo of a"
    noise_width: int = 100
    epochs: int = 50
    gan_epochs: int = 70
    gan_rate: Number = knob(2e-4, low=1e-6, high=0.1, log=True)
    clipping: Literal["others", "PACS"] = "others"
    images_at_once: int = 8
    answers: Literal["written", "labels"] = "written"
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, context_length=1, noise_width=1, epochs=1, gan_epochs=1, clipping=tuple(CLIPS), images_at_once=1,
              answers=("written", "labels"))  # fmt: skip
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        start = context(task, rng, self.context_length, self.words)
        params = {"labels": start.repeat(len(set(task.domains)), 1, 1)}
        params["noise"] = torch.randn(self.noise_width, generator=rng)
        return params | adversaries(rng, self.noise_width, task.backbone.width, start.numel())

    def recipe(self, task: Task) -> Recipe | None:
        known = CLIPPING.get(benchmark(task.dataset), "") if self.as_published and self.clipping == "others" else ""
        own, first = clips(known or self.clipping), super().recipe(task)
        if not task.turn:
            return first and replace(first, rules={name: Rule(decay=0.0) for name in own})
        optimizer = AdamW(set_for(self, "gan_rate", RATES, task.dataset), 1e-4)
        schedule = Warmup(min(4, self.gan_epochs - 1), 0.0, "linear", recount=False)
        rules = {name: Rule(clip=most) for name, most in own.items()}
        return Recipe(optimizer, self.gan_epochs, Batches(self.batch_size), schedule, rules)

    def step(self, task: Task) -> Policy | None:
        return Alternate((("judge", "judge"), ("writer", "writer"))) if task.turn else None

    def text(self, params: Params, task: Task) -> Tensor:
        if task.turn or (task.seed is None and self.answers == "written"):
            return task.text
        contexts, prompts = params["labels"].unbind(0), task.prompts(self.context_length)
        return torch.stack([task.backbone.encode_context(prompts, each) for each in contexts])

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        if task.seed is not None or self.answers == "labels":
            told = super().head(params, image, text, task)  # of stage I (domains, B, C)
            return told if task.seed is not None else told.log_softmax(-1).logsumexp(0) - math.log(len(told))
        return in_parts(F.normalize(image, dim=-1), self.images_at_once, lambda unit: self._score(params, unit, task))

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        if out.batch is None or "domain" not in out.batch or task.seed is None:
            raise ValueError("SPG learns from batches that say which domain each image is of")
        if not task.turn:
            return {"cross_entropy": by_domain(out.logits, labels, out.batch.domain)}
        unit, real = out.batch.normalised, params["labels"].detach().flatten(1)[out.batch.domain]
        return duel(params, real, unit, gaussian(unit, self.noise_width, task.seed, 0), task.seed)

    def track(self, params: Params, batch: Batch, task: Task) -> Params:
        old = {name: params[name] for name in SEEN}
        if not task.turn or task.seed is None:
            return old
        unit = batch.normalised
        return moved(old, write(params, unit, gaussian(unit, self.noise_width, task.seed, 0))[1], len(unit))

    def _score(self, params: Params, unit: Tensor, task: Task) -> Tensor:
        """(b, D) unit features to (b, C) logits, each image against texts of its own."""
        written, _ = write(params, unit, params["noise"].expand(len(unit), -1), {name: params[name] for name in SEEN})
        return scores(task, unit, unit_texts(task, written.view(len(unit), self.context_length, -1)))
