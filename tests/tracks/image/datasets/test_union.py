"""Datasets made of others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.tracks.image.small_study import CLASSES, TEMPLATES, Patches, study_track

from promptgrid.contract.clip import Dataset
from promptgrid.engine.datasets.union import members, open_union
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.imagefolder import ImageFolder


def _open(name: str) -> Dataset:
    return study_track().resolver.dataset(name)


def test_tasks_side_by_side_keep_their_classes_and_templates() -> None:
    joined = _open("warm+cold")
    assert joined.card.classes == CLASSES["warm"] + CLASSES["cold"]
    assert list(joined.tasks) == [0, 0, 0, 1, 1, 1, 1]
    assert list(joined.templates) == [TEMPLATES["warm"]] * 3 + [TEMPLATES["cold"]] * 4
    warm, cold = Patches("warm"), Patches("cold")
    assert joined.labels == warm.labels + [3 + label for label in cold.labels]
    assert joined.card.splits == {name: warm.card.splits[name] + cold.card.splits[name] for name in warm.card.splits}
    last = joined.splits["test"][-1]
    assert joined.read(last).tobytes() == cold.read(cold.splits["test"][-1]).tobytes()


def test_tasks_may_have_classes_of_one_name() -> None:
    joined = _open("warm+warm_ink")
    assert joined.card.merged
    assert joined.card.classes.count("yellow sun") == 2
    assert not joined.templates, "both speak alike"


def test_domains_merge_the_classes_that_all_have_by_name() -> None:
    joined = _open("warm|warm_ink")
    assert joined.card.classes == ("red_square", "yellow sun")
    assert not joined.tasks
    names = {
        (part, joined.card.classes[joined.labels[index]], members(joined)[joined.parts[index]].card.name)
        for split in joined.splits.values()
        for index in split
        for part in [joined.parts[index]]
    }
    assert names == {(p, c, d) for p, d in enumerate(("warm", "warm_ink")) for c in joined.card.classes}
    ink = Patches("warm_ink")
    for index in joined.splits["test"]:
        if joined.parts[index] == 1:
            own = index - len(Patches("warm").labels)
            assert ink.card.classes[ink.labels[own]] == joined.card.classes[joined.labels[index]]
            assert joined.read(index).tobytes() == ink.read(own).tobytes()


@pytest.mark.parametrize("name", ["warm+cold", "warm|warm_ink", "warm+warm_ink"])
def test_shots_count_for_every_class_of_every_part(name: str) -> None:
    joined = _open(name)
    split = FewShot().split(joined, 2, 1)
    drawn = Counter((joined.parts[index], joined.labels[index]) for index in split.train)
    assert set(drawn.values()) == {2}
    assert len(drawn) == sum(len({label for label in own if label >= 0}) for own in _labels_by_part(joined))


def _labels_by_part(joined: Dataset) -> list[set[int]]:
    found: dict[int, set[int]] = {}
    for part, label in zip(joined.parts, joined.labels, strict=True):
        found.setdefault(part, set()).add(label)
    return list(found.values())


def test_the_card_follows_from_the_parts() -> None:
    one, again, other = _open("warm+cold").card, _open("warm+cold").card, _open("cold+warm").card
    assert one == again
    assert len({one.sha256, other.sha256, _open("warm+warm_ink").card.sha256, _open("warm|warm_ink").card.sha256}) == 4
    assert one.licence == "CC0-1.0 and MIT"
    assert not one.bundled


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("warm+cool", "did you mean 'cold'"),
        ("warm+", "unknown dataset"),
        ("warm+warm", "holds one dataset twice"),
        ("warm|cold", "share 0 class names"),
        ("warm+cold|warm_ink", "not of both"),
    ],
)
def test_what_is_no_union_is_refused(name: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        _open(name)


def test_a_path_may_hold_the_signs(tmp_path: Path) -> None:
    folder = ImageFolder()
    assert open_union("warm", folder.knows, folder.open) is None
    path = f"imagefolder:{tmp_path}/c++|old"
    assert open_union(path, folder.knows, folder.open) is None, "its parts are no datasets"
