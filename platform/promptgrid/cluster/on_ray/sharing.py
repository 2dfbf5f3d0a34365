"""Whether every machine of a cluster sees the store, asked before anything is run there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from promptgrid.spec import Refused

SECONDS = 60.0
"""How long the machines may take to look; one that is slower is taken to see it."""


def refuse_unshared(root: Path) -> None:
    """Refuse a store that a machine of the connected cluster does not see: its cells would be lost there.

    Raises:
        Refused: it names the machines.
    """
    probe = root / f".shared-{secrets.token_hex(8)}"
    root.mkdir(parents=True, exist_ok=True)
    probe.touch()
    try:
        blind = blind_hosts(_seen(probe))
    finally:
        probe.unlink(missing_ok=True)
    if blind:
        raise Refused(
            f"{len(blind)} machines of the cluster do not see the store: {', '.join(blind[:4])}",
            where="--store",
            got=str(root),
            expected="a folder that all of them share",
        )


def blind_hosts(seen: Mapping[str, bool]) -> list[str]:
    """Hosts that looked and did not find the probe, by name."""
    return sorted(host for host, found in seen.items() if not found)


def _seen(probe: Path) -> dict[str, bool]:
    """{host: whether it sees ``probe``} of other machines than this one, as far as they answered in time."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    looked = ray.remote(num_cpus=0)(_looks)
    here = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    asked = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"] and node["NodeManagerAddress"] != here:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[looked.options(scheduling_strategy=there).remote(str(probe))] = str(node["NodeManagerHostname"])
    if not asked:
        return {}
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=SECONDS)
    seen = {}
    for answer in done:
        try:
            seen[asked[answer]] = bool(ray.get(answer))
        except ray.exceptions.RayError:  # a machine that left meanwhile: the run will notice
            continue
    return seen


def _looks(probe: str) -> bool:
    import os

    return os.path.exists(probe)
