"""Verifies a store: reads every file, moves damaged ones to quarantine, removes what dead processes left."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promptgrid.store.faults import Damaged, NotInStore, explained
from promptgrid.store.features import FeatureCache
from promptgrid.store.files.commit import stale
from promptgrid.store.files.quarantine import move_aside
from promptgrid.store.unknown_files import unknown_beside, unknown_inside

if TYPE_CHECKING:
    from promptgrid.store.records import Store

STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        checked: cells read.
        damaged: (key or name, why) of what did not verify, or lay where it did not belong; it is in quarantine now, or
            where it was a cached feature, gone.
        leftovers: names of what dead processes had left, removed.
        features: cached features read.
        searches: choices of searches read.
        beside: names at the top of the store that are none of the platform's; they were left alone.
    """

    checked: int
    damaged: list[tuple[str, str]] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    features: int = 0
    searches: int = 0
    beside: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was damaged."""
        return not self.damaged


def verify(store: Store, keys: Iterable[str] | None = None, *, stale_after: float = STALE_SECONDS) -> VerifyReport:
    """Read every file of ``keys`` again; by default of the whole store, with all that is kept beside the records."""
    asked = None if keys is None else set(keys)
    wanted = sorted(store.keys() if asked is None else store.finished(asked))
    tried = sorted(store.attempts.keys() if asked is None else store.attempts.keys() & asked)
    damaged = _unknown(store) if asked is None else []
    for key in wanted:
        try:
            store.examine(key)
        except Damaged as error:
            damaged.append((key, error.why))
        except NotInStore:  # moved away by another reader since it was listed
            continue
    checked = len(wanted)
    for key in tried:
        attempts, problems = store.attempts.read(key)
        checked += bool(attempts or problems)
        damaged += [(key, why) for why in problems]
    if asked is not None:
        return VerifyReport(checked, damaged, _sweep(store, stale_after))
    features, searches = FeatureCache(store.root, max_bytes=0), store.searches.examine()
    damaged += [("features", f"{entry.title}: {entry.trouble}") for entry in features.verify()]
    damaged += [("searches", why) for why in searches.damaged]
    beside = unknown_beside(store.root)
    kept = len(features.listing())
    return VerifyReport(checked, damaged, _sweep(store, stale_after), kept, searches.sound, beside)


def _unknown(store: Store) -> list[tuple[str, str]]:
    found = []
    for path in list(unknown_inside(store.root)):
        why = f"{path.relative_to(store.root)} does not belong there"
        move_aside(store.root, path, path.name[:64], why)
        found.append((path.name, why))
    return found


def _sweep(store: Store, stale_after: float) -> list[str]:
    removed = []
    with explained(store.root):
        for folder in stale(store.root / "temporary", stale_after):
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
            removed.append(folder.name)
    return removed
