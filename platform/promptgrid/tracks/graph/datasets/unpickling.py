"""Reads the pickles of published graphs without running anything: arrays, sparse matrices, dictionaries of lists."""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from promptgrid.spec import Refused

ALLOWED = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"), ("scipy.sparse.csr", "csr_matrix"),
    ("scipy.sparse._csr", "csr_matrix"), ("collections", "defaultdict"), ("__builtin__", "list"), ("builtins", "list"),
    ("_codecs", "encode"),
}  # fmt: skip
"""All that such a file may name: none of it does more than build a value."""


class _Restricted(pickle.Unpickler):
    """Builds what is in ``ALLOWED``, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        if name == "csr_matrix":
            from scipy.sparse import csr_matrix

            return csr_matrix
        if name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # numpy names it in every pickle
        return {"ndarray": np.ndarray, "dtype": np.dtype, "defaultdict": defaultdict, "list": list,
                "encode": lambda text, how="latin1": text.encode(how)}[name]  # fmt: skip


def unpickled(path: Path) -> Any:
    """The value of a pickle file.

    Raises:
        Refused: it is missing, damaged, or names anything beyond ``ALLOWED``.
    """
    try:
        return _Restricted(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise Refused(f"not a pickle of plain arrays: {error}", where=str(path),
                      expected="numpy arrays, scipy.sparse matrices, dictionaries of lists") from error  # fmt: skip
