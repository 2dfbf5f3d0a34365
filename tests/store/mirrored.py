"""A small suite, and what MLflow shows of it."""

from __future__ import annotations

from typing import Any

from promptgrid.spec import Cell, Suite
from promptgrid.store import Store
from promptgrid.store.mirror.mirror import tracking_uri
from promptgrid.store.mirror.mlflow_settings import mlflow_client
from promptgrid.store.mirror.submission import Submission

SUITE = Suite(name="tiny", protocol="few_shot", methods=["coop"], seeds=[1, 2, 3])
Cells = list[tuple[str, Cell]]


def submission(cells: Cells, name: str = "s-1", **changes: Any) -> Submission:
    """One run of :data:`SUITE` over ``cells``."""
    return Submission(name, SUITE, tuple(cells), **changes)


def runs(store: Store, kind: str = "cell", suite: str = "tiny") -> dict[str, Any]:
    """Active runs of the default database by cell key (or submission)."""
    with mlflow_client(tracking_uri(store), store.root / "mlflow.db") as client:
        experiment = client.get_experiment_by_name(suite)
        found = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'", max_results=1000)
        tag = "cell_key" if kind == "cell" else "submission"
        by_key = {run.data.tags[tag]: run for run in found}
        assert len(by_key) == len(found), "a cell has two runs"
        return by_key
