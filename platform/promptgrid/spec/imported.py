"""Results of other tools, kept apart from ours: what was measured, where it was read, and how it was configured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from promptgrid.spec.cell import canonical_json
from promptgrid.spec.metrics import metric_of
from promptgrid.spec.refusal import Refused

FILE = "imported.jsonl"
"""What a folder of imported results holds: one record a line, sorted."""


class Imported(BaseModel):
    """One result that another tool measured. It has no key of ours, and never stands as a record of ours.

    ``tool``, ``file`` (below the path that was imported), ``sha256`` of that file and ``line`` (0: the whole file) say
    where it was read. ``method``, ``backbone`` and ``dataset`` are the tool's own names; ``shots`` and ``seed`` are
    None where it does not say. ``metrics`` are in the unit of the metric that their name says, as in records of ours.
    ``variant`` tells apart what one method was run as; ``configuration`` is the tool's own, as it was found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    tool: str = Field(min_length=1)
    file: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    line: int = Field(default=0, ge=0)
    method: str = Field(min_length=1)
    dataset: str = Field(min_length=1)
    backbone: str = ""
    protocol: str = ""
    shots: int | None = Field(default=None, ge=0)
    seed: int | None = None
    variant: str = ""
    metrics: dict[str, float] = Field(min_length=1)
    configuration: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def in_range(self) -> Self:
        for name, value in self.metrics.items():
            if not metric_of(name).allows(value):
                raise ValueError(f"metric {name} is {value!r}")
        return self

    @property
    def place(self) -> tuple[object, ...]:
        """What no two results of one tool share."""
        told = (self.tool, self.method, self.backbone, self.dataset, self.protocol, self.shots, self.seed)
        return (*told, self.variant)


def imported_of(where: str, **facts: object) -> Imported:
    """A record of ``facts``; ``where`` names file and line in errors. Raises Refused where they make none."""
    try:
        return Imported.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise Refused(f"{place}: {said}" if place else said, where=where) from error


def imported_text(records: Iterable[Imported]) -> str:
    """``imported.jsonl`` of ``records``: canonical JSON, sorted, each once."""
    return "".join(f"{line}\n" for line in sorted({canonical_json(record.model_dump()) for record in records}))


def read_imported(folder: Path) -> list[Imported]:
    """The records in ``folder``, or in a file.

    Raises:
        Refused: there are none, or a line is none.
    """
    path = folder / FILE if folder.is_dir() else folder
    if not path.is_file():
        raise Refused(
            "no imported results there", where=str(folder), expected="a folder that `promptgrid import` wrote"
        )
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(Imported.model_validate_json(line))
        except ValidationError as error:
            raise Refused(
                f"line {number} is no imported result: {error.errors()[0]['msg']}", where=str(path)
            ) from error
    return found


def joined(there: Iterable[Imported], new: Iterable[Imported]) -> list[Imported]:
    """Both in one; a result that is there is not replaced by another one.

    Raises:
        Refused: two differ in their metrics, naming where each was read.
    """
    known: dict[tuple[object, ...], Imported] = {}
    for record in (*there, *new):
        other = known.setdefault(record.place, record)
        if other.metrics != record.metrics:
            name = f"{record.method} on {record.dataset}, {record.shots} shots, seed {record.seed}"
            raise Refused(f"{name} was measured twice: {other.metrics} in {other.file}, {record.metrics} in "
                          f"{record.file}", where=record.tool, hint="import one of them")  # fmt: skip
    return list(known.values())
