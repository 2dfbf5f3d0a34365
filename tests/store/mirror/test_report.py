"""The report in MLflow: beside the latest submission, and never at a report's expense."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.mirrored import Cells, runs, submission

from promptgrid.store import Store
from promptgrid.store.mirror.mirror import sync, tracking_uri
from promptgrid.store.mirror.mlflow_settings import mlflow_client
from promptgrid.store.mirror.report import attach_report, is_mirrored


def test_the_report_is_an_artifact_of_the_latest_submission(store: Store, cells: Cells, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("first")
    assert attach_report(store, "none such", [page]) == ""
    sync(store, submission(cells[:1]))
    sync(store, submission(cells, "s-2"))
    for text in ("first", "second"):
        page.write_text(text)
        assert attach_report(store, "tiny", [page]) == ""
    parent = runs(store, "submission")["s-2"]
    with mlflow_client(tracking_uri(store), store.root / "mlflow.db") as client:
        (listed,) = client.list_artifacts(parent.info.run_id, "report")
        kept = client.download_artifacts(parent.info.run_id, listed.path, str(tmp_path))
    assert Path(kept).read_text() == "second"


def test_a_dead_mlflow_costs_no_report(store: Store, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_mirrored(Store(store.root / "another"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert is_mirrored(store)
    assert attach_report(store, "tiny", [store.root / "x.html"]) != ""
