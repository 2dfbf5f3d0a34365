"""In what a dataset or a backbone differs from the one that something was learned on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from promptgrid.spec import Cell, DatasetCard, Refused

SHOWN = 6
"""Differences that a message names."""


def refuse_other_backbone(
    cell: Cell, said: Mapping[str, Any], facts: Mapping[str, Any], now: Mapping[str, Any] | None = None
) -> None:
    """Refuse a backbone that is not the one which ``cell`` was learned on.

    Args:
        cell: that was learned.
        said: what was kept beside it, with ``model``.
        facts: of the backbone as it is now.
        now: further parts of the cell's identity as they would be now, by name.

    Raises:
        Refused: naming what differs in architecture, tokenizer, preprocessing and weights.
    """
    now = now or {}
    then = {name: cell.identity[name] for name in now}
    if facts["digest"] == cell.identity["backbone"] and then == now:
        return
    found = differences(said.get("model", {}), facts.get("model", {})) or differences(then, now) or ["its digest"]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise Refused(f"the backbone is not the one this was learned on: {'; '.join(found[:SHOWN])}{more}",
                  where=cell.backbone, hint="bring back the files as they were, or run the cell again")  # fmt: skip


def differences(then: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> list[str]:
    """``architecture.quick_gelu was false, is true``, for every value that differs."""
    found = []
    for name in sorted(then.keys() | now.keys()):
        one, other = then.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differences(one, other, f"{above}{name}.")
        elif one != other:
            found.append(f"{above}{name} was {_short(one)}, is {_short(other)}")
    return found


def other_classes(said: Mapping[str, Any], card: DatasetCard) -> list[str]:
    """In what the classes of ``card`` and how it speaks of them differ from what was kept."""
    then, now = tuple(said.get("all_classes", said["classes"])), card.classes
    found = [f"class {name!r} was not there" for name in now if name not in then]
    found += [f"class {name!r} is gone" for name in then if name not in now]
    if not found and then != now:
        found.append("the classes stand in another order")
    if said["template"] != card.template:
        found.append(f"the template was {said['template']!r}, is {card.template!r}")
    return found


def title_of(cell: Cell) -> str:
    """One line about the cell: method, dataset, shots, seed, backbone and the beginning of its key."""
    where = f"{cell.source} to {cell.dataset}" if cell.source else cell.dataset
    return f"{cell.method} on {where}, {cell.shots} shots, seed {cell.seed}, {cell.backbone}, cell {cell.key[:12]}"


def _short(value: Any) -> str:
    shown = "nothing" if value is None else json.dumps(value)
    return shown if len(shown) <= 60 else f"{shown[:13]}..."
