"""At test time nothing is trained; each image of the test split, or of a fixed sample of it, is answered by itself."""

from __future__ import annotations

import pytest

from promptgrid.catalog import track
from promptgrid.contract.conformance import check_protocol
from promptgrid.engine.protocols.test_time import SAMPLE, PerImage, PerImageSample
from promptgrid.spec import Refused, Request
from promptgrid.tracks.image.datasets.bundled import Bundled

both = pytest.mark.parametrize("protocol", [PerImage(), PerImageSample()], ids=lambda protocol: protocol.name)


def ask(method: str, protocol: str = "test_time", shots: int = 0, dataset: str = "weather", **settings) -> Request:
    return Request("image", protocol, method, settings, "bundled", dataset, shots, 1, "last", "fp32")


@both
def test_it_keeps_the_contract(protocol) -> None:
    check_protocol(protocol, Bundled().open("weather"))


@both
def test_nothing_is_trained_on(protocol, numbers) -> None:
    dataset = numbers(train=[0, 1] * 3, val=[0, 1], test=[1, 0, 1])
    split = protocol.split(dataset, 0, 1)
    assert (split.train, split.val, split.unlabelled) == ((), (), ())
    [evaluation] = split.evaluations
    assert evaluation.indices == tuple(dataset.splits["test"])
    assert split == protocol.split(dataset, 0, 2), "the seed draws nothing"


@both
def test_a_task_without_training_images_takes_part(protocol, numbers) -> None:
    dataset = numbers(test=[0, 1, 2])
    protocol.check(dataset.card, 0, "last")
    assert protocol.split(dataset, 0, 1).evaluations[0].indices == tuple(dataset.splits["test"])


def test_the_sample_is_fixed_and_of_the_test_split() -> None:
    dataset = Bundled().open("digits")
    [sample] = PerImageSample().split(dataset, 0, 1).evaluations
    [whole] = PerImage().split(dataset, 0, 1).evaluations
    assert len(sample.indices) == len(set(sample.indices)) == SAMPLE < len(whole.indices)
    assert set(sample.indices) < set(whole.indices)
    assert sample.indices == tuple(index for index in whole.indices if index in set(sample.indices))
    assert len({dataset.labels[index] for index in sample.indices}) == 10


@both
@pytest.mark.parametrize(("shots", "selection", "words"), [(1, "last", r"shots: \[0\]"), (0, "val", "selection: last")])
def test_labels_are_refused(protocol, numbers, shots: int, selection, words: str) -> None:
    with pytest.raises(Refused, match=words):
        protocol.check(numbers(train=[0, 1], val=[0, 1], test=[0, 1]).card, shots, selection)


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("coop", {}, "'coop' learns from labelled examples.*cross_dataset with sources"),
        ("prompt_align", {}, "'prompt_align' learns from labelled examples"),
        ("tpt", {"start": "coop"}, "'tpt' learns from labelled examples"),
        ("diff_tpt", {}, "needs variations"),
    ],
)
def test_methods_that_cannot_take_part_are_refused_when_planned(method: str, settings, words: str) -> None:
    with pytest.raises(Refused, match=words):
        track("image").resolve([ask(method, **settings)])


def test_those_that_can_take_part_do() -> None:
    asked = [ask("zero_shot"), ask("tpt"), ask("diff_tpt", variations="stand_in")]
    cells = track("image").resolve([*asked, ask("tpt", "test_time_sample"), ask("prompt_align", "few_shot", 4)])
    assert len({cell.key for cell in cells}) == 5


def test_a_learned_prompt_is_adapted_where_it_meets_other_tasks() -> None:
    there = Request(
        "image", "cross_dataset", "prompt_align", {}, "bundled", "weather", 4, 1, "last", "fp32", "vehicles", "evaluate"
    )
    [cell] = track("image").resolve([there])
    assert cell.needs
