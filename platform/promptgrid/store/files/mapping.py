"""safetensors files as arrays that share the page cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from promptgrid.store.files.encoding import plain_json

_TYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "U64": np.uint64,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}


def map_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file, read-only views into one memory map of it.

    The format: 8 bytes of header length (little endian), a JSON header with type, shape and offsets, then the data.

    Raises:
        ValueError: the header does not describe the file.
    """
    data = np.memmap(path, np.uint8, mode="r")
    if data.size < 8:
        raise ValueError(f"{path.name} has {data.size} bytes")
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if start > data.size:
        raise ValueError(f"{path.name} has a header longer than itself")
    header = plain_json(data[8:start].tobytes())
    plain = np.asarray(data)
    return {name: _view(plain[start:], name, entry) for name, entry in header.items() if name != "__metadata__"}


def _view(data: npt.NDArray[np.uint8], name: str, entry: dict[str, Any]) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    dtype = _TYPES.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"{name!r} has type {entry['dtype']}, which numpy does not know")
    if end > data.size or begin > end:
        raise ValueError(f"{name!r} reaches beyond the file")
    return data[begin:end].view(dtype).reshape(entry["shape"])
