"""Words that a track chooses, for what people read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A noun in both numbers: ``example`` and ``examples``."""

    one: str = "example"
    many: str = "examples"


EXAMPLES = Noun()
"""What a track calls its examples where it has no better word."""
