"""Small text files beside published datasets: names by line, in the order that labels follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptgrid.spec import Refused, nearest

MAX_BYTES = 512 * 2**20


def read_lines(file: Path) -> list[tuple[int, str]]:
    """(number from 1, line without blanks around it) of each line that is not blank.

    Raises:
        Refused: no such file, too large a one, or not UTF-8.
    """
    where = str(file)
    if not file.is_file():
        raise Refused("no such file", where=where)
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise Refused("file is too large", where=where, got=size, expected=f"at most {MAX_BYTES} bytes")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"not UTF-8 text (byte {error.start})", where=where) from error
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def read_keyed_names(file: Path) -> dict[str, str]:
    """``key name with spaces`` a line, in the file's order: names by key.

    Raises:
        Refused: a line without a name, or a key on two lines.
    """
    names: dict[str, str] = {}
    for number, line in read_lines(file):
        key, _, name = line.partition(" ")
        if not name.strip():
            raise Refused(f"line {number}: no name", where=str(file), got=line, expected="a folder, a blank, a name")
        if key in names:
            raise Refused(f"line {number}: {key!r} stands on two lines", where=str(file))
        names[key] = name.strip()
    return names


def read_labelled(file: Path, classes: Sequence[str], ending: str = "") -> list[tuple[str, int]]:
    """``path name with spaces`` a line: (path with ``ending``, label), the name being one of ``classes``.

    Raises:
        Refused: a name that is none of them.
    """
    labels = {name: label for label, name in enumerate(classes)}
    rows = []
    for number, line in read_lines(file):
        path, _, name = line.partition(" ")
        if name.strip() not in labels:
            raise Refused("no class is called so", where=f"{file} line {number}", got=name.strip(),
                          hint=nearest(name.strip(), labels))  # fmt: skip
        rows.append((path + ending, labels[name.strip()]))
    return rows
