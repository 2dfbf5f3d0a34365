from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.intents import Intents
from promptgrid.tracks.text.datasets.text import TextDataset


def opened(path: Path, query: str = "") -> TextDataset:
    found = Intents().open(f"intents:{path}{query}")
    assert isinstance(found, TextDataset)
    return found


def banking(folder: Path, column: str = "category", **parts: str) -> Path:
    parts = {"train": 'Where is it?,arrival\n"Late, ""very"" late",delay\n', "test": "Lost?,arrival\n"} | parts
    for part, text in parts.items():
        (folder / f"{part}.csv").write_text(f"text,{column}\n{text}")
    return folder


def test_csv_folders_are_read_in_the_order_of_their_categories(tmp_path: Path) -> None:
    banking(tmp_path, valid="When?,arrival\n")
    (tmp_path / "categories.json").write_text('["delay", "arrival"]')
    found = opened(tmp_path)
    assert found.card.classes == ("delay", "arrival")
    assert found.splits == {"train": [0, 1], "val": [2], "test": [3]}
    assert found.read(1).a == 'Late, "very" late'


def test_the_column_of_the_intent_goes_by_several_names(tmp_path: Path) -> None:
    assert opened(banking(tmp_path, "intent")).card.classes == ("arrival", "delay")
    with pytest.raises(Refused, match="no columns of text and intent; got"):
        opened(banking(tmp_path, "kind"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": "Where?,arrival,more\n"}, "line 2: a row of another length than the header"),
        ({"test": "Lost?,lost\n"}, "train: class 'lost' has no texts"),
        ({"dev": "a,arrival\n", "val": "b,arrival\n"}, "two files mean the split 'val'"),
    ],
)
def test_malformed_folders_are_refused(tmp_path: Path, parts: dict[str, str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        opened(banking(tmp_path, **parts))


def test_a_label_that_is_in_no_category_is_refused(tmp_path: Path) -> None:
    (banking(tmp_path) / "categories.json").write_text('["arrival", "delays"]')
    with pytest.raises(Refused, match="none of the classes; got 'delay'; did you mean 'delays'"):
        opened(tmp_path)


def test_a_folder_without_a_test_is_refused(tmp_path: Path) -> None:
    (banking(tmp_path) / "test.csv").unlink()
    with pytest.raises(Refused, match=r"train\.csv or test\.csv is missing"):
        opened(tmp_path)


def clinc(folder: Path, **changes: Any) -> Path:
    value = {
        "train": [["what is two plus two", "calculator"], ["book a flight", "book_flight"]],
        "val": [["three plus three", "calculator"]],
        "test": [["fly me to rome", "book_flight"]],
        "oos_train": [["how tall is he", "oos"]],
        "oos_val": [],
        "oos_test": [["who won", "oos"]],
    }
    (folder / "data_full.json").write_text(json.dumps(value | changes))
    return folder / "data_full.json"


def test_what_is_out_of_scope_is_left_out_or_kept_as_a_class(tmp_path: Path) -> None:
    path = clinc(tmp_path)
    dropped, kept = opened(path), opened(path, "?oos=keep")
    assert dropped.card.classes == ("book_flight", "calculator")
    assert dropped.notes == ("2 texts out of scope are left out (?oos=keep keeps them)",)
    assert kept.card.classes == ("book_flight", "calculator", "oos")
    assert (kept.card.splits, kept.notes) == ({"train": 3, "val": 1, "test": 2}, ())
    with pytest.raises(Refused, match="unknown value of oos; got 'maybe'"):
        opened(path, "?oos=maybe")


def test_malformed_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"train\[0\]: not \[text, intent\]"):
        opened(clinc(tmp_path, train=[["only"]]))
    (tmp_path / "data_full.json").write_text('{"train": []}')
    with pytest.raises(Refused, match=r"not \{train, val, test"):
        opened(tmp_path / "data_full.json")


def test_a_table_of_scenarios_is_divided_by_content(tmp_path: Path) -> None:
    rows = [f"1;{n};alarm;set;IRR;x;;y;wake me at {n};q" for n in range(10)]
    rows += [f'1;{n};play;music;;x;;y;"play ""song"" {n}; loud";q' for n in range(10)] + ["1;9;play;music;;x;;y;;q"]
    header = "userid;answerid;scenario;intent;status;answer_annotation;notes;suggested_entities;answer;question"
    (tmp_path / "hwu.csv").write_text("\n".join([header, *rows]) + "\n")
    found = opened(tmp_path / "hwu.csv")
    assert found.card.classes == ("alarm_set", "play_music")
    assert found.card.splits == {"train": 10, "val": 4, "test": 6}
    assert "1 rows without a text are left out" in found.notes
    (tmp_path / "hwu.csv").write_text("a;b\n1;2\n")
    with pytest.raises(Refused, match="not HWU64's table"):
        opened(tmp_path / "hwu.csv")


def test_banking77_is_read(shared: Callable[[str], Path]) -> None:
    found = opened(shared("banking77"))
    assert found.card.splits == {"train": 10003, "test": 3080}
    assert found.card.classes[0] == "card_arrival"
    assert "BANKING77" in found.card.called
    assert found.notes == ("8 test texts stand in train or val too",)
