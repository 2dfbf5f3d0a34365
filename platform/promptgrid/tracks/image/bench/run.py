"""What images say of their benchmark: which classes, which towers, and what a cell of a family takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from promptgrid.contract.clip import Classifier
from promptgrid.contract.track import Timing
from promptgrid.engine.bench.measure import Row
from promptgrid.engine.bench.problem import Family, many
from promptgrid.engine.bench.run import Bench
from promptgrid.engine.training.speed import Half
from promptgrid.spec import Refused
from promptgrid.towers.clip.costs import Shape, cell_memory_mb
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.measure import bench
from promptgrid.tracks.image.bench.per_image import bench_per_image
from promptgrid.tracks.image.bench.problem import FAMILIES
from promptgrid.tracks.image.resolve import ImageResolver

NAMES = "concepts"
"""The bundled task whose class names are used first: the one with the most."""


class ImageBench(Bench):
    """Methods on the towers of a dual encoder."""

    families = FAMILIES

    def __init__(self, resolver: ImageResolver) -> None:
        self._resolver = resolver

    def class_names(self) -> tuple[str, ...]:
        """Distinct names to take classes from: those of :data:`NAMES`, then each again with a word before it."""
        return many(tuple(self._resolver.dataset(NAMES).card.classes))

    def backbone(self, timing: Timing) -> DualEncoder:
        name = timing.backbone or "bundled"
        found = self._resolver.backbone_family(name).load(name, timing.device)
        if not isinstance(found, DualEncoder) or not {"text_blocks", "vision_blocks"} <= found.offers:
            raise Refused("the towers of this backbone cannot be reached", where="--backbone", got=name)
        return found.double() if timing.precision == "fp64" else found

    def memory_mb(self, family: Family, backbone: DualEncoder, classes: int) -> float:
        shape = Shape.of(backbone, classes, 2 * family.batch)
        return cell_memory_mb(self._resolver.method(family.method)(**family.settings), shape, family.batch)

    def rows(
        self,
        name: str,
        backbone: DualEncoder,
        classes: tuple[str, ...],
        packs: tuple[int, ...],
        timing: Timing,
        say: Callable[[str], None],
        half: Half | None,
    ) -> list[Row]:
        family = FAMILIES[name]
        method = cast(type[Classifier], self._resolver.method(family.method))
        timer = bench if method(**family.settings).adaptation is None else bench_per_image
        return timer(family, name, method, backbone, classes, packs, timing, say, half)
