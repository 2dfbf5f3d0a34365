import json
import math

import pandas as pd

from promptgrid.leaderboard import results_frame, store_frame, write_report
from promptgrid.leaderboard.files.export import export_report

COLUMNS = [
    "cell_key",
    "suite",
    "protocol",
    "method",
    "settings",
    "backbone",
    "dataset",
    "shots",
    "seed",
    "metric",
    "value",
    "status",
    "reason",
    "trainable_parameters",
    "train_seconds",
    "eval_seconds",
    "peak_memory_mb",
    "promptgrid_version",
    "label",
    "source",
    "reading",
    "message",
]


def test_one_row_per_cell_and_metric_in_the_promised_columns(full):
    frame = results_frame(full)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 9 * 8 * 3 * 3 * 2
    assert not frame.duplicated(["cell_key", "metric"]).any()
    assert set(frame["status"]) == {"done"}
    row = frame.iloc[-1]
    record = full.records[row["cell_key"]]
    assert row["value"] == record.metrics[row["metric"]]
    assert row["train_seconds"] == record.cost.train_seconds
    assert row["promptgrid_version"] == "0.1.0"


def test_failed_and_missing_cells_have_one_row_with_nan(holed):
    frame = results_frame(holed)
    failed, missing = frame[frame["status"] == "failed"], frame[frame["status"] == "missing"]
    assert len(failed) == 3 * 3 + 3
    assert set(failed["reason"]) == {"OOM_GPU", "NAN_LOSS"}
    assert len(missing) == 1
    assert missing.iloc[0]["reason"] == ""
    assert pd.isna(missing.iloc[0]["trainable_parameters"])
    for rows in (failed, missing):
        assert set(rows["metric"]) == {"accuracy"}
        assert rows["value"].isna().all()


def test_settings_are_canonical_json_and_labels_stay_apart(make_report):
    report = make_report(methods=[{"name": "coop", "context_length": [4, 16], "csc": True}], datasets=["digits"])
    frame = results_frame(report)
    assert set(frame["method"]) == {"coop"}
    assert set(frame["settings"]) == {'{"context_length":16,"csc":true}', '{"context_length":4,"csc":true}'}
    assert frame["label"].nunique() == 2


def test_the_exported_csv_holds_the_rows_of_the_parquet(holed, tmp_path):
    paths = write_report(holed, tmp_path / "report")
    export_report(paths.folder, tmp_path / "there")
    frame = results_frame(holed)
    parquet = pd.read_parquet(paths.results_parquet)
    assert list(parquet.columns) == COLUMNS
    assert parquet["value"].tolist()[:50] == frame["value"].tolist()[:50]
    csv = pd.read_csv(tmp_path / "there" / "results.csv", keep_default_na=False)
    assert list(csv.columns) == COLUMNS
    for written, value in zip(csv["value"], frame["value"], strict=True):
        assert (written == "" and math.isnan(value)) or float(written) == value
    assert json.loads(csv["settings"].iloc[0]) == {}


def test_records_of_a_store_have_the_same_columns_without_a_suite(holed):
    frame = store_frame(holed.records.values())
    assert list(frame.columns) == COLUMNS
    assert (frame["label"] == frame["method"]).all()
    suite = results_frame(holed)
    together = frame.merge(suite[suite["status"] == "done"], on=["cell_key", "metric"])
    assert len(together) == 635 * 2
    assert (together["value_x"] == together["value_y"]).all()
