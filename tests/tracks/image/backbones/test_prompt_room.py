from __future__ import annotations

import pytest

from promptgrid.spec import Refused
from promptgrid.towers.clip.models.prompt_room import refuse_cut
from promptgrid.tracks.image.backbones.bundled_models import BundledModels
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels


class WordTokenizer:
    """As open_clip wraps those of `transformers`: it cuts to ``context_length`` and says nothing."""

    context_length = 6

    @staticmethod
    def tokenizer(text: str) -> dict[str, list[int]]:
        return {"input_ids": [0, *range(1, len(text.split()) + 1), 0]}


def test_a_text_that_would_be_cut_is_refused_and_one_that_fits_is_not() -> None:
    refuse_cut(WordTokenizer(), ["one two three four"], "siglip")
    with pytest.raises(Refused, match=r"a prompt has 7 tokens, siglip reads 6.*five"):
        refuse_cut(WordTokenizer(), ["one", "one two three four five"], "siglip")


def test_clips_own_tokenizer_is_counted_elsewhere() -> None:
    refuse_cut(object(), ["one " * 100], "clip")


@pytest.mark.parametrize(("family", "name"), [(BundledModels(), "bundled"), (OpenClipModels(), "ViT-B-32@openai")])
def test_the_room_is_known_before_the_weights_are(family: BundledModels | OpenClipModels, name: str) -> None:
    room = family.prompt_room(name)
    assert room is not None
    assert (room.most, room.count("a photo of a cat.")) == (77, 8)
