"""MLflow shows what the store holds: once a cell, again and again the same, and never at a cell's expense."""

import sqlite3
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.store.mirrored import Cells, runs, submission
from tests.store.synthetic import make_cell, make_failure, make_outcome, make_record

from promptgrid.contract.clip import Outcome
from promptgrid.store import Store
from promptgrid.store.mirror import runs as mirror_runs
from promptgrid.store.mirror.mirror import KIND, RUNS, Mirror, MirrorBusy, MirrorReport, sync, tracking_uri
from promptgrid.store.mirror.mlflow_settings import mlflow_client
from promptgrid.store.mirror.run_text import run_digest, run_text
from promptgrid.store.mirror.writer import MirrorThread
from promptgrid.store.scrubbing import Scrubber


def counts(report: MirrorReport) -> tuple[int, int, int, int]:
    assert report.problem == ""
    return report.written, report.unchanged, report.replaced, report.failed


def test_every_cell_becomes_one_run_under_its_submission(store: Store, cells: Cells) -> None:
    assert counts(sync(store, submission(cells))) == (3, 0, 0, 0)
    found = runs(store)
    assert found.keys() == {cell.key for _, cell in cells[:3]}
    (parent,) = runs(store, "submission").values()
    assert parent.info.status == "FINISHED"
    done, failed = found[cells[0][1].key], found[cells[2][1].key]
    assert done.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (done.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert failed.data.tags["reason"] == "NAN_LOSS"
    assert failed.data.tags["mlflow.note.content"] == "loss is NaN at step 3"
    record = store.read(cells[0][1].key)
    assert done.data.metrics["accuracy"] == record.metrics["accuracy"]
    assert done.data.metrics["cost/trainable_parameters"] == 2048
    assert done.data.params["settings/context_length"] == "4"
    assert done.data.params["dataset"] == done.data.tags["dataset"] == "digits"
    assert done.data.tags["label"] == "CoOp"
    assert done.info.end_time - done.info.start_time == 5000
    assert done.info.start_time == 1735725600000


def test_curves_are_stepped_metrics(store: Store, cells: Cells) -> None:
    sync(store, submission(cells))
    run = runs(store)[cells[0][1].key]
    with mlflow_client(tracking_uri(store), store.root / "mlflow.db") as client:
        history = client.get_metric_history(run.info.run_id, "curves/train_loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 2.0), (1, 1.5), (2, 0.5)]


def test_a_second_sync_changes_nothing(store: Store, cells: Cells) -> None:
    sync(store, submission(cells))
    before = {key: run.info.run_id for key, run in runs(store).items()}
    assert counts(sync(store, submission(cells, "s-2"))) == (0, 3, 0, 0)
    assert {key: run.info.run_id for key, run in runs(store).items()} == before
    assert runs(store, "submission").keys() == {"s-1"}, "a submission that adds nothing leaves nothing"


def test_what_changed_is_replaced(store: Store, cells: Cells) -> None:
    sync(store, submission(cells))
    failed = cells[2][1]
    store.commit(make_outcome(failed))
    store.commit(make_outcome(cells[3][1]))
    assert counts(sync(store, submission(cells, "s-2"))) == (1, 2, 1, 0)
    assert runs(store)[failed.key].info.status == "FINISHED"
    renamed = [("CoOp again", cell) for _, cell in cells]
    assert counts(sync(store, submission(renamed, "s-3"))) == (0, 0, 4, 0)
    assert {run.data.tags["label"] for run in runs(store).values()} == {"CoOp again"}


def test_two_labels_of_one_cell_share_its_run(store: Store, cells: Cells) -> None:
    both = [*cells, ("The default", cells[0][1])]
    assert counts(sync(store, submission(both))) == (3, 0, 0, 0)
    assert runs(store)[cells[0][1].key].data.tags["label"] == "CoOp | The default"


def test_a_run_that_was_cut_off_is_written_again(store: Store, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mirror_runs, "_as_expected", lambda: False)
        patch.setattr(MlflowClient, "set_terminated", dies)
        with pytest.raises(KeyboardInterrupt):
            sync(store, submission(cells[:1]))
    assert runs(store)[cells[0][1].key].info.status == "RUNNING"
    assert counts(sync(store, submission(cells[:1]))) == (0, 0, 1, 0)
    assert runs(store)[cells[0][1].key].info.status == "FINISHED"


def test_rows_written_directly_read_like_those_of_the_client(
    store: Store, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what names the run itself: its id, and the folder of its artifacts."""
    assert counts(sync(store, submission(cells))) == (3, 0, 0, 0)
    found = runs(store)
    with mlflow_client(tracking_uri(store), store.root / "mlflow.db") as client:
        for run in found.values():
            client.delete_run(run.info.run_id)
    with monkeypatch.context() as patch:
        patch.setattr(mirror_runs, "_as_expected", lambda: False)
        assert counts(sync(store, submission(cells))) == (3, 0, 0, 0)
        assert said(runs(store)) == said(found)
    assert counts(sync(store, submission(cells))) == (0, 3, 0, 0)


def said(found: dict[str, Any]) -> dict[str, Any]:
    """Everything that ``runs`` say, without their ids."""
    return {
        key: (
            run.data.to_dictionary(),
            {n: v for n, v in dict(run.info).items() if not n.startswith(("run_id", "run_uuid", "artifact"))},
            run.info.artifact_uri.replace(run.info.run_id, "ID"),
        )
        for key, run in found.items()
    }


def test_one_run_that_cannot_be_written_does_not_keep_its_batch_back(
    store: Store, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = mirror_runs.FileRuns.write
    culprit = cells[0][1].key

    def refuses(self: Any, drafts: Any) -> list[str]:
        if any(draft.tags["cell_key"] == culprit for draft in drafts):
            raise ValueError("never this one")
        return written(self, drafts)

    with monkeypatch.context() as patch:
        patch.setattr(mirror_runs.FileRuns, "write", refuses)
        report = sync(store, submission(cells))
    assert (report.written, report.failed, report.problem) == (2, 1, "ValueError: never this one")
    assert counts(sync(store, submission(cells))) == (1, 2, 0, 0)


def test_a_version_of_mlflow_with_other_tables_gets_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirror_runs._as_expected()
    monkeypatch.setitem(mirror_runs._COLUMNS, "tags", "key value run_uuid colour")
    assert not mirror_runs._as_expected()


def test_odd_names_and_numbers_arrive_in_an_acceptable_form(store: Store, cells: Cells) -> None:
    record = make_record(
        make_cell(7, method="x" * 300),
        metrics={"accuracy@5": 0.5, "accuracy_at_5": 0.25, "a<b": 0.1, "../up": 0.2, "/root": 0.3, "": 0.4},
        curves={"loss": [1.0, float("nan"), float("inf")], "void": [float("nan")]},
        provenance={"started": "yesterday", "finished": ""},
    )
    store.commit(Outcome(record))
    odd = [("<b>{{7*7}}</b>", record.cell)]
    assert counts(sync(store, submission(odd, "it's"))) == (1, 0, 0, 0)
    run = runs(store)[record.cell.key]
    assert sorted(v for n, v in run.data.metrics.items() if "/" not in n) == [0.1, 0.2, 0.25, 0.3, 0.4, 0.5]
    assert run.data.metrics["curves/loss"] == 1.0
    assert run.data.tags["not_finite"] == "curves/loss: 2 of 3; curves/void: 1 of 1"
    assert counts(sync(store, submission(odd, "it's"))) == (0, 1, 0, 0)


def test_pairs_of_a_transfer_study_are_told_apart(store: Store) -> None:
    plain = make_cell(8)
    cells = [plain.model_copy(update={"source": "vehicles", "reading": reading}) for reading in ("evaluate", "adapt")]
    others = [plain.model_copy(update={"views": 10}), plain.model_copy(update={"scored": "val"})]
    texts = [run_text(make_record(cell), ["CoOp"], "tiny", Scrubber()) for cell in (plain, *cells, *others)]
    assert len({text.name for text in texts}) == 5
    assert "evaluate of vehicles" in texts[1].name
    assert [text.params.get("source") for text in texts] == [None, "vehicles", "vehicles", None, None]
    assert (texts[2].tags["reading"], texts[3].params["views"], texts[4].tags["scored"]) == ("adapt", "10", "val")


def test_long_curves_and_many_settings_pass_the_batch_limits(store: Store, cells: Cells) -> None:
    cell = make_cell(8, **{f"setting_{number}": number for number in range(130)})
    store.commit(Outcome(make_record(cell, curves={"train_loss": [float(step) for step in range(2500)]})))
    assert counts(sync(store, submission([("Long", cell)]))) == (1, 0, 0, 0)
    run = runs(store)[cell.key]
    assert len(run.data.params) == 140
    with sqlite3.connect(store.root / "mlflow.db") as database:
        query = "select count(*) from metrics where run_uuid = ? and key = 'curves/train_loss'"
        assert database.execute(query, [run.info.run_id]).fetchone() == (2500,)


def test_secrets_never_reach_it(store: Store, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "tok-123456789")
    cell = make_cell(9, dataset="imagefolder:/data/tok-123456789", note="https://u:pass1234@host/")
    store.commit(Outcome(make_failure(cell, message="denied: tok-123456789")))
    assert counts(sync(store, submission([("tok-123456789", cell)]))) == (1, 0, 0, 0)
    raw = (store.root / "mlflow.db").read_bytes()
    assert b"denied: [hidden]" in raw
    assert b"tok-123456789" not in raw
    assert b"pass1234" not in raw


def test_a_dead_server_is_reported_and_nothing_is_raised(store: Store, cells: Cells) -> None:
    began = time.monotonic()
    report = sync(store, submission(cells, uri="http://me:hunter22@127.0.0.1:9"))
    assert (report.written, report.failed) == (0, 3)
    assert report.problem
    assert "hunter22" not in report.problem + report.uri
    assert time.monotonic() - began < 120, "MLflow by itself takes 4 minutes"
    assert counts(sync(store, submission(cells))) == (3, 0, 0, 0), "sync repairs it later"


class _Broken(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.send_error(500)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def broken_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Broken)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_answers_500_is_reported(
    store: Store, cells: Cells, broken_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", broken_server)
    report = sync(store, submission(cells))
    assert (report.uri, report.failed) == (broken_server, 3)
    assert "500" in report.problem


def test_a_database_that_is_none_is_reported(store: Store, cells: Cells) -> None:
    (store.root / "mlflow.db").write_bytes(b"not a database" * 100)
    began = time.monotonic()
    report = sync(store, submission(cells))
    assert report.failed == 3
    assert "database" in report.problem
    assert time.monotonic() - began < 90, "MLflow by itself takes 100 s"


def test_a_locked_database_is_reported_and_repaired_later(store: Store, cells: Cells) -> None:
    holder = sqlite3.connect(store.root / "mlflow.db", isolation_level=None)
    holder.execute("begin exclusive")
    report = sync(store, submission(cells))
    assert (report.written, report.failed) == (0, 3)
    assert "locked" in report.problem
    holder.execute("rollback")
    holder.close()
    assert counts(sync(store, submission(cells))) == (3, 0, 0, 0)
    assert len(runs(store)) == 3


def test_there_is_one_writer_a_store(store: Store, cells: Cells) -> None:
    first = Mirror(store, submission(cells))
    second = Mirror(store, submission(cells, "s-2"))
    with first.opened(), pytest.raises(MirrorBusy), second.opened(patience=0.2):
        pass


def test_the_environment_and_the_working_folder_stay_clean(
    store: Store, cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    assert sync(store, submission(cells)).failed == 0
    assert dict(os.environ) == before
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""


def test_cells_are_mirrored_while_the_grid_runs(store: Store, cells: Cells) -> None:
    so_far: list[int] = []
    mirror = MirrorThread(store, submission(cells), told=so_far.append).start()
    mirror.add(cells[0][1].key)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not _mirrored(store):
        time.sleep(0.1)
    assert _mirrored(store) == 1, "before the end"
    store.commit(make_outcome(cells[3][1]))
    assert counts(mirror.close()) == (4, 0, 0, 0)
    assert so_far == [1]
    assert len(runs(store)) == 4


def _mirrored(store: Store) -> int:
    with sqlite3.connect(store.root / "mlflow.db") as database:
        (found,) = database.execute("select count(*) from tags where key = 'mirror_digest'").fetchone()
        return int(found)


def test_a_mirror_without_a_server_ends_quietly(store: Store, cells: Cells) -> None:
    mirror = MirrorThread(store, submission(cells, uri="http://127.0.0.1:9")).start()
    mirror.add(cells[0][1].key)
    report = mirror.close()
    assert (report.written, report.failed) == (0, 3)
    assert report.problem


@pytest.mark.parametrize("name", ["a?mode=memory&b", "100%", "a%20b #1", "plain name"])
def test_the_database_lies_in_the_store_whatever_its_path_is_called(tmp_path: Path, schema: Path, name: str) -> None:
    store, cell = Store(tmp_path / name / "store"), make_cell(1)
    store.commit(make_outcome(cell))
    (store.root / "mlflow.db").write_bytes(schema.read_bytes())
    assert counts(sync(store, submission([("CoOp", cell)]))) == (1, 0, 0, 0)
    with sqlite3.connect(store.root / "mlflow.db") as database:
        assert database.execute("select count(*) from runs where status = 'FINISHED'").fetchone() >= (1,)
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing beside it"


def test_the_experiment_opens_on_runs_and_an_older_one_is_told_to(store: Store, cells: Cells) -> None:
    with mlflow_client(tracking_uri(store), store.root / "mlflow.db") as client:
        client.delete_experiment_tag(client.get_experiment_by_name("tiny").experiment_id, KIND)
        assert KIND not in client.get_experiment_by_name("tiny").tags
    sync(store, submission(cells))
    sync(store, submission(cells[:1], experiment="tiny-search"))
    with mlflow_client(tracking_uri(store), store.root / "mlflow.db") as client:
        for name in ("tiny", "tiny-search"):
            assert client.get_experiment_by_name(name).tags[KIND] == RUNS


def test_trials_of_a_search_stand_in_an_experiment_of_their_own(store: Store, cells: Cells) -> None:
    sync(store, submission(cells, experiment="tiny-search"))
    assert len(runs(store, suite="tiny-search")) == 3
    assert runs(store) == {}


def test_a_submission_says_what_it_came_to(store: Store, cells: Cells) -> None:
    sync(store, submission(cells[:2]))
    (parent,) = runs(store, "submission").values()
    scores = [store.read(cell.key).metrics["accuracy"] for _, cell in cells[:2]]
    assert parent.data.metrics["cells/finished"] == 2
    assert parent.data.metrics["cells/failed"] == 0
    assert parent.data.metrics[f"mean/accuracy/CoOp {cells[0][1].shots} shots"] == pytest.approx(sum(scores) / 2)


def test_a_row_with_holes_has_no_mean(store: Store, cells: Cells) -> None:
    sync(store, submission(cells))
    (parent,) = runs(store, "submission").values()
    assert (parent.data.metrics["cells/finished"], parent.data.metrics["cells/failed"]) == (2, 1)
    assert not [name for name in parent.data.metrics if name.startswith("mean/")]


def test_a_run_is_called_by_the_title_of_its_dataset() -> None:
    record = make_record(make_cell(10, dataset="imagefolder:/data/birds"))
    titles = {"imagefolder:/data/birds": "Birds of a garden"}
    named, plain = (run_text(record, ["CoOp"], "tiny", Scrubber(), told) for told in (titles, None))
    assert "Birds of a garden" in named.name
    assert "imagefolder" not in named.name
    assert named.tags["dataset_title"] == "Birds of a garden"
    assert named.params["dataset"] == plain.params["dataset"] == "imagefolder:/data/birds"
    assert run_digest(record, ["CoOp"], titles) != run_digest(record, ["CoOp"])
