"""How bad input is turned away: before any work, in one sentence that says what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 400
"""Characters of a place that are shown."""


class Refused(ValueError):
    """Input that cannot be run. The message names where, what was found, and what was expected.

    The command line prints the message and exits with 2; nothing has been started when it is raised.
    """

    def __init__(
        self, problem: str, *, where: str = "", got: object = None, expected: str = "", hint: str = ""
    ) -> None:
        place = where if len(where) <= LONGEST else f"{where[:LONGEST]}..."
        parts = [f"{place}: {problem}" if where else problem]
        if got is not None:
            shown = repr(got)
            parts.append(f"got {shown if len(shown) <= 120 else shown[:117] + '...'}")
        if expected:
            parts.append(f"expected {expected}")
        if hint:
            parts.append(hint)
        super().__init__(" ".join("; ".join(parts).splitlines()))
        self.problem = problem
        self.where = where

    def at(self, where: str) -> Refused:
        """The same refusal with its place put in front (a file, a key)."""
        again = Refused(str(self))
        again.args = (f"{where}: {self}",)
        again.problem, again.where = self.problem, where
        return again


class ClusterLost(RuntimeError):
    """The machines that cells run on are gone, or none of them is of the kind that is asked for.

    What is finished is kept. The message says what was lost and what to do; the command line has an exit code for it.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """``"did you mean 'coop'?"``, or the list of valid names when nothing is close."""
    names = sorted(set(known))
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"valid: {shown}" if names else ""
