"""What datasets and protocols promise."""

from __future__ import annotations

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Protocol


def check_dataset(dataset: Dataset) -> None:
    """Splits are disjoint, as the card counts them, with labels of its classes; first and last example can be read."""
    card, seen = dataset.card, set[int]()
    assert {name: len(rows) for name, rows in dataset.splits.items() if rows} == {
        name: count for name, count in card.splits.items() if count
    }, f"{card.name}: the splits differ from the card's counts"
    for name, rows in dataset.splits.items():
        assert len(set(rows)) == len(rows), f"{card.name}: {name} lists an example twice"
        assert seen.isdisjoint(rows), f"{card.name}: an example of {name} stands in another split too"
        seen.update(rows)
        wrong = [index for index in rows if not 0 <= dataset.labels[index] < len(card.classes)]
        assert not wrong, f"{card.name}: example {wrong[0]} has a label that the card does not name"
        for index in {rows[0], rows[-1]} if rows else ():
            assert dataset.read(index) is not None, f"{card.name}: example {index} is read as nothing"


def check_protocol(protocol: Protocol, dataset: Dataset) -> None:
    """Splits are the same twice, train on training examples and test on test ones; the headline is a metric."""
    split, name = protocol.split(dataset, 1, 1), type(protocol).name
    assert split == protocol.split(dataset, 1, 1), f"{name}: the same arguments gave another split"
    for part, home in (("train", "train"), ("val", protocol.selects_from)):
        strays = set(getattr(split, part)) - set(dataset.splits.get(home, ()))
        assert not strays, f"{name}: {part} holds examples that are not the dataset's {home} examples"
    pool = set(split.unlabelled)
    assert pool <= set(dataset.splits["train"]), f"{name}: the pool holds examples that are not training examples"
    assert not pool & {*split.train, *split.val}, f"{name}: a labelled example stands in the pool too"
    assert bool(pool) <= ("unlabelled" in protocol.offers), f"{name}: there is a pool, and `offers` does not say so"
    assert not set(split.unseen) & set(split.classes), f"{name}: a class is both known by examples and unseen"
    for evaluation in split.evaluations:
        strays = set(evaluation.indices) - set(dataset.splits["test"])
        assert not strays, f"{name}: {evaluation.name!r} is scored on examples that are no test examples"
        labels = {dataset.labels[index] for index in evaluation.indices}
        if evaluation.strangers:
            assert not labels & set(evaluation.classes), f"{name}: {evaluation.name!r} has strangers of its own classes"
            continue
        assert labels <= set(evaluation.classes), f"{name}: {evaluation.name!r} has examples of classes it leaves out"
    assert {dataset.labels[index] for index in split.train} <= set(split.classes), f"{name}: a stray training label"
    apart = ("auroc", "fpr95")
    scores = {one.name: dict.fromkeys(apart if one.strangers else protocol.scores, 0.5) for one in split.evaluations}
    assert protocol.headline in protocol.metrics(scores), f"{name}: the headline is none of its metrics"
    assert protocol.choose_by in protocol.scores, f"{name}: it chooses by {protocol.choose_by!r}, which is no score"
    told = protocol.choose_by == protocol.headline or protocol.headline not in protocol.scores
    assert told, f"{name}: it chooses by {protocol.choose_by!r}, and its headline is {protocol.headline!r}"
