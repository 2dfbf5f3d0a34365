"""What is freed stays with a process that asked for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import sys
import torch
from promptgrid.cluster.workers.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
before = resident()
torch.ones(64, 2**20)
print(resident() - before)
"""
PAGES = 64 * 2**20 * 4 // 4096


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="no /proc here")
@pytest.mark.parametrize(("how", "kept"), [("keep", True), ("plain", False)])
def test_a_worker_keeps_freed_memory(how: str, kept: bool) -> None:
    command = [sys.executable, "-c", MEASURE, how]
    pages = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert (pages > PAGES // 2) is kept
