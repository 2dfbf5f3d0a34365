"""The report of a suite in MLflow: files of the run that stands for its latest submission."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from promptgrid.store.mirror.mirror import mirror_lock, problem_of, tracking_uri
from promptgrid.store.mirror.mlflow_settings import mlflow_client
from promptgrid.store.records import Store

_log = logging.getLogger(__name__)
FOLDER = "report"
"""Where in the artifacts of the run."""


def is_mirrored(store: Store) -> bool:
    """Whether there is an MLflow to tell: a server that the environment names, or the file in the store."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (store.root / "mlflow.db").is_file()


def attach_report(store: Store, suite: str, files: Sequence[Path], patience: float = 10.0) -> str:
    """Put ``files`` beside the latest submission of ``suite``, over earlier ones; nothing where it has none.

    Returns:
        What went wrong, in one line that is logged too; '' where nothing did. Never raises for MLflow's sake.
    """
    uri = tracking_uri(store)
    try:
        with mirror_lock(store.root, patience), mlflow_client(uri, store.root / "mlflow.db") as client:
            experiment = client.get_experiment_by_name(suite)
            if experiment is None:
                return ""
            latest = client.search_runs(
                [experiment.experiment_id],
                "tags.kind = 'submission'",
                max_results=1,
                order_by=["attributes.start_time DESC"],
            )
            for run in latest:
                for file in files:
                    client.log_artifact(run.info.run_id, str(file), FOLDER)
    except Exception as error:  # noqa: BLE001 - whatever MLflow raises must not cost a report
        _log.warning("MLflow was not given the report: %s", problem_of(error))
        return problem_of(error)
    return ""
