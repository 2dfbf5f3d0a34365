"""The Python face: plan, run and report suites, load results, use what a cell learned."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrid.spec import Record, Refused, Suite, read_suite
from promptgrid.spec.paths import user_path
from promptgrid.spec.suite import parse_suite

if TYPE_CHECKING:
    import pandas as pd

    from promptgrid.cluster import Plan, RunSummary
    from promptgrid.cluster.search.run import SearchSummary
    from promptgrid.cluster.status import Status
    from promptgrid.cluster.without_data import UnseenPlan
    from promptgrid.leaderboard import ReportPaths
    from promptgrid.leaderboard.analysis.versus import Versus
    from promptgrid.spec.search import SearchEntry
    from promptgrid.store import Store, VerifyReport

_log = logging.getLogger(__name__)
SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray sets in the environment of a submitted job's command."""
SuiteLike = Suite | str | Path | Mapping[str, Any]


def default_store() -> Path:
    """``$PROMPTGRID_STORE``, or ``.promptgrid/store`` in the current folder.

    A job that Ray runs stands in a copy of the folder that goes away with the cluster: there it is
    ``~/.promptgrid/store``, so that nothing is lost.
    """
    named = os.environ.get("PROMPTGRID_STORE")
    home = Path.home() if SUBMITTED in os.environ else Path()
    return Path(named) if named else home / ".promptgrid" / "store"


def open_store(store: Store | str | Path | None = None) -> Store:
    """The store at ``store``, by default :func:`default_store`.

    Raises:
        Refused: it is no folder and cannot become one.
    """
    from promptgrid.store import Store
    from promptgrid.store.files.writable import refuse_unusable

    if isinstance(store, Store):
        return store
    where = "--store" if store is not None else "$PROMPTGRID_STORE" if "PROMPTGRID_STORE" in os.environ else "the store"
    found = Store(user_path(store if store is not None else default_store(), where))
    refuse_unusable(found.root, where)
    return found


def existing_store(store: Store | str | Path | None = None) -> Store:
    """The store at ``store``, as :func:`open_store`, where there is one.

    Raises:
        Refused: nothing is there, or something else.
    """
    found = open_store(store)
    if not found.exists():
        what = "is no folder" if found.root.exists() and not found.root.is_dir() else "holds no store"
        raise Refused(f"{found.root} {what}", where="--store", hint="`promptgrid run SUITE` makes one; nothing has run")
    return found


def as_suite(suite: SuiteLike) -> Suite:
    """A suite from a file, a mapping, or itself.

    Raises:
        Refused: see :func:`promptgrid.spec.read_suite`.
    """
    if isinstance(suite, Suite):
        return suite
    return parse_suite(dict(suite), "suite") if isinstance(suite, Mapping) else read_suite(suite)


def plan(suite: SuiteLike, store: Store | str | Path | None = None, *, retry_failed: bool = False) -> Plan:
    """What ``suite`` asks for, what the store has of it, and the packs that are left."""
    from promptgrid.api.reporting import imported_results
    from promptgrid.cluster import make_plan
    from promptgrid.cluster.search.search import make_search

    chosen = as_suite(suite)
    if chosen.imported is not None:
        imported_results(chosen)  # refuses folders that hold none
    if chosen.search is not None:
        make_search(chosen, open_store(store))  # refuses a space that does not fit
    return make_plan(chosen, open_store(store), retry_failed=retry_failed)


def plan_without_data(suite: SuiteLike) -> UnseenPlan:
    """What ``suite`` would take on a GPU, by published sizes: no folder is opened and no store is read.

    Raises:
        Refused: the suite asks for what does not exist, or for data of which nothing is published.
    """
    from promptgrid.cluster.without_data import plan_without_data as planned

    return planned(as_suite(suite))


def verify(suite: SuiteLike | None = None, store: Store | str | Path | None = None) -> VerifyReport:
    """Read every file of the store again, or of the cells of ``suite``; what is damaged goes to quarantine.

    Raises:
        Refused: there is no store.
    """
    from promptgrid import catalog
    from promptgrid import store as kept
    from promptgrid.cluster.planner import requests_of

    found = existing_store(store)
    if suite is None:
        return kept.verify(found)
    chosen = as_suite(suite)
    track = catalog.track(chosen.track)
    return kept.verify(found, (cell.key for cell in track.resolve([asked for _, asked in requests_of(chosen, track)])))


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


def search_entry(suite: SuiteLike, *, ensemble: bool | None = None) -> SearchEntry:
    """Budget and selection that a search of ``suite`` has. Raises Refused as :func:`search`."""
    from promptgrid.cluster.search.search import entry_of

    return entry_of(as_suite(suite), ensemble=ensemble)


def status(suite: SuiteLike | Plan, store: Store | str | Path | None = None) -> Status:
    """How far ``suite`` (or a plan of it, made earlier) is in ``store``."""
    from promptgrid.cluster import Plan
    from promptgrid.cluster.status import status_of

    found = open_store(store)
    return status_of(suite if isinstance(suite, Plan) else plan(suite, found), found)


def report(
    suite: SuiteLike,
    store: Store | str | Path | None = None,
    out: str | Path | None = None,
    *,
    mlflow: bool = True,
    examples: bool = True,
) -> ReportPaths:
    """Write the leaderboard of ``suite`` into ``out`` (default ``results/<name>``).

    ``examples``: whether the page holds small forms of test examples, made from the data where it is here.

    Where its records are mirrored to MLflow, page and leaderboard become artifacts of its latest submission there.

    Raises:
        Refused: none of its cells has finished or failed yet.
    """
    from promptgrid.api.reporting import report_input, with_transfer
    from promptgrid.leaderboard import write_report
    from promptgrid.store.files.writable import refuse_unusable, refuse_unwritable
    from promptgrid.store.mirror.report import attach_report, is_mirrored

    chosen = as_suite(suite)
    source = str(suite) if isinstance(suite, str | Path) else f"suites/{chosen.name}.yaml"
    found = open_store(store)
    folder = user_path(out, "--out") if out is not None else Path("results") / chosen.name
    refuse_unusable(folder.absolute(), "--out", to_write=True)
    given = report_input(plan(chosen, found), found, f"promptgrid run {source}", examples=examples)
    if not given.records and not given.failures:
        raise Refused("nothing of this suite has run yet", where=chosen.name, got=str(found.root), hint=given.command)
    refuse_unwritable(folder.absolute(), "--out")
    paths = write_report(with_transfer(given, found), folder)
    if mlflow and is_mirrored(found):
        attach_report(found, chosen.name, [paths.html, paths.leaderboard_csv])
    return paths


def index(folder: str | Path) -> Path:
    """Write ``index.html`` over the reports in ``folder`` and the folders in it.

    Raises:
        Refused: there are none, or the folder cannot be written.
    """
    from promptgrid.leaderboard.overview import write_index
    from promptgrid.store.files.writable import refuse_unwritable

    found = user_path(folder, "--index")
    refuse_unwritable(found.absolute(), "--index")
    return write_index(found)


def compare(
    first: str | Path,
    second: str | Path,
    suite: SuiteLike | None = None,
    store: Store | str | Path | None = None,
    *,
    shots: int | None = None,
    backbone: str | None = None,
) -> Versus:
    """Two methods of ``suite``, two suites, or ``suite`` in two stores, on the cells they have in common.

    Args:
        first: a row's label or its method; a suite file; the folder of a store.
        second: the same of the other side.
        suite: of two methods or two stores.
        store: of two methods or two suites, as everywhere.
        shots: where there are several.
        backbone: where there are several.

    Raises:
        Refused: nothing is called so, or the two have nothing in common.
    """
    from promptgrid.api.comparing import Side, compared, is_suite

    names = str(first), str(second)
    if all(map(is_suite, names)):
        found = existing_store(store)
        sides = [Side(name, plan(name, found), found) for name in names]
    elif suite is None:
        raise Refused("which suite", where="--suite", got="none", expected="the suite of the two methods or stores",
                      hint="two suite files need none")  # fmt: skip
    elif all(Path(name).is_dir() for name in names):
        stores = [existing_store(name) for name in names]
        sides = [Side(name, plan(suite, own), own) for name, own in zip(names, stores, strict=True)]
    else:
        found = existing_store(store)
        planned = plan(suite, found)
        sides = [Side(name, planned, found, label=name) for name in names]
    return compared(*sides, shots=shots, backbone=backbone)


def results(suite: SuiteLike, store: Store | str | Path | None = None) -> pd.DataFrame:
    """The long-form results of ``suite``: one row per cell and metric, failed and missing cells included."""
    from promptgrid.api.reporting import report_input
    from promptgrid.leaderboard import results_frame

    found = open_store(store)
    return results_frame(report_input(plan(suite, found), found, ""))


def load_results(path: str | Path) -> pd.DataFrame:
    """Results as a DataFrame, from a report folder, a ``results.parquet``, or a store (all its finished cells).

    Raises:
        Refused: there is nothing of that kind at ``path``.
    """
    from promptgrid.leaderboard import store_frame
    from promptgrid.spec.parquet import read_frame
    from promptgrid.store import Store

    where = user_path(path)
    if where.is_file():
        try:
            return read_frame(where)
        except ValueError as error:  # Arrow's errors are ones
            raise Refused(f"not Parquet: {error}", where=str(path), expected="a results.parquet") from error
    if (where / "results.parquet").is_file():
        return read_frame(where / "results.parquet")
    if (where / "records").is_dir():
        return store_frame(Store(where).records())
    raise Refused("no results there", where=str(path), expected="a report folder, a results.parquet, or a store")


def load_method(
    record: Record | str, store: Store | str | Path | None = None, device: str = "cpu", *, any_dataset: bool = False
) -> Any:
    """What a cell learned, ready to be used: see the track's ``restore`` (``classify``, ``logits``, ``rebind``).

    Its class names were kept with it, so no dataset is needed. Where the dataset is there and has other classes by now,
    that is said, because answers in the names of then would be taken for those of now.

    Args:
        record: a record, a cell key, or the beginning of one.
        store: where the record's state is.
        device: a torch device.
        any_dataset: go on with the classes that were learned, whatever the dataset has become.

    Raises:
        Refused: no finished cell has that key, or more than one begins so; what it learned was not kept; the dataset's
            classes or the backbone (architecture, tokenizer, preprocessing, weights) are not those of the record,
            naming what differs.
    """
    from promptgrid import catalog
    from promptgrid.spec.devices import refuse_no_gpu

    if device.startswith("cuda"):
        refuse_no_gpu("load_method")
    found = open_store(store)
    key = record.cell.key if isinstance(record, Record) else whole_key(record, found)
    whole, about = found.read(key), found.about(key)
    if not about:
        raise Refused("this cell was kept by an earlier version, whose states do not say their classes",
                      where="load_method", got=key[:12], hint="run the cell again")  # fmt: skip
    if whole.cell.members:
        raise Refused(f"this cell is an ensemble of {len(whole.cell.members)} models", where="load_method",
                      got=key[:12], hint=f"load one of them: {', '.join(need[:12] for need in whole.cell.needs[:4])}"
                      f"{', ...' if len(whole.cell.needs) > 4 else ''}")  # fmt: skip
    learned_by = whole.cell.needs[0] if whole.cell.reading == "evaluate" else key
    if (size := found.left_out(learned_by)) is not None:
        raise Refused(f"what this cell learned ({size:g} MB) was not kept: its suite bounds states",
                      where="load_method", got=key[:12],
                      hint="write `states: all` into the suite and run it again")  # fmt: skip
    track = catalog.track(whole.cell.track)
    if not any_dataset and (other := track.differs(whole, about)):
        raise Refused(f"the dataset is not what this was learned on: {'; '.join(other[:6])}", where=whole.cell.dataset,
                      hint="run the cell again, or load_method(..., any_dataset=True)")  # fmt: skip
    return track.restore(whole, found.state(learned_by), about, device)


def whole_key(beginning: str, store: Store, where: str = "load_method") -> str:
    """The key of the one finished cell whose key begins so. Raises Refused where there is none, or several."""
    keys = [key for key in list(store.keys()) if key.startswith(beginning)]
    if len(keys) != 1:
        problem = f"{len(keys)} finished cells have a key that begins so"
        raise Refused(problem, where=where, got=beginning, expected="exactly one")
    return keys[0]
