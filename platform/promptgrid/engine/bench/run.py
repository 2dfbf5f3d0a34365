"""The benchmark as a whole: which families, on which sizes, and what does not fit."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from promptgrid.contract.track import Timing
from promptgrid.engine.bench.measure import Row
from promptgrid.engine.bench.problem import Family
from promptgrid.engine.training.speed import Half, half_of
from promptgrid.spec import Refused, nearest

MEMORY_MB = 8000.0
"""What a pack may take on a CPU; on a GPU it is what is free."""
_log = logging.getLogger(__name__)


class Bench(ABC):
    """What a wing says of its benchmark.

    Attributes:
        families: of methods, by name, each by one of its members.
        classes: numbers of classes that are measured where nobody says.
    """

    families: Mapping[str, Family]
    classes: tuple[int, ...] = (10, 100)

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Distinct names to take classes from, the first ones first."""

    @abstractmethod
    def backbone(self, timing: Timing) -> Any:
        """The backbone that is asked for, the wing's own where none is, on its device and in its precision.

        Raises:
            Refused: its towers cannot be reached.
        """

    @abstractmethod
    def memory_mb(self, family: Family, backbone: Any, classes: int) -> float:
        """MB that one cell is expected to hold for its backward pass."""

    @abstractmethod
    def rows(
        self,
        name: str,
        backbone: Any,
        classes: tuple[str, ...],
        packs: tuple[int, ...],
        timing: Timing,
        say: Callable[[str], None],
        half: Half | None,
    ) -> list[Row]:
        """Rows of the family called ``name`` on ``classes``, the engine's in packs of ``packs`` among them."""


def measure(bench: Bench, timing: Timing, say: Callable[[str], None]) -> Iterator[Row]:
    """Rows for every family and number of classes, as they are measured.

    Raises:
        Refused: an unknown family, more classes than there are names, or a backbone whose towers cannot be reached.
    """
    names = bench.class_names()
    chosen = _families(bench.families, timing)
    counts = timing.classes or bench.classes
    for count in counts:
        if not 2 <= count <= len(names):
            raise Refused("too few or too many classes", where="--classes", got=count, expected=f"2 to {len(names)}")
    backbone = bench.backbone(timing)
    half = half_of(timing.device) if timing.precision == "amp" else None
    for name, family in chosen.items():
        for count in counts:
            each = bench.memory_mb(family, backbone, count)
            packs = tuple(_that_fit(timing, f"{name}, {count} classes", each))
            yield from bench.rows(name, backbone, names[:count], packs, timing, say, half)


def _that_fit(timing: Timing, what: str, each: float) -> Iterator[int]:
    """The packs whose cells, ``each`` MB, fit the memory at hand; the others are named in a warning."""
    room = torch.cuda.mem_get_info()[0] / 2**20 if timing.device.startswith("cuda") else MEMORY_MB
    for size in timing.packs:
        if size * each < room:
            yield size
        else:
            _log.warning("%s: no pack of %d, about %.1f GB", what, size, size * each / 1000)


def _families(known: Mapping[str, Family], timing: Timing) -> dict[str, Family]:
    for name in timing.families:
        if name not in known:
            raise Refused("unknown family", where="--family", got=name, hint=nearest(name, known))
    return {name: family for name, family in known.items() if name in (timing.families or known)}
