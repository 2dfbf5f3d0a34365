"""The process of the plain runner: work orders come in on one pipe, settled cells go out on another."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from promptgrid.cluster.workers.failures import sentence
from promptgrid.cluster.workers.work_order import settle_file


def main(orders: int, answers: int) -> None:
    """Run every order whose path comes in on ``orders``, until that is closed: the driver is gone then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on the terminal is for the driver to deal with
    for handle in (orders, answers):
        os.set_inheritable(handle, False)
    paths: queue.SimpleQueue[Path] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, paths), name="orders", daemon=True).start()
    while True:
        path = paths.get()
        try:
            for one in settle_file(path):
                _say(answers, {"settled": [one.key, one.reason or "", one.took]})
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends the run
            _say(answers, {"trouble": sentence(error), "of_the_store": isinstance(error, OSError)})
        else:
            _say(answers, {"over": True})


def _listen(orders: int, paths: queue.SimpleQueue[Path]) -> None:
    with os.fdopen(orders) as lines:
        for line in lines:
            paths.put(Path(line.rstrip("\n")))
    os._exit(0)  # commits are atomic, so any moment is a good one


def _say(answers: int, what: dict[str, Any]) -> None:
    os.write(answers, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
