"""Settings of a method that another one is told in one line."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from promptgrid.contract.clip import Classifier
from promptgrid.spec.reading import parse_yaml


def told(kind: type[Classifier], written: str, where: str, closed: Collection[str] = ()) -> dict[str, Any]:
    """``a=1; b=x`` as settings of ``kind``, whose own checks follow when it is built.

    Raises:
        ValueError: one that it does not have, or that is ``closed``, or a number out of a knob's range.
    """
    found: dict[str, Any] = {}
    known = [name for name in kind.defaults() if name not in closed]
    for part in filter(None, map(str.strip, written.split(";"))):
        name, _, value = map(str.strip, part.partition("="))
        if name not in known:
            raise ValueError(f"{where}: got {part!r}, expected name=value of {kind.name}'s {', '.join(known)}")
        found[name], knob = parse_yaml(value, where), kind.knobs().get(name)
        if knob and isinstance(found[name], int | float) and not knob.low <= found[name] <= knob.high:
            raise ValueError(f"{where}: got {name}={value}, expected {knob.low} to {knob.high}")
    return found
