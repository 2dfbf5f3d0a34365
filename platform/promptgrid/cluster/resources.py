"""What one worker reserves of a machine: CPUs, and a share of a GPU where there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promptgrid.spec import Machine, Pack

CONTEXT_MB = 700.0
"""Memory that a process takes on a GPU before its first tensor."""
SHARES = (1.0, 0.5, 0.25, 0.125)
"""Shares of a GPU that are booked. Few, because workers are only reused among packs of one share."""


@dataclass(frozen=True)
class Worker:
    """A resource class: what each worker of a pack books."""

    cpus: int = 1
    gpu: float = 0.0

    @property
    def device(self) -> str:
        """Where its packs run."""
        return "cuda" if self.gpu else "cpu"

    def __str__(self) -> str:
        gpu = " and a GPU" if self.gpu == 1 else f" and {self.gpu:g} of a GPU" if self.gpu else ""
        return f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}{gpu}"


@dataclass(frozen=True)
class Machines:
    """What a cluster offers.

    Attributes:
        cpus: in all.
        gpus: in all.
        gpu_memory_mb: megabytes of memory of one GPU.
        nodes: (CPUs, GPUs) of each machine; one machine where nothing is said.
    """

    cpus: float
    gpus: float = 0.0
    gpu_memory_mb: float = 0.0
    nodes: tuple[tuple[float, float], ...] = ()

    def kind(self, device: str = "auto") -> Machine:
        """What packs run on: a GPU where there is one or ``device`` says ``cuda``, a CPU otherwise."""
        return "cuda" if device == "cuda" or (device == "auto" and self.gpus) else "cpu"

    def worker(self, pack: Pack, threads: int, device: str = "auto") -> Worker:
        """The class of ``pack``: the smallest share of a GPU that holds it; a whole one when its need is unknown.

        No GPU on ``cpu``, nor on ``auto`` where the cluster has none; ``cuda`` waits for one that may yet join.
        """
        if self.kind(device) == "cpu":
            return Worker(threads)
        if not pack.gpu_memory_mb or not self.gpu_memory_mb:
            return Worker(threads, 1.0)
        need = (pack.gpu_memory_mb + CONTEXT_MB) / self.gpu_memory_mb
        return Worker(threads, min((share for share in SHARES if share >= need), default=1.0))

    def slots(self, worker: Worker, asked: int | None) -> int:
        """How many workers of a class to ask for: what fits now, or what the user says (the cluster may grow)."""
        return asked or max(1, self.fits(worker))

    def fits(self, worker: Worker) -> int:
        """How many workers of a class there is room for now, when nothing else runs."""
        return sum(_fits(worker, cpus, gpus) for cpus, gpus in self.nodes or ((self.cpus, self.gpus),))


def _fits(worker: Worker, cpus: float, gpus: float) -> int:
    fit = math.floor(cpus / worker.cpus)
    return min(fit, math.floor(gpus) * round(1 / worker.gpu)) if worker.gpu else fit


def present(device: str) -> Machine:
    """What ``device`` means in this process; ``auto``: a GPU where it sees one."""
    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if device == "cuda" else "cpu"
