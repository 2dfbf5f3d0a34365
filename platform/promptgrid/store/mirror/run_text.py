"""What a record says as an MLflow run: params, metrics, curves, tags. Knows MLflow's limits, not MLflow."""

from __future__ import annotations

import datetime
import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptgrid.spec import Cell, Record, digest
from promptgrid.store.files import encoding
from promptgrid.store.scrubbing import Scrubber

VERSION = 2
_ODD = re.compile(r"[^A-Za-z0-9_\-. :/]")
_NAME_LENGTH, _PARAM_LENGTH, _TAG_LENGTH = 250, 6000, 5000  # the smallest limits of MLflow 2 and 3


@dataclass(frozen=True)
class Point:
    """One value of one metric."""

    name: str
    value: float
    step: int


@dataclass(frozen=True)
class RunText:
    """One run. ``started`` and ``ended`` are milliseconds since 1970, None where the record does not say."""

    name: str
    status: str
    started: int | None
    ended: int | None
    params: dict[str, str]
    points: list[Point]
    tags: dict[str, str]


def run_digest(record: Record, labels: Sequence[str], titles: Mapping[str, str] | None = None) -> str:
    """Changes exactly when the run of ``record`` would say something else."""
    named = _titles(record.cell, titles or {})
    return digest([VERSION, encoding.sha256(encoding.record_bytes(record)), list(labels), list(named)])


def run_text(
    record: Record, labels: Sequence[str], suite: str, scrub: Scrubber, titles: Mapping[str, str] | None = None
) -> RunText:
    """``record`` as a run, without secrets.

    Args:
        record: of a cell, finished or failed.
        labels: the names of its method in the suite.
        suite: its name.
        scrub: takes secrets out.
        titles: what people call the datasets; by default their names.
    """
    dataset, source = _titles(record.cell, titles or {})
    cell, label = record.cell, " | ".join(labels) or record.cell.method
    points, left_out = _points(record)
    return RunText(
        name=scrub(" · ".join(_name(cell, label, dataset, source)))[:_NAME_LENGTH],
        status="FINISHED" if record.status == "done" else "FAILED",
        started=milliseconds(record.provenance.started),
        ended=milliseconds(record.provenance.finished),
        params={name[:_NAME_LENGTH]: scrub(value)[:_PARAM_LENGTH] for name, value in _params(cell).items()},
        points=points,
        tags={
            name: scrub(value)[:_TAG_LENGTH]
            for name, value in (_tags(record, label, suite, left_out) | {"dataset_title": dataset}).items()
            if value
        },
    )


def milliseconds(moment: str) -> int | None:
    """Milliseconds since 1970 of an ISO 8601 text (UTC where it names no zone); None when it is no such text."""
    try:
        parsed = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def metric_name(name: str) -> str:
    """``name`` as MLflow accepts it: letters, digits, ``_ - . : /`` and space, no path tricks, 250 characters."""
    plain = _ODD.sub("_", name.replace("@", "_at_"))[:_NAME_LENGTH] or "_"
    if posixpath.normpath(plain) != plain or plain.startswith(("/", ".")):
        plain = "_" + plain.replace("/", "_").strip(".")
    return plain[:_NAME_LENGTH]


def _titles(cell: Cell, titles: Mapping[str, str]) -> tuple[str, str]:
    """What people call the dataset of ``cell``, and its source."""
    return titles.get(cell.dataset, cell.dataset), titles.get(cell.source, cell.source)


def _name(cell: Cell, label: str, dataset: str, source: str) -> list[str]:
    """What tells a run from the others of its suite."""
    started = [f"{cell.reading} of {source}"] if source else []
    started += [f"ensemble of {len(cell.members)}"] if cell.members else []
    seen = [f"{cell.views} views"] if cell.views else []
    scored = [f"on {cell.scored}"] if cell.scored != "test" else []
    return [label, dataset, *started, f"{cell.shots} shots", *seen, f"seed {cell.seed}", *scored]


def _params(cell: Cell) -> dict[str, str]:
    named = (
        "protocol", "method", "backbone", "dataset", "shots", "seed", "selection", "precision", "source", "reading",
        "views", "scored",
    )  # fmt: skip
    settings = {f"settings/{metric_name(name)}": str(value) for name, value in sorted(cell.settings.items())}
    said = {name: str(getattr(cell, name)) for name in named}
    return {**{name: value for name, value in said.items() if value}, **settings}


def _points(record: Record) -> tuple[list[Point], list[str]]:
    """Finite values as points, with the curves by step; and what was left out because it is not finite."""
    cost = {f"cost/{name}": float(value) for name, value in record.cost.model_dump().items()}
    curves = {f"curves/{name}": values for name, values in record.curves.items()}
    named = {**{name: [value] for name, value in record.metrics.items()}, **{n: [v] for n, v in cost.items()}, **curves}
    points: list[Point] = []
    left_out: list[str] = []
    taken: set[str] = set()
    for name, values in named.items():
        plain = free_name(metric_name(name), taken)
        finite = [Point(plain, value, step) for step, value in enumerate(values) if math.isfinite(value)]
        points += finite
        if len(finite) < len(values):
            left_out.append(f"{name}: {len(values) - len(finite)} of {len(values)}")
    return points, left_out


def free_name(name: str, taken: set[str]) -> str:
    """``name``, with a number behind it where it is in ``taken`` already, which it then is."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name[: _NAME_LENGTH - 8]}_{number}", number + 1
    taken.add(candidate)
    return candidate


def _tags(record: Record, label: str, suite: str, left_out: Sequence[str]) -> dict[str, str]:
    cell, source = record.cell, record.provenance
    return {
        "label": label,
        "suite": suite,
        "track": cell.track,
        "protocol": cell.protocol,
        "method": cell.method,
        "backbone": cell.backbone,
        "dataset": cell.dataset,
        "shots": str(cell.shots),
        "seed": str(cell.seed),
        "source": cell.source,
        "reading": cell.reading,
        "views": str(cell.views),
        "scored": cell.scored,
        "status": record.status,
        "reason": str(record.reason or ""),
        "attempts": str(record.attempts),
        "record_sha256": encoding.sha256(encoding.record_bytes(record)),
        "pack": source.pack,
        "host": source.host,
        "device": source.device,
        "promptgrid_version": source.promptgrid_version,
        "revision": source.revision,
        "not_finite": "; ".join(left_out),
        "mlflow.note.content": record.message,
    }
