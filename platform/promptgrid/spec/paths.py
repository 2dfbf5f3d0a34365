"""Paths as users write them: ``~`` is a home, ``${NAME}`` what the environment says, and the rest is relative to the
working folder; what no disk could hold is refused in one sentence.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from promptgrid.spec.refusal import Refused

MAX_PART, MAX_WHOLE = 255, 4095
"""Bytes of one name and of a whole path: what Linux and macOS take."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def user_path(written: str | Path, where: str = "") -> Path:
    """``written`` with ``${NAME}``, then ``~`` and ``~name`` expanded; nothing is looked up on disk.

    Raises:
        Refused: a variable that is not set, an unknown user, a NUL byte, a name longer than file systems keep;
            ``where`` names its origin.
    """
    text = os.fspath(written)
    if "\0" in text:
        raise Refused("a path holds a NUL byte", where=where, got=text)
    for name in _VARIABLE.findall(text):
        if not os.environ.get(name):
            raise Refused(f"the environment variable {name} is not set", where=where, got=text)
    text = _VARIABLE.sub(lambda found: os.environ[found[1]], text)
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


def nearest_folder(path: Path) -> Path:
    """The folder that is there and lies nearest above ``path``, from the root of the disk on."""
    return next(parent for parent in path.absolute().parents if parent.is_dir())
