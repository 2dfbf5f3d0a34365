"""What is said of an error that ends a command, and with which exit status."""

from __future__ import annotations

import os
import tempfile
import traceback

from promptgrid.spec import ClusterLost, Refused
from promptgrid.spec.exits import CRASHED, LOST, REFUSED


def told(error: Exception) -> tuple[str, int]:
    """One line about ``error``, and the exit status that goes with it.

    What no message of ours foresaw leaves its traceback in a file, which the line names.
    """
    if isinstance(error, Refused):
        return f"refused: {error}", REFUSED
    if isinstance(error, ClusterLost):
        return f"cluster lost: {error}", LOST
    said = " ".join(str(error).split())[:500]
    line = f"crashed: {type(error).__name__}: {said}" if said else f"crashed: {type(error).__name__}"
    return (line if isinstance(error, OSError) else f"{line} ({_kept(error)})"), CRASHED


def _kept(error: Exception) -> str:
    """Where the traceback of ``error`` was written to."""
    try:
        handle, name = tempfile.mkstemp(prefix="promptgrid-crash-", suffix=".txt")
        with os.fdopen(handle, "w") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return "its traceback could not be written"
    return f"traceback in {name}"
