"""How a Ray of our own is started: without Ray, by what is changed around its start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private import ray_constants, services

from promptgrid.cluster.on_ray import start


def test_a_slow_raylet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def slow(*given: Any) -> str:
        asked.append(given)
        if len(asked) < 3:
            raise RuntimeError("no node info yet")
        return "node"

    monkeypatch.setattr(services, "get_node", slow)
    with start.patient(60.0):
        assert services.get_node("address", "id") == "node"
    assert asked == [("address", "id")] * 3
    assert services.get_node is slow
    asked.clear()
    with start.patient(0.0), pytest.raises(RuntimeError, match="no node info yet"):
        services.get_node()


def test_a_start_takes_this_machine_for_one_that_no_other_may_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(start.LOOPBACK, "1")
    before = ray_constants.ENABLE_RAY_CLUSTER
    with start.on_loopback():
        assert (ray_constants.ENABLE_RAY_CLUSTER, os.environ[start.LOOPBACK]) == (False, "0")
    assert (ray_constants.ENABLE_RAY_CLUSTER, os.environ[start.LOOPBACK]) == (before, "1")


def test_a_failed_start_is_tried_again_and_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[dict[str, Any]] = []
    ended: list[Path] = []

    def failing(**how: Any) -> None:
        tries.append(how)
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", failing)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(start, "end_orphans", lambda folder: ended.append(folder))
    with pytest.raises(Exception, match="timed out during startup"):
        start.start_ray(2, tmp_path)
    assert [how["num_cpus"] for how in tries] == [2] * start.STARTS
    assert ended == [tmp_path] * start.STARTS
    assert {how["_temp_dir"] for how in tries} == {str(tmp_path)}
