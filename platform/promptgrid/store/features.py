"""A cache of arrays: computed once by whoever comes first, memory-mapped by all others."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import save_file

from promptgrid.spec.paths import user_path
from promptgrid.spec.sizes import bytes_of
from promptgrid.store.files.commit import land, make_folder, staging, write_file
from promptgrid.store.files.encoding import plain_json, sealed, unsealed
from promptgrid.store.files.mapping import map_arrays

Arrays = dict[str, npt.NDArray[Any]]
SIZE_VARIABLE = "PROMPTGRID_CACHE_SIZE"
"""The environment variable that bounds the cache, e.g. ``20GB``."""
DEFAULT_SIZE = "20GB"
LOOK_AGAIN = 0.05
"""Seconds between two looks at a lock that another process holds."""
MAPPED = 256
"""Entries that a cache keeps mapped; what it mapped before, the disk may forget."""
_ARRAYS, _MANIFEST = "arrays.safetensors", "manifest.json"
_log = logging.getLogger(__name__)


def cache_bound() -> int:
    """Bytes that the cache may take by the environment. Raises Refused where that says no size."""
    return bytes_of(os.environ.get(SIZE_VARIABLE, DEFAULT_SIZE), SIZE_VARIABLE)


@dataclass(frozen=True)
class Entry:
    """One cached name: bytes on disk, when it was last asked for (seconds since 1970), and what is wrong with it."""

    name: str
    folder: Path
    bytes: int
    used: float
    trouble: str = ""

    @property
    def title(self) -> str:
        """The title in the name where it has one, else the name."""
        try:
            named = plain_json(self.name.encode())
        except ValueError:
            return self.name
        return str(named["about"]) if isinstance(named, dict) and "about" in named else self.name


class FeatureCache:
    """The contract's ``Cache`` on disk, under ``root/features``.

    Each name is computed once, under an operating-system lock that dies with its holder; all processes of a host share
    the pages. A digest guards every entry, checked when a cache maps it, that is once a pack, as workers open a cache
    for each (``--local`` opens one for all); what does not verify is computed again. When the cache grows beyond
    ``max_bytes`` (by default ``$PROMPTGRID_CACHE_SIZE``, else 20 GB), what was not asked for longest goes first. A full
    or read-only disk costs time, never a result. ``alive`` is called again and again while another process computes
    what this one waits for.
    """

    def __init__(self, root: Path | str, max_bytes: int | None = None, alive: Callable[[], None] | None = None) -> None:
        self.root = user_path(root).absolute()
        self.max_bytes = cache_bound() if max_bytes is None else max_bytes
        self._alive = alive or (lambda: None)
        self._base = self.root / "features"
        self._mapped: dict[str, Arrays] = {}

    def __reduce__(self) -> tuple[type[FeatureCache], tuple[Path, int]]:
        """Travels to workers without its maps."""
        return (FeatureCache, (self.root, self.max_bytes))

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays stored under ``name``, read-only; computed and stored when missing or damaged.

        ``compute`` may ask for other names, as long as no two names ask for each other.
        """
        if name in self._mapped:
            self._touch(name)
            self._mapped[name] = self._mapped.pop(name)
            return dict(self._mapped[name])
        arrays = self._open(name)
        if arrays is None:
            arrays = self._compute(name, compute)
        self._mapped[name] = arrays
        while len(self._mapped) > MAPPED:
            del self._mapped[next(iter(self._mapped))]
        return dict(arrays)

    @property
    def folder(self) -> Path:
        """Where the entries are."""
        return self._base

    def listing(self) -> list[Entry]:
        """What is stored, least recently used first."""
        if not self._base.is_dir():
            return []
        found = [_entry(folder) for folder in self._base.iterdir() if len(folder.name) == 64]
        return sorted((entry for entry in found if entry), key=lambda entry: entry.used)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(entry.bytes for entry in self.listing())

    def clear(self) -> int:
        """Remove everything; the bytes freed. Arrays handed out stay valid."""
        self._mapped.clear()
        return sum(entry.bytes for entry in self.listing() if self._remove(entry.folder))

    def shrink(self, max_bytes: int) -> int:
        """Remove what was not asked for longest until at most ``max_bytes`` are left; the bytes freed."""
        freed, size = 0, self.size()
        for entry in self.listing():
            if size - freed > max_bytes and self._remove(entry.folder):
                freed += entry.bytes
        return freed

    def verify(self) -> list[Entry]:
        """Check every digest; what is damaged, or lacks a file, is removed (and computed again) and returned."""
        damaged = [entry for entry in map(_examined, self.listing()) if entry.trouble]
        for entry in damaged:
            self._mapped.pop(entry.name, None)
            self._remove(entry.folder)
        return damaged

    def _folder(self, name: str) -> Path:
        return self._base / hashlib.sha256(name.encode()).hexdigest()

    def _touch(self, name: str) -> None:
        try:
            os.utime(self._folder(name) / _MANIFEST)
        except OSError as error:  # evicted meanwhile, or a store that may only be read: the order of eviction suffers
            _log.debug("cannot mark %s as used: %s", name, error)

    def _open(self, name: str) -> Arrays | None:
        """The verified arrays of ``name``; None when missing, or damaged and removed."""
        folder = self._folder(name)
        try:
            manifest = unsealed((folder / _MANIFEST).read_bytes())
            if manifest.get("name") != name or manifest.get("sha256_arrays") != _sha256(folder / _ARRAYS):
                raise ValueError("the content does not match the manifest")
            arrays = map_arrays(folder / _ARRAYS)
        except (FileNotFoundError, NotADirectoryError):
            if folder.exists():
                self._remove(folder)
            return None
        except OSError as error:  # a network file system lost its place; others may still read it
            _log.warning("features of %s cannot be read now, computing them: %s", name, error)
            return None
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("damaged features of %s, computing them again: %s", name, error)
            self._remove(folder)
            return None
        self._touch(name)
        return arrays

    def _compute(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        with self._lock(name):
            arrays = self._open(name)  # somebody may have finished while this process waited
            if arrays is not None:
                return arrays
            computed = {key: np.asarray(value, order="C") for key, value in compute().items()}
            try:
                self._write(name, computed)
            except (OSError, SafetensorError) as error:  # safetensors wraps the I/O errors of its own writer
                _log.warning("features of %s stay in memory, the cache cannot be written: %s", name, error)
            arrays = self._open(name)
            if arrays is None:
                arrays = computed
                for array in arrays.values():
                    array.setflags(write=False)
            self._evict(keep=self._folder(name))
            return arrays

    def _write(self, name: str, arrays: Arrays) -> None:
        with staging(self.root / "temporary") as folder:
            save_file(arrays, folder / _ARRAYS)
            content = {"format": 1, "name": name, "sha256_arrays": _sha256(folder / _ARRAYS)}
            write_file(folder / _MANIFEST, sealed(content))
            land(folder, self._folder(name))

    def _evict(self, keep: Path) -> None:
        entries = self.listing()
        size = sum(entry.bytes for entry in entries)
        for entry in entries:
            if size <= self.max_bytes:
                return
            if entry.folder != keep and self._remove(entry.folder):
                size -= entry.bytes

    def _remove(self, folder: Path) -> bool:
        """Take ``folder`` out of sight at once, then delete it; maps of it stay valid."""
        try:
            with staging(self.root / "temporary") as aside:
                os.rename(folder, aside / "removed")
        except FileNotFoundError:  # another process was faster
            return False
        except OSError as error:
            _log.warning("cannot remove cached features in %s: %s", folder, error)
            return False
        return True

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        try:
            make_folder(self._base / "locks")
            handle = os.open(self._base / "locks" / self._folder(name).name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        except OSError as error:
            _log.warning("features of %s are computed without a lock: %s", name, error)
            yield
            return
        try:
            self._wait_for(handle)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int) -> None:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._alive()
                time.sleep(LOOK_AGAIN)
                continue
            except OSError as error:
                if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}:
                    raise
                _log.warning("this file system has no locks: features may be computed more than once")
            return


def _entry(folder: Path) -> Entry | None:
    """What is in ``folder``; None where it was removed meanwhile."""
    name = "(without a name)"
    try:
        manifest = unsealed((folder / _MANIFEST).read_bytes())
        name = str(manifest.get("name"))
        used = (folder / _MANIFEST).stat().st_mtime
        return Entry(name, folder, (folder / _ARRAYS).stat().st_size, used)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not folder.is_dir():
            return None
        trouble = f"{Path(error.filename).name} is missing"
    except ValueError as error:
        trouble = f"{_MANIFEST}: {error}"
    return Entry(name, folder, sum(item.stat().st_size for item in folder.iterdir()), 0.0, trouble)


def _examined(entry: Entry) -> Entry:
    """``entry`` with what is wrong with it, its arrays read again."""
    if entry.trouble:
        return entry
    try:
        manifest = unsealed((entry.folder / _MANIFEST).read_bytes())
        if manifest.get("sha256_arrays") != _sha256(entry.folder / _ARRAYS):
            return replace(entry, trouble=f"{_ARRAYS} does not match its sha256")
    except (OSError, ValueError) as error:
        gone = isinstance(error, FileNotFoundError) and not entry.folder.exists()  # removed meanwhile: no damage
        return entry if gone else replace(entry, trouble=str(error))
    return entry


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
