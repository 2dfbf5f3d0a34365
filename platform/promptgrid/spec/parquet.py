"""Reading Parquet on the caller's own thread."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read_parquet(source: Path | bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in a Parquet file or in the bytes of one; all columns, or those named.

    No thread of Arrow's is started: where a process leaves while they still are, it now and then aborts with 134 behind
    work that was done (apache/arrow#34314), which ``pyarrow.parquet.read_table`` risks even with ``use_threads=False``.

    Raises:
        pyarrow.ArrowInvalid: not Parquet, damaged, or without one of ``columns``.
        OSError: the file cannot be read.
    """
    import pyarrow as pa  # most commands never read a table
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(source) if isinstance(source, bytes) else source, pre_buffer=False) as file:
        if lacking := set(columns or ()) - set(file.schema_arrow.names):
            raise pa.ArrowInvalid(f"no column {', '.join(sorted(lacking))}")
        return file.read(columns=columns and list(columns), use_threads=False)


def read_frame(path: Path) -> pd.DataFrame:
    """The DataFrame in a Parquet file, with no thread of Arrow's either. Raises as :func:`read_parquet` does."""
    frame: pd.DataFrame = read_parquet(path).to_pandas(use_threads=False)
    return frame
