"""What it takes to look at a dataset's images once: the part of a grid that is over before its first cell begins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from promptgrid.engine.feature_tables import WHOLE_SPLIT
from promptgrid.engine.planning.packing import Room
from promptgrid.spec import Cell, DatasetCard, Shared
from promptgrid.towers.clip.costs import Shape

READ_SECONDS = 4.5e-3
"""To decode a photograph of 500 x 375 and bring it to 224 pixels, measured; in proportion to the pixels elsewhere."""
COUNT = re.compile(r", (\d+) images\"")
"""How the title of features says of how many; that of augmented views goes on."""
LOOK = 0.5
"""Of a machine's rate a forward pass alone reaches about half, measured with ViT-B/32 on one core."""


def unseen(cell: Cell, card: DatasetCard, sizes: Mapping[str, int], kept: Collection[str], room: Room) -> Shared | None:
    """The images of ``cell``'s dataset whose features are not among ``kept``; None where all of them are.

    Args:
        cell: whose backbone looks at them.
        card: with the sizes of the splits.
        sizes: of the backbone.
        kept: names in the cache of features: they hold the digests of data and backbone, and count their images.
        room: how fast the machine is.
    """
    name = f"{card.name} through {cell.backbone}"
    wanted = [card.splits.get("test", 0), min(card.splits.get("train", 0), WHOLE_SPLIT)]
    wanted += [card.splits.get("val", 0)] * ("val" in (cell.scored, cell.selection))
    mine = (text for text in kept if card.sha256 in text and str(cell.identity["backbone"]) in text)
    seen = Counter(int(found[1]) for text in mine if (found := COUNT.search(text)))
    images = sum((Counter(wanted) - seen).elements())
    shape = Shape(classes=len(card.classes), images=0, **sizes)
    return Shared(name, images * look_seconds(shape, room)) if images else None


def look_seconds(shape: Shape, room: Room) -> float:
    """Seconds to read one image and pass it through the image tower, forward only."""
    tokens = shape.patches + 1
    each = shape.vision_layers * (24.0 * shape.vision_width**2 * tokens + 4.0 * shape.vision_width * tokens**2)
    return READ_SECONDS * (shape.image_size / 224) ** 2 + each / (LOOK * room.flops_a_second)
