"""Paths as users write them: ``~`` is a home, and what no disk could hold is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

from promptgrid.spec.refusal import Refused

MAX_PART, MAX_WHOLE = 255, 4095
"""Bytes of one name and of a whole path: what Linux and macOS take."""


def user_path(written: str | Path, where: str = "") -> Path:
    """``written`` with ``~`` and ``~name`` expanded; nothing is looked up on disk.

    Raises:
        Refused: an unknown user, a NUL byte, a name longer than file systems keep; ``where`` names its origin.
    """
    text = os.fspath(written)
    if "\0" in text:
        raise Refused("a path holds a NUL byte", where=where, got=text)
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise Refused("nobody's home is called so", where=where, got=text, hint=str(error).rstrip(".")) from error
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > MAX_PART or len(os.fsencode(path)) > MAX_WHOLE:
        raise Refused(
            f"a path of {len(text):,} characters with a name of {longest:,} bytes",
            where=where,
            got=text,
            expected=f"names of at most {MAX_PART} bytes, {MAX_WHOLE:,} in all",
        )
    return path
