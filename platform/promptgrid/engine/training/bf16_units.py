"""Whether this CPU multiplies bf16 itself, or would emulate it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
"""What ``/proc/cpuinfo`` calls such units: AMX and AVX512 of x86, and those of Arm; the quickest first."""
CPUINFO = Path("/proc/cpuinfo")


@cache
def bf16_units() -> str:
    """The quickest bf16 units of this CPU that torch can use, as the system calls them; empty without any."""
    if not CPUINFO.is_file() or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return ""
    named = told(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    return next((flag for flag in FLAGS if flag in named), "")


def told(cpuinfo: str) -> frozenset[str]:
    """What the first processor of a ``cpuinfo`` says it can."""
    for line in cpuinfo.splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in {"flags", "features"}:
            return frozenset(flags.split())
    return frozenset()
