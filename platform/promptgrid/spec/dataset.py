"""The card of a dataset: facts, pinned by digest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SourceCard(BaseModel):
    """Where the examples of a dataset came from."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    package: str
    version: str
    sha256: str = ""
    licence: str
    attribution: str = ""


class DatasetCard(BaseModel):
    """The facts of one dataset: classes by label, counts by split, template, licence, source, digest of the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = ""
    description: str = ""
    sources: tuple[SourceCard, ...] = ()
    licence: str = "unknown"
    template: str = "{}"
    classes: tuple[str, ...]
    splits: dict[str, int]
    image_size: int = 0
    domains: tuple[str, ...] = ()
    family: str | None = None
    seen_in_pretraining: bool = False
    sha256: Hex
    bundled: bool = False
    merged: bool = Field(default=False, description="two labels may share one name")

    @field_validator("template")
    @classmethod
    def one_hole(cls, template: str) -> str:
        if template.count("{}") != 1 or template.replace("{}", "").count("{") + template.replace("{}", "").count("}"):
            raise ValueError("a template holds exactly one {} and no other brace")
        return template

    @field_validator("classes")
    @classmethod
    def sayable(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(classes) < 2:
            raise ValueError(f"a classification task needs at least 2 classes, got {len(classes)}")
        for name in classes:
            if not name.strip():
                raise ValueError("a class name is empty")
            if len(name) > 200:
                raise ValueError(f"class name {name[:30]!r}... has {len(name)} characters, at most 200 are allowed")
            if "{" in name or "}" in name:
                raise ValueError(f"class name {name!r} holds a brace, which would break a template")
        return classes

    @model_validator(mode="after")
    def distinct(self) -> Self:
        groups = [] if self.merged else alike(self.classes)
        if groups and len(set(groups[0])) == 1:
            raise ValueError(f"two labels have one name: {groups[0][:1]}")
        if groups:
            raise ValueError(
                f"class names that a reader cannot tell apart: {' and '.join(map(repr, groups[0][:4]))}"
                " (underscores become spaces, capitals do not count); give each a name of its own"
            )
        if not self.splits.get("test"):
            raise ValueError("there are no test examples")
        return self


def alike(classes: Iterable[str]) -> list[list[str]]:
    """Groups of class names that read the same once underscores are spaces and capitals are small letters."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        groups[" ".join(name.replace("_", " ").split()).casefold()].append(name)
    return [names for names in groups.values() if len(names) > 1]
