"""Protocols whose cells start from what was learned on another dataset."""

from __future__ import annotations

import pytest
from tests.tracks.image.small_study import CLASSES, study_track

from promptgrid.contract.clip import Dataset
from promptgrid.engine.protocols.cross_dataset import CrossDataset
from promptgrid.engine.protocols.domain_generalization import DomainGeneralization
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.engine.protocols.transfer import Transfer
from promptgrid.spec import Refused


def _open(name: str) -> Dataset:
    return study_track().resolver.dataset(name)


def test_tasks_side_by_side_are_scored_each_among_its_own_classes() -> None:
    joined = _open("warm+cold")
    first, second = FewShot().split(joined, 2, 1).evaluations
    assert (first.classes, second.classes) == ((0, 1, 2), (3, 4, 5, 6))
    assert {joined.labels[index] for index in first.indices} == {0, 1, 2}
    assert sorted(first.indices + second.indices) == joined.splits["test"]
    scores = {"test_1": {"accuracy": 1.0, "macro_f1": 0.5}, "test_2": {"accuracy": 0.5, "macro_f1": 0.25}}
    assert FewShot().metrics(scores) == {"accuracy": 0.75, "macro_f1": 0.375}


def test_a_domain_is_scored_among_the_classes_that_its_source_has() -> None:
    target, source, protocol = _open("warm_ink"), _open("warm"), DomainGeneralization()
    split = protocol.from_source(protocol.split(target, 2, 1), target, source)
    names = [CLASSES["warm_ink"][label] for label in split.classes]
    assert names == ["yellow sun", "red_square"]
    (test,) = split.evaluations
    assert test.classes == split.classes
    assert {target.labels[index] for index in test.indices} == set(split.classes)
    assert len(test.indices) == 8


@pytest.mark.parametrize("protocol", [CrossDataset(), DomainGeneralization()])
@pytest.mark.parametrize("source", ["warm", "warm|warm_ink"])
def test_what_was_learned_on_is_no_target(protocol: FewShot, source: str) -> None:
    target = _open("warm")
    with pytest.raises(Refused, match="both source and target"):
        protocol.from_source(protocol.split(target, 2, 1), target, _open(source))


def test_domains_without_common_classes_are_refused() -> None:
    target, protocol = _open("cold"), DomainGeneralization()
    with pytest.raises(Refused, match="shares 0 class names with warm"):
        protocol.from_source(protocol.split(target, 2, 1), target, _open("warm"))


def test_transfer_leaves_the_target_whole_and_admits_itself() -> None:
    target, protocol = _open("warm"), Transfer()
    split = protocol.split(target, 2, 1)
    assert protocol.from_source(split, target, target) == split == FewShot().split(target, 2, 1)


def test_readings_that_a_protocol_does_not_know_are_refused() -> None:
    with pytest.raises(Refused, match=r"no such reading.*evaluate"):
        CrossDataset().check_reading("warm", "adapt")
    with pytest.raises(Refused, match="starts from nothing learned elsewhere"):
        FewShot().check_reading("warm", "evaluate")
    with pytest.raises(Refused, match="give the suite `sources`"):
        Transfer().check_reading("", "")
    Transfer().check_reading("warm", "adapt")
    FewShot().check_reading("", "")


@pytest.mark.parametrize("protocol", [CrossDataset(), DomainGeneralization()])
def test_a_target_that_is_only_scored_needs_no_training_images(protocol: FewShot, numbers) -> None:
    target = numbers(test=[0, 1, 2, 1])
    protocol.check(target.card, 2, "last")
    split = protocol.split(target, 2, 1)
    assert (split.train, split.val) == ((), ())
    assert split.evaluations[0].indices == (0, 1, 2, 3)


@pytest.mark.parametrize("protocol", [FewShot(), Transfer()])
def test_a_target_that_is_learned_on_needs_them(protocol: FewShot, numbers) -> None:
    target = numbers(test=[0, 1, 2, 1])
    with pytest.raises(Refused, match="no training examples"):
        protocol.check(target.card, 2, "last")
    with pytest.raises(Refused, match="no training examples"):
        protocol.split(target, 2, 1)
