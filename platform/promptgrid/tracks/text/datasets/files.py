"""Reading the files that texts come in: text in the encodings people have, tables, JSON, addresses with options."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from promptgrid.spec import Refused, nearest
from promptgrid.spec.paths import nearest_folder, user_path

MAX_BYTES = 512 * 2**20
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
csv.field_size_limit(2**24)


class Source(NamedTuple):
    """A text read from a file, and what had to be guessed to read it."""

    text: str
    notes: tuple[str, ...]


def address(dataset: str, prefix: str, options: Sequence[str]) -> tuple[Path, dict[str, str]]:
    """The path and the options of ``prefix:path?key=value&...``; values may hold %26 for & and the like.

    ``~`` and ``${NAME}`` are expanded, and a relative path starts at the working folder, as those of all wings do.

    Raises:
        Refused: no such file or folder, an unknown option, one without a value or given twice.
    """
    written, _, query = dataset.removeprefix(prefix).partition("?")
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in options:
            raise Refused(f"unknown option {key!r}", where=dataset, hint=nearest(key, options))
        if not value or key in found:
            raise Refused(f"option {key!r} is {'written twice' if value else 'empty'}", where=dataset)
        found[key] = unquote(value)
    path = user_path(written, dataset[:120])
    if not written or not path.exists():
        raise Refused("no such file or folder", where=dataset, got=written,
                      hint=f"the nearest folder that exists is {str(nearest_folder(path))!r}")  # fmt: skip
    return path.resolve(), found


def read_text(path: Path) -> Source:
    """The text in a file: UTF-8, UTF-16 with its mark, or else Windows-1252, which a note then says.

    Raises:
        Refused: missing, too large, or no text.
    """
    where = str(path)
    if not path.is_file():
        beside = sorted(entry.name for entry in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        raise Refused("no such file", where=where, hint=f"in that folder: {', '.join(beside)}" if beside else "")
    if path.stat().st_size > MAX_BYTES:
        raise Refused("file is too large", where=where, got=path.stat().st_size, expected=f"at most {MAX_BYTES} bytes")
    raw = path.read_bytes()
    encoding = next((name for mark, name in BOMS.items() if raw.startswith(mark)), "utf-8")
    notes: tuple[str, ...] = ()
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        text = raw.decode("cp1252", "replace")
        notes = (f"{path.name} is not UTF-8 (byte {error.start}): read as Windows-1252",)
    if "\0" in text:
        raise Refused("the file holds NUL bytes: it is no text", where=where)
    return Source(text, notes)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of each line that is not blank; only LF and CRLF end a line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.removesuffix("\r")


def table(path: Path, separator: str, quoted: bool) -> tuple[list[tuple[int, list[str]]], tuple[str, ...]]:
    """(number of the row's last line, fields) of each row that is not blank, and notes on the reading.

    ``quoted`` fields may hold separators and ends of line; else a quotation mark is a character like any other.

    Raises:
        Refused: see :func:`read_text`; a quoted field that is never closed.
    """
    source = read_text(path)
    if not quoted:
        return [(number, line.split(separator)) for number, line in lines(source.text)], source.notes
    reader = csv.reader(io.StringIO(source.text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                rows.append((reader.line_num, fields))
    except csv.Error as error:
        raise Refused(f"line {reader.line_num}: not a table: {error}", where=str(path)) from error
    return rows, source.notes


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        Refused: see :func:`read_text`; not JSON, or a key written twice.
    """
    return parse_json(read_text(path).text, str(path))


def parse_json(text: str, where: str) -> Any:
    """The value of JSON ``text``; a key written twice is refused as what is no JSON is."""
    try:
        return json.loads(text, object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not valid JSON: {error}", where=where) from error


def json_lines(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], tuple[str, ...]]:
    """(line number, object) of each line that is not blank.

    Raises:
        Refused: a line is no JSON object.
    """
    source, rows = read_text(path), []
    for number, line in lines(source.text):
        value = parse_json(line, f"{path} line {number}")
        if not isinstance(value, dict):
            raise Refused("not a JSON object", where=f"{path} line {number}", got=type(value).__name__)
        rows.append((number, value))
    return rows, source.notes


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is written twice among {[key for key, _ in pairs][:6]}")
    return found
