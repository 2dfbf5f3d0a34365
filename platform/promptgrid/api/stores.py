"""Which store is meant: by default, by its folder, and which of its cells by the beginning of a key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.spec import Refused
from promptgrid.spec.paths import user_path

if TYPE_CHECKING:
    from promptgrid.store import Store


SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray sets in the environment of a submitted job's command."""


def default_store() -> Path:
    """``$PROMPTGRID_STORE``, or ``.promptgrid/store`` in the current folder.

    A job that Ray runs stands in a copy of the folder that goes away with the cluster: there it is
    ``~/.promptgrid/store``, so that nothing is lost.
    """
    named = os.environ.get("PROMPTGRID_STORE")
    home = Path.home() if SUBMITTED in os.environ else Path()
    return Path(named) if named else home / ".promptgrid" / "store"


def open_store(store: Store | str | Path | None = None) -> Store:
    """The store at ``store``, by default :func:`default_store`.

    Raises:
        Refused: it is no folder and cannot become one.
    """
    from promptgrid.store import Store
    from promptgrid.store.files.writable import refuse_unusable

    if isinstance(store, Store):
        return store
    where = "--store" if store is not None else "$PROMPTGRID_STORE" if "PROMPTGRID_STORE" in os.environ else "the store"
    found = Store(user_path(store if store is not None else default_store(), where))
    refuse_unusable(found.root, where)
    return found


def existing_store(store: Store | str | Path | None = None) -> Store:
    """The store at ``store``, as :func:`open_store`, where there is one.

    Raises:
        Refused: nothing is there, or something else.
    """
    found = open_store(store)
    if not found.exists():
        what = "is no folder" if found.root.exists() and not found.root.is_dir() else "holds no store"
        raise Refused(f"{found.root} {what}", where="--store", hint="`promptgrid run SUITE` makes one; nothing has run")
    return found


def whole_key(beginning: str, store: Store, where: str = "load_method") -> str:
    """The key of the one finished cell whose key begins so. Raises Refused where there is none, or several."""
    keys = [key for key in list(store.keys()) if key.startswith(beginning)]
    if len(keys) != 1:
        problem = f"{len(keys)} finished cells have a key that begins so"
        raise Refused(problem, where=where, got=beginning, expected="exactly one")
    return keys[0]
