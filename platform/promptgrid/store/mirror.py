"""The MLflow mirror: written after the commit, never the truth, never a reason for a cell to fail.

An experiment a suite, a parent run a submission, a child run a cell. A run is found again by its tag ``cell_key``;
where its record has changed it is deleted and written anew. One writer a store: the driver. MLflow is imported on use.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.spec import Cell, Record, Suite
from promptgrid.store.commit import make_folder
from promptgrid.store.quiet import mlflow_client
from promptgrid.store.records import Store
from promptgrid.store.run_text import RunText, run_digest, run_text
from promptgrid.store.scrubbing import Scrubber, scrub

_METRICS, _PARAMS = 800, 100  # MLflow takes at most 1,000 metrics, params and tags in one call, 100 of them params
_GIVE_UP_AFTER = 2  # errors in a row: the server is gone, the rest would only wait for it
_PATIENCE = 120.0


@dataclass
class MirrorReport:
    """What a mirroring did. ``failed`` counts the cells that MLflow does not show rightly; ``problem`` says why."""

    uri: str = ""
    written: int = 0
    unchanged: int = 0
    replaced: int = 0
    failed: int = 0
    seconds: float = 0.0
    problem: str = ""


class MirrorBusy(RuntimeError):
    """Another process is mirroring this store."""


@dataclass
class _Known:
    run: str
    digest: str


def tracking_uri(store: Store, uri: str | None = None) -> str:
    """``uri``, else ``MLFLOW_TRACKING_URI``, else a SQLite file in the store."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store.root / 'mlflow.db'}"


class Mirror:
    """Writes records of one suite for one submission; open for as long as it is the store's one writer."""

    def __init__(
        self, store: Store, suite: Suite, squares: Sequence[tuple[str, Cell]], *, uri: str | None, submission: str
    ) -> None:
        self.store = store
        self.suite = suite
        self.submission = submission
        self.uri = tracking_uri(store, uri)
        self.labels: dict[str, list[str]] = {}
        for label, cell in squares:
            names = self.labels.setdefault(cell.key, [])
            if label not in names:
                names.append(label)
        self._scrub = Scrubber()
        self._client: Any = None
        self._experiment = ""
        self._parent = ""
        self._index: dict[str, _Known] = {}

    @contextmanager
    def opened(self, patience: float = _PATIENCE) -> Iterator[Mirror]:
        """Hold the store's mirror lock, find the experiment, read what it holds.

        Raises:
            MirrorBusy: another process held the lock for ``patience`` seconds.
        """
        with _lock(self.store.root, patience), mlflow_client(self.uri, self.store.root / "mlflow.db") as client:
            self._client = client
            self._experiment = self._find_experiment()
            self._read_index()
            try:
                yield self
            finally:
                self._end_submission()

    def write(self, keys: Iterable[str]) -> MirrorReport:
        """Make MLflow say what the store says about ``keys``; see :class:`MirrorReport` for what can go wrong."""
        report, began, row = MirrorReport(uri=scrub(self.uri)), time.monotonic(), 0
        records = [*self.store.records(keys := set(keys)), *self.store.failures(keys).values()]
        for place, record in enumerate(records):
            try:
                self._mirror(record, report)
                row = 0
            except Exception as error:  # noqa: BLE001 - whatever MLflow raises must not reach a cell
                report.failed, row = report.failed + 1, row + 1
                report.problem = problem_of(error)
                if row >= _GIVE_UP_AFTER:
                    report.failed += len(records) - place - 1
                    break
        report.seconds = time.monotonic() - began
        return report

    def _mirror(self, record: Record, report: MirrorReport) -> None:
        key = record.cell.key
        labels = self.labels.get(key, [])
        wanted, known = run_digest(record, labels), self._index.get(key)
        if known and known.digest == wanted:
            report.unchanged += 1
            return
        if known:
            self._client.delete_run(known.run)
            del self._index[key]
        run = self._create(key, run_text(record, labels, self.suite.name, self._scrub), wanted)
        self._index[key] = _Known(run, wanted)
        if known:
            report.replaced += 1
        else:
            report.written += 1

    def _create(self, key: str, text: RunText, wanted: str) -> str:
        """Write one run. Its digest is the last thing logged: a run without it was cut off, and is replaced."""
        from mlflow.entities import Metric, Param, RunTag

        ended = text.ended or text.started or int(time.time() * 1000)
        tags = {
            "cell_key": key,
            "submission": self.submission,
            "kind": "cell",
            "mlflow.parentRunId": self._parent_run(),
        }
        started = text.started or ended
        run = self._client.create_run(self._experiment, started, {**tags, **text.tags}, text.name).info.run_id
        params = [Param(name, value) for name, value in text.params.items()]
        metrics = [Metric(point.name, point.value, ended, point.step) for point in text.points]
        while len(metrics) > _METRICS or len(params) > _PARAMS:
            self._client.log_batch(run, metrics[:_METRICS], params[:_PARAMS])
            metrics, params = metrics[_METRICS:], params[_PARAMS:]
        self._client.log_batch(run, metrics, params, [RunTag("mirror_digest", wanted)])
        self._client.set_terminated(run, text.status, ended)
        return str(run)

    def _find_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.suite.name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        local = not self.uri.startswith(("http", "databricks"))
        place = (self.store.root / "mlflow-artifacts" / self.suite.name).as_uri() if local else None
        return str(self._client.create_experiment(self.suite.name, place))

    def _read_index(self) -> None:
        """What the experiment holds, by cell; a second run of a cell and a run that was cut off are deleted."""
        self._index = {}
        surplus: list[str] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], "tags.kind = 'cell'", max_results=1000, page_token=token
            )
            for run in page:
                key, seen = run.data.tags.get("cell_key", ""), run.data.tags.get("mirror_digest", "")
                if key in self._index:
                    surplus.append(run.info.run_id)
                else:
                    whole = run.info.status in {"FINISHED", "FAILED"}
                    self._index[key] = _Known(run.info.run_id, seen if whole else "")
            token = page.token
            if not token:
                break
        for run_id in surplus:  # not while paging: pages are counted by offset
            self._client.delete_run(run_id)

    def _parent_run(self) -> str:
        """The submission's run, made when the first cell needs it: a submission that adds nothing leaves nothing."""
        if not self._parent:
            wanted = self.submission.replace("'", "")
            found = self._client.search_runs(
                [self._experiment], f"tags.kind = 'submission' and tags.submission = '{wanted}'", max_results=1
            )
            if found:
                self._parent = str(found[0].info.run_id)
            else:
                tags = {"kind": "submission", "submission": wanted, "suite": self.suite.name}
                made = self._client.create_run(self._experiment, tags=tags, run_name=f"submission {wanted}")
                self._parent = str(made.info.run_id)
        return self._parent

    def _end_submission(self) -> None:
        if self._parent:
            self._client.set_terminated(self._parent, "FINISHED")


def sync(
    store: Store, suite: Suite, squares: Sequence[tuple[str, Cell]], *, uri: str | None = None, submission: str
) -> MirrorReport:
    """Make MLflow show every finished and failed cell of ``squares`` exactly once. Never raises for MLflow's sake."""
    began = time.monotonic()
    mirror = Mirror(store, suite, squares, uri=uri, submission=submission)
    report = None
    try:
        with mirror.opened():
            report = mirror.write(mirror.labels)
    except Exception as error:  # noqa: BLE001 - whatever MLflow raises must not reach a cell
        if report is None:
            known = len(store.finished(mirror.labels)) + len(store.failures(mirror.labels))
            report = MirrorReport(uri=scrub(mirror.uri), failed=known)
        report.problem = report.problem or problem_of(error)
    report.seconds = time.monotonic() - began
    return report


def problem_of(error: Exception) -> str:
    """One line about ``error`` without secrets."""
    first = next(iter(str(error).strip().splitlines()), "")
    return scrub(f"{type(error).__name__}: {first}")[:500]


@contextmanager
def _lock(root: Path, patience: float) -> Iterator[None]:
    make_folder(root)
    handle = os.open(root / "mirror.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        _acquire(handle, time.monotonic() + patience)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise MirrorBusy("another process is mirroring this store; sync again when it is done") from error
            time.sleep(0.1)
        else:
            return
