"""The plain runner: the same packs, in the same order of precedence, one after the other in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptgrid.cluster.run_pack import PackRun

if TYPE_CHECKING:
    from promptgrid.cluster.dispatch import Dispatcher
    from promptgrid.contract import Track
    from promptgrid.store import Store

_HERE = "this process"


def run_local(dispatcher: Dispatcher, store: Store, track: Track, *, threads: int, device: str) -> None:
    """Run every pack of ``dispatcher`` here, on ``threads`` threads of torch and ``device``: cpu or cuda.

    Raises:
        OSError: the store cannot be written.
    """
    import torch

    from promptgrid.store import FeatureCache

    run = PackRun(track, store, FeatureCache(store.root), device, progress=lambda done: dispatcher.board.tick())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        while (pack := dispatcher.take(_HERE)) is not None:
            for settled in run.run(pack):
                dispatcher.settle(_HERE, settled)
            dispatcher.over(_HERE)
    finally:
        torch.set_num_threads(before)
