"""A report's results and pictures in the forms that other programs read, made from the report alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from promptgrid.leaderboard.files.csv_text import csv_rows
from promptgrid.leaderboard.pictures.svg import pictures
from promptgrid.spec import Refused
from promptgrid.spec.parquet import read_frame


def export_report(report: Path, out: Path) -> tuple[Path, ...]:
    """Write ``results.csv`` and ``figures/*.svg`` of the report folder ``report`` into ``out``; needs no store.

    A report keeps each thing once: rows in ``results.parquet``, pictures in ``report.html``, and in ``figures/`` those
    that are too large for the page. Returns what was written.

    Raises:
        Refused: ``report`` holds no report, or ``out`` is that folder: copies there would outlive the next report.
        OSError: ``out`` cannot be written.
    """
    page, rows = report / "report.html", report / "results.parquet"
    if not (page.is_file() and rows.is_file()):
        raise Refused("no report there", where=str(report), expected="a folder that `promptgrid report` wrote")
    if out.resolve() == report.resolve():
        raise Refused("that is the report itself", where=str(out), expected="another folder")
    (out / "figures").mkdir(parents=True, exist_ok=True)
    written = [out / "results.csv"]
    written[0].write_text(results_csv(read_frame(rows)), encoding="utf-8", errors="backslashreplace", newline="")
    for name, svg in pictures(page.read_text(encoding="utf-8")).items():
        written.append(out / "figures" / name)
        written[-1].write_text(svg, encoding="utf-8", newline="")
    large = sorted((report / "figures").glob("*.svg"))
    return (*written, *(Path(shutil.copy(path, out / "figures")) for path in large))


def results_csv(results: pd.DataFrame) -> str:
    """The rows of ``results.parquet`` as CSV: fractions, every digit, empty where there is no number."""
    return csv_rows(results.astype(object).where(results.notna(), None).to_dict("records"))
