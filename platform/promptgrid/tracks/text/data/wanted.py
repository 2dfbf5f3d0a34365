"""Which columns a method reads."""

from __future__ import annotations

from promptgrid.contract.method import Method

BARE = frozenset({"features", "tokens"})
"""The columns that a method gets which names none: those of them among its ``needs``."""


def columns_of(method: Method | type[Method]) -> frozenset[str]:
    """The columns that ``method`` reads at its settings: what it names in ``columns``, else by its ``needs``."""
    named = getattr(method, "columns", None)
    return named if isinstance(named, frozenset) else method.needs & BARE
