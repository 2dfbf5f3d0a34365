"""Times one family of methods on images beside the loop that a fork would run."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from torch import Tensor

from promptgrid.contract.clip import Classifier
from promptgrid.contract.track import Timing
from promptgrid.engine.bench.measure import Floor, Loop, Row, looped, side_by_side
from promptgrid.engine.bench.problem import Family
from promptgrid.engine.training.speed import Half
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.floor import step_flops
from promptgrid.tracks.image.bench.plain_backbone import PlainBackbone
from promptgrid.tracks.image.bench.problem import ImageProblem, problem
from promptgrid.tracks.image.bench.reference_loop import ReferenceLoop


def bench(
    family: Family,
    name: str,
    method: type[Classifier],
    backbone: DualEncoder,
    classes: tuple[str, ...],
    packs: tuple[int, ...],
    timing: Timing,
    say: Callable[[str], None],
    half: Half | None = None,
) -> list[Row]:
    """Rows of one family on ``len(classes)`` classes; see :func:`promptgrid.engine.bench.measure.side_by_side`."""
    whole = problem(family, method, backbone, classes, max(packs, default=1))
    loops: dict[str, Loop] = {"reference loop": lambda given: _referred(given, cached=False)}
    if not whole.inside_image_tower:  # else nothing of these towers can be kept
        loops["cached features"] = lambda given: _referred(given, cached=True)
    width = backbone.vision.width if family.method == "vpt" else backbone.text.width
    floor = Floor(step_flops(whole.part(1, 1)), width)
    return side_by_side(whole, loops, floor, name, packs, timing, say, half)


def _referred(given: ImageProblem, *, cached: bool) -> Callable[[], Tensor]:
    loop = ReferenceLoop(given, PlainBackbone(given.encoder), cached=cached)
    warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)  # vmap over the one image of a batch
    return lambda: looped(loop)
