"""Checks before a run starts: the store can be written, the cluster answers, the device is there."""

from __future__ import annotations

from pathlib import Path

from promptgrid.cluster.on_ray.address import is_own, named, wants_token
from promptgrid.spec import Refused
from promptgrid.spec.devices import refuse_no_gpu
from promptgrid.store.files.writable import refuse_unwritable

MOST_WORKERS, MOST_THREADS = 100_000, 4096


def refuse_counts(workers: int | None, threads: int) -> None:
    """Refuse more workers or threads than any machine takes, and fewer than one.

    Raises:
        Refused: see above.
    """
    for flag, number, most in (("--workers", workers, MOST_WORKERS), ("--threads", threads, MOST_THREADS)):
        if number is not None and not 1 <= number <= most:
            raise Refused("too few or too many", where=flag, got=number, expected=f"1 to {most:,}")


def admit(root: Path, address: str | None, *, local: bool, device: str, writes: bool) -> None:
    """Refuse a run that could not keep, reach or compute what it is asked for.

    Args:
        root: the store.
        address: a running Ray cluster; None for our own, or the one that ``RAY_ADDRESS`` names.
        local: without Ray.
        device: ``auto``, ``cpu`` or ``cuda``.
        writes: whether cells are left to run.

    Raises:
        Refused: the store cannot be written, nobody answers at the address, or there is no GPU here.
    """
    if not writes:
        return
    if not local:
        wants_token(*named(address))  # refuses an address where no cluster answers
    if device == "cuda" and (local or is_own(address)):
        refuse_no_gpu("--device")
    refuse_unwritable(root, "--store")
