"""Dataset cards from facts, with refusals that name the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from promptgrid.spec import DatasetCard, Refused, nearest

Model = TypeVar("Model", bound=BaseModel)


def make_card(where: str, facts: Mapping[str, Any]) -> DatasetCard:
    """The card of ``facts``; ``where`` names their file in errors.

    Raises:
        Refused: an unknown or missing key, an unspeakable class name, a broken template, no test examples.
    """
    return checked(DatasetCard, where, facts)


def checked(model: type[Model], where: str, facts: Mapping[str, Any]) -> Model:
    """``facts`` as ``model``, or a refusal in words."""
    try:
        return model.model_validate(dict(facts))
    except ValidationError as error:
        raise _refusal(error, model, where) from error


def _refusal(error: ValidationError, model: type[BaseModel], where: str) -> Refused:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return Refused(f"unknown key {place!r}", where=where, hint=nearest(str(first["loc"][-1]), model.model_fields))
    if first["type"] == "missing":
        return Refused(f"the key {place!r} is missing", where=where)
    message = first["msg"].removeprefix("Value error, ")
    shown = None if first["type"] == "value_error" else first.get("input")
    return Refused(f"{place}: {message}" if place else message, where=where, got=shown)
