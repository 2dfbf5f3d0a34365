from __future__ import annotations

from typing import Any

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.building import Row, build, divide, fingerprint
from promptgrid.tracks.text.datasets.text import Text

FACTS: dict[str, Any] = {"name": "small"}


def rows(*texts: str, label: str) -> list[Row]:
    return [Row(Text(text), label, f"line {number}") for number, text in enumerate(texts, 1)]


def test_indices_run_over_train_val_test_in_the_order_of_the_source() -> None:
    splits = {
        "test": rows("t1", label="b"),
        "train": [*rows("a1", label="b"), *rows("a2", label="a")],
        "val": rows("v1", label="a"),
    }
    found = build("here", FACTS, splits)
    assert found.splits == {"train": [0, 1], "val": [2], "test": [3]}
    assert [found.read(index).a for index in range(4)] == ["a1", "a2", "v1", "t1"]
    assert found.card.classes == ("a", "b")
    assert list(found.labels) == [1, 0, 0, 1]
    assert found.example_name(3) == "line 1"


@pytest.mark.parametrize(
    ("splits", "facts", "message"),
    [
        ({"train": rows("a", label="x")}, {}, "no test texts"),
        ({"train": rows("a", label="x"), "test": rows("b", label="y")}, {}, "train: class 'y' has no texts"),
        (
            {"train": rows("a", label="x"), "test": rows("b", label="nagative")},
            {"classes": ["x", "negative"]},
            "line 1: a label is none of the classes; got 'nagative'; did you mean 'negative'",
        ),
        ({"train": rows("a", label="x"), "test": rows("b", label="x")}, {}, "at least 2 classes"),
    ],
)
def test_what_cannot_be_a_task_is_refused(splits: dict[str, list[Row]], facts: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        build("here", FACTS | facts, splits)


def test_notes_tell_of_repeats_across_splits_empty_texts_two_labels_and_unbalanced_classes() -> None:
    train = [*rows(*(f"text {n}" for n in range(20)), label="many"), *rows("one", "", label="few")]
    test = [*rows("One.", "text 3", label="many"), *rows("new", label="few")]
    found = build("here", FACTS, {"train": train, "test": test})
    assert found.notes == (
        "1 texts are empty, first line 2",
        "2 test texts stand in train or val too",
        "1 texts have more than one label",
        "unbalanced: 20 training texts of 'many', 2 of 'few'",
    )


def test_division_is_half_a_fifth_and_the_rest_of_each_class_whatever_the_order() -> None:
    some = [*rows(*(f"cat {n}" for n in range(10)), label="cat"), *rows(*(f"dog {n}" for n in range(20)), label="dog")]
    split = divide(some, "here")
    assert {name: len(each) for name, each in split.items()} == {"train": 15, "val": 6, "test": 9}
    again = divide(some[::-1], "here")
    assert {name: set(each) for name, each in split.items()} == {name: set(each) for name, each in again.items()}


def test_equal_texts_stay_on_one_side() -> None:
    some = [*rows(*["The same text", "the SAME text!"] * 5, "another", label="a"), *rows("x", "y", label="b")]
    split = divide(some, "here")
    assert sum(any(row.text.a.lower().startswith("the same") for row in each) for each in split.values()) == 1


def test_a_class_of_one_text_cannot_be_divided() -> None:
    with pytest.raises(Refused, match="class 'b' has 1 text"):
        divide([*rows("x", "y", label="a"), *rows("z", label="b")], "here")


def test_fingerprints_see_letters_and_digits_and_the_second_sentence_and_spans() -> None:
    assert fingerprint(Text("It's  FINE, 1 day!")) == fingerprint(Text("its fine 1 day"))
    different = [Text("a"), Text("a", "b"), Text("b"), Text("a b"), Text("a", spans=((0, 1), (0, 1))), Text("ä")]
    assert len({fingerprint(text) for text in different}) == len(different)
