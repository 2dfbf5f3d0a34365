"""How long a worker may give no sign of life."""

from __future__ import annotations

from promptgrid.spec import Pack

STALL_SECONDS = 1800.0
STALL_FACTOR = 20.0


def stall_limit(asked: float | None, pack: Pack) -> float:
    """Seconds after which the worker of ``pack`` is ended: what was asked for, by flag or suite.

    By default half an hour, or twenty times the estimate of the pack where that is longer.
    """
    return asked if asked is not None else max(STALL_SECONDS, STALL_FACTOR * pack.seconds)
