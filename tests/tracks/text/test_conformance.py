"""Every method of the text wing keeps its promises, and broken ones are caught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from tests.tracks.text import small_world
from tests.tracks.text.test_cells import CONTROLS
from torch import Tensor

from promptgrid.contract.conformance import check_dataset, check_protocol
from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch
from promptgrid.towers.methods.prompt_tuning import PromptTuning
from promptgrid.tracks.text.conformance import TextPractice, check_method
from promptgrid.tracks.text.methods.dart import DART
from promptgrid.tracks.text.methods.kpt import KPT
from promptgrid.tracks.text.methods.zero_shot import ZeroShot
from promptgrid.tracks.text.task import TextTask

METHODS = small_world.track().resolver.methods
DATASETS = ("sentences", "pairs", "relations")


def test_there_are_twenty_five() -> None:
    assert len(METHODS) >= 25


@pytest.mark.parametrize(
    ("name", "settings"), [*((name, {}) for name in sorted(METHODS)), *CONTROLS], ids=lambda value: str(value or "")
)
def test_it_keeps_the_contract(name: str, settings: dict[str, Any]) -> None:
    check_method(METHODS[name], **settings)


@pytest.mark.parametrize("name", ["prompt_tuning", "prompt_finetune"])
def test_on_another_tower_too(name: str) -> None:
    check_method(METHODS[name], small_world.Tiny32())


def test_what_a_tower_does_not_offer_is_named() -> None:
    with pytest.raises(AssertionError, match="zero_shot needs mask, which this backbone does not offer"):
        check_method(ZeroShot, small_world.NoMasks())


def _over_padding(self: Any, params: Params, batch: Batch, task: TextTask) -> Tensor:
    """Features that padding counts in."""
    found: Tensor = task.backbone.embed(batch["tokens"]).mean(1)
    return found + params["prompt"].mean(0)


def _of_the_template(self: Any, params: Params, batch: Batch, task: TextTask) -> Tensor:
    return task.backbone.embed(batch["templated"]).mean(1)


def _moved(self: Any, params: Params, batch: Batch, task: TextTask) -> Tensor:
    task.backbone.weights()["embeddings.word"].mul_(1.01)
    return PromptTuning.features(self, params, batch, task)


@pytest.mark.parametrize(
    ("base", "parts", "message"),
    [
        (PromptTuning, {"features": _over_padding}, "scores an example otherwise"),
        (PromptTuning, {"features": _of_the_template}, "no column 'templated'"),
        (PromptTuning, {"features": _moved}, "the same input gave other answers|changed the frozen backbone"),
        (PromptTuning, {"kind": "vision"}, "kind 'vision' is none of head, tokens, words, zero-shot"),
        (DART, {"unread": frozenset[str]()}, "no gradient reaches 'tower.mask.bias'"),
        (KPT, {"open_vocabulary": True}, "has an open vocabulary but fails on new classes"),
    ],
)
def test_a_broken_method_is_caught(base: type[Method], parts: dict[str, Any], message: str) -> None:
    made = dataclass(frozen=True)(type("Changed", (base,), {"__doc__": base.__doc__, **parts}))
    with pytest.raises((AssertionError, KeyError), match=message):
        check_method(made)


@dataclass(frozen=True)
class Reading(ZeroShot):
    """A method that names columns and assets in order to be given them."""

    name: ClassVar[str] = "reading"
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "relations", "unlabelled", "pool_labels"})

    @property
    def assets(self) -> frozenset[str]:
        return frozenset({"unlabelled", "pool_labels"})

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({"tokens", "templated", "features", "mask_state"})


def test_every_column_of_a_task_is_there_where_it_is_named() -> None:
    pairs = TextPractice().trial(PromptTuning())
    relations = TextPractice().trial(Reading())
    assert set(pairs.batch) == {"tokens", "attention", "segments", "labels"}
    assert set(pairs.batch) | set(relations.batch) - {"pseudo"} == {
        "tokens", "attention", "segments", "templated", "templated_attention", "mask_at", "template_at", "subject_at",
        "object_at", "features", "mask_state", "labels",
    } - ({"template_at"} - set(relations.batch))  # fmt: skip
    task = relations.task
    assert isinstance(task, TextTask)
    assert task.pool is not None
    assert task.pool_labels is not None
    assert (len(task.pool), relations.pool) == (len(task.pool_labels),) * 2
    assert not set(relations.examples) & {"labels", "pseudo"}


def test_the_same_seed_gives_the_same_bits_and_another_one_other_texts() -> None:
    one, same, other = (TextPractice().trial(PromptTuning(), seed) for seed in (1, 1, 2))
    assert torch.equal(one.batch.tokens, same.batch.tokens)
    assert one.batch.tokens.shape != other.batch.tokens.shape or not torch.equal(one.batch.tokens, other.batch.tokens)


@pytest.mark.parametrize("name", DATASETS)
def test_datasets_and_protocols_keep_the_contract(name: str) -> None:
    dataset, protocols = small_world.dataset(name), small_world.track().resolver.protocols
    check_dataset(dataset)
    for protocol in sorted(protocols):
        if name == "relations" or protocol != "relation":
            check_protocol(protocols[protocol](), dataset)
