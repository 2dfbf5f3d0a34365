"""CSV that no spreadsheet runs and that reads back the same."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptgrid.leaderboard.text import csv_safe


def csv_text(names: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """A head and its lines; text cells are made safe, NaN is left empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_safe(name) for name in names])
    writer.writerows([_cell(value) for value in line] for line in lines)
    return out.getvalue()


def csv_rows(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Mappings, with a column for every name that occurs, in order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text(names, ([row.get(name) for name in names] for row in rows))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return csv_safe(value)
