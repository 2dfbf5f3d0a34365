"""Tables of frozen features: kept once, whole splits where they are small, and views in blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch

from promptgrid.contract.track import Arrays
from promptgrid.engine import feature_tables
from promptgrid.engine.feature_tables import CHUNK, DamagedData, Floats, in_blocks, kept_table, whole_or_wanted


class Kept:
    """A cache that remembers what it was asked for."""

    def __init__(self) -> None:
        self.arrays: dict[str, Arrays] = {}

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        if name not in self.arrays:
            self.arrays[name] = compute()
        return self.arrays[name]


def encode(chunk: Sequence[int]) -> tuple[Floats, Mapping[int, OSError]]:
    """Each index twice; 3 is damaged."""
    rows = np.array([[index, index] for index in chunk], dtype=np.float32)
    return rows, {3: OSError("three: cut short")} if 3 in chunk else {}


def test_a_table_is_computed_once_and_names_what_is_damaged() -> None:
    cache, told = Kept(), []
    indices = list(range(2 * CHUNK + 1))
    table = kept_table(indices, "all", 2, encode, cache, lambda: told.append(1))
    assert len(told) == 3
    assert torch.equal(table.take([5, 2]), torch.tensor([[5.0, 5.0], [2.0, 2.0]]))
    again = kept_table(indices, "all", 2, lambda chunk: pytest.fail("asked again"), cache)
    with pytest.raises(DamagedData, match="three: cut short"):
        again.take([2, 3])


def test_what_the_system_could_not_read_is_not_kept() -> None:
    def unlucky(chunk: Sequence[int]) -> tuple[Floats, Mapping[int, OSError]]:
        return encode(chunk)[0], {1: OSError(5, "not now")}

    cache = Kept()
    table = kept_table([0, 1], "all", 2, unlucky, cache)
    assert cache.arrays == {}
    assert table.take([0]).tolist() == [[0.0, 0.0]]
    with pytest.raises(OSError, match="not now"):
        table.take([1])


def test_large_splits_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_tables, "WHOLE_SPLIT", 4)
    assert whole_or_wanted([3, 1, 2], [1]) == [3, 1, 2]
    assert whole_or_wanted([5, 4, 3, 2, 1], [3, 1, 3]) == [1, 3]


@pytest.mark.parametrize(("first", "last", "end"), [(0, 3, 7), (2, 7, 7), (4, 9, None)])
def test_views_come_out_of_blocks(first: int, last: int, end: int | None) -> None:
    asked = []

    def block(begin: int, stop: int) -> Arrays:
        asked.append((begin, stop))
        return {"features": np.arange(begin, stop, dtype=np.float32).reshape(-1, 1, 1)}

    assert in_blocks(first, last, 3, end, block).flatten().tolist() == list(range(first, last))
    assert all(begin % 3 == 0 and (stop == begin + 3 or stop == end) for begin, stop in asked)
