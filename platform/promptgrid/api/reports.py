"""Reports and results of suites, and two methods side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.api.planning import SuiteLike, as_suite, plan
from promptgrid.api.stores import existing_store, open_store
from promptgrid.spec import Refused
from promptgrid.spec.paths import user_path

if TYPE_CHECKING:
    import pandas as pd

    from promptgrid.leaderboard import ReportPaths
    from promptgrid.leaderboard.analysis.versus import Versus
    from promptgrid.store import Store


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
