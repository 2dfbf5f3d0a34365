"""Reading everything again: what is damaged goes to quarantine, what dead processes left is removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promptgrid.store.commit import stale
from promptgrid.store.faults import Damaged, NotInStore, explained
from promptgrid.store.quarantine import move_aside

if TYPE_CHECKING:
    from promptgrid.store.records import Store

STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class VerifyReport:
    """What a verification found: cells read, (key, why) of the damaged, names of removed leftovers."""

    checked: int
    damaged: list[tuple[str, str]] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was damaged."""
        return not self.damaged


def verify(store: Store, keys: Iterable[str] | None = None, *, stale_after: float = STALE_SECONDS) -> VerifyReport:
    """Read every file of ``keys`` (default: of the whole store, failed attempts and strange names included)."""
    asked = None if keys is None else set(keys)
    wanted = sorted(store.keys() if asked is None else store.finished(asked))
    tried = sorted(store.attempts.keys() if asked is None else store.attempts.keys() & asked)
    damaged = _strangers(store) if asked is None else []
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
    return VerifyReport(checked, damaged, _sweep(store, stale_after))


def _strangers(store: Store) -> list[tuple[str, str]]:
    """What lies among the records without being named as one."""
    base = store.root / "records"
    if not base.is_dir():
        return []
    known = set(store.keys())
    found = []
    for shelf in sorted(os.listdir(base)):
        inside = sorted(os.listdir(base / shelf)) if (base / shelf).is_dir() else None
        for name in [shelf] if inside is None else inside:
            path = base / name if inside is None else base / shelf / name
            if name in known and name[:2] == shelf and path.is_dir():
                continue
            why = f"records/{path.relative_to(base)} is no record"
            move_aside(store.root, path, name[:64], why)
            found.append((name, why))
    return found


def _sweep(store: Store, stale_after: float) -> list[str]:
    removed = []
    with explained(store.root):
        for folder in stale(store.root / "temporary", stale_after):
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
            removed.append(folder.name)
    return removed
