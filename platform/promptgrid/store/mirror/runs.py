"""Writes runs into MLflow: through its client one by one, or straight into its SQLite file many at once.

The client takes 20 to 40 ms of CPU a run, nearly all of it in one object a value. Into a file of this machine the same
rows are written directly, in one transaction: 1 to 2 ms a run. Tests hold both ways to the same outcome.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from promptgrid.store.mirror.run_text import RunText

_METRICS, _PARAMS = 800, 100  # MLflow takes at most 1,000 metrics, params and tags in one call, 100 of them params
_COLUMNS = {
    "runs": "run_uuid name source_type source_name entry_point_name user_id status start_time end_time deleted_time "
    "source_version lifecycle_stage artifact_uri experiment_id",
    "tags": "key value run_uuid",
    "params": "key value run_uuid",
    "metrics": "key value timestamp step is_nan run_uuid",
    "latest_metrics": "key value timestamp step is_nan run_uuid",
}
"""The tables as they have been since MLflow 1.30; where a version has others, the client is used."""
DIGEST = "mirror_digest"


@dataclass(frozen=True)
class Draft:
    """A run to be written: ``tags`` come on top of those of ``text``; ``digest`` tells whether it is up to date."""

    text: RunText
    tags: dict[str, str]
    digest: str

    @property
    def started(self) -> int:
        """Milliseconds since 1970."""
        return self.text.started or self.ended

    @property
    def ended(self) -> int:
        """Milliseconds since 1970; the present where the record does not say."""
        return self.text.ended or self.text.started or int(time.time() * 1000)


@dataclass(frozen=True)
class Known:
    """A run that MLflow has: ``digest`` is empty where it was cut off."""

    run: str
    cell: str
    digest: str


class ClientRuns:
    """Runs of one experiment, through MLflow's client."""

    batches = False
    """Whether :meth:`write` is faster with many drafts at once."""

    def __init__(self, client: Any, experiment: str) -> None:
        self._client, self._experiment = client, experiment

    def known(self) -> list[Known]:
        """Every run of a cell."""
        found, token = [], None
        while True:
            page = self._client.search_runs(
                [self._experiment], "tags.kind = 'cell'", max_results=1000, page_token=token
            )
            for run in page:
                whole = run.info.status in {"FINISHED", "FAILED"}
                tags = run.data.tags
                found.append(Known(run.info.run_id, tags.get("cell_key", ""), tags.get(DIGEST, "") if whole else ""))
            token = page.token
            if not token:
                return found

    def write(self, drafts: Sequence[Draft]) -> list[str]:
        """Write ``drafts``; their run ids."""
        return [self._write(draft) for draft in drafts]

    def delete(self, runs: Iterable[str]) -> None:
        """Mark ``runs`` as deleted."""
        for run in runs:
            self._client.delete_run(run)

    def _write(self, draft: Draft) -> str:
        """The digest is the last thing logged: a run without it was cut off, and is replaced."""
        from mlflow.entities import Metric, Param, RunTag

        text = draft.text
        made = self._client.create_run(self._experiment, draft.started, {**draft.tags, **text.tags}, text.name)
        run = str(made.info.run_id)
        params = [Param(name, value) for name, value in text.params.items()]
        metrics = [Metric(point.name, point.value, draft.ended, point.step) for point in text.points]
        while len(metrics) > _METRICS or len(params) > _PARAMS:
            self._client.log_batch(run, metrics[:_METRICS], params[:_PARAMS])
            metrics, params = metrics[_METRICS:], params[_PARAMS:]
        self._client.log_batch(run, metrics, params, [RunTag(DIGEST, draft.digest)])
        self._client.set_terminated(run, text.status, draft.ended)
        return run


class FileRuns(ClientRuns):
    """Runs of one experiment in a SQLite file: many in one transaction, so none is ever cut off."""

    batches = True

    def __init__(self, client: Any, experiment: str, engine: Any) -> None:
        super().__init__(client, experiment)
        self._engine = engine
        self._place = str(client.get_experiment(experiment).artifact_location).rstrip("/")

    def known(self) -> list[Known]:
        import sqlalchemy as sql

        query = sql.text(
            "select r.run_uuid, r.status, c.value, d.value from runs r "
            "join tags k on k.run_uuid = r.run_uuid and k.key = 'kind' and k.value = 'cell' "
            "left join tags c on c.run_uuid = r.run_uuid and c.key = 'cell_key' "
            "left join tags d on d.run_uuid = r.run_uuid and d.key = :digest "
            "where r.experiment_id = :experiment and r.lifecycle_stage = 'active'"
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query, {"experiment": int(self._experiment), "digest": DIGEST}).all()
        whole = {"FINISHED", "FAILED"}
        return [Known(run, cell or "", (seen or "") if status in whole else "") for run, status, cell, seen in rows]

    def write(self, drafts: Sequence[Draft]) -> list[str]:
        runs = [uuid.uuid4().hex for _ in drafts]
        rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _COLUMNS}
        for run, draft in zip(runs, drafts, strict=True):
            self._add(rows, run, draft)
        tables = _tables()
        with self._engine.begin() as connection:
            for name, listed in rows.items():
                if listed:
                    connection.execute(tables[name].insert(), listed)
        return runs

    def _add(self, rows: dict[str, list[dict[str, Any]]], run: str, draft: Draft) -> None:
        text, own = draft.text, {"run_uuid": run}
        rows["runs"].append(
            own
            | {"name": text.name, "status": text.status, "start_time": draft.started, "end_time": draft.ended}
            | {"source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "source_version": ""}
            | {"user_id": "unknown", "lifecycle_stage": "active", "deleted_time": None}
            | {"artifact_uri": f"{self._place}/{run}/artifacts", "experiment_id": int(self._experiment)}
        )
        tags = {**draft.tags, **text.tags, "mlflow.runName": text.name, DIGEST: draft.digest}
        rows["tags"] += [own | {"key": key, "value": value} for key, value in tags.items()]
        rows["params"] += [own | {"key": key, "value": value} for key, value in text.params.items()]
        points: list[dict[str, Any]] = [
            own
            | {"key": point.name, "value": point.value, "step": point.step, "timestamp": draft.ended, "is_nan": False}
            for point in text.points
        ]
        rows["metrics"] += points
        rows["latest_metrics"] += {row["key"]: row for row in points}.values()  # points of a name come by step


def runs_of(client: Any, uri: str, experiment: str) -> ClientRuns:
    """The fastest way to the runs of ``experiment`` that ``uri`` allows."""
    engine = getattr(getattr(getattr(client, "_tracking_client", None), "store", None), "engine", None)
    if uri.startswith(("sqlite:", "sqlite+")) and engine is not None and _as_expected():
        return FileRuns(client, experiment, engine)
    return ClientRuns(client, experiment)


def _tables() -> dict[str, Any]:
    from mlflow.store.tracking.dbmodels import models

    kinds: list[Any] = [models.SqlRun, models.SqlTag, models.SqlParam, models.SqlMetric, models.SqlLatestMetric]
    return {kind.__tablename__: kind.__table__ for kind in kinds}


def _as_expected() -> bool:
    try:
        tables = _tables()
    except (ImportError, AttributeError):  # a version of MLflow that keeps its tables elsewhere
        return False
    found = {name: {column.name for column in table.columns} for name, table in tables.items()}
    return found == {name: set(columns.split()) for name, columns in _COLUMNS.items()}
