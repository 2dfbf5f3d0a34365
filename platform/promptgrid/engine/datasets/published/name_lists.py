"""Small text files beside published datasets: names by line, in the order that labels follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptgrid.engine.datasets.split_lists import plain_path
from promptgrid.spec import Refused, nearest

MAX_BYTES = 512 * 2**20
CLASSNAMES = "classnames.txt"


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


def read_numbered(file: Path) -> list[tuple[str, int]]:
    """``path label`` a line, the label being the number behind the last blank: (path, label).

    Raises:
        Refused: a line without a number from 0 up, a path that leads out of the folder or stands on two lines, or none.
    """
    rows: dict[str, int] = {}
    for number, line in read_lines(file):
        place = f"{file} line {number}"
        path, _, label = line.rpartition(" ")
        if not path.strip() or not label.isdecimal():
            raise Refused("no label", where=place, got=line, expected="a path, a blank, a number from 0 up")
        path = plain_path(path.strip(), "the list", place)
        if path in rows:
            raise Refused(f"{path!r} stands on two lines", where=place)
        rows[path] = int(label)
    if not rows:
        raise Refused("the list is empty", where=str(file))
    return list(rows.items())


def class_names(folder: Path, count: int) -> tuple[list[str], list[str]]:
    """Names of ``count`` classes by ``classnames.txt`` in ``folder``, one a line; numbers and a note where it lacks.

    Raises:
        Refused: it has another number of lines.
    """
    file = folder / CLASSNAMES
    if not file.is_file():
        return [f"class {label}" for label in range(count)], [
            f"no {CLASSNAMES} in {folder}: classes are numbers, which prompts cannot speak of"
        ]
    names = [line for _, line in read_lines(file)]
    if len(names) != count:
        raise Refused(f"{len(names)} names", where=str(file), expected=f"{count}, one for each label")
    return names, []
