"""The LayerNorms of a tower in the order in which parameters keep them."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from promptgrid.contract.clip import Backbone, NormShift
from promptgrid.contract.edits import NormPlace


def norm_places(backbone: Backbone, tower: str) -> list[NormPlace]:
    """Both norms of each block, the one behind the last, and that before the first where ``tower`` is ``vision``."""
    layers = range((backbone.vision if tower == "vision" else backbone.text).layers)
    blocks: list[NormPlace] = []
    for layer in layers:
        blocks += [(layer, "first"), (layer, "second")]
    return [*blocks, "post", "pre"] if tower == "vision" else [*blocks, "post"]


def shifts(places: Iterable[NormPlace], biases: Tensor, weights: Tensor | None = None) -> dict[NormPlace, NormShift]:
    """What is added at each of ``places``, from (places, width) ``biases`` and ``weights``."""
    own = [None] * len(biases) if weights is None else weights.unbind(0)
    return {place: NormShift(weight, bias) for place, weight, bias in zip(places, own, biases.unbind(0), strict=True)}
