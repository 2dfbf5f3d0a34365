"""Cells, the requests they come from, and the packs they travel in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, JsonValue

Setting = bool | int | float | str
Reading = Literal["", "evaluate", "adapt"]
Views = int | Literal["online"]
Scored = Literal["test", "val"]
ENSEMBLE = "ensemble"
"""The part of an identity, and the column of a result, that holds the members of an ensemble."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN: equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of ``value``; of the bytes themselves when given bytes."""
    raw = value if isinstance(value, bytes) else canonical_json(value).encode()
    return hashlib.sha256(raw).hexdigest()


def settings_and_members(said: Mapping[str, Setting]) -> tuple[dict[str, Setting], tuple[dict[str, Setting], ...]]:
    """The settings of a cell and of its members, from what :attr:`Cell.said_settings` says.

    Raises:
        ValueError: what stands under ``ensemble`` is no list of settings.
    """
    plain = dict(said)
    members = json.loads(str(plain.pop(ENSEMBLE, "[]")))
    if not isinstance(members, list) or not all(isinstance(own, dict) for own in members):
        raise ValueError("an ensemble without a list of settings")
    return plain, tuple(members)


@dataclass(frozen=True)
class Request:
    """One place of a suite's grid as written, before names are looked up.

    ``source`` names the dataset whose cell this one starts from, and ``reading`` how: ``evaluate`` scores what was
    learned there as it is, ``adapt`` goes on learning from it; both are empty for a cell that starts afresh.
    ``views`` is how many cached augmented views an example has in training (0: the plain one alone), or ``online``.
    ``scored`` says which examples score the cell: ``val`` while hyper-parameters are searched.
    """

    track: str
    protocol: str
    method: str
    settings: dict[str, Setting]
    backbone: str
    dataset: str
    shots: int
    seed: int
    selection: Literal["last", "val"]
    precision: str
    source: str = ""
    reading: Reading = ""
    views: Views = 0
    scored: Scored = "test"


class Cell(BaseModel):
    """One cell of a grid, resolved: its ``key`` names it for ever.

    ``identity`` holds everything that makes the result (versions, digests, resolved settings) and nothing that
    does not (host, workers, paths, pack). ``group`` tells which cells may run as one tensor program; it is not
    part of the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    track: str
    protocol: str
    method: str
    settings: dict[str, Setting]
    backbone: str
    dataset: str
    shots: int
    seed: int
    selection: Literal["last", "val"]
    precision: str
    source: str = ""
    reading: Reading = ""
    views: Views = 0
    scored: Scored = "test"
    identity: dict[str, JsonValue]
    group: str = ""
    needs: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """64 hex digits: sha256 of the canonical JSON of ``identity``."""
        return digest(self.identity)

    @cached_property
    def members(self) -> tuple[dict[str, Setting], ...]:
        """Of an ensemble, the settings of the cells that answer together, in the order of ``needs``; else nothing."""
        told = cast("list[dict[str, Any]]", self.identity.get(ENSEMBLE, []))
        return tuple(dict(one["settings"]) for one in told)

    @property
    def said_settings(self) -> dict[str, Setting]:
        """The settings as tables of results say them: under ``ensemble``, as JSON, also those of the members."""
        return self.settings | ({ENSEMBLE: canonical_json(self.members)} if self.members else {})


Machine = Literal["cpu", "cuda"]
"""What packs are made for."""


@dataclass(frozen=True)
class Shared:
    """What packs of one ``name`` need and the first of them computes: ``seconds`` before its first cell, expected."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Pack:
    """Cells run as one tensor program, in a fixed order of slots.

    The slots belong to the plan, not to what is missing from the store: a resumed pack runs its missing cells in
    the same slots with stand-ins in the others, so that every matrix has the shape it had the first time.

    ``seconds`` are those of its cells; ``shared`` comes on top, once for all packs that share it.
    """

    cells: tuple[Cell, ...]
    seconds: float = 1.0
    gpu_memory_mb: float = 0.0
    wanted: frozenset[str] = field(default_factory=frozenset)
    shared: Shared | None = None

    @cached_property
    def key(self) -> str:
        """16 hex digits naming the pack by its cells, in slot order."""
        return digest([cell.key for cell in self.cells])[:16]

    @property
    def needs(self) -> frozenset[str]:
        """Keys of cells outside this pack that must be finished first."""
        return frozenset(key for cell in self.cells for key in cell.needs) - {cell.key for cell in self.cells}
