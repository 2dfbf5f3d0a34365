"""The last line of `pytest tests/corpus`: how many rows of the table of reports are as promised."""

from __future__ import annotations

from typing import Any

import pytest

ROW = "tests/corpus/test_reports.py::test_as_promised["


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Counts rows that were tried; a row passes only where its setup and its end did, too."""
    outcomes: dict[str, set[str]] = {}
    for kind, reports in terminalreporter.stats.items():
        for report in reports:
            if getattr(report, "nodeid", "").startswith(ROW) and hasattr(report, "when"):
                outcomes.setdefault(report.nodeid, set()).add(kind)
    if outcomes:
        good = sum(kinds <= {"passed", ""} for kinds in outcomes.values())
        terminalreporter.write_line(f"{good}/{len(outcomes)} as promised")
