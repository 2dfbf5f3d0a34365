"""Prompts that a text tower would cut off are refused, counted as the tower's own tokenizer counts."""

from __future__ import annotations

from typing import Any

import pytest

from promptgrid.contract.backbone import PromptRoom
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.spec import DatasetCard, Refused, Request
from promptgrid.towers.clip.models.prompt_room import clip_room
from promptgrid.towers.clip.prompt_lengths import PromptLengths


class Named:
    """As much of a dataset as is asked for."""

    def __init__(self, classes: tuple[str, ...], templates: tuple[str, ...] = ()) -> None:
        self.card = DatasetCard(
            name="d", classes=classes, splits={"test": 2}, sha256="0" * 64, template="a photo of a {}."
        )
        self.templates = templates


def admit(dataset: Named, settings: dict[str, Any], room: PromptRoom | None) -> None:
    request = Request("image", "few_shot", "coop", settings, "b", "d", 1, 1, "last", "fp32")
    PromptLengths(lambda name: dataset, lambda name: room).admit(request, settings)  # type: ignore[arg-type, return-value]


WORDS = PromptRoom(lambda text: len(text.split()) + 2, 12)
"""A tower that reads ten words: "a photo of a {}." leaves six for the name."""


def test_a_name_that_just_fits_is_let_pass_and_one_word_more_is_refused() -> None:
    admit(Named(("one two three four five_six", "cat")), {}, WORDS)
    with pytest.raises(Refused, match=r"d: class 'one two.*makes a prompt of 13 tokens; b reads 12.*shorten its name"):
        admit(Named(("one two three four five six seven", "cat")), {}, WORDS)


def test_each_class_is_counted_in_its_own_template() -> None:
    templates = ("{}", "a very long way to speak of a thing called {}")
    with pytest.raises(Refused, match=r"class 'cat' makes a prompt of 13 tokens"):
        admit(Named(("one two three four five six seven", "cat"), templates), {}, WORDS)


def test_a_context_leaves_room_for_the_longest_name() -> None:
    dataset = Named(("cat", "red fox"))
    admit(dataset, {"context_length": 8}, WORDS)
    with pytest.raises(Refused, match=r"methods\.coop: a context of 9 tokens and 4 of 'red fox'.*at most 8"):
        admit(dataset, {"context_length": 9}, WORDS)


def test_where_nobody_knows_the_tokenizer_nothing_is_refused() -> None:
    admit(Named(("n " * 90 + "n", "cat")), {"context_length": 999}, None)
    assert clip_room({"text_cfg": {"hf_tokenizer_name": "t5"}}) is None


def test_tokens_are_counted_as_the_bundled_tower_reads_them(bundled_backbone: Backbone) -> None:
    room = clip_room({"text_cfg": {"context_length": 77}})
    assert room is not None
    for text in ("a photo of a cat.", "ptarmigan", "a " * 74 + "a"):
        tokens = bundled_backbone.tokenize([text])
        assert tokens.shape[1] == room.count(text) <= room.most
    with pytest.raises(Refused, match="reads 77"):
        bundled_backbone.tokenize(["a " * 75 + "a"])
    assert room.count("a " * 75 + "a") == room.most + 1
