"""The promises of text methods: those of :mod:`promptgrid.contract.conformance`, on a small tower and a few sentences.

A third party's test is two lines::

    def test_mine():
        check_method(MyTextMethod)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.conformance import Practice, Trial
from promptgrid.contract.conformance import method as core
from promptgrid.contract.method import Method
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch, Labelled
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.backbones.practice import practice_tower
from promptgrid.tracks.text.data.encoded import RELATION, bare, in_template
from promptgrid.tracks.text.data.frozen import frozen_states
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import Text
from promptgrid.tracks.text.task import TextTask

WORDS = {
    "praise": ("great", "good fun"),
    "blame": ("bad", "dull", "not good"),
    "hard_science": ("physics", "matter"),
}
"""Classes with label words, some of them of two tokens."""
SCORES = {"praise": (1.0, 0.6), "blame": (1.0, 0.8, 0.5), "hard_science": (1.0, 0.7)}
FILLER = ("film", "plot", "study", "cells", "stars", "was", "very", "of", "and", "slow", "field", "part")
OTHER = ("it", ".", "a", "is", "history", "sport", "weather", "person", "organization", "location", "date", "country")
TEMPLATE = "{text}. {pair}. It was {mask}."
SHOTS = 3
WIDE = {"tokens": "attention", "segments": "attention", "templated": "templated_attention"}
"""Columns of ids, each with the one that is False at its padding."""


class TextPractice(Practice):
    """Text methods on ``backbone``; on a small random tower when None.

    Its task is three classes of pairs of sentences; of sentences with two marked words for methods on relations.
    """

    kinds: ClassVar = frozenset({"tokens", "words", "head", "zero-shot"})
    new_classes: ClassVar = ("history", "sport", "slow_weather", "dull")

    def __init__(self, backbone: TextBackbone | None = None) -> None:
        words = (word for spelled in WORDS.values() for label in spelled for word in label.split())
        known = tuple(dict.fromkeys((*words, *FILLER, *OTHER)))
        self.backbone = practice_tower(known) if backbone is None else backbone
        self.offers = self.backbone.offers | {"relations"}

    def trial(self, method: Method, seed: int = 1) -> Trial:
        relations, assets, wanted = "relations" in method.needs, method.assets, columns_of(method)
        labels = torch.arange(len(WORDS)).repeat_interleave(SHOTS)
        template = RELATION if relations else TEMPLATE
        examples, held, pool = (
            Batch(self._columns(sentences(labels, f"{part} {seed}", relations), template, wanted))
            for part in ("training", "validation", "pool")
        )
        given: dict[str, Any] = {"words": WORDS, "word_scores": SCORES, "template": template, "none_class": None}
        given["examples"] = examples.but(labels=labels)
        if "features" in wanted:
            given |= {
                "support": Labelled(examples.features, labels),
                "validation": Labelled(held.features, labels),
            }
        if "unlabelled" in assets:
            given["pool"] = pool
        if "pool_labels" in assets:
            given["pool_labels"] = labels
        task, batch = TextTask("conformance", tuple(WORDS), self.backbone, SHOTS, given=given), examples
        if "unlabelled" in assets:
            guessed = torch.arange(len(labels)) % 2 == 1
            task = replace(task, mixture=(int((~guessed).sum()), int(guessed.sum())))
            batch = batch.but(pseudo=guessed)
        return self.begun(
            method, task, batch.but(labels=labels), pool=len(labels) if "unlabelled" in assets else 0, seed=seed
        )

    def fingerprint(self) -> bytes:
        found = hashlib.sha256()
        for name, value in sorted(self.backbone.weights().items()):
            found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return found.digest()

    def shown(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """As in the contract, cut to the longest of ``rows``, as texts are that are scored together."""
        own = super().shown(batch, rows).columns
        longest = {name: int(own[name].sum(1).max()) for name in {*WIDE.values()} if name in own}
        widths = {name: longest[ends] for name, ends in WIDE.items() if name in own} | longest
        return Batch({name: value[:, : widths[name]] if name in widths else value for name, value in own.items()})

    def _columns(self, texts: Sequence[Text], template: str, wanted: frozenset[str]) -> dict[str, Tensor]:
        """The columns of ``texts`` that a method gets which reads those in ``wanted``."""
        own = {"tokens": bare(self.backbone, texts)}
        if {"templated", "mask_state"} & wanted:
            own["templated"] = in_template(self.backbone, texts, template)
        found = {name: value for kind in own.keys() & wanted for name, value in own[kind].columns.items()}
        if "features" in wanted:
            found["features"] = frozen_states(self.backbone, own["tokens"], "features")
        if "mask_state" in wanted:
            found["mask_state"] = frozen_states(self.backbone, own["templated"], "mask_state")
        return found


def check_method(method: type[Method], backbone: TextBackbone | None = None, **settings: Any) -> None:
    """All promises of a method on ``backbone`` (a small practice one by default), with ``settings`` for defaults.

    Raises:
        AssertionError: the first promise that is not kept, in a sentence.
    """
    core.check_method(method, TextPractice(backbone), **settings)


def sentences(labels: Tensor, name: str, relations: bool) -> list[Text]:
    """A text of each of ``labels``, a word of its class in it: pairs of texts, or ones with a subject and an object."""
    rng, texts = stream("conformance", "sentences", name), []
    for label in labels.tolist():
        count = int(torch.randint(2, 8, (), generator=rng))
        words = [FILLER[place] for place in torch.randint(len(FILLER), (count,), generator=rng)]
        words.insert(1, list(WORDS.values())[label][0])
        said = " ".join(words)
        spans = ((0, len(words[0])), (len(said) - len(words[-1]), len(said))) if relations else None
        texts.append(Text(said, "" if relations else " ".join(words[1::2]), spans))
    return texts
