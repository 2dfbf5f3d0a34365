"""Which test examples each cell answered right, for paired tests between cells."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from promptgrid.store.faults import Damaged, NotInStore
from promptgrid.store.records import Store

if TYPE_CHECKING:
    from promptgrid.contract.track import Predictions

_log = logging.getLogger(__name__)
Correct = npt.NDArray[np.bool_]


def right_answers(store: Store, keys: Iterable[str]) -> dict[str, Correct]:
    """{key: (examples,) bool}, by evaluation and index, so that cells scored on the same examples line up.

    Cells whose predictions are damaged or gone are left out, with a warning; they are missing from then on.
    """
    wanted = sorted(keys)
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = pool.map(lambda key: _right(store, key), wanted, chunksize=64)
        return {key: answers for key, answers in zip(wanted, found, strict=True) if answers is not None}


def _right(store: Store, key: str) -> Correct | None:
    parts = stored_answers(store, key)
    if not parts:
        return None
    right = [(part.top[:, 0] == part.label)[np.argsort(part.example, kind="stable")] for part in parts]
    return np.concatenate(right)


def stored_answers(store: Store, key: str) -> tuple[Predictions, ...]:
    """What a finished cell answered, by evaluation; nothing, with a warning, where that is damaged or gone."""
    try:
        return tuple(sorted(store.predictions(key), key=lambda part: part.evaluation))
    except (Damaged, NotInStore) as error:
        _log.warning("no answers of cell %s: %s", key[:12], error)
        return ()
