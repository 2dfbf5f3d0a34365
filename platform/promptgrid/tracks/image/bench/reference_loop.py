"""The loop a fork would run, over open_clip's own towers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from promptgrid.contract.clip import Backbone, Batch
from promptgrid.engine.bench.plain_loop import PlainLoop
from promptgrid.tracks.image.bench.problem import ImageProblem


class ReferenceLoop(PlainLoop):
    """Trains the first cell of ``problem``.

    Args:
        problem: what is trained.
        towers: the plain ones, without shortcuts.
        cached: keep frozen image features instead of running the image tower at every step.
    """

    problem: ImageProblem

    def __init__(self, problem: ImageProblem, towers: Backbone, *, cached: bool) -> None:
        self._towers, self._cached = towers, cached
        super().__init__(problem, replace(problem.task, backbone=towers), self._batch)

    def inside(self) -> AbstractContextManager[object]:
        """Plain products where a text is encoded for each image: under vmap a GPU's fused kernel has no gradient.

        torch does not see through vmap that a gradient will be wanted, and keeps too little for it.
        """
        wrapped = self.problem.method.texts_per_image and self.problem.labels.device.type == "cuda"
        return sdpa_kernel(SDPBackend.MATH) if wrapped else nullcontext()

    def _batch(self, chosen: Tensor) -> Batch:
        pixels = self.problem.pixels[chosen.cpu()]
        if self.problem.inside_image_tower:
            with torch.no_grad():
                return Batch(features=self.problem.features[chosen], patches=self._towers.patches(pixels))
        if self._cached:
            return Batch(features=self.problem.features[chosen])
        return Batch(features=self._towers.encode_pixels(pixels).to(self.problem.features))
