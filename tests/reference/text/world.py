"""Small tasks on the tiny BERT, as a wing gives them to a method."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.text.tiny import TinyBert
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch, Labelled
from promptgrid.tracks.text.reading import at_mask, bare, pooled, sequence, templated
from promptgrid.tracks.text.task import TextTask
from promptgrid.tracks.text.templates import fill

TEXTS = [
    ("a fun film", 0), ("the plot was great", 0), ("good and fun", 0), ("great cells of a film", 0),
    ("it was dull", 1), ("very slow plot", 1), ("a poor film and a bad plot", 1), ("not fun", 1),
    ("genes and cells", 2), ("the study of matter", 2), ("stars", 2), ("physics is the field of matter and stars", 2),
]  # fmt: skip
POOL = [
    "the film was very fine",
    "a slow study",
    "cells",
    "dull dull plot",
    "matter is fun",
    "stars and genes and matter",
]
WORDS = {
    "positive": ("great", "good", "joyful"),
    "negative": ("bad", "poor"),
    "science": ("physics", "biology", "zeta"),
}
SCORES = {"positive": (1.0, 0.8, 0.6), "negative": (1.0, 0.7), "science": (1.0, 0.9, 0.55)}
TEMPLATE = "{text} It was {mask}."
RELATION = "{sub} {subject} {sub} {mask} {obj} {object} {obj}. {text}"
SUBJECTS, OBJECTS = ["film", "the plot", "genes"], ["plot", "matter", "a good study"]


def columns(backbone: TinyBert, texts: list[str], template: str) -> dict[str, Tensor]:
    """Every column of ``texts``."""
    tokens = backbone.tokenize(texts)
    rows = {
        "text": texts,
        "subject": [SUBJECTS[at % len(SUBJECTS)] for at in range(len(texts))],
        "object": [OBJECTS[at % len(OBJECTS)] for at in range(len(texts))],
    }
    own = {"tokens": tokens.ids, "attention": tokens.mask} | fill(backbone, template, rows).columns
    batch = Batch(own)
    features = pooled(backbone, sequence(backbone, bare(batch)), None)
    state = at_mask(backbone, sequence(backbone, templated(batch)), None)
    return own | {"features": features, "mask_state": state}


def world(relations: bool = False, **given: Any) -> TextTask:
    """A task of three classes with four texts each, in float64."""
    backbone, template = TinyBert(), RELATION if relations else TEMPLATE
    own = columns(backbone, [text for text, _ in TEXTS], template)
    pool = columns(backbone, POOL, template)
    labels = torch.tensor([label for _, label in TEXTS])
    return TextTask(
        dataset="tiny",
        classes=tuple(WORDS),
        backbone=backbone,
        shots=4,
        given={
            "words": WORDS,
            "word_scores": SCORES,
            "template": template,
            "support": Labelled(own["features"], labels),
            "examples": Batch(own, labels=labels),
            "pool": Batch(pool),
            "unlabelled": pool["features"],
            "pool_labels": torch.tensor([0, 1, 2, 1, 2, 2]),
            **given,
        },
    )


def doubled(params: Params) -> Params:
    """``params`` in float64."""
    return {name: value.double() for name, value in params.items()}


def begun(method: Any, task: TextTask, seed: int = 1) -> Params:
    """What ``method`` starts from, in float64."""
    return doubled(method.init(task, torch.Generator().manual_seed(seed)))


def stirred(method: Any, params: Params, seed: int = 2) -> Params:
    """``params`` with noise on all that is learned beside the model's own weights: what starts at zero shows then."""
    rng = torch.Generator().manual_seed(seed)
    fixed = {name for name in params if name in method.frozen or name.startswith("tower.")}
    return {
        name: value if name in fixed else value + 0.2 * torch.randn(value.shape, generator=rng, dtype=value.dtype)
        for name, value in params.items()
    }


def training_batch(task: TextTask) -> Batch:
    """All examples of ``task``."""
    assert task.examples is not None
    return task.examples
