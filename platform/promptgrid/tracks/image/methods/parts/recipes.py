"""A recipe from a method's own settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from promptgrid.contract.clip import Classifier, Recipe


def recipe_of(method: Classifier, **rest: Any) -> Recipe:
    """The recipe whose values are ``rest``, and the settings of ``method`` that are called like its fields."""
    known = {item.name for item in fields(Recipe)} & {item.name for item in fields(method)}
    return Recipe(**{name: getattr(method, name) for name in known} | rest)
