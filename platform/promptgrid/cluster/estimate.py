"""How long the missing packs will take: the track's own estimate, corrected by what earlier cells took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from promptgrid.spec import Cell, Pack, Record

if TYPE_CHECKING:
    from promptgrid.store import Store

SAMPLES = 8
"""Finished cells read for each (method, backbone): enough for a mean, cheap for a large grid."""

Sort = tuple[str, str]


def corrected(packs: Sequence[Pack], store: Store, finished: Collection[str]) -> list[Pack]:
    """``packs`` with their seconds scaled by measured over estimated seconds of finished cells, and their GPU memory.

    The factor is that of the same method on the same backbone; of everything measured where that pair is new; 1 where
    nothing was measured. Only finished cells of ``packs`` count.
    """
    estimated = _sampled(packs, finished)
    records = store.records(list(estimated))
    factors, overall = _factors(records, estimated)
    peaks = _gpu_peaks(records)
    return [
        replace(
            pack,
            seconds=pack.seconds * factors.get(_sort(pack.cells[0]), overall),
            gpu_memory_mb=peaks.get(_sort(pack.cells[0]), pack.gpu_memory_mb),
        )
        for pack in packs
    ]


def _gpu_peaks(records: Sequence[Record]) -> dict[Sort, float]:
    """The most device memory (MB) that finished cells of each sort took on a GPU: measured, it replaces the guess."""
    peaks: dict[Sort, float] = defaultdict(float)
    for record in records:
        if record.provenance.device and not record.provenance.device.startswith("cpu"):
            peaks[_sort(record.cell)] = max(peaks[_sort(record.cell)], record.cost.peak_memory_mb)
    return dict(peaks)


def _factors(records: Sequence[Record], estimated: dict[str, float]) -> tuple[dict[Sort, float], float]:
    spent: dict[Sort, float] = defaultdict(float)
    expected: dict[Sort, float] = defaultdict(float)
    for record in records:
        spent[_sort(record.cell)] += record.cost.train_seconds + record.cost.eval_seconds
        expected[_sort(record.cell)] += estimated[record.cell.key]
    factors = {sort: spent[sort] / expected[sort] for sort in spent if spent[sort] > 0 and expected[sort] > 0}
    measured = sum(expected[sort] for sort in factors)
    overall = sum(spent[sort] for sort in factors) / measured if measured else 1.0
    return factors, overall


def _sampled(packs: Sequence[Pack], finished: Collection[str]) -> dict[str, float]:
    """Estimated seconds by key, of at most SAMPLES finished cells of each sort, spread over their packs."""
    found: dict[Sort, list[tuple[str, float]]] = defaultdict(list)
    for pack in packs:
        share = pack.seconds / len(pack.cells)
        key = next((cell.key for cell in pack.cells if cell.key in finished), None)
        if key is not None:
            found[_sort(pack.cells[0])].append((key, share))
    return {key: share for pairs in found.values() for key, share in pairs[:: max(1, len(pairs) // SAMPLES)][:SAMPLES]}


def _sort(cell: Cell) -> Sort:
    return cell.method, cell.backbone
