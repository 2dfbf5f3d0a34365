"""The Python face: run, load_results, load_method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import promptgrid
from promptgrid import api
from promptgrid.spec import Refused

SUITE = {
    "name": "face",
    "protocol": "few_shot",
    "methods": ["zero_shot", {"name": "coop", "context_length": 4, "epochs": 3}],
    "datasets": ["weather"],
    "shots": [1],
    "seeds": [1],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("face") / "store"


@pytest.fixture(scope="module")
def results(store: Path) -> object:
    return promptgrid.run(SUITE, store, local=True, mlflow=False)


def test_run_returns_one_row_per_cell_and_metric(results: object, store: Path) -> None:
    loaded = promptgrid.load_results(store)
    assert set(loaded["metric"]) == {"accuracy", "macro_f1"}
    assert set(results["cell_key"]) == set(loaded["cell_key"])  # type: ignore[index]


def test_a_learned_prompt_gives_the_recorded_answers_again(results: object, store: Path) -> None:
    keeper = api.open_store(store)
    record = next(record for record in keeper.records() if record.cell.method == "coop")
    learned = promptgrid.load_method(record.cell.key[:16], store)
    given = keeper.predictions(record.cell.key)[0]
    from promptgrid import catalog

    dataset = catalog.track("image").resolver.dataset("weather")  # type: ignore[attr-defined]
    images = [dataset.read(int(index)) for index in given.example[:20]]
    logits = learned.logits(images).numpy()
    assert np.array_equal(logits.argmax(1), given.top[:20, 0])
    assert np.allclose(np.sort(logits, axis=1)[:, -1], given.scores[:20, 0], atol=1e-3)
    assert len(learned.rebind(["cat", "dog"]).logits(images[:2])[0]) == 2


def test_what_is_not_there_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="expected a report folder"):
        promptgrid.load_results(tmp_path)
    (tmp_path / "results.csv").write_text("cell,accuracy\n")
    with pytest.raises(Refused, match="not Parquet"):
        promptgrid.load_results(tmp_path / "results.csv")
    with pytest.raises(Refused, match="exactly one"):
        promptgrid.load_method("0000000", store)


def test_the_store_of_a_submitted_job_outlives_its_copy_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMPTGRID_STORE", raising=False)
    assert api.default_store() == Path(".promptgrid/store")
    monkeypatch.setenv(api.SUBMITTED, "{}")
    assert api.default_store() == Path.home() / ".promptgrid" / "store"
    monkeypatch.setenv("PROMPTGRID_STORE", "/shared/store")
    assert api.default_store() == Path("/shared/store")


def test_importing_promptgrid_imports_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, promptgrid; sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
