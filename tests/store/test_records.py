"""What is committed can be read back, once, whole and verified."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.store.synthetic import make_cell, make_failure, make_outcome, make_record

from promptgrid.contract.clip import Outcome, Predictions
from promptgrid.spec import Reason, scores_digest
from promptgrid.store import Damaged, NotInStore, Store, verify
from promptgrid.store.files.manifest import manifest_bytes


def test_a_committed_outcome_reads_back_to_the_bit(store: Store) -> None:
    outcome = make_outcome(make_cell())
    key = outcome.record.cell.key
    assert store.commit(outcome) is True
    assert store.read(key) == outcome.record
    (answers,) = store.predictions(key)
    for name in ("example", "label", "top", "scores"):
        written, read = getattr(outcome.predictions[0], name), getattr(answers, name)
        assert read.dtype == written.dtype
        assert np.array_equal(read, written)
    state = store.state(key)
    assert state.keys() == outcome.state.keys()
    assert all(np.array_equal(state[name], outcome.state[name]) for name in state)


def test_several_evaluations_of_different_width_and_none_at_all(store: Store) -> None:
    def answers(name: str, count: int, width: int) -> Predictions:
        top = np.arange(count * width, dtype=np.int32).reshape(count, width)
        return Predictions(name, np.arange(count), np.zeros(count, np.int32), top, top.astype(np.float32))

    wanted = (answers("base", 6, 5), answers("empty", 0, 3), answers("new", 4, 2))
    store.commit(Outcome(make_record(make_cell(1)), wanted))
    read = store.predictions(make_cell(1).key)
    assert [(item.evaluation, item.top.shape) for item in read] == [
        ("base", (6, 5)),
        ("empty", (0, 3)),
        ("new", (4, 2)),
    ]
    assert np.array_equal(read[2].top, wanted[2].top)
    store.commit(Outcome(make_record(make_cell(2))))
    assert store.predictions(make_cell(2).key) == ()
    assert store.state(make_cell(2).key) == {}


def test_the_parquet_file_has_the_promised_columns(store: Store) -> None:
    outcome = make_outcome(make_cell())
    store.commit(outcome)
    table = pq.read_table(store.folder(outcome.record.cell.key) / "predictions.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "evaluation": "string",
        "image": "int64",
        "name": "string",
        "label": "int32",
        "predicted": "int32",
        "correct": "bool",
        "top": "list<element: int32>",
        "scores": "list<element: float>",
        "of_label": "float",
        "logsumexp": "float",
    }
    answers = outcome.predictions[0]
    assert table["correct"].to_pylist() == list(answers.top[:, 0] == answers.label)
    assert table["top"].to_pylist() == answers.top.tolist()


def test_equal_outcomes_give_equal_bytes(tmp_path: Path) -> None:
    folders = []
    for name in "ab":
        store = Store(tmp_path / name)
        store.commit(make_outcome(make_cell()))
        folders.append(store.folder(make_cell().key))
    names = {"record.json", "predictions.parquet", "state.safetensors", "MANIFEST.json"}
    assert {path.name for path in folders[0].iterdir()} == names
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)


def test_the_first_writer_wins(store: Store) -> None:
    cell = make_cell()
    assert store.commit(make_outcome(cell)) is True
    assert store.commit(make_outcome(cell, metrics={"accuracy": 0.999})) is False
    assert store.read(cell.key).metrics["accuracy"] != 0.999
    assert list((store.root / "temporary").iterdir()) == []


def test_numbers_that_are_none_survive(store: Store) -> None:
    cell = make_cell()
    store.commit(Outcome(make_record(cell, curves={"train_loss": [1.0, math.nan, math.inf, -math.inf]})))
    loss = store.read(cell.key).curves["train_loss"]
    assert loss[0] == 1.0
    assert math.isnan(loss[1])
    assert loss[2:] == [math.inf, -math.inf]


def test_finished_is_asked_by_name_and_missing_is_an_error(store: Store) -> None:
    cells = [make_cell(seed) for seed in range(30)]
    for cell in cells[:20]:
        store.commit(make_outcome(cell))
    assert store.finished(cell.key for cell in cells) == {cell.key for cell in cells[:20]}
    assert [record.cell.key for record in store.records()] == sorted(cell.key for cell in cells[:20])
    assert {record.cell.seed for record in store.records(cell.key for cell in cells[15:])} == set(range(15, 20))
    with pytest.raises(NotInStore, match="no finished record"):
        store.read(cells[25].key)
    with pytest.raises(ValueError, match="not a cell key"):
        store.read("../../etc/passwd")


def test_nothing_is_created_by_asking(store: Store) -> None:
    assert store.finished([make_cell().key]) == set()
    assert store.records() == []
    assert store.failures() == {}
    assert verify(store).checked == 0
    assert not store.root.exists()


def test_failed_attempts_are_counted_and_give_way_to_success(store: Store) -> None:
    cell = make_cell()
    store.commit(Outcome(make_failure(cell, Reason.WORKER_LOST, message="first")))
    store.commit(Outcome(make_failure(cell, Reason.NAN_LOSS, message="second")))
    failure = store.failures()[cell.key]
    assert (failure.attempts, failure.reason, failure.message) == (2, Reason.NAN_LOSS, "second")
    assert store.finished([cell.key]) == set()
    store.commit(make_outcome(cell))
    assert store.failures([cell.key]) == {}
    assert store.finished([cell.key]) == {cell.key}


@pytest.mark.parametrize(
    ("reasons", "again"),
    [
        ([Reason.NAN_LOSS], False),
        ([Reason.CONFIG], False),
        ([Reason.PLUGIN_ERROR], False),
        ([Reason.TIMEOUT], True),
        ([Reason.TIMEOUT] * 2, False),
        ([Reason.WORKER_LOST] * 3, True),
        ([Reason.WORKER_LOST] * 4, False),
        ([Reason.INTERRUPTED] * 6, True),
        ([Reason.INTERRUPTED] * 6 + [Reason.TIMEOUT], True),
    ],
)
def test_what_failed_is_tried_again_as_policy_says(store: Store, reasons: list[Reason], again: bool) -> None:
    cell, fresh, done = make_cell(1), make_cell(2), make_cell(3)
    for reason in reasons:
        store.commit(Outcome(make_failure(cell, reason)))
    store.commit(make_outcome(done))
    keys = [cell.key, fresh.key, done.key]
    assert store.to_run(keys) == ({cell.key, fresh.key} if again else {fresh.key})
    assert store.to_run(keys, retry_failed=True) == {cell.key, fresh.key}


def test_the_scores_digest_is_that_of_the_records(store: Store) -> None:
    records = [make_record(make_cell(seed)) for seed in range(5)]
    for record in reversed(records):
        store.commit(Outcome(record))
    failure = make_failure(make_cell(9))
    store.commit(Outcome(failure))
    keys = [record.cell.key for record in [*records, failure]]
    assert store.scores_digest(keys) == scores_digest([*records, failure])
    assert store.scores_digest(keys) != store.scores_digest(keys[:-1])


def test_a_record_under_another_cells_name_is_damaged(store: Store) -> None:
    one, other = make_cell(1), make_cell(2)
    store.commit(make_outcome(one))
    store.folder(other.key).parent.mkdir(parents=True, exist_ok=True)
    store.folder(one.key).rename(store.folder(other.key))
    with pytest.raises(Damaged, match="about cell"):
        store.read(other.key)
    assert store.finished([other.key]) == set()


@pytest.mark.parametrize("accuracy", ["101.0", "-1.0", '"NaN"'])
def test_a_sealed_record_with_an_impossible_score_is_damaged(store: Store, accuracy: str) -> None:
    cell = make_cell()
    store.commit(make_outcome(cell, metrics={"accuracy": 0.123456}))
    folder = store.folder(cell.key)
    files = {name: (folder / name).read_bytes() for name in ("record.json", "predictions.parquet", "state.safetensors")}
    files["record.json"] = files["record.json"].replace(b"0.123456", accuracy.encode())
    (folder / "record.json").write_bytes(files["record.json"])
    (folder / "MANIFEST.json").write_bytes(manifest_bytes(cell.key, files))
    assert store.records() == []
    assert store.finished([cell.key]) == set()
    (reason,) = store.root.glob("quarantine/*/reason.json")
    assert "outside [0, 1]" in reason.read_text()


def test_importing_the_store_brings_neither_mlflow_nor_torch_nor_ray() -> None:
    code = "import sys, promptgrid.store; print([m for m in ('mlflow', 'torch', 'ray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_five_thousand_keys_are_looked_up_fast(store: Store) -> None:
    import time

    keys = [make_cell(seed).key for seed in range(5000)]
    for key in keys:
        store.folder(key).mkdir(parents=True)
    began = time.process_time()
    assert store.finished(keys) == set(keys)
    assert time.process_time() - began < 1.0
