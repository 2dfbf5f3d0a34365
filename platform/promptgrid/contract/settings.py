"""Checks of a method's settings, made when it is built, so that a bad suite is refused before any work."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from torch import Tensor

from promptgrid.contract.method import Method


def check(method: Method, **rules: int | float | tuple[str, ...]) -> None:
    """Raise ValueError, naming the setting, where a value is of the wrong type or out of range.

    Types follow the defaults. Whole numbers are at least 0 and knobs finite and not negative; ``rules`` add: for a
    whole number its least value, for any other number its greatest, for a word the choices. Tensors (knobs inside a
    pack) were checked as numbers before they were stacked, and are skipped.
    """
    for item in fields(method):
        value = getattr(method, item.name)
        if not isinstance(value, Tensor):
            _check_one(item.name, value, item.default, rules.get(item.name))


def _check_one(name: str, value: Any, default: Any, rule: Any) -> None:
    if isinstance(default, bool):
        _require(isinstance(value, bool), name, value, "true or false")
    elif isinstance(default, str):
        _require(isinstance(value, str), name, value, "a text")
        _require(rule is None or value in rule, name, value, f"one of {', '.join(rule or ())}")
    elif isinstance(default, int):
        least = max(1, rule or 0) if name == "batch_size" else rule or 0
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole and value >= least, name, value, f"a whole number, at least {least}")
    else:
        most = math.inf if rule is None else rule
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = number and math.isfinite(value) and 0.0 <= value <= most
        _require(fits, name, value, "a finite number, at least 0" + ("" if rule is None else f" and at most {rule}"))


def _require(fits: bool, name: str, value: object, expected: str) -> None:
    if not fits:
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
