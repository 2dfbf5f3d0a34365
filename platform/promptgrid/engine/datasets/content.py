"""sha256 of many files, each read once: later openings ask only whether one is still the same file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from promptgrid.engine.datasets.published.archives import content_of, parts_of, size_of
from promptgrid.spec.paths import user_path

logger = logging.getLogger(__name__)
_SETTLED_NS = 2_000_000_000  # younger files may change again within one tick of the clock: hash them, keep no note
_PROGRESS_SECONDS = 5.0
Facts = tuple[int, int, int, int]
"""Of a file: bytes, times of change of its content and of its entry (ns), inode; the last three of its archive."""


def content_hashes(root: Path, paths: Sequence[str], cache: Path | None = None) -> dict[str, tuple[int, str]]:
    """{path: (size in bytes, sha256)} for files given relative to ``root``.

    What was hashed before and has the same size, times of change (of content and of anything, which no tool sets back)
    and inode is taken from a note in ``cache`` (default: the user's cache folder). A note that cannot be read or
    written costs time, never a result.

    Raises:
        OSError: a file is missing or unreadable.
    """
    note = (cache or user_cache()) / "hashes" / f"{hashlib.sha256(str(root).encode()).hexdigest()[:24]}.json"
    known = _read_note(note)
    facts = {path: _facts(root, path) for path in paths}
    stale = [path for path, fact in facts.items() if path not in known or known[path][:-1] != fact]
    fresh = dict(zip(stale, _hash_all(root, stale), strict=True))
    hashes = {path: (facts[path][0], fresh[path] if path in fresh else str(known[path][-1])) for path in paths}
    if fresh:
        settled = time.time_ns() - _SETTLED_NS
        kept = {path: (*facts[path], sha) for path, (_, sha) in hashes.items() if facts[path][1] < settled}
        _write_note(note, kept)
    return hashes


def duplicate_notes(
    hashes: Mapping[str, tuple[int, str]], splits: Mapping[str, Iterable[str]], noun: str = "image"
) -> list[str]:
    """Sentences about files with equal content under different names, and about those that cross two splits."""
    same: dict[str, set[str]] = defaultdict(set)
    homes: dict[str, set[str]] = defaultdict(set)
    for split, paths in splits.items():
        for path in paths:
            same[hashes[path][1]].add(path)
            homes[hashes[path][1]].add(split)
    repeated = sorted((sorted(paths), sorted(homes[sha])) for sha, paths in same.items() if len(paths) > 1)
    crossing = [(paths, names) for paths, names in repeated if "test" in names and len(names) > 1]
    notes = []
    if repeated:
        notes.append(
            f"{len(repeated)} {noun}s are there more than once by content, first {' = '.join(repeated[0][0][:3])}"
        )
    if crossing:
        notes.append(f"{len(crossing)} test {noun}s are also in {'/'.join(n for n in crossing[0][1] if n != 'test')}"
                     f" by content, first {' = '.join(crossing[0][0][:3])}")  # fmt: skip
    return notes


def user_cache() -> Path:
    """``$PROMPTGRID_CACHE``, or promptgrid's folder in the user's cache."""
    if chosen := os.environ.get("PROMPTGRID_CACHE"):
        return user_path(chosen, "PROMPTGRID_CACHE")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promptgrid"


def _facts(root: Path, path: str) -> Facts:
    status = (root / parts_of(path)[0]).stat()
    return size_of(root / path), status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _hash_file(path: Path) -> str:
    if parts_of(path)[1]:
        return hashlib.sha256(content_of(path)).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hash_all(root: Path, paths: Sequence[str]) -> list[str]:
    hashes: list[str] = []
    spoken = time.monotonic()
    with ThreadPoolExecutor(max_workers=8) as readers:
        for sha in readers.map(_hash_file, (root / path for path in paths)):
            hashes.append(sha)
            if time.monotonic() - spoken > _PROGRESS_SECONDS:
                spoken = time.monotonic()
                logger.info("%s: hashed %d of %d files", root, len(hashes), len(paths))
    return hashes


def _read_note(note: Path) -> dict[str, tuple[int, int, int, int, str]]:
    try:
        rows = json.loads(note.read_bytes())
        return {
            path: (int(size), int(written), int(changed), int(inode), _hex(sha))
            for path, (size, written, changed, inode, sha) in rows.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("%s: the note of file hashes is unreadable and is written anew (%s)", note, error)
        return {}


def _hex(sha: str) -> str:
    if len(bytes.fromhex(sha)) != 32:
        raise ValueError(f"{sha!r} is no sha256")
    return sha


def _write_note(note: Path, rows: Mapping[str, tuple[int, int, int, int, str]]) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(handle, "w") as stream:
            json.dump(rows, stream)
        os.replace(draft, note)
    except OSError as error:
        logger.warning("%s: file hashes are not kept for the next time (%s)", note, error)
