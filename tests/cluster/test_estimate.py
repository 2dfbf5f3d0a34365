"""What earlier cells took corrects what later packs are expected to take."""

from __future__ import annotations

import pytest
from tests.store.synthetic import make_cell, make_outcome

from promptgrid.cluster.estimate import corrected
from promptgrid.spec import Cost, Pack, Provenance
from promptgrid.store import Store


def finish(store: Store, pack: Pack, device: str) -> set[str]:
    """Commit the first cell of ``pack``: 4 seconds, 3,000 MB, on ``device``."""
    cost = Cost(train_seconds=4.0, peak_memory_mb=3000.0)
    store.commit(make_outcome(pack.cells[0], cost=cost, provenance=Provenance(device=device)))
    return {pack.cells[0].key}


@pytest.mark.parametrize(("device", "memory"), [("NVIDIA H100 80GB HBM3", 3000.0), ("cpu: Xeon", 1500.0)])
def test_memory_measured_on_a_gpu_replaces_the_guess(store: Store, device: str, memory: float) -> None:
    packs = [Pack((make_cell(seed),), seconds=1.0, gpu_memory_mb=1500.0) for seed in (1, 2)]
    found = corrected(packs, store, finish(store, packs[0], device))
    assert [pack.gpu_memory_mb for pack in found] == [memory, memory]
    assert [pack.seconds for pack in found] == [4.0, 4.0]


def test_nothing_measured_leaves_the_guess(store: Store) -> None:
    pack = Pack((make_cell(),), seconds=1.0, gpu_memory_mb=1500.0)
    assert corrected([pack], store, set()) == [pack]
