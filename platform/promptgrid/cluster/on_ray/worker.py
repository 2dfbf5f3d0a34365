"""The Ray side of a pack: Tune trainables whose process lives through many trials."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from ray import tune

from promptgrid.cluster.workers.failures import sentence
from promptgrid.cluster.workers.work_order import leave, settle_file

REPORT_SECONDS = 1.0
"""A worker tells the driver what it settled this often at most: a report costs some milliseconds."""


class ReusedWorker(tune.Trainable):
    """One trial after another in one process, so that torch, towers and features are loaded once."""

    def setup(self, config: dict[str, Any]) -> None:
        signal.signal(signal.SIGTERM, leave)
        self.begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.begin(new_config)
        return True

    def begin(self, config: dict[str, Any]) -> None:
        """A new trial with this configuration."""
        raise NotImplementedError


class PackWorker(ReusedWorker):
    """A trial is a pack.

    No error of a cell reaches Tune: Tune cannot tell a bug from a lost machine and would try it again.
    """

    def begin(self, config: dict[str, Any]) -> None:
        self._settled = settle_file(Path(config["order"]))

    def step(self) -> dict[str, Any]:
        """Settle cells for about a second; ``done`` when the pack is over, ``trouble`` when it cannot work at all."""
        settled: list[tuple[str, str, float | None]] = []
        until = time.monotonic() + REPORT_SECONDS
        try:
            for one in self._settled:
                settled.append((one.key, one.reason or "", one.took))
                if time.monotonic() >= until:
                    return {"settled": settled, "done": False}
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends the run: see the class
            of_the_store = isinstance(error, OSError)
            return {"settled": settled, "trouble": sentence(error), "of_the_store": of_the_store, "done": True}
        return {"settled": settled, "done": True}
