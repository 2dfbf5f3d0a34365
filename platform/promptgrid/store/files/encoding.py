"""Records, predictions and states as bytes, and back. Equal values give equal bytes; no pickle anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from promptgrid.spec import Record, canonical_json
from promptgrid.spec.parquet import read_parquet

if TYPE_CHECKING:
    from promptgrid.contract import Predictions

_LAYOUT, _CLASSES, _ABOUT = b"promptgrid.evaluations", b"promptgrid.classes", "promptgrid.about"
COLUMNS: dict[str, pa.DataType] = {
    "evaluation": pa.string(),
    "image": pa.int64(),
    "name": pa.string(),
    "label": pa.int32(),
    "predicted": pa.int32(),
    "correct": pa.bool_(),
    "top": pa.list_(pa.int32()),
    "scores": pa.list_(pa.float32()),
    "of_label": pa.float32(),
    "logsumexp": pa.float32(),
}
"""Of ``predictions.parquet``; ``RECORDS.md`` says what each holds."""


def sha256(raw: bytes) -> str:
    """sha256 of ``raw`` in hex."""
    return hashlib.sha256(raw).hexdigest()


def record_bytes(record: Record) -> bytes:
    """``record`` as one line of strict JSON; numbers that JSON cannot say become ``"NaN"``, ``"Infinity"``."""
    return canonical_json(_sayable(record.model_dump())).encode() + b"\n"


def record_of(raw: bytes) -> Record:
    """The record in ``raw``. Raises ValueError where it is none, or a number is out of range."""
    return Record.model_validate_json(raw)


def _sayable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    return value


def sealed(content: dict[str, Any]) -> bytes:
    """``content`` as canonical JSON that carries its own sha256: no bit of it can change unnoticed."""
    return canonical_json({**content, "sha256": sha256(canonical_json(content).encode())}).encode() + b"\n"


def unsealed(raw: bytes) -> dict[str, Any]:
    """The content of :func:`sealed` bytes. Raises ValueError when they are not exactly what was sealed."""
    content = plain_json(raw)
    if not isinstance(content, dict):
        raise ValueError("not a mapping")
    content.pop("sha256", None)
    if sealed(content) != raw:
        raise ValueError("its own sha256 does not match")
    return content


def plain_json(raw: bytes) -> Any:
    """The value of JSON ``raw``. Raises ValueError where it is none, or is nested too deeply to be one of ours."""
    try:
        return json.loads(raw)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def predictions_bytes(predictions: Sequence[Predictions]) -> bytes:
    """Parquet (zstd), one row an example: the columns of ``COLUMNS``; class names stand in the metadata."""
    layout = [[item.evaluation, len(item.example), item.top.shape[1]] for item in predictions]
    classes = [list(item.classes) for item in predictions]
    schema = pa.schema(
        list(COLUMNS.items()),
        metadata={_LAYOUT: canonical_json(layout).encode(), _CLASSES: canonical_json(classes).encode()},
    )
    table = pa.concat_tables([_rows(item, schema) for item in predictions] or [schema.empty_table()])
    out = io.BytesIO()
    # hardly a number stands twice and nobody seeks in so small a file: dictionaries and statistics were a fifth of it
    pq.write_table(
        table.combine_chunks(), out, compression="zstd", use_dictionary=["evaluation"], write_statistics=False
    )
    return out.getvalue()


def _rows(item: Predictions, schema: pa.Schema) -> pa.Table:
    count, width = item.top.shape
    columns = (item.example, item.label, item.scores, item.of_label, item.logsumexp, item.names or None)
    lengths = {len(column) for column in columns if column is not None}
    if lengths != {count} or item.scores.shape != item.top.shape:
        raise ValueError(f"predictions of {item.evaluation!r} have columns of different lengths")
    if width == 0:
        raise ValueError(f"predictions of {item.evaluation!r} name no class")
    ends = np.arange(0, count * width + 1, width, dtype=np.int32)
    top, scores = item.top.astype(np.int32), item.scores.astype(np.float32)
    label = item.label.astype(np.int32)
    return pa.table(
        [
            pa.array([item.evaluation] * count, pa.string()),
            pa.array(item.example.astype(np.int64)),
            pa.array(item.names or [None] * count, pa.string()),
            pa.array(label),
            pa.array(np.ascontiguousarray(top[:, 0])),
            pa.array(top[:, 0] == label),
            pa.ListArray.from_arrays(pa.array(ends), pa.array(np.ascontiguousarray(top).ravel())),
            pa.ListArray.from_arrays(pa.array(ends), pa.array(np.ascontiguousarray(scores).ravel())),
            _floats(item.of_label, count),
            _floats(item.logsumexp, count),
        ],
        schema=schema,
    )


def _floats(values: npt.NDArray[np.float32] | None, count: int) -> pa.Array:
    return pa.array([None] * count, pa.float32()) if values is None else pa.array(values.astype(np.float32))


def predictions_of(raw: bytes) -> tuple[Predictions, ...]:
    """The predictions in Parquet bytes, of this version or an earlier one.

    Raises:
        ValueError: they are malformed (pyarrow's errors are ones).
    """
    from promptgrid.contract import Predictions  # imports torch, which most readers of a store never need

    table = read_parquet(raw).combine_chunks()
    layout = json.loads(table.schema.metadata[_LAYOUT])
    classes = json.loads(table.schema.metadata.get(_CLASSES, b"null")) or [[]] * len(layout)
    start, found = 0, []
    for (name, count, width), own in zip(layout, classes, strict=True):
        part = table.slice(start, count)
        found.append(
            Predictions(
                evaluation=name,
                example=part["image"].to_numpy(),
                label=part["label"].to_numpy(),
                top=_matrix(part["top"], count, width, np.dtype(np.int32)),
                scores=_matrix(part["scores"], count, width, np.dtype(np.float32)),
                of_label=_known(part, "of_label"),
                logsumexp=_known(part, "logsumexp"),
                names=tuple(_told(part)),
                classes=tuple(own),
            )
        )
        start += count
    if start != table.num_rows:
        raise ValueError(f"{table.num_rows} rows, {start} announced")
    return tuple(found)


def _known(part: pa.Table, column: str) -> npt.NDArray[np.float32] | None:
    """A column of floats; None where an earlier version had none."""
    if column not in part.column_names or part[column].null_count:
        return None
    values: npt.NDArray[np.float32] = part[column].to_numpy()
    return values


def _told(part: pa.Table) -> list[str]:
    """The names of the examples; none where an earlier version had none."""
    if "name" not in part.column_names or part["name"].null_count:
        return []
    names: list[str] = part["name"].to_pylist()
    return names


def _matrix(column: pa.ChunkedArray, count: int, width: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    chunks = [chunk.flatten().to_numpy() for chunk in column.chunks]
    flat = np.concatenate(chunks) if chunks else np.empty(0, dtype)
    return flat.astype(dtype, copy=False).reshape(count, width)


def state_bytes(state: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any]) -> bytes:
    """``state`` as safetensors, ``about`` in their metadata as canonical JSON."""
    arrays = {name: np.asarray(state[name], order="C") for name in sorted(state)}
    return bytes(save_safetensors(arrays, {_ABOUT: canonical_json(about)} if about else None))


def state_of(raw: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays in safetensors bytes. Raises ValueError where they are malformed."""
    try:
        return dict(load_safetensors(raw))
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"not safetensors: {error}") from error


def about_of(raw: bytes) -> dict[str, Any]:
    """What safetensors bytes say beside the arrays; nothing in those of version 1. Raises ValueError as above."""
    head = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return dict(json.loads(head.get("__metadata__", {}).get(_ABOUT, "{}")))
