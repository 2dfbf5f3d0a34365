"""The loop a fork would run: one cell, torch.optim, plain autograd over open_clip's own towers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from promptgrid.contract.clip import SGD, AdamW, Backbone, Batch
from promptgrid.tracks.image.bench.problem import Problem


class ReferenceLoop:
    """Trains the first cell of ``problem``.

    Args:
        problem: what is trained.
        towers: the plain ones, without shortcuts.
        cached: keep frozen image features instead of running the image tower at every step.
    """

    def __init__(self, problem: Problem, towers: Backbone, *, cached: bool) -> None:
        self.problem = problem
        self.task = replace(problem.task, backbone=towers)
        self.cached = cached
        self.recipe = problem.recipe()
        self.params = problem.start(0)
        frozen = problem.method.frozen
        self.trained = [value.requires_grad_() for name, value in self.params.items() if name not in frozen]
        self.optimizer = self._optimizer()

    def step(self, chosen: Tensor, rate: float, seed: Tensor) -> float:
        """One step on the images at ``chosen`` (B,); the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = float(torch.as_tensor(rate, dtype=self.problem.features.dtype))
        task, method = replace(self.task, seed=seed), self.problem.method
        labels = self.problem.labels[chosen]
        with self._attention():
            out = method.forward(self.params, self._batch(chosen), task)
        loss = torch.stack(list(method.losses(self.params, out, labels, task).values())).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def _attention(self) -> AbstractContextManager[object]:
        """Plain products where a text is encoded for each image: under vmap a GPU's fused kernel has no gradient.

        torch does not see through vmap that a gradient will be wanted, and keeps too little for it.
        """
        wrapped = self.problem.method.texts_per_image and self.problem.labels.device.type == "cuda"
        return sdpa_kernel(SDPBackend.MATH) if wrapped else nullcontext()

    def _batch(self, chosen: Tensor) -> Batch:
        pixels = self.problem.pixels[chosen.cpu()]
        if self.problem.inside_image_tower:
            with torch.no_grad():
                return Batch(features=self.problem.features[chosen], patches=self.task.backbone.patches(pixels))
        if self.cached:
            return Batch(features=self.problem.features[chosen])
        return Batch(features=self.task.backbone.encode_pixels(pixels).to(self.problem.features))

    def _optimizer(self) -> torch.optim.Optimizer:
        own = self.recipe.optimizer
        decay = float(own.weight_decay)
        if isinstance(own, SGD):
            return torch.optim.SGD(self.trained, lr=0.1, weight_decay=decay, momentum=own.momentum)
        kind = torch.optim.AdamW if isinstance(own, AdamW) else torch.optim.Adam
        return kind(self.trained, lr=0.1, weight_decay=decay, betas=own.betas, eps=own.epsilon)
