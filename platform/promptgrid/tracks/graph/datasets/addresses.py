"""Addresses of graphs on disk: ``prefix:/path?key=value&key=value``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from promptgrid.spec import Refused, nearest
from promptgrid.spec.paths import nearest_folder, user_path


def address(dataset: str, prefix: str, known: Sequence[str] = ()) -> tuple[Path, dict[str, str]]:
    """The path and the options of ``dataset``; ``~``, ``${NAME}`` and the working folder count as in every wing.

    Raises:
        Refused: an option that does not exist, or a path that is not there.
    """
    path, _, said = dataset.removeprefix(prefix).partition("?")
    options = dict(parse_qsl(said, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise Refused("unknown option", where=dataset, got=name, expected=", ".join(known) or "no options",
                          hint=nearest(name, known))  # fmt: skip
    found = user_path(path)
    if not found.exists():
        raise Refused("no such file or folder", where=str(found), hint=f"there is {nearest_folder(found)}")
    return found, options


def required(path: Path, what: str) -> Path:
    """``path``, which must be a file.

    Raises:
        Refused: it is not there.
    """
    if not path.is_file():
        raise Refused("no such file", where=str(path), expected=what)
    return path
