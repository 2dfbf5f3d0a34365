"""Parquet is read on the caller's own thread; in processes of their own, as Arrow's pools live as long as one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from promptgrid.spec.parquet import read_parquet

COUNT = """
import os, sys
from pathlib import Path
import pyarrow.parquet as pq
from promptgrid.spec.parquet import read_frame, read_parquet
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
{read}
print(threads() - before)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({name: list(range(20_000)) for name in "abcdefgh"}), path, row_group_size=1_000)
    return path


def threads_started(read: str, path: Path) -> int:
    command = [sys.executable, "-c", COUNT.format(read=read), str(path)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_no_thread_is_started(path: Path) -> None:
    assert threads_started("read_parquet(Path(sys.argv[1]))", path) == 0
    assert threads_started("read_parquet(Path(sys.argv[1]).read_bytes())", path) == 0
    assert threads_started("read_frame(Path(sys.argv[1]))", path) == 0
    assert threads_started("pq.read_table(sys.argv[1])", path) > 0  # the count sees what there is to see


def test_columns_in_the_order_named(path: Path) -> None:
    assert read_parquet(path).column_names == list("abcdefgh")
    assert read_parquet(path.read_bytes(), ["d", "b"]).column_names == ["d", "b"]


def test_a_column_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"no column z$"):
        read_parquet(path, ["a", "z"])


@pytest.mark.parametrize("raw", [b"", b"PAR1", b"PAR1 is not all PAR1"])
def test_what_is_not_parquet_is_refused_by_arrow(raw: bytes) -> None:
    with pytest.raises((pa.ArrowException, OSError)):
        read_parquet(raw)
