from __future__ import annotations

from promptgrid.cluster.on_ray.sharing import blind_hosts


def test_machines_that_looked_in_vain_are_named() -> None:
    assert blind_hosts({"c": False, "a": True, "b": False}) == ["b", "c"]
    assert blind_hosts({"a": True}) == []
