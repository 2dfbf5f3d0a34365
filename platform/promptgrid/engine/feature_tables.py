"""Frozen features of examples: computed once for all cells, kept in the cache, with what could not be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptgrid.contract.dataset import DamagedExample
from promptgrid.contract.track import Arrays, Cache

CHUNK = 64
WHOLE_SPLIT = 20_000

Alive = Callable[[], None]
Floats = npt.NDArray[np.float32]
Encode = Callable[[Sequence[int]], tuple[Floats, Mapping[int, OSError]]]
"""Dataset indices (n,) to their features (n, width), and the errors of those that cannot be read."""


def quietly() -> None:
    """Tells nobody."""


class DamagedData(DamagedExample):
    """An example that this cell needs is damaged."""


class _Unkept(Exception):
    """Features without those of examples that the system could not read just now: for this pack, not for the cache."""

    def __init__(self, arrays: Arrays, unread: dict[int, OSError]) -> None:
        super().__init__("not to be kept")
        self.arrays = arrays
        self.unread = unread


@dataclass(frozen=True)
class FeatureTable:
    """Features by dataset index, memory-mapped, with the examples that could not be read."""

    rows: dict[int, int]
    features: Floats
    damaged: dict[int, str]
    unread: dict[int, OSError] = field(default_factory=dict)

    def take(self, indices: Sequence[int]) -> Tensor:
        """(N, width) features of ``indices``, copied out of the map.

        Raises:
            DamagedData: one of them is damaged; the message names the file.
            OSError: one of them could not be read.
        """
        for index in indices:
            if index in self.unread:
                raise self.unread[index]
            if index in self.damaged:
                raise DamagedData(self.damaged[index])
        return torch.from_numpy(self.features[[self.rows[index] for index in indices]])


def whole_or_wanted(whole: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """A whole split, or ``wanted`` alone where the split is too large to be worth it."""
    return list(whole) if len(whole) <= WHOLE_SPLIT else sorted(set(wanted))


def kept_table(
    indices: Sequence[int], name: str, width: int, encode: Encode, cache: Cache, alive: Alive = quietly
) -> FeatureTable:
    """Features of ``indices``, from the cache where it has them under ``name``.

    ``alive`` is called after each few examples.
    """
    unread: dict[int, OSError] = {}
    try:
        arrays = cache.get(name, lambda: _compute(indices, width, encode, alive))
    except _Unkept as found:
        arrays, unread = found.arrays, found.unread
    damaged = json.loads(arrays["damaged"].tobytes().decode())
    return FeatureTable(
        rows={index: row for row, index in enumerate(indices)},
        features=arrays["features"],
        damaged={int(index): why for index, why in damaged.items()},
        unread=unread,
    )


def in_blocks(first: int, last: int, each: int, end: int | None, block: Callable[[int, int], Arrays]) -> Tensor:
    """(V, N, width) features of views ``first`` to ``last`` (not included), out of blocks of ``each`` views.

    Args:
        first: view.
        last: view, not included.
        each: views that are kept together.
        end: how many views there are; None where there is no end of them.
        block: the kept ``features`` (v, N, width) of views from one to another, not included.
    """
    blocks = []
    for begin in range(first // each * each, last, each):
        own = block(begin, begin + each if end is None else min(begin + each, end))
        blocks.append(torch.from_numpy(own["features"][max(first - begin, 0) : last - begin].copy()))
    return torch.cat(blocks)


def _compute(indices: Sequence[int], width: int, encode: Encode, alive: Alive) -> Arrays:
    """Features and what is damaged for good. Raises _Unkept where the system could not read something."""
    features = np.zeros((len(indices), width), dtype=np.float32)
    damaged: dict[int, str] = {}
    unread: dict[int, OSError] = {}
    for start in range(0, len(indices), CHUNK):
        chunk = indices[start : start + CHUNK]
        rows, broken = encode(chunk)
        unread |= {index: error for index, error in broken.items() if error.errno is not None}
        damaged |= {index: str(error) for index, error in broken.items() if error.errno is None}
        features[start : start + len(chunk)] = rows
        alive()
    text = json.dumps({str(index): why for index, why in damaged.items()}).encode()
    arrays: Arrays = {"features": features, "damaged": np.frombuffer(text, dtype=np.uint8).copy()}
    if unread:
        raise _Unkept(arrays, unread)
    return arrays
