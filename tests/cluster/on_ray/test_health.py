"""What is noticed of a Ray that dies, and of machines that come or never do; on paper, with a clock of our own."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from promptgrid.cluster.on_ray.health import SILENCE, UNHEARD, Health, HealthMonitor, machines_of
from promptgrid.cluster.on_ray.orphans import end_orphans, holders
from promptgrid.cluster.on_ray.session import RayDied, Session
from promptgrid.cluster.resources import Machines, Worker
from promptgrid.spec import ClusterLost

ONE = Machines(2.0, nodes=((2.0, 0.0),))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_death_is_told_and_nothing_makes_it_untrue(clock: Clock) -> None:
    answers = [Health(ONE), Health(trouble="its raylet has died"), Health(ONE)]
    health = HealthMonitor(lambda: answers.pop(0), ONE, lambda trouble: None, clock)
    health.look()
    assert health.trouble() == ""
    health.look()
    health.look()
    assert health.trouble() == "its raylet has died"


def test_silence_is_a_death_too(clock: Clock) -> None:
    def nothing() -> Health:
        raise ConnectionError

    health = HealthMonitor(nothing, ONE, lambda trouble: None, clock)
    clock.now += SILENCE
    health.look()
    assert health.trouble() == ""
    clock.now += 1
    assert health.trouble() == f"it has not answered for {SILENCE + 1:.0f} s"


def test_a_death_is_told_by_its_name_where_a_look_hangs_in_the_dead(clock: Clock) -> None:
    told: list[str] = []
    dead = [""]
    health = HealthMonitor(lambda: Health(ONE), ONE, told.append, clock, died=lambda: dead[0])
    health.guard()
    dead[0] = "its GCS has died"  # and no look comes back from now on
    health.guard()
    dead[0] = ""
    clock.now += UNHEARD
    health.guard()
    assert told == ["its GCS has died"], "sooner than its silence, and by its name"


def test_a_driver_that_does_not_ask_is_taken_to_be_stuck(clock: Clock) -> None:
    told: list[str] = []
    health = HealthMonitor(lambda: Health(trouble="its GCS has died"), ONE, told.append, clock)
    health.look()
    health.guard()
    clock.now += UNHEARD
    health.guard()
    health.guard()
    assert told == ["its GCS has died"], "once"


def test_a_driver_that_asks_is_left_alone(clock: Clock) -> None:
    told: list[str] = []
    health = HealthMonitor(lambda: Health(trouble="its GCS has died"), ONE, told.append, clock)
    health.look()
    assert health.trouble()
    clock.now += 10 * UNHEARD
    health.guard()
    assert told == []


def test_both_threads_end_with_the_context() -> None:
    looked = threading.Event()

    def look() -> Health:
        looked.set()
        return Health(ONE)

    with HealthMonitor(look, ONE, lambda trouble: None):
        assert looked.wait(10)
        mine = [thread for thread in threading.enumerate() if thread.name.startswith("health of ray")]
    for thread in mine:
        thread.join(10)
    assert len(mine) == 2
    assert not any(thread.is_alive() for thread in mine)


def test_a_new_machine_is_counted_and_the_memory_of_gpus_kept(clock: Clock) -> None:
    alive = {"NodeID": "a", "Alive": True, "Resources": {"CPU": 1.0, "node:1": 1.0}}
    joined = {"NodeID": "b", "Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}
    gone = {"NodeID": "c", "Alive": False, "Resources": {"CPU": 9.0}}
    assert machines_of([alive, joined, gone]) == Machines(5.0, 1.0, 0.0, ((1.0, 0.0), (4.0, 1.0)))
    health = HealthMonitor(
        lambda: Health(machines_of([alive, joined])), Machines(1.0, 1.0, 8000.0), lambda trouble: None, clock
    )
    health.look()
    assert (health.machines.cpus, health.machines.gpu_memory_mb) == (5.0, 8000.0)
    assert (health.machines.slots(Worker(1), None), health.machines.slots(Worker(1, 1.0), None)) == (5, 1)


def test_no_worker_fits_on_two_halves_of_a_machine() -> None:
    halves = Machines(8.0, nodes=((4.0, 0.0), (4.0, 0.0)))
    assert (halves.fits(Worker(8)), halves.fits(Worker(4)), halves.fits(Worker(3))) == (0, 2, 2)


def test_a_ray_of_our_own_can_be_replaced_and_a_cluster_cannot(clock: Clock) -> None:
    health = HealthMonitor(lambda: Health(trouble="its raylet has died"), ONE, lambda trouble: None, clock)
    Session(ONE, ours=True, health=health).check()
    health.look()
    with pytest.raises(RayDied, match="Ray is gone: its raylet has died"):
        Session(ONE, ours=True, health=health).check()
    with pytest.raises(ClusterLost, match="when there is a cluster at host:6379 again") as lost:
        Session(ONE, ours=True, health=health, address="host:6379").check()
    assert not isinstance(lost.value, RayDied)


def room(clock: Clock, worker: Worker, coming: bool) -> tuple[object, HealthMonitor]:
    from promptgrid.cluster.on_ray.tune import Capacity

    health = HealthMonitor(lambda: Health(ONE), ONE, lambda trouble: None, clock)
    return Capacity(health, worker, lambda: coming, clock), health


def test_a_gpu_that_nobody_has_is_waited_for_half_a_minute(clock: Clock) -> None:
    waiting, _ = room(clock, Worker(1, 1.0), coming=False)
    said = io.StringIO()
    with redirect_stderr(said):
        for _ in range(30):
            waiting.check()  # type: ignore[attr-defined]
            clock.now += 1
        waiting.check()  # type: ignore[attr-defined]
        clock.now += 1
        with pytest.raises(ClusterLost, match="no machine of the cluster has 1 CPU and a GPU, and none has joined in"):
            waiting.check()  # type: ignore[attr-defined]
    assert said.getvalue() == "no machine of the cluster has 1 CPU and a GPU: waiting for one\n"


def test_a_machine_that_is_being_started_is_waited_for(clock: Clock) -> None:
    waiting, health = room(clock, Worker(4), coming=True)
    with redirect_stderr(io.StringIO()):
        for _ in range(10):
            waiting.check()  # type: ignore[attr-defined]
            clock.now += 60
        health.machines = Machines(4.0)
        waiting.check()  # type: ignore[attr-defined]
        health.machines = ONE
        clock.now += 800
        waiting.check()  # type: ignore[attr-defined]
        clock.now += 901
        with pytest.raises(ClusterLost, match="has 4 CPUs"):
            waiting.check()  # type: ignore[attr-defined]


def test_what_holds_a_file_of_a_ray_of_ours_is_ended_and_nothing_else(tmp_path: Path) -> None:
    sleeper = "import sys, time; file = open(sys.argv[1], 'w'); print('open', flush=True); time.sleep(600)"
    (tmp_path / "ours").mkdir()
    inside, outside = (
        subprocess.Popen([sys.executable, "-c", sleeper, str(tmp_path / name)], stdout=subprocess.PIPE)
        for name in ("ours/log.txt", "ours-not.txt")
    )
    try:
        for process in (inside, outside):
            assert process.stdout is not None
            process.stdout.readline()
        with (tmp_path / "ours" / "mine.txt").open("w"):
            assert holders(tmp_path / "ours") == [inside.pid]
            assert end_orphans(tmp_path / "ours") == [inside.pid]
        assert inside.wait(10) == -9
        assert outside.poll() is None
    finally:
        for process in (inside, outside):
            process.kill()
            process.wait()
