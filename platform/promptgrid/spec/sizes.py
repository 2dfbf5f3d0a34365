"""Sizes as people write them: 20GB, 512MiB."""

from __future__ import annotations

import re

from promptgrid.spec import Refused

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {f"{letter}IB": 2 ** (10 * power) for power, letter in enumerate("KMGT", start=1)}

MOST = 2.0**60
"""Bytes that make sense."""


def bytes_of(text: str, where: str) -> int:
    """The bytes that ``text`` says; a number without a unit is bytes.

    Raises:
        Refused: it is no size; ``where`` names its origin.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?B?)\s*", text.upper())
    unit = found[2] if found else "?"
    unit = unit if unit.endswith("B") or not unit else f"{unit}B"
    if found is None or unit not in UNITS:
        raise Refused("not a size", where=where, got=text, expected="a number and KB, MB, GB or TB, e.g. 20GB")
    size = float(found[1]) * UNITS[unit]
    if size > MOST:
        raise Refused("more than any disk holds", where=where, got=text, expected=f"at most {shown(MOST)}")
    return int(size)


def shown(size: float) -> str:
    """``size`` bytes in the largest decimal unit that fits."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= UNITS[unit]:
            return f"{size / UNITS[unit]:.1f} {unit}"
    return f"{int(size)} B"
