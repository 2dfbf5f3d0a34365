from __future__ import annotations

import pytest

from promptgrid.contract.split_names import SYNONYMS, folders_by_split, sounds_like_a_split, split_of
from promptgrid.spec import Refused

KNOWN = {
    "train": ("Train", "TRAINING", "Train-Set"),
    "val": ("valid", "Validation", "dev"),
    "test": ("Testing", "test set"),
    None: ("eval", "trains", "val2017"),
}


@pytest.mark.parametrize(("folder", "split"), [(name, split) for split, names in KNOWN.items() for name in names])
def test_splits_are_known_by_any_usual_name(folder: str, split: str | None) -> None:
    assert split_of(folder) == split


def test_every_synonym_sounds_like_what_it_is() -> None:
    for split, names in SYNONYMS.items():
        assert {split_of(name) for name in names} == {split}
        assert all(sounds_like_a_split(name.upper()) for name in names)


@pytest.mark.parametrize("name", ["val2017", "eval", "Evaluation", "holdout", "test_2", "train-1"])
def test_what_only_sounds_like_a_split_is_no_class_either(name: str) -> None:
    assert sounds_like_a_split(name)


@pytest.mark.parametrize("name", ["bus", "trainer", "testament", "valley", "devil", "tram"])
def test_classes_do_not_sound_like_splits(name: str) -> None:
    assert not sounds_like_a_split(name)


def test_folders_come_in_the_order_of_the_splits() -> None:
    found = folders_by_split(["Testing", "cats", "Training", "dev"], "here")
    assert list(found.items()) == [("train", "Training"), ("val", "dev"), ("test", "Testing")]


def test_two_folders_of_one_split_are_refused() -> None:
    with pytest.raises(Refused, match=r"here: two folders mean the split 'val'.*dev.*valid"):
        folders_by_split(["valid", "dev"], "here")
