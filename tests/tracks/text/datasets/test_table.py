from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.table import Table
from promptgrid.tracks.text.datasets.text import TextDataset

HEAD = "review,stars,part\n"
BODY = '"good, really",5,train\n\n,3,train\nbad,1,training\nfine,5,dev\n"tab\tinside",1,TEST\nok,5,test\n'
QUERY = "?text=review&label=stars&split=part"


def opened(path: Path, query: str) -> TextDataset:
    found = Table().open(f"table:{path}{query}")
    assert isinstance(found, TextDataset)
    return found


def saved(folder: Path, text: str, name: str = "some.csv") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


def test_a_csv_with_a_split_column(tmp_path: Path) -> None:
    found = opened(saved(tmp_path, "\ufeff" + (HEAD + BODY).replace("\n", "\r\n")), QUERY)
    assert found.card.classes == ("1", "5")
    assert found.splits == {"train": [0, 1], "val": [2], "test": [3, 4]}
    assert [found.read(index).a for index in range(5)] == ["good, really", "bad", "fine", "tab\tinside", "ok"]
    assert found.example_name(0) == "some.csv line 2"
    assert found.notes == ("1 rows without a text are left out",)


def test_every_kind_of_file_gives_the_same_content(tmp_path: Path) -> None:
    rows = [("good, really", 5, "train"), ("bad", 1, "train"), ("fine", 5, "val"), ("so", 1, "test"), ("ok", 5, "test")]
    records = [dict(zip(("review", "stars", "part"), row, strict=True)) for row in rows]
    quoted = [f'"{text}"' for text, _, _ in rows]
    saved(tmp_path, HEAD + "".join(f"{q},{s},{p}\n" for q, (_, s, p) in zip(quoted, rows, strict=True)), "a.csv")
    saved(tmp_path, HEAD.replace(",", "\t") + "".join(f"{t}\t{s}\t{p}\n" for t, s, p in rows), "b.tsv")
    saved(tmp_path, "".join(json.dumps(record) + "\n" for record in records), "c.jsonl")
    floats = [record | {"stars": float(str(record["stars"]))} for record in records]
    pa.parquet.write_table(pa.Table.from_pylist(floats), tmp_path / "d.parquet")
    digests = {opened(tmp_path / name, QUERY).card.sha256 for name in ("a.csv", "b.tsv", "c.jsonl", "d.parquet")}
    assert len(digests) == 1


def test_labels_that_are_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    text = "t,l\n" + "".join(f"text {n} {label},{label}\n" for n in range(4) for label in (10, 9, -1))
    assert opened(saved(tmp_path, text), "?text=t&label=l").card.classes == ("-1", "9", "10")


def test_a_table_without_splits_is_divided_by_content(tmp_path: Path) -> None:
    text = "t,l\n" + "".join(f"text {n} {label},{label}\n" for n in range(10) for label in "ab")
    found = opened(saved(tmp_path, text), "?text=t&label=l")
    assert found.card.splits == {"train": 10, "val": 4, "test": 6}
    assert "no splits given: divided by content" in found.notes


def test_a_table_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    text = "".join(f"{label},head {n},body {n}\n" for n in range(10) for label in "12")
    found = opened(saved(tmp_path, text), "?text=1&text_b=2&label=0&header=no")
    assert found.card.classes == ("1", "2")
    assert found.read(0).a.replace("head", "body") == found.read(0).b
    assert "{text_b}" in found.mask_templates[0]


def test_a_folder_has_a_table_a_split(tmp_path: Path) -> None:
    for name, text in (("train", "one,a\ntwo,b\n"), ("validation", "three,a\n"), ("test", "four,b\n")):
        saved(tmp_path, "t,l\n" + text, f"{name}.csv")
    saved(tmp_path, "no table", "notes.txt")
    query = "?text=t&label=l"
    assert opened(tmp_path, query).splits == {"train": [0, 1], "val": [2], "test": [3]}
    with pytest.raises(Refused, match="a folder has its splits by file"):
        opened(tmp_path, query + "&split=t")
    (tmp_path / "test.csv").unlink()
    found = opened(tmp_path, query)
    assert found.splits == {"train": [0, 1], "test": [2]}
    assert "there is no test with labels: the validation texts are the test" in found.notes
    (tmp_path / "train.csv").unlink()
    with pytest.raises(Refused, match="no table in the folder is called train"):
        opened(tmp_path, query)


@pytest.mark.parametrize(
    ("text", "query", "message"),
    [
        (HEAD + BODY, "?label=stars", "which column is the text.*add &text=NAME"),
        (HEAD + BODY, "", "which column is the text.*got .'review', 'stars', 'part'..*add .text=NAME"),
        (HEAD + BODY, "?text=reviews&label=stars", "no column 'reviews'.*did you mean 'review'"),
        (HEAD + BODY, QUERY + "&text_b=second", "no column 'second'"),
        (HEAD + "good,5,held out\n", QUERY, "line 2: unknown split; got 'held out'"),
        (HEAD + "good,,train\n", QUERY, "line 2: a row has no label; got 'good'"),
        (HEAD + "good,5\n", QUERY, "line 2: a row of another length than the first; got 2; expected 3 columns"),
        (HEAD + '"good,5,train\n', QUERY, "not a table"),
        ("a,a\n1,2\n", "?text=a&label=a", "two columns have one name"),
        (HEAD, QUERY, "there are no rows"),
        ("\n", QUERY, "the file is empty"),
        (HEAD + BODY, QUERY + "&header=maybe", "unknown value of header"),
        (HEAD + BODY, QUERY + "&sha256=" + "0" * 64, "damaged or changed"),
    ],
)
def test_what_is_malformed_or_unclear_is_refused(tmp_path: Path, text: str, query: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        opened(saved(tmp_path, text), query)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"unknown kind of table; got '\.xlsx'"):
        opened(saved(tmp_path, "x", "some.xlsx"), QUERY)
    with pytest.raises(Refused, match="not Parquet"):
        opened(saved(tmp_path, "x", "some.parquet"), QUERY)


def test_a_gap_in_a_record_is_an_empty_field(tmp_path: Path) -> None:
    lines = [{"t": "one", "l": "a"}, {"l": "b"}, {"t": "two"}]
    with pytest.raises(Refused, match="line 3: a row has no label"):
        opened(saved(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "x.jsonl"), "?text=t&label=l")


def test_a_published_table_without_a_header(shared: Callable[[str], Path]) -> None:
    found = opened(shared("sciprompt/data/EmergingNLP/test_set.csv"), "?text=0&label=1&header=no")
    assert len(found.card.classes) == 21
    assert sum(found.card.splits.values()) == 420
