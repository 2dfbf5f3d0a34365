"""Test-time streams: test examples that come in batches, neighbours often of one class."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from typing import ClassVar

from promptgrid.contract import Dataset, Dial, Split
from promptgrid.engine.protocols.test_time import PerImage

BATCH = 64
SLOTS = 10


class Stream(PerImage):
    """Realistic test-time adaptation (StatA; Zanella et al., CVPR 2025): no training examples, batches in an order.

    The stream has 10 slots. The test examples of each class are spread over them by a draw of a Dirichlet distribution
    whose concentration is the number behind the name: ``test_stream-0.01`` has nearly each class in one slot, a large
    one is close to i.i.d. Inside a slot the order is drawn too, all of it by the run's seed. Examples are answered 64
    at a time, and a method that is ``joint`` may let those of a batch know of each other; it begins every batch afresh.
    For all other methods the order changes no answer. Accuracy is over the whole stream.
    """

    name = "test_stream"
    about = "test examples in batches of 64 that hold few classes at a time, `test_stream-0.01` for fewer (StatA)"
    joint: ClassVar[bool] = True
    dial: ClassVar[Dial | None] = Dial(
        "the concentration of the Dirichlet distribution of each class over the stream", 0.1, 1e-4, 1e4
    )

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        whole = super().split(dataset, shots, seed)
        sets = tuple(
            replace(one, indices=self._order(one.indices, dataset, seed), together=BATCH) for one in whole.evaluations
        )
        return replace(whole, evaluations=sets)

    def _order(self, indices: tuple[int, ...], dataset: Dataset, seed: int) -> tuple[int, ...]:
        draw = random.Random(f"{seed}")
        by_label: dict[int, list[int]] = defaultdict(list)
        for index in indices:
            by_label[dataset.labels[index]].append(index)
        slots: list[list[int]] = [[] for _ in range(SLOTS)]
        for label in sorted(by_label):
            examples = by_label[label]
            draw.shuffle(examples)
            ends = _ends(len(examples), self.at, draw)
            for slot, first, last in zip(slots, [0, *ends], ends, strict=False):
                slot += examples[first:last]
        for slot in slots:
            draw.shuffle(slot)
        return tuple(index for slot in slots for index in slot)


class IidStream(Stream):
    """The same in an order that says nothing: what a stream costs or gives is seen against it."""

    name = "test_stream_iid"
    about = "test examples in batches of 64, in an order drawn without regard to classes"
    dial: ClassVar[Dial | None] = None

    def _order(self, indices: tuple[int, ...], dataset: Dataset, seed: int) -> tuple[int, ...]:
        return tuple(random.Random(f"{seed}").sample(indices, len(indices)))


def _ends(count: int, concentration: float, draw: random.Random) -> list[int]:
    """Where each slot's share of ``count`` examples ends: shares are a draw of Dirichlet(concentration)."""
    shares = [draw.gammavariate(concentration, 1.0) for _ in range(SLOTS)]
    total = sum(shares)
    if total <= 0.0:  # every draw fell below the smallest number: all examples are in one slot
        shares = [0.0] * SLOTS
        shares[draw.randrange(SLOTS)] = total = 1.0
    ends, walked = [], 0.0
    for share in shares:
        walked += share / total
        ends.append(min(count, round(walked * count)))
    return [*ends[:-1], count]
