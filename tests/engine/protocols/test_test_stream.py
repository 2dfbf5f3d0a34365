from __future__ import annotations

from itertools import pairwise

import pytest

from promptgrid.engine.protocols.test_stream import BATCH, IidStream, Stream
from promptgrid.spec import Refused

LABELS = [label for label in range(20) for _ in range(40)]


def neighbours(dataset, indices) -> float:
    """The share of neighbours in the stream that are of one class."""
    pairs = list(pairwise(dataset.labels[index] for index in indices))
    return sum(one == other for one, other in pairs) / len(pairs)


def test_it_is_the_test_split_in_another_order_answered_in_batches(numbers) -> None:
    dataset = numbers(test=LABELS)
    for protocol in (Stream(), IidStream()):
        (one,) = protocol.split(dataset, 0, 1).evaluations
        assert sorted(one.indices) == dataset.splits["test"]
        assert list(one.indices) != dataset.splits["test"]
        assert (one.together, protocol.joint) == (BATCH, True)
        assert protocol.split(dataset, 0, 2).evaluations[0].indices != one.indices


def test_the_lower_the_concentration_the_more_alike_are_neighbours(numbers) -> None:
    dataset = numbers(test=LABELS)
    shares = [
        neighbours(dataset, Stream.dialled(said).split(dataset, 0, 1).evaluations[0].indices)
        for said in ("0.0001", "0.1", "1000")
    ]
    iid = neighbours(dataset, IidStream().split(dataset, 0, 1).evaluations[0].indices)
    assert shares[0] > 2 * shares[1] > 2 * shares[2]
    assert shares[2] == pytest.approx(iid, abs=0.04)


@pytest.mark.parametrize(
    ("said", "why"), [("fast", "the number behind"), ("-1", "the number behind"), ("0.10", "the number behind")]
)
def test_a_number_that_means_nothing_is_refused(said: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        Stream.dialled(said)


def test_a_protocol_without_a_dial_takes_no_number() -> None:
    with pytest.raises(Refused, match="takes no number"):
        IidStream.dialled("1")
