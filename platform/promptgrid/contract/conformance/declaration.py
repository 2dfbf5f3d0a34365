"""What a method says of itself."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import MISSING, fields, is_dataclass

from promptgrid.contract.method import Method


def check_declaration(method: type[Method], kinds: Collection[str]) -> None:
    """Name, kind, paper, a first line that says what it is, settings with defaults, knobs in order."""
    name = getattr(method, "name", "")
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,79}", name), f"the name {name!r} is not lower_snake_case"
    assert method.kind in kinds, f"{name}: kind {method.kind!r} is none of {', '.join(sorted(kinds))}"
    first = (method.__doc__ or "").strip().split("\n")[0]
    generated = first.startswith(f"{method.__name__}(")
    described = bool(first) and not generated
    assert described, f"{name}: the class needs a docstring whose first line says what it is"
    assert method.paper.strip(), f"{name}: `paper` is empty; name the source, or say 'unpublished'"
    frozen = is_dataclass(method) and bool(getattr(method, "__dataclass_params__").frozen)  # noqa: B009 - untyped
    assert frozen, f"{name}: settings are fields of a frozen dataclass"
    for item in fields(method):
        plain = item.default is not MISSING and isinstance(item.default, bool | int | float | str)
        assert plain, f"{name}: setting {item.name!r} needs a default that is a number, a text or true/false"
    if method.axes is not None:
        closed = (method.axes.access == "black_box") == ("logits" in method.needs)
        assert closed, f"{name}: access 'black_box' and the need for 'logits' go together"
    for key, knob in method.knobs().items():
        default = method.defaults()[key]
        ordered = knob.low <= default <= knob.high
        assert ordered, f"{name}: knob {key!r} has default {default} outside {knob.low} to {knob.high}"
        assert not (knob.log and knob.low <= 0), f"{name}: knob {key!r} is on a log scale and reaches {knob.low}"
