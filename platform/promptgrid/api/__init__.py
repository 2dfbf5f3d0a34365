"""The Python face: plan, run and report suites, load results, use what a cell learned.

Each name is imported from here; the modules say what belongs together. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from promptgrid.api.learned import load_method
from promptgrid.api.planning import SuiteLike, as_suite, plan, plan_without_data, search_entry, status, verify
from promptgrid.api.reports import compare, index, load_results, report, results
from promptgrid.api.running import execute, run, search
from promptgrid.api.stores import SUBMITTED, default_store, existing_store, open_store, whole_key

__all__ = [
    "SUBMITTED",
    "SuiteLike",
    "as_suite",
    "compare",
    "default_store",
    "execute",
    "existing_store",
    "index",
    "load_method",
    "load_results",
    "open_store",
    "plan",
    "plan_without_data",
    "report",
    "results",
    "run",
    "search",
    "search_entry",
    "status",
    "verify",
    "whole_key",
]
