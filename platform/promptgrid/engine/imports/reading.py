"""What all formats need: files below a path, JSON with its place in errors, numbers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptgrid.spec import Refused


def files_below(path: Path, *patterns: str) -> list[tuple[Path, str]]:
    """(file, name below ``path``) of one file, or of all below a folder whose names fit, sorted.

    Raises:
        Refused: there is none.
    """
    if path.is_file():
        return [(path, path.name)]
    found = sorted({file for pattern in patterns for file in path.rglob(pattern) if file.is_file()})
    if not found:
        raise Refused("nothing to import there", where=str(path), expected=f"{' or '.join(patterns)}, at any depth")
    return [(file, file.relative_to(path).as_posix()) for file in found]


def text_of(file: Path) -> tuple[str, str]:
    """(text, sha256) of ``file``. Raises Refused where it is not UTF-8."""
    raw = file.read_bytes()
    try:
        return raw.decode("utf-8"), hashlib.sha256(raw).hexdigest()
    except UnicodeDecodeError as error:
        raise Refused(f"not UTF-8 text (byte {error.start})", where=str(file)) from error


def json_values(text: str, where: str) -> Iterator[tuple[int, Any]]:
    """(line, value) of JSON text: one value (line 0), or one a line. Raises Refused with the line."""
    try:
        yield 0, json.loads(text)
        return
    except (ValueError, RecursionError) as error:
        if len(text.splitlines()) < 2 or text.lstrip()[:2] in ("[\n", "{\n"):
            raise Refused(f"not JSON: {error}", where=where) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Refused(f"line {number} is not JSON: {error}", where=where) from error


def number_of(value: Any) -> float | None:
    """``value`` where it is a finite number; None where it is anything else."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else None


def fraction(percent: float) -> float:
    """A printed percentage as the fraction that a record keeps, without the noise of dividing by 100."""
    return round(percent / 100.0, 10)
