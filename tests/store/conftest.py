"""A store with a mirror to fill."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.mirrored import Cells, submission
from tests.store.synthetic import make_cell, make_failure, make_outcome

from promptgrid.contract.clip import Outcome
from promptgrid.store import Store
from promptgrid.store.mirror.mirror import Mirror


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: its creation takes seconds and is shared."""
    store = Store(tmp_path_factory.mktemp("schema"))
    with Mirror(store, submission([], "none")).opened():
        pass
    return store.root / "mlflow.db"


@pytest.fixture
def cells(store: Store, schema: Path) -> Cells:
    """Two finished cells, a failed one and a missing one."""
    cells = [make_cell(seed) for seed in (1, 2, 3, 4)]
    for cell in cells[:2]:
        store.commit(make_outcome(cell))
    store.commit(Outcome(make_failure(cells[2])))
    (store.root / "mlflow.db").write_bytes(schema.read_bytes())
    return [("CoOp", cell) for cell in cells]
