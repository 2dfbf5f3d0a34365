"""Protocols with unlabelled images, and that no protocol shows a test image to a learner."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptgrid.catalog import track
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.engine.protocols.semi_supervised import SemiSupervised
from promptgrid.engine.protocols.transductive_zero_shot import TransductiveZeroShot
from promptgrid.engine.protocols.unsupervised import Unsupervised
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.bundled import Bundled, BundledDataset

PROTOCOLS = track("image").resolver.protocols  # type: ignore[attr-defined]
AT_TEST = {"test_time", "test_time_sample", "test_stream", "test_stream_iid"}
WITHOUT_LABELS = {"unsupervised", *AT_TEST}
TASKS = [card.name for card in Bundled().listing()]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_test_image_is_learned_from_with_or_without_its_label(protocol: str, task: str) -> None:
    """By index and by the bytes of the pictures."""
    dataset = Bundled().open(task)
    assert isinstance(dataset, BundledDataset)
    shots = 0 if protocol in WITHOUT_LABELS else 4
    split = PROTOCOLS[protocol]().split(dataset, shots, 1)
    seen = {*split.train, *split.val, *split.unlabelled}
    scored = {index for evaluation in split.evaluations for index in evaluation.indices}
    assert bool(seen) == (protocol not in AT_TEST)
    whole = set(dataset.splits["test"])
    assert scored <= whole if protocol == "test_time_sample" else scored == whole
    assert not seen & scored
    assert not {*split.unlabelled} & {*split.train, *split.val}
    assert {*split.unlabelled} <= set(dataset.splits["train"])
    pictures = [hashlib.sha256(raw).digest() for raw in dataset.images.to_pylist()]
    assert not {pictures[i] for i in seen} & {pictures[i] for i in scored}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pools_are_offered_exactly_where_there_are_some(protocol: str, numbers) -> None:
    dataset = numbers(train=[0, 1, 2, 3] * 5, val=[0, 1, 2, 3], test=[0, 1, 2, 3])
    found = PROTOCOLS[protocol]()
    split = found.split(dataset, 0 if protocol in WITHOUT_LABELS else 2, 1)
    assert bool(split.unlabelled) == ("unlabelled" in found.offers)


@given(shots=st.integers(1, 4), seed=st.integers(0, 1000))
def test_semi_supervised_labels_what_few_shot_labels_and_hides_the_rest(numbers, shots: int, seed: int) -> None:
    dataset = numbers(train=[0, 1, 2] * 5, val=[0, 1, 2] * 2, test=[0, 1, 2])
    few, semi = FewShot().split(dataset, shots, seed), SemiSupervised().split(dataset, shots, seed)
    assert (semi.classes, semi.train, semi.val, semi.evaluations) == (
        few.classes,
        few.train,
        few.val,
        few.evaluations,
    )
    assert sorted({*semi.train, *semi.unlabelled}) == dataset.splits["train"]
    assert len(semi.train) + len(semi.unlabelled) == 15


def test_semi_supervised_without_examples_left_is_refused(numbers) -> None:
    with pytest.raises(Refused, match=r"no training examples are left.*fewer shots"):
        SemiSupervised().split(numbers(train=[0, 1] * 3, test=[0, 1]), 3, 1)


@pytest.mark.parametrize(("classes", "seen"), [(10, 6), (47, 29), (102, 63), (4, 2), (45, 27)])
def test_62_percent_of_the_classes_are_seen(numbers, classes: int, seen: int) -> None:
    """Rounded down, as the paper's code does: 29 of DTD's 47 classes, 63 of 102 flowers, 6 of 10."""
    dataset = numbers(train=list(range(classes)) * 3, val=range(classes), test=list(range(classes)) * 2)
    split = TransductiveZeroShot().split(dataset, 2, 1)
    assert (len(split.classes), len(split.unseen)) == (seen, classes - seen)
    assert sorted(split.classes + split.unseen) == list(range(classes))
    assert {dataset.labels[i] for i in split.train} == set(split.classes)
    assert {dataset.labels[i] for i in split.val} == set(split.classes)
    assert {dataset.labels[i] for i in split.unlabelled} == set(split.unseen)
    assert len(split.unlabelled) == 3 * (classes - seen), "every training image of an unseen class"
    for evaluation, own in zip(split.evaluations, (split.classes, split.unseen), strict=True):
        assert evaluation.classes == split.classes + split.unseen, "scored among all classes"
        assert {dataset.labels[i] for i in evaluation.indices} == set(own)


def test_seeds_draw_other_classes_and_the_same_seed_the_same(numbers) -> None:
    dataset = numbers(train=list(range(20)) * 2, test=range(20))
    drawn = [TransductiveZeroShot().split(dataset, 1, seed) for seed in (1, 2, 1)]
    assert drawn[0] == drawn[2]
    assert drawn[0].classes != drawn[1].classes


def test_transductive_scores() -> None:
    metrics = TransductiveZeroShot().metrics({"seen": {"accuracy": 0.8}, "unseen": {"accuracy": 0.4}})
    assert metrics == {"seen_accuracy": 0.8, "unseen_accuracy": 0.4, "harmonic_mean": pytest.approx(0.64 / 1.2)}


def test_transductive_needs_two_seen_classes(numbers) -> None:
    card = numbers(train=[0, 1, 2], test=[0, 1, 2]).card
    with pytest.raises(Refused, match=r"2 seen classes; got 3; expected 4"):
        TransductiveZeroShot().check(card, 1)


def test_unsupervised_has_the_whole_train_split_and_no_label(numbers) -> None:
    dataset = numbers(train=[0, 1, 2] * 5, val=[0, 1, 2], test=[0, 1, 2])
    split = Unsupervised().split(dataset, 0, 1)
    assert (split.train, split.val) == ((), ())
    assert sorted(split.unlabelled) == dataset.splits["train"]


@pytest.mark.parametrize(("shots", "selection", "words"), [(1, "last", r"shots: \[0\]"), (0, "val", "selection: last")])
def test_unsupervised_refuses_labels(numbers, shots: int, selection, words: str) -> None:
    with pytest.raises(Refused, match=words):
        Unsupervised().check(numbers(train=[0, 1], val=[0, 1], test=[0, 1]).card, shots, selection)


@pytest.mark.parametrize("protocol", [SemiSupervised(), Unsupervised()])
def test_the_order_of_a_pool_says_nothing_of_the_classes(protocol, numbers) -> None:
    dataset = numbers(train=[0] * 50 + [1] * 50, test=[0, 1])
    pool = protocol.split(dataset, 0 if protocol.name == "unsupervised" else 1, 3).unlabelled
    first = [dataset.labels[index] for index in pool[: len(pool) // 2]]
    assert 10 < sum(first) < 40


def test_splits_without_a_pool_are_named_as_before(numbers) -> None:
    """The digest of a split, and with it every cell key, does not know of pools where there are none."""
    split = FewShot().split(numbers(train=[0, 1] * 3, test=[0, 1]), 1, 1)
    assert sorted(split.identity()) == ["classes", "evaluations", "train", "val"]
    pooled = SemiSupervised().split(numbers(train=[0, 1] * 3, test=[0, 1]), 1, 1)
    assert sorted(pooled.identity()) == ["classes", "evaluations", "train", "unlabelled", "val"]
