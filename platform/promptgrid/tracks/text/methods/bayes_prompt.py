"""BayesPrompt: marks around entities are drawn from what a domain's texts look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.randomness import gaussian
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.text.methods.know_prompt import KnowPrompt
from promptgrid.tracks.text.methods.parts.particles import domain_particles, mean_embeddings, of_same_size
from promptgrid.tracks.text.task import TextTask

DOMAINS = ("pool", "support", "noise")
TEST_SEED, SALT = 0, 17


@dataclass(frozen=True)
class BayesPrompt(KnowPrompt):
    """BayesPrompt: KnowPrompt whose entity marks are the mean of particles of the domain, drawn anew at each step.

    Source: Li et al., section 4; FF2127/bayesprompt 493645c.
    A text is the mean of its word embeddings. A Gaussian mixture (K = min(N, classes), full covariances, 0.1 on their
    diagonals) is fitted on the labelled texts (``domain: support``), or as in the original on the unlabelled pool too
    (``pool``, which needs ``unlabelled``); the N labelled texts are particles that Stein variational descent moves
    towards it in 1,000 steps. At each step min(N, classes) of them are drawn and their mean is written into both marks.
    ``noise`` writes Gaussian noise of the particles' length. Recipe as KnowPrompt. Learns C x d numbers, and the model.
    Deviations: the default reads no pool; the mixture is fitted in at most 64 principal components, since few texts
    cannot fit full covariances of hundreds; one draw at test, from a fixed seed, where the original draws anew for
    every batch; marks are written from the first step on, not from the second epoch; embeddings are of the text in its
    template.
    """

    name: ClassVar[str] = "bayes_prompt"
    paper: ClassVar[str] = "Li et al., ICLR 2024, arXiv:2401.14166"
    axes: ClassVar = Axes(
        "context", "weights", supervision="semi_supervised", prompt="soft_tuning", family="single_tower"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights", "relations", "unlabelled"})
    frozen: ClassVar[frozenset[str]] = frozenset({"particles"})

    domain: Literal["pool", "support", "noise"] = "support"

    @property
    def rules(self) -> Mapping[str, Any]:
        return {**super().rules, "domain": DOMAINS}

    @property
    def assets(self) -> frozenset[str]:
        return frozenset({"unlabelled"}) if self.domain == "pool" else frozenset()

    @property
    def own_names(self) -> tuple[str, ...]:
        return ("rows",)

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        texts = {"pool": task.pool}.get(self.domain, task.examples)
        if texts is None or task.examples is None:
            raise ValueError(f"domain: {self.domain!r} reads texts that this task was not given")
        starts, seed = mean_embeddings(task, task.examples), int(torch.randint(2**31, (), generator=rng))
        moved = domain_particles(starts, mean_embeddings(task, texts), len(task.classes), seed)
        own = of_same_size(moved, rng) if self.domain == "noise" else torch.from_numpy(moved)
        return {"rows": super().start(task, rng)["rows"], "particles": own.float()}

    def marks(self, params: Params, task: TextTask) -> Tensor:
        particles = params["particles"]
        seed = torch.tensor(TEST_SEED) if task.seed is None else task.seed
        order = gaussian(particles[:1], len(particles), seed, SALT)[0]
        drawn = order.topk(min(len(particles), len(task.classes))).indices
        return particles[drawn].mean(0).expand(2, -1)
