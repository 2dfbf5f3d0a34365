from __future__ import annotations

import pytest

from promptgrid.cluster.resources import Machines, Worker
from promptgrid.spec import Pack

GPUS = Machines(cpus=16, gpus=2, gpu_memory_mb=80_000)


@pytest.mark.parametrize(("need", "share"), [(0, 1.0), (9_000, 0.125), (12_000, 0.25), (39_000, 0.5), (90_000, 1.0)])
def test_a_pack_books_the_smallest_share_that_holds_it(need: float, share: float) -> None:
    assert GPUS.worker(Pack((), gpu_memory_mb=need), threads=1) == Worker(1, share)


def test_without_a_gpu_a_pack_books_cpus() -> None:
    assert Machines(cpus=4).worker(Pack((), gpu_memory_mb=9_000), threads=2) == Worker(2)
    assert GPUS.worker(Pack((), gpu_memory_mb=9_000), threads=1, device="cpu") == Worker(1)


def test_asking_for_cuda_waits_for_a_gpu_to_join() -> None:
    assert Machines(cpus=4).worker(Pack(()), threads=1, device="cuda").gpu == 1.0


@pytest.mark.parametrize(
    ("worker", "slots"), [(Worker(1), 16), (Worker(3), 5), (Worker(1, 0.25), 8), (Worker(4, 0.125), 4), (Worker(64), 1)]
)
def test_slots_are_what_fits(worker: Worker, slots: int) -> None:
    assert GPUS.slots(worker, None) == slots


def test_the_user_may_ask_for_more_than_fits_now() -> None:
    assert GPUS.slots(Worker(1), 40) == 40
    assert GPUS.slots(Worker(1), 1) == 1


def test_the_device_follows_from_the_booking() -> None:
    assert (Worker(1).device, Worker(1, 0.5).device) == ("cpu", "cuda")


@pytest.mark.parametrize(
    ("machines", "device", "kind"),
    [
        (GPUS, "auto", "cuda"),
        (GPUS, "cpu", "cpu"),
        (Machines(cpus=4), "auto", "cpu"),
        (Machines(cpus=4), "cuda", "cuda"),
    ],
)
def test_packs_are_made_for_what_they_run_on(machines: Machines, device: str, kind: str) -> None:
    assert machines.kind(device) == kind
