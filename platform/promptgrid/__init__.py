"""promptgrid: grids of few-shot adaptation experiments over frozen foundation models.

The Python face is three verbs: :func:`run` a suite, :func:`load_results` of a store or report, and
:func:`load_method` to use what a cell learned again. They are imported on first use, so that
``import promptgrid`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptgrid.spec.version import __version__

if TYPE_CHECKING:
    from promptgrid.api import load_method, load_results, run

__all__ = ["__version__", "load_method", "load_results", "run"]


def __getattr__(name: str) -> Any:
    if name in {"run", "load_results", "load_method"}:
        from promptgrid import api

        return getattr(api, name)
    raise AttributeError(f"module 'promptgrid' has no attribute {name!r}")
