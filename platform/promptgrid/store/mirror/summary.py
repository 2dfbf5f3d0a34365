"""What a submission came to: how many cells, and the mean of every row that has all of its cells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from promptgrid.spec import Cell, Record
from promptgrid.store.mirror.run_text import free_name, metric_name

Row = tuple[str, ...]


class Totals:
    """Adds records up as they are mirrored.

    Args:
        cells: (method label, cell) of the whole grid.
    """

    def __init__(self, cells: Iterable[tuple[str, Cell]]) -> None:
        self._rows: dict[Row, dict[str, str]] = defaultdict(dict)
        listed = list(cells)
        several = len({cell.backbone for _, cell in listed}) > 1
        for label, cell in listed:
            self._rows[_row(label, cell, several)][cell.key] = cell.dataset
        self._metrics: dict[str, dict[str, float]] = {}
        self._failed: set[str] = set()

    def add(self, records: Sequence[Record]) -> None:
        """Count ``records``; one that is added again counts once."""
        for record in records:
            if record.status == "done":
                self._metrics[record.cell.key] = record.metrics
            else:
                self._failed.add(record.cell.key)

    def metrics(self) -> dict[str, float]:
        """``cells/...``, and ``mean/<metric>/<row>``: over datasets of means over seeds, where every cell finished.

        A mean over what happens to be there would reward failing where it is hard, so there is none.
        """
        failed = self._failed - self._metrics.keys()
        found: dict[str, float] = {"cells/finished": len(self._metrics), "cells/failed": len(failed)}
        taken: set[str] = set()
        for row, cells in self._rows.items():
            if cells.keys() <= self._metrics.keys():
                for name, mean in self._means(cells):
                    found[free_name(metric_name(f"mean/{name}/{' '.join(row)}"), taken)] = mean
        return found

    def _means(self, cells: dict[str, str]) -> Iterable[tuple[str, float]]:
        values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for key, dataset in cells.items():
            for name, value in self._metrics[key].items():
                values[name][dataset].append(value)
        for name, datasets in values.items():
            means = [math.fsum(seeds) / len(seeds) for seeds in datasets.values()]
            yield name, math.fsum(means) / len(means)


def _row(label: str, cell: Cell, several: bool) -> Row:
    """What a row of a leaderboard is: a label at a number of shots, on a backbone where there are several."""
    where = [cell.backbone] if several else []
    how = [f"{cell.reading} of {cell.source}"] if cell.source else []
    return (label, f"{cell.shots} shots", *how, *where)
