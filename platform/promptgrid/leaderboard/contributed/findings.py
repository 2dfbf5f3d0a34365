"""What is wrong with results that are handed in, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["digest", "schema", "key", "metric", "seed", "duplicate", "range", "suite", "board"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: which of the checks found it.
        where: the row, file or cell.
        said: what is wrong there, with what was found and what was expected.
    """

    kind: Kind
    where: str
    said: str

    @property
    def line(self) -> str:
        """The finding in one line, whatever names are in it."""
        return " ".join(f"{self.kind}: {self.where}: {self.said}".split())
