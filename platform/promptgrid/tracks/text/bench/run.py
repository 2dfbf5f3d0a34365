"""What texts say of their benchmark: which texts and classes, which tower, and what a cell of a family takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from promptgrid.contract.track import Timing
from promptgrid.engine.bench.measure import Floor, Loop, Row, looped, side_by_side
from promptgrid.engine.bench.problem import Family, many
from promptgrid.engine.bench.run import Bench
from promptgrid.engine.training.speed import Half
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbones import mask_delta
from promptgrid.tracks.text.backbones.minilm import MASKED, PLAIN
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.bench.problem import FAMILIES, SHOTS, TextProblem, problem
from promptgrid.tracks.text.bench.reference_loop import PlainTower, ReferenceLoop
from promptgrid.tracks.text.costs import Reading, memory_mb
from promptgrid.tracks.text.datasets.text import Text, TextDataset
from promptgrid.tracks.text.resolve import TextResolver

TEXTS = "noun_relations"
"""The bundled task whose texts are read: sentences of 18 tokens, half of them, as those of SST-2 have."""


class TextBench(Bench):
    """Methods on a text tower."""

    families = FAMILIES
    classes = (10,)

    def __init__(self, resolver: TextResolver) -> None:
        self._resolver = resolver

    def class_names(self) -> tuple[str, ...]:
        """The names of all bundled classes, then each again with a word before it."""
        named = (name for family in self._resolver.datasets for card in family.listing() for name in card.classes)
        return many(tuple(dict.fromkeys(name.replace("_", " ") for name in named)))

    def backbone(self, timing: Timing) -> Transformer:
        name = timing.backbone or (MASKED if mask_delta.FILE.is_file() else PLAIN)
        found = self._resolver.backbone_family(name).load(name, timing.device)
        if not isinstance(found, Transformer):
            raise Refused("the tower of this backbone cannot be reached", where="--backbone", got=name)
        return found.double() if timing.precision == "fp64" else found

    def memory_mb(self, family: Family, backbone: Transformer, classes: int) -> float:
        sizes = {"width": backbone.width, "layers": backbone.layers, "vocabulary": backbone.vocabulary}
        reading = Reading.of(self._dataset, sizes)
        return memory_mb(self._resolver.method(family.method)(**family.settings), reading, family.batch)[0]

    def rows(
        self,
        name: str,
        backbone: Transformer,
        classes: tuple[str, ...],
        packs: tuple[int, ...],
        timing: Timing,
        say: Callable[[str], None],
        half: Half | None,
    ) -> list[Row]:
        family = FAMILIES[name]
        method = self._resolver.method(family.method)
        missing = method.needs & {"mask", "weights", "blocks", "tokens"} - backbone.offers
        if missing:
            raise Refused(f"family {name!r} needs {', '.join(sorted(missing))}, which this backbone does not offer",
                          where="--backbone", got=backbone.id)  # fmt: skip
        whole = problem(family, method, backbone, classes, self._texts(len(classes)), max(packs, default=1))
        plain = PlainTower.of(backbone)
        others = {"cut to the longest": (False, False)} if whole.inside_tower else {"cached states": (False, True)}
        loops: dict[str, Loop] = {
            called: lambda given, padded=padded, cached=cached: _referred(given, plain, padded, cached)  # type: ignore[misc]
            for called, (padded, cached) in ({"reference loop": (True, False)} | others).items()
        }
        floor = Floor(_flops(whole.part(1, 1)), backbone.width)
        return side_by_side(whole, loops, floor, name, packs, timing, say, half)

    @property
    def _dataset(self) -> TextDataset:
        found = self._resolver.dataset(TEXTS)
        assert isinstance(found, TextDataset)
        return found

    def _texts(self, classes: int) -> list[Text]:
        """As many as the classes have at 16 shots, evenly out of the training texts; all where there are fewer."""
        rows = self._dataset.splits["train"]
        count = min(SHOTS * classes, len(rows))
        return [self._dataset.read(rows[place * len(rows) // count]) for place in range(count)]


def _referred(given: TextProblem, tower: PlainTower, padded: bool, cached: bool) -> Callable[[], Tensor]:
    loop = ReferenceLoop(given, tower, padded=padded, cached=cached)
    return lambda: looped(loop)


def _flops(given: TextProblem) -> float:
    """What torch counts for one step on a usual batch in which nothing is padding: each text by itself, on average."""
    loop = ReferenceLoop(given, given.task.backbone, padded=False, cached=True)
    count = min(4 * given.family.batch, len(given.labels))
    spread = [place * len(given.labels) // count for place in range(count)]
    with FlopCounterMode(display=False) as counter:
        for place in spread:
            loop.step(torch.tensor([place], device=given.labels.device), 0.0, torch.tensor(0))
    return float(counter.get_total_flops()) * given.family.batch / count
