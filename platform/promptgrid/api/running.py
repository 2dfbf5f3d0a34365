"""Running what is missing of a suite, and searching its knobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.api.planning import SuiteLike, as_suite, plan
from promptgrid.api.reports import results
from promptgrid.api.stores import open_store

if TYPE_CHECKING:
    import pandas as pd

    from promptgrid.cluster import Plan, RunSummary
    from promptgrid.cluster.search.run import SearchSummary
    from promptgrid.store import Store


def run(
    suite: SuiteLike,
    store: Store | str | Path | None = None,
    *,
    local: bool = False,
    workers: int | None = None,
    address: str | None = None,
    retry_failed: bool = False,
    mlflow: bool = True,
    stall_limit: float | None = None,
) -> pd.DataFrame:
    """Run what is missing of ``suite`` and return its results, one row per cell and metric.

    Args:
        suite: a path to a suite file, a mapping with the same keys, or a Suite.
        store: folder of the records; cells found there are not run again.
        local: run in one process beside this one, one pack after the other, instead of on Ray Tune.
        workers: worker processes on this machine (default: one a core).
        address: an existing Ray cluster.
        retry_failed: run cells again whose failure is final.
        mlflow: mirror the records to MLflow (``MLFLOW_TRACKING_URI``, else a file in the store).
        stall_limit: seconds without a sign of life after which a worker is ended (default: the suite's, or half an
            hour).

    Raises:
        Refused: the suite cannot run; nothing was started.
    """
    planned = plan(suite, store, retry_failed=retry_failed)
    execute(planned, store, local=local, workers=workers, address=address, mlflow=mlflow, stall_limit=stall_limit)
    return results(suite, store)


def execute(
    planned: Plan,
    store: Store | str | Path | None = None,
    *,
    local: bool = False,
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    threads: int = 1,
    mlflow: bool = True,
    stall_limit: float | None = None,
) -> RunSummary:
    """Run the packs of a plan: on Ray Tune, or in one process beside this one with ``local``."""
    from promptgrid.cluster import Options
    from promptgrid.cluster import execute as run_plan

    options = Options(threads=threads, device=device, mirror=mlflow, stall_seconds=stall_limit)
    return run_plan(planned, open_store(store), local=local, workers=workers, address=address, options=options)


def search(
    suite: SuiteLike,
    store: Store | str | Path | None = None,
    *,
    trials: int | None = None,
    algorithm: str | None = None,
    seed: int | None = None,
    one_setting: bool | None = None,
    ensemble: bool | None = None,
    local: bool = False,
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    threads: int = 1,
    mlflow: bool = True,
    retry_failed: bool = False,
    stall_limit: float | None = None,
) -> SearchSummary:
    """Search the knobs of every method of ``suite`` on validation examples, then test what was chosen.

    Args:
        suite: as for :func:`run`; its key ``search`` gives the defaults of the next five.
        store: folder of the records; cells found there are not run again.
        trials: configurations of each method, the written one among them.
        algorithm: ``random``, ``optuna``, ``asha`` or ``pbt``.
        seed: names the lists of configurations.
        one_setting: choose one configuration for all datasets, not one for each.
        ensemble: choose nothing and read no validation example; the models of all draws answer together.
        local: run in one process beside this one, without Ray; ``random`` only.
        workers: worker processes on this machine (default: one a core).
        address: an existing Ray cluster.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: threads of torch in each worker.
        mlflow: mirror the records to MLflow.
        retry_failed: run cells again whose failure is final.
        stall_limit: as for :func:`run`.

    Raises:
        Refused: the suite cannot be searched; nothing was started.
    """
    from promptgrid.cluster import Options
    from promptgrid.cluster.search.run import run_search
    from promptgrid.cluster.search.search import entry_of, make_search

    chosen = as_suite(suite)
    entry = entry_of(chosen, trials=trials, algorithm=algorithm, seed=seed, one_setting=one_setting, ensemble=ensemble)
    return run_search(
        make_search(chosen, open_store(store), entry),
        local=local,
        workers=workers,
        address=address,
        options=Options(threads=threads, device=device, mirror=mlflow, stall_seconds=stall_limit),
        retry_failed=retry_failed,
    )
