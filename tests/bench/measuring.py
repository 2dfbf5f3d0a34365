"""What the benchmarks of the grid share: grids that cost nothing, driver processes, and tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from promptgrid.spec import Suite
from promptgrid.spec.suite import parse_suite

NOOP = Path(__file__).parent / "noop"
if str(NOOP) not in sys.path:
    sys.path.insert(0, str(NOOP))  # with its .dist-info the track is found like any installed plug-in


def noop_suite(cells: int, *, pack: int = 16, burn: float = 0.0, name: str = "noop") -> Suite:
    """A suite of ``cells`` (a multiple of ten) that burn ``burn`` CPU seconds each, in packs of ``pack``."""
    method = {"name": "noop", "pack": pack, "burn": burn}
    seeds = list(range(max(1, cells // 10)))
    return parse_suite(
        {"name": name, "track": "noop", "protocol": "noop", "methods": [method], "shots": [1], "seeds": seeds}, name
    )


def show(title: str, rows: Sequence[dict[str, Any]], out: Path | None) -> None:
    """Print ``rows`` as a table, and as JSON into ``out`` (to stdout where that is None)."""
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_said(value) for value in row.values()))
    Console(soft_wrap=True).print(table)
    text = json.dumps({"title": title, "rows": list(rows)})
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n")


def _said(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
