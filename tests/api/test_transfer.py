"""What a transfer study learned, used again."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid import api
from promptgrid.store import Store


@pytest.mark.parametrize("reading", ["evaluate", "adapt"])
def test_a_target_is_loaded_with_its_own_classes(tmp_path: Path, reading: str) -> None:
    suite = {
        "name": "study",
        "protocol": "transfer",
        "methods": [{"name": "clip_adapter", "epochs": 2}],
        "sources": ["weather"],
        "datasets": ["digits"],
        "readings": [reading],
        "shots": [1],
        "seeds": [1],
    }
    store = Store(tmp_path)
    results = api.run(suite, store, local=True, mlflow=False)
    (row,) = results[(results["source"] == "weather") & (results["metric"] == "accuracy")].itertuples()
    learned = api.load_method(row.cell_key, store)
    assert len(learned.classes) == 10
    assert learned.classes == learned.task.classes
    source = api.load_method(results[results["source"] == ""].iloc[0]["cell_key"], store)
    same = all((learned.params[name] == value).all() for name, value in source.params.items())
    assert same == (reading == "evaluate")
