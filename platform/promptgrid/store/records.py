"""The store of records: finished records never change, and damage to them is noticed."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy.typing as npt

from promptgrid.spec import RETRIED, Record, scores_digest
from promptgrid.spec.paths import user_path
from promptgrid.spec.record import LEFT_OUT
from promptgrid.store.attempts import Attempts
from promptgrid.store.faults import Damaged, NotInStore, explained
from promptgrid.store.files import encoding
from promptgrid.store.files.commit import commit_folder
from promptgrid.store.files.manifest import FILES, check, manifest_bytes, read_checked, read_manifest
from promptgrid.store.files.quarantine import move_aside
from promptgrid.store.scrubbing import scrub
from promptgrid.store.searches import Searches
from promptgrid.store.verified import VerifiedIndex, stamp_of

if TYPE_CHECKING:
    from promptgrid.contract import Outcome, Predictions

_KEY = re.compile(r"[0-9a-f]{64}")
MARKS = ("records", "failures", "searches", "features", "quarantine", "temporary", "ray", "mirror.lock", "mlflow.db")
"""What a store may hold; a folder without any of it is none."""
SAID = 4096
"""Bytes of a state file that may say that the state was left out; larger ones hold one."""
Found = TypeVar("Found")
_log = logging.getLogger(__name__)


class Store:
    """Records under ``root``, named by their cells' keys.

    ``records/ab/<key>/`` holds what finished: ``record.json``, ``predictions.parquet``, ``state.safetensors`` and a
    ``MANIFEST.json`` with the sha256 of each. ``failures/ab/<key>/<n>.json`` holds attempts that failed, ``searches/``
    what searches chose. Any number of processes, on any number of hosts that share the disk, may read and write at
    once. Nothing is created before the first commit.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = user_path(root).absolute()
        self.attempts = Attempts(self.root)
        self.searches = Searches(self.root)
        self._index = VerifiedIndex(self.root)

    def exists(self) -> bool:
        """Whether anything of a store is there."""
        return any((self.root / name).exists() for name in MARKS)

    # Writing

    def commit(self, outcome: Outcome) -> bool:
        """Keep ``outcome``: a finished record for ever, a failed one as one more attempt.

        A finished record whose state was left out makes room for one that brings it.

        Returns:
            False when the cell was finished already; then nothing changes (the first writer wins).

        Raises:
            StoreFull, StoreReadOnly: the disk is full or may not be written; nothing partial is visible.
        """
        record = clean(outcome.record)
        key = record.cell.key
        with explained(self.root):
            if record.status == "failed":
                self.attempts.add(record)
                return True
            target, again = self.folder(key), False
            if target.exists():  # asked first: another writer's whole folder may appear meanwhile
                if not (target / "MANIFEST.json").is_file():
                    move_aside(self.root, target, key, "MANIFEST.json is missing")
                elif not (again := bool(outcome.state) and self.left_out(key) is not None):
                    return False
            files = {
                "record.json": encoding.record_bytes(record),
                "predictions.parquet": encoding.predictions_bytes(outcome.predictions),
                "state.safetensors": encoding.state_bytes(outcome.state, outcome.about),
            }
            return commit_folder(self.root / "temporary", target, files, manifest_bytes(key, files), again)

    # Asking

    def folder(self, key: str) -> Path:
        """Where the finished record of ``key`` is, or would be."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a cell key: {key[:80]!r}")
        return self.root / "records" / key[:2] / key

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Those of ``keys`` that are finished, by their names alone: nothing is opened."""
        wanted = set(keys)
        return {key for key in self.keys({key[:2] for key in wanted}) if key in wanted}

    def sound(self, keys: Iterable[str]) -> set[str]:
        """Those of ``keys`` that are finished and verify, every file by content; the others are in quarantine now.

        What has not changed since it was last verified is looked at, and not read again.
        """
        wanted = sorted(self.finished(keys))
        return {key for key, good in zip(wanted, self._map(self._is_sound, wanted), strict=True) if good}

    def keys(self, prefixes: Collection[str] | None = None) -> Iterator[str]:
        """Keys of all finished records; of those that begin with one of ``prefixes`` (two hex digits) when given."""
        base = self.root / "records"
        names = sorted(_names(base)) if prefixes is None else sorted(prefixes)
        for prefix in names:
            yield from (name for name in sorted(_names(base / prefix)) if name[:2] == prefix and _KEY.fullmatch(name))

    def to_run(self, keys: Iterable[str], retry_failed: bool = False) -> set[str]:
        """Those of ``keys`` that are not finished and may be tried (again).

        A cell that failed is tried again as often as ``spec.RETRIED`` allows for the reason of its latest attempt;
        with ``retry_failed`` always.
        """
        missing = set(keys)
        missing -= self.finished(missing)
        if retry_failed:
            return missing
        return missing - {key for key, tries in self.attempts.of(missing).items() if _final(tries)}

    # Reading

    def read(self, key: str) -> Record:
        """The finished record of ``key``, every file of it read and verified.

        Raises:
            NotInStore: there is none.
            Damaged: there was one that did not verify; it is in quarantine now.
        """
        return self._verified(key, known=False)

    def records(self, keys: Iterable[str] | None = None) -> list[Record]:
        """Finished records of ``keys`` (default: all), sorted by key; what is damaged is moved away and left out.

        Every file is verified by content, predictions and states only where they have changed since they last were.
        """
        wanted = sorted(self.keys() if keys is None else self.finished(keys))
        return [record for record in self._map(self._record_or_none, wanted) if record]

    def failures(self, keys: Iterable[str] | None = None) -> dict[str, Record]:
        """The latest failed attempt by key, its ``attempts`` counting all of them; finished cells are left out."""
        wanted = set(self.attempts.keys() if keys is None else keys)
        wanted -= self.finished(wanted)
        return {
            key: tries[-1].model_copy(update={"attempts": len(tries)})
            for key, tries in self.attempts.of(wanted).items()
        }

    def predictions(self, key: str) -> tuple[Predictions, ...]:
        """Answers to each example of ``key``, verified. Raises as :meth:`read`."""
        raw = self._file(key, "predictions.parquet")
        try:
            return encoding.predictions_of(raw)
        except (ValueError, KeyError, OSError) as error:
            raise self._set_aside(key, f"predictions.parquet: {error}") from error

    def state(self, key: str) -> dict[str, npt.NDArray[Any]]:
        """What the cell learned, verified. Raises as :meth:`read`."""
        raw = self._file(key, "state.safetensors")
        try:
            return encoding.state_of(raw)
        except ValueError as error:
            raise self._set_aside(key, f"state.safetensors: {error}") from error

    def about(self, key: str) -> dict[str, Any]:
        """What the state of ``key`` needs beside its arrays, verified; empty in records of version 1.

        Raises as :meth:`read`.
        """
        raw = self._file(key, "state.safetensors")
        try:
            return encoding.about_of(raw)
        except (ValueError, AttributeError, TypeError) as error:
            raise self._set_aside(key, f"state.safetensors: {error}") from error

    def left_out(self, key: str) -> float | None:
        """MB of what a finished cell learned and its suite did not keep; None of every other cell."""
        try:
            large = (self.folder(key) / "state.safetensors").stat().st_size > SAID
            return None if large else self.about(key).get(LEFT_OUT)
        except (FileNotFoundError, NotInStore):
            return None

    def scores_digest(self, keys: Iterable[str]) -> str:
        """:func:`spec.scores_digest` over the finished and failed records of ``keys``."""
        wanted = set(keys)
        return scores_digest([*self.records(wanted), *self.failures(wanted).values()])

    # Verifying

    def examine(self, key: str) -> Record:
        """The record of ``key`` with all its files decoded, not only hashed. Raises as :meth:`read`."""
        record = self.read(key)
        self.predictions(key)
        self.state(key)
        return record

    def _verified(self, key: str, known: bool) -> Record:
        folder = self.folder(key)
        try:
            files = read_manifest(folder, key)
            for name in FILES[1:]:
                check(folder / name, files[name], deep=not known)
            record = encoding.record_of(read_checked(folder / "record.json", files["record.json"]))
            if record.cell.key != key:
                raise ValueError(f"record.json is about cell {record.cell.key}")
            if record.status != "done":
                raise ValueError("record.json is not about a finished cell")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._missing_or_damaged(key, error) from error
        return record

    def _file(self, key: str, name: str) -> bytes:
        folder = self.folder(key)
        try:
            return read_checked(folder / name, read_manifest(folder, key)[name])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._missing_or_damaged(key, error) from error

    def _missing_or_damaged(self, key: str, error: Exception) -> NotInStore:
        if isinstance(error, FileNotFoundError):
            if not self.folder(key).exists():
                return NotInStore(f"{key}: no finished record in {self.root}")
            return self._set_aside(key, f"{Path(error.filename).name} is missing")
        if isinstance(error, OSError) and not isinstance(error, IsADirectoryError | NotADirectoryError):
            raise error  # a disk that cannot be read is no proof of damage
        return self._set_aside(key, " ".join(str(error).split())[:500])

    def _set_aside(self, key: str, why: str) -> Damaged:
        move_aside(self.root, self.folder(key), key, why)
        return Damaged(key, why)

    def _is_sound(self, key: str) -> bool:
        return self._index.knows(key, stamp_of(self.folder(key))) or self._record_or_none(key) is not None

    def _record_or_none(self, key: str) -> Record | None:
        stamp = stamp_of(self.folder(key))
        known = self._index.knows(key, stamp)
        try:
            record = self._verified(key, known)
            if not known:
                self._index.learn(key, stamp)
            return record
        except Damaged as error:
            _log.warning("damaged record, now in quarantine and missing: %s", error)
        except NotInStore:
            _log.info("%s was moved away while it was read", key)
        return None

    def _map(self, read: Callable[[str], Found], keys: list[str]) -> list[Found]:
        """``read`` of each key; what was learned of them on the way is kept."""
        if len(keys) < 64:
            found = [read(key) for key in keys]
        else:
            with ThreadPoolExecutor(max_workers=4) as pool:
                found = list(pool.map(read, keys, chunksize=64))
        self._index.keep()
        return found


def clean(record: Record) -> Record:
    """``record`` without secrets in what was caught from logs and errors."""
    return record.model_copy(update={"message": scrub(record.message), "log_tail": scrub(record.log_tail)})


def _final(tries: list[Record]) -> bool:
    reason = tries[-1].reason
    if reason is None:
        return False
    return Counter(attempt.reason for attempt in tries)[reason] > RETRIED.get(reason, 0)


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
