"""Test time: no training examples at all; what a method learns of a test example it learns from that example alone."""

from __future__ import annotations

import random
from dataclasses import replace

from promptgrid.contract import Dataset, Evaluation, Method, Selection, Split
from promptgrid.engine.protocols.few_shot import FewShot, test_sets
from promptgrid.spec import DatasetCard, Refused

SAMPLE = 100


class PerImage(FewShot):
    """TPT's protocol (Shu et al., NeurIPS 2022): the examples of the test split, one by one, in any order.

    Nothing is trained or selected: a suite says so by ``shots: [0]``. A method that adapts to a test example forgets it
    before the next one, so the answer to an example does not depend on which others are tested, or when. Methods that
    learn nothing take part as baselines. A prompt that was learned elsewhere (TPT + CoOp, PromptAlign) is adapted to
    test examples in the protocols cross_dataset and domain_generalization, as the papers do.
    """

    name = "test_time"
    about = "no training examples (shots: [0]), each test example answered by itself, top-1 accuracy (TPT)"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        classes = tuple(range(len(dataset.card.classes)))
        return Split(classes, (), (), test_sets(dataset, classes))

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        if shots != 0:
            raise Refused("at test time there are no training examples", where="shots", got=shots,
                          hint="write shots: [0]")  # fmt: skip
        if selection == "val":
            raise Refused("at test time there are no validation examples", where="selection", got=selection,
                          hint="use selection: last")  # fmt: skip

    def admit(self, method: Method) -> None:
        if method.needs_labels:
            raise Refused(f"method {method.name!r} learns from labelled examples, and protocol {self.name!r} has none",
                          where="methods", hint="choose protocol few_shot, or cross_dataset with sources")  # fmt: skip


class PerImageSample(PerImage):
    """The same on a fixed sample of the test split, drawn once for all methods and seeds: adapting is dear.

    DiffTPT (Feng et al., ICCV 2023) is reported on samples of about 1000 examples; ours are smaller still. Scores are
    not comparable with those of the whole split.
    """

    name = "test_time_sample"
    about = f"test_time on {SAMPLE} fixed examples of the test split; not comparable with the whole split"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        whole = super().split(dataset, shots, seed)
        return replace(whole, evaluations=tuple(_sampled(each) for each in whole.evaluations))


def _sampled(evaluation: Evaluation) -> Evaluation:
    """At most ``SAMPLE`` of its examples, in their order."""
    count = min(SAMPLE, len(evaluation.indices))
    drawn = random.Random(1).sample(range(len(evaluation.indices)), count)
    return replace(evaluation, indices=tuple(evaluation.indices[place] for place in sorted(drawn)))
