from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets import files


def written(folder: Path, raw: bytes, name: str = "some.csv") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert files.read_text(written(tmp_path, "crème".encode(encoding))) == ("crème", ())


def test_what_is_not_utf_8_is_read_as_windows_1252_and_a_note_says_so(tmp_path: Path) -> None:
    found = files.read_text(written(tmp_path, "one\ncrème “brûlée”".encode("cp1252")))
    assert found.text == "one\ncrème “brûlée”"
    assert found.notes == ("some.csv is not UTF-8 (byte 6): read as Windows-1252",)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="NUL bytes"):
        files.read_text(written(tmp_path, b"PAR1\0\0"))
    with pytest.raises(Refused, match=r"no such file; in that folder: some\.csv"):
        files.read_text(tmp_path / "other.csv")


def test_only_lf_and_crlf_end_a_line_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    text = files.read_text(written(tmp_path, "one\u2028still\r\n\r\n  \ntwo\x0bstill\x85too\n".encode())).text
    assert list(files.lines(text)) == [(1, "one\u2028still"), (4, "two\x0bstill\x85too")]


def test_quotation_marks_are_characters_where_nothing_is_quoted(tmp_path: Path) -> None:
    path = written(tmp_path, b'"quoted\t1\nnot "so"\t0\n')
    rows, _ = files.table(path, "\t", quoted=False)
    assert [fields for _, fields in rows] == [['"quoted', "1"], ['not "so"', "0"]]
    with pytest.raises(Refused, match="not a table"):
        files.table(path, "\t", quoted=True)


def test_quoted_fields_hold_separators_quotes_and_ends_of_line(tmp_path: Path) -> None:
    path = written(tmp_path, b'1,"a, ""b""\nc"\r\n\r\n0,plain\r\n')
    rows, _ = files.table(path, ",", quoted=True)
    assert rows == [(2, ["1", 'a, "b"\nc']), (4, ["0", "plain"])]


@pytest.mark.parametrize(
    ("written_", "message"),
    [
        ("table:{}/some.csv?colour=red", "unknown option 'colour'"),
        ("table:{}/some.csv?text=", "option 'text' is empty"),
        ("table:{}/some.csv?text=a&text=b", "option 'text' is written twice"),
        ("table:{}/none.csv?text=a", "no such file or folder"),
        ("table:", "no such file or folder"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(tmp_path: Path, written_: str, message: str) -> None:
    written(tmp_path, b"a\n")
    with pytest.raises(Refused, match=message):
        files.address(written_.format(tmp_path), "table:", ("text", "label"))


def test_values_of_options_may_hold_escaped_marks(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\n")
    found, options = files.address(f"table:{path}?text=Q%26A&label=%23", "table:", ("text", "label"))
    assert (found, options) == (path.resolve(), {"text": "Q&A", "label": "#"})


def test_json_lines_must_be_objects(tmp_path: Path) -> None:
    rows, _ = files.json_lines(written(tmp_path, b'{"a": 1}\n\n{"a": "\xe2\x80\xa8"}\n'))
    assert rows == [(1, {"a": 1}), (3, {"a": "\u2028"})]
    with pytest.raises(Refused, match="line 2: not a JSON object"):
        files.json_lines(written(tmp_path, b'{"a": 1}\n[1]\n'))
    with pytest.raises(Refused, match="line 1: not valid JSON"):
        files.json_lines(written(tmp_path, b"{'a': 1}\n"))
    with pytest.raises(Refused, match="a key is written twice"):
        files.read_json(written(tmp_path, b'{"a": 1, "a": 2}'))
