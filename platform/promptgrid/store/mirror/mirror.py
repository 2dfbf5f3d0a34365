"""Copies records to MLflow after their commit. MLflow is never the truth, and no cell fails because of it.

An experiment a suite (another for the cells of its searches), a parent run a submission, a child run a cell. A run is
found again by its tag ``cell_key``; where its record has changed it is deleted and written anew. One writer a store:
the driver. MLflow is imported on use.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from promptgrid.spec import Record
from promptgrid.store.files.commit import make_folder
from promptgrid.store.mirror.mlflow_settings import mlflow_client
from promptgrid.store.mirror.run_text import run_digest, run_text
from promptgrid.store.mirror.runs import ClientRuns, Draft, Known, runs_of
from promptgrid.store.mirror.submission import Submission
from promptgrid.store.mirror.summary import Totals
from promptgrid.store.records import Store
from promptgrid.store.scrubbing import Scrubber, scrub

KIND = "mlflow.experimentKind"
RUNS = "custom_model_development"
"""The kind of experiment that MLflow 3 opens on its runs; without one it guesses, and may open on traces."""
_GIVE_UP_AFTER = 2  # errors in a row: the server is gone, the rest would only wait for it
_PATIENCE = 120.0
_METRICS = 800  # MLflow takes at most 1,000 in one call
_BATCH = 64  # records in memory at once, and in one transaction where that is possible
_log = logging.getLogger(__name__)


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


def tracking_uri(store: Store, uri: str | None = None) -> str:
    """``uri``, else ``MLFLOW_TRACKING_URI``, else a SQLite file in the store."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(store.root / "mlflow.db")


def sqlite_uri(path: Path) -> str:
    """The URI of the SQLite file at ``path``, whose folders may have any signs in their names.

    ``?`` begins a query in a URI; versions of SQLAlchemy differ in whether they decode what is encoded; and MLflow
    makes folders of what stands behind a plain ``sqlite:///`` without decoding it.
    """
    if not set("?#%") & set(str(path)):
        return f"sqlite:///{path}"
    from sqlalchemy.engine import make_url

    plain, coded = (f"sqlite+pysqlite:///{text}" for text in (path, quote(str(path))))
    right = (uri for uri in (plain, coded) if make_url(uri).database == str(path))
    return next(right, f"sqlite+pysqlite:///file:{quote(str(path))}?uri=true")


class Mirror:
    """Writes records of one suite for one submission; open for as long as it is the store's one writer."""

    def __init__(self, store: Store, submission: Submission) -> None:
        self.store = store
        self.submission = submission
        self.name = submission.experiment or submission.suite.name
        self.uri = tracking_uri(store, submission.uri)
        self.labels = submission.labels
        self._scrub = Scrubber()
        self._client: Any = None
        self._experiment = ""
        self._parent = ""
        self._index: dict[str, Known] = {}
        self._totals = Totals(submission.cells)
        self._runs: ClientRuns
        self._errors = 0

    @contextmanager
    def opened(self, patience: float = _PATIENCE) -> Iterator[Mirror]:
        """Hold the store's mirror lock, find the experiment, read what it holds.

        Raises:
            MirrorBusy: another process held the lock for ``patience`` seconds.
        """
        with mirror_lock(self.store.root, patience), mlflow_client(self.uri, self.store.root / "mlflow.db") as client:
            self._client = client
            self._experiment = self._find_experiment()
            self._runs = runs_of(client, self.uri, self._experiment)
            self._read_index()
            try:
                yield self
            finally:
                self._end_submission()

    def write(self, keys: Iterable[str]) -> MirrorReport:
        """Make MLflow say what the store says about ``keys``; see :class:`MirrorReport` for what can go wrong."""
        report, began = MirrorReport(uri=scrub(self.uri)), time.monotonic()
        wanted = sorted(set(keys))
        for first in range(0, len(wanted), _BATCH):
            part = wanted[first : first + _BATCH]
            records = [*self.store.records(part), *self.store.failures(part).values()]
            if not (self._runs.batches and self._all(records, report)) and not self._each(records, report):
                report.failed += self._recorded(wanted[first + len(part) :])
                break
        report.seconds = time.monotonic() - began
        return report

    def _all(self, records: Sequence[Record], report: MirrorReport) -> bool:
        """Mirror ``records`` at once; False where that failed, and they are to be written one by one."""
        try:
            self._mirror(records, report)
        except Exception as error:  # noqa: BLE001 - one by one it comes up again, and is told with its cell
            _log.info("a batch of %d runs failed: %s", len(records), problem_of(error))
            return False
        return True

    def _each(self, records: Sequence[Record], report: MirrorReport) -> bool:
        """Mirror ``records`` one by one; False when the server seems to be gone."""
        for place, record in enumerate(records):
            try:
                self._mirror([record], report)
                self._errors = 0
            except Exception as error:  # noqa: BLE001 - whatever MLflow raises must not reach a cell
                report.failed, report.problem = report.failed + 1, problem_of(error)
                self._errors += 1
                if self._errors >= _GIVE_UP_AFTER:
                    report.failed += len(records) - place - 1
                    return False
        return True

    def _recorded(self, keys: Sequence[str]) -> int:
        return len(self.store.finished(keys)) + len(self.store.failures(keys))

    def _mirror(self, records: Sequence[Record], report: MirrorReport) -> None:
        """Write those of ``records`` that MLflow does not have as they are."""
        self._totals.add(records)
        digests = {
            record.cell.key: run_digest(record, self._labels(record), self.submission.titles) for record in records
        }
        fresh = [record for record in records if self._digest_of(record) != digests[record.cell.key]]
        old = [self._index.pop(record.cell.key).run for record in fresh if record.cell.key in self._index]
        self._runs.delete(old)
        drafts = [self._draft(record, digests[record.cell.key]) for record in fresh]
        for record, draft, run in zip(fresh, drafts, self._runs.write(drafts), strict=True):
            self._index[record.cell.key] = Known(run, record.cell.key, draft.digest)
        report.unchanged += len(records) - len(fresh)
        report.replaced += len(old)
        report.written += len(fresh) - len(old)

    def _labels(self, record: Record) -> list[str]:
        return self.labels.get(record.cell.key, [])

    def _digest_of(self, record: Record) -> str | None:
        known = self._index.get(record.cell.key)
        return known.digest if known else None

    def _draft(self, record: Record, wanted: str) -> Draft:
        tags = {"cell_key": record.cell.key, "submission": self.submission.name, "kind": "cell"}
        tags["mlflow.parentRunId"] = self._parent_run()
        told = self.submission
        text = run_text(record, self._labels(record), told.suite.name, self._scrub, told.titles)
        return Draft(text, tags, wanted)

    def _find_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            if KIND not in found.tags:
                self._client.set_experiment_tag(found.experiment_id, KIND, RUNS)
            return str(found.experiment_id)
        local = not self.uri.startswith(("http", "databricks"))
        place = (self.store.root / "mlflow-artifacts" / self.name).as_uri() if local else None
        return str(self._client.create_experiment(self.name, place, tags={KIND: RUNS}))

    def _read_index(self) -> None:
        """What the experiment holds, by cell; a second run of a cell is deleted, one that was cut off replaced."""
        self._index = {}
        surplus: list[str] = []
        for known in self._runs.known():
            if known.cell in self._index:
                surplus.append(known.run)
            else:
                self._index[known.cell] = known
        self._runs.delete(surplus)

    def _parent_run(self) -> str:
        """The submission's run, made when the first cell needs it: a submission that adds nothing leaves nothing."""
        if not self._parent:
            wanted = self.submission.name.replace("'", "")
            found = self._client.search_runs(
                [self._experiment], f"tags.kind = 'submission' and tags.submission = '{wanted}'", max_results=1
            )
            if found:
                self._parent = str(found[0].info.run_id)
            else:
                tags = {"kind": "submission", "submission": wanted, "suite": self.submission.suite.name}
                made = self._client.create_run(self._experiment, tags=tags, run_name=f"submission {wanted}")
                self._parent = str(made.info.run_id)
        return self._parent

    def _end_submission(self) -> None:
        """Give the submission's run its totals, and end it."""
        if self._parent:
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            metrics = [Metric(name, value, now, 0) for name, value in sorted(self._totals.metrics().items())]
            for first in range(0, len(metrics), _METRICS):
                self._client.log_batch(self._parent, metrics[first : first + _METRICS])
            self._client.set_terminated(self._parent, "FINISHED")


def sync(store: Store, submission: Submission) -> MirrorReport:
    """Make MLflow show every finished and failed cell of ``submission`` once. Never raises for MLflow's sake."""
    began = time.monotonic()
    mirror = Mirror(store, submission)
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
def mirror_lock(root: Path, patience: float) -> Iterator[None]:
    """Hold the lock of the store's one writer to MLflow.

    Raises:
        MirrorBusy: another process held it for ``patience`` seconds.
    """
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
