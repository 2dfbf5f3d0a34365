"""The benchmark as a whole: which families, on which sizes, and what does not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch

from promptgrid.contract.track import Timing
from promptgrid.engine.speed import half_of
from promptgrid.spec import Refused, nearest
from promptgrid.tracks.image.backbones.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.measure import Row, bench
from promptgrid.tracks.image.bench.per_image import bench_per_image
from promptgrid.tracks.image.bench.problem import FAMILIES, Family
from promptgrid.tracks.image.costs import Shape, cell_memory_mb
from promptgrid.tracks.image.resolve import ImageResolver

NAMES = "concepts"
"""The bundled task whose class names are used first: the one with the most."""
KINDS = ("small", "large", "old", "young", "wild", "red", "blue", "wooden", "broken", "painted")
"""Words before those names where more classes are asked for than it has."""
MEMORY_MB = 8000.0
"""What a pack may take on a CPU; on a GPU it is what is free."""
_log = logging.getLogger(__name__)


def measure(resolver: ImageResolver, timing: Timing, say: Callable[[str], None]) -> Iterator[Row]:
    """Rows for every family and number of classes, as they are measured.

    Raises:
        Refused: an unknown family, more classes than there are names, or a backbone whose towers cannot be reached.
    """
    names = class_names(resolver)
    chosen = _families(timing)
    for count in timing.classes:
        if not 2 <= count <= len(names):
            raise Refused("too few or too many classes", where="--classes", got=count, expected=f"2 to {len(names)}")
    backbone = resolver.backbone_family(timing.backbone).load(timing.backbone, timing.device)
    if not isinstance(backbone, DualEncoder) or not {"text_blocks", "vision_blocks"} <= backbone.offers:
        raise Refused("the towers of this backbone cannot be reached", where="--backbone", got=timing.backbone)
    if timing.precision == "fp64":
        backbone = backbone.double()
    half = half_of(timing.device) if timing.precision == "amp" else None
    for name, family in chosen.items():
        method = resolver.method(family.method)
        for count in timing.classes:
            packs = tuple(_that_fit(timing, f"{name}, {count} classes", _memory(family, backbone, resolver, count)))
            timer = bench if method(**family.settings).adaptation is None else bench_per_image
            yield from timer(family, name, method, backbone, names[:count], packs, timing, say, half)


def class_names(resolver: ImageResolver) -> tuple[str, ...]:
    """Distinct names to take classes from: those of :data:`NAMES`, then each again with a word before it."""
    named = tuple(resolver.dataset(NAMES).card.classes)
    return named + tuple(f"{kind} {name}" for kind in KINDS for name in named)


def _that_fit(timing: Timing, what: str, each: float) -> Iterator[int]:
    """The packs whose cells, ``each`` MB, fit the memory at hand; the others are named in a warning."""
    room = torch.cuda.mem_get_info()[0] / 2**20 if timing.device.startswith("cuda") else MEMORY_MB
    for size in timing.packs:
        if size * each < room:
            yield size
        else:
            _log.warning("%s: no pack of %d, about %.1f GB", what, size, size * each / 1000)


def _families(timing: Timing) -> dict[str, Family]:
    for name in timing.families:
        if name not in FAMILIES:
            raise Refused("unknown family", where="--family", got=name, hint=nearest(name, FAMILIES))
    return {name: family for name, family in FAMILIES.items() if name in (timing.families or FAMILIES)}


def _memory(family: Family, backbone: DualEncoder, resolver: ImageResolver, classes: int) -> float:
    """MB that one cell is expected to hold for its backward pass."""
    shape = Shape.of(backbone, classes, 2 * family.batch)
    return cell_memory_mb(resolver.method(family.method)(**family.settings), shape, family.batch)
