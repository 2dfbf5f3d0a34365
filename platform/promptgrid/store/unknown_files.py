"""Finds files in a store that the platform did not put there."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from promptgrid.store.files.manifest import FILES
from promptgrid.store.verified import NAME as SEEN

OURS = frozenset(
    {"records", "failures", "searches", "features", "quarantine", "temporary", "ray", "mirror.lock", SEEN}
    | {f"mlflow.db{end}" for end in ("", "-journal", "-wal", "-shm")}
    | {"mlflow-artifacts", "mlruns"}
)
"""Names at the top of a store."""
BEING_WRITTEN = 3600.0
"""Seconds after which a file that begins with a dot is no write in progress any more."""
_KEY = re.compile(r"[0-9a-f]{64}")
_ATTEMPT = re.compile(r"[1-9]\d*\.json")


def unknown_beside(root: Path) -> list[str]:
    """Names at the top of the store that are not the platform's. They are reported and left alone."""
    return [name for name in _names(root) if name not in OURS and not _in_progress(root / name)]


def unknown_inside(root: Path) -> Iterator[Path]:
    """Files and folders inside records, failures, searches and features that are none of theirs."""
    yield from _shelved(root / "records", _in_record)
    yield from _shelved(root / "failures", _ATTEMPT.fullmatch)
    for name in _names(root / "searches"):
        path = root / "searches" / name
        if not (path.is_file() and name.endswith(".json")) and not _in_progress(path):
            yield path
    yield from _among_features(root / "features")


def _in_record(name: str) -> bool:
    return name in {"MANIFEST.json", *FILES}


def _shelved(base: Path, belongs: Callable[[str], object]) -> Iterator[Path]:
    """Of ``base/ab/<key>/``: what is named otherwise at each level."""
    for prefix in _names(base):
        if not re.fullmatch("[0-9a-f]{2}", prefix) or not (base / prefix).is_dir():
            yield base / prefix
            continue
        for key in _names(base / prefix):
            folder = base / prefix / key
            if not _KEY.fullmatch(key) or key[:2] != prefix or not folder.is_dir():
                yield folder
                continue
            yield from (folder / name for name in _names(folder) if not belongs(name))


def _among_features(base: Path) -> Iterator[Path]:
    for name in _names(base):
        path = base / name
        if name == "locks" and path.is_dir():
            yield from (path / lock for lock in _names(path) if not _KEY.fullmatch(lock))
        elif not _KEY.fullmatch(name) or not path.is_dir():
            yield path
        else:
            yield from (path / item for item in _names(path) if item not in {"arrays.safetensors", "manifest.json"})


def _in_progress(path: Path) -> bool:
    try:
        return path.name.startswith(".") and time.time() - path.stat().st_mtime < BEING_WRITTEN
    except FileNotFoundError:
        return True


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
