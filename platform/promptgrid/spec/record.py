"""What one cell gave: metrics, cost, provenance, or the reason it failed. Never changed once written."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from promptgrid.spec.cell import Cell
from promptgrid.spec.metrics import metric_of

LEFT_OUT = "left_out_mb"
"""Under this name is said how large a state was that was not kept, in place of what else is said of one."""


class Reason(StrEnum):
    """Why a cell failed."""

    OOM_GPU = "OOM_GPU"
    OOM_HOST = "OOM_HOST"
    NAN_LOSS = "NAN_LOSS"
    DATA_MISSING = "DATA_MISSING"
    DATA_CORRUPT = "DATA_CORRUPT"
    CHECKSUM = "CHECKSUM"
    TIMEOUT = "TIMEOUT"
    WORKER_LOST = "WORKER_LOST"
    DISK_FULL = "DISK_FULL"
    PLUGIN_ERROR = "PLUGIN_ERROR"
    CONFIG = "CONFIG"
    INTERRUPTED = "INTERRUPTED"
    NEEDS_FAILED = "NEEDS_FAILED"


class SourceLost(LookupError):
    """What another cell learned is not in the store any more, so that a cell cannot start from it."""


RETRIED: dict[Reason, int] = {
    Reason.WORKER_LOST: 3,
    Reason.OOM_HOST: 3,
    Reason.DISK_FULL: 3,
    Reason.TIMEOUT: 1,
    Reason.OOM_GPU: 1,
    Reason.INTERRUPTED: 1000,
    Reason.NEEDS_FAILED: 1000,
}
"""How often a cell that failed for this reason is tried again; reasons not named are final until asked for."""


class Cost(BaseModel):
    """What a cell cost. Seconds of a packed cell are its share of the pack; ``packed_with`` says how many shared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trainable_parameters: int = Field(default=0, ge=0)
    train_seconds: float = Field(default=0.0, ge=0)
    eval_seconds: float = Field(default=0.0, ge=0)
    peak_memory_mb: float = Field(default=0.0, ge=0)
    packed_with: int = Field(default=1, ge=1)


class Provenance(BaseModel):
    """Who computed a record, with what. Outside the key and outside the scores digest.

    ``speedups`` are the shortcuts that training took, as measured where it ran: empty for plain fp32 that nobody asked
    to be otherwise, and a line that says why where ``precision: amp`` was asked for in vain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promptgrid_version: str = ""
    revision: str = ""
    python: str = ""
    torch: str = ""
    host: str = ""
    device: str = ""
    threads: int = 1
    speedups: str = ""
    started: str = ""
    finished: str = ""
    pack: str = ""


class Record(BaseModel):
    """The result of one cell. ``promptgrid/store/RECORDS.md`` tells the whole format, files beside this one included.

    ``metrics`` are in the unit and range of the metric that their name says (:mod:`promptgrid.spec.metrics`);
    ``curves`` are lists over training: ``train_loss`` by epoch, by checkpoint the validation score that the protocol
    chooses by (``val_accuracy``). ``notes`` are sentences about the data: a class with fewer examples than shots, files
    that were left out. Version 1 of the schema has none; it is read for ever.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1, 2] = 2
    cell: Cell
    status: Literal["done", "failed"] = "done"
    metrics: dict[str, float] = {}
    curves: dict[str, list[float]] = {}
    cost: Cost = Cost()
    provenance: Provenance = Provenance()
    reason: Reason | None = None
    message: str = ""
    log_tail: str = ""
    attempts: int = Field(default=1, ge=1)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def whole(self) -> Self:
        if self.status == "done" and self.reason is not None:
            raise ValueError("a finished record has no reason")
        if self.status == "failed" and self.reason is None:
            raise ValueError("a failed record needs a reason")
        if self.status == "done" and not self.metrics:
            raise ValueError("a finished record needs metrics")
        for name, value in self.metrics.items():
            metric = metric_of(name)
            if not metric.allows(value):
                end = "]" if math.isfinite(metric.high) else ")"
                raise ValueError(f"metric {name} = {value!r} is outside [{metric.low:g}, {metric.high:g}{end}")
        return self


def scores_digest(records: Iterable[Record]) -> str:
    """sha256 over sorted (cell key, metric, value as float.hex()): equal digests mean equal results.

    Timings, hosts and order are outside it; failed records count by their key and reason.
    """
    lines = []
    for record in records:
        if record.status == "done":
            lines += [f"{record.cell.key} {name} {value.hex()}" for name, value in record.metrics.items()]
        else:
            lines.append(f"{record.cell.key} failed {record.reason}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
