"""Column ``beside``: patches of further views of each training image, drawn anew at every step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from promptgrid.contract.clip import Backbone
from promptgrid.contract.clip.method import beside_of
from promptgrid.contract.columns import Column, ColumnSource, Stream
from promptgrid.contract.method import Method
from promptgrid.tracks.image.data.restyled import Beside
from promptgrid.tracks.image.data.tables import Drawn, ImageTables


class BesideViews(ColumnSource):
    """(B, views, P, vision width) patches of the views that the method names in ``beside``."""

    name = "beside"

    def wanted(self, method: Method | type[Method]) -> bool:
        return bool(beside_of(method))

    def training(self, data: ImageTables, drawn: Drawn) -> Column:
        kinds, show = beside_of(data.method), partial(patches_beside, data.backbone)
        if drawn.pooled and not drawn.views.count and kinds == ("centre",):
            pixels = drawn.pixels if drawn.pixels is not None else data.pixels("train", drawn.indices)
            return Stream(lambda positions, seed: pixels[positions].unsqueeze(1), show)
        dataset, how = data.opened.dataset, data.backbone.preprocessing
        return Stream(Beside(dataset, drawn.indices, kinds, how), show)

    def scoring(self, data: ImageTables, split: str, indices: Sequence[int]) -> None:
        return None


def patches_beside(backbone: Backbone, pixels: Tensor) -> Tensor:
    """(B, views, P, vision width) of pixels (B, views, 3, size, size) uint8."""
    found = backbone.patches(pixels.flatten(0, 1))
    return found.view(*pixels.shape[:2], *found.shape[1:])
