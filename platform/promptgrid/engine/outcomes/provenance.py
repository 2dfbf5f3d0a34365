"""Who computes, with what, and how much memory it takes."""

from __future__ import annotations

import datetime
import platform
import resource
import socket
import subprocess
from functools import cache
from pathlib import Path

import torch

from promptgrid.spec import Pack, Provenance
from promptgrid.spec.version import __version__

CODE = "platform"
"""The folder of a checkout that makes results."""


def provenance(pack: Pack, device: str, started: str, speedups: str = "") -> Provenance:
    """The provenance of the cells of ``pack``, as of now."""
    return Provenance(
        promptgrid_version=__version__,
        revision=revision(),
        python=platform.python_version(),
        torch=torch.__version__,
        host=socket.gethostname(),
        device=_device_name(device),
        threads=torch.get_num_threads(),
        speedups=speedups,
        started=started,
        finished=now(),
        pack=pack.key,
    )


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def peak_memory_mb(device: str) -> float:
    """The most that was held: device memory since :func:`forget_peak` on a GPU, else resident memory of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def forget_peak(device: str) -> None:
    """Measure device memory from here on; what a pack takes is not what the one before it took."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


@cache
def revision() -> str:
    """The git revision of a source checkout, empty for an installed wheel; see :func:`revision_of`."""
    return revision_of(Path(__file__).parents[4])


def revision_of(root: Path) -> str:
    """The revision checked out in ``root``, ``+dirty`` where a file of the code differs from it or is not in it.

    Reports, suites and documents make no result: a report that was just written does not make the next run dirty.
    """
    if not (root / ".git").exists():
        return ""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", CODE)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}+dirty" if changed else commit


def _git(root: Path, *asked: str) -> str:
    # A lock that a status takes would be in the way of whoever commits meanwhile.
    ask = ["git", "--no-optional-locks", "-C", str(root), *asked]
    return subprocess.run(ask, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@cache
def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        for line in cpu.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return f"cpu: {line.split(':', 1)[1].strip()}"
    return f"cpu: {platform.machine()}"
