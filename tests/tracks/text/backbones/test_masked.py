"""The masked language model that ships does what its card says."""

from __future__ import annotations

import pytest

from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.backbones.mask_delta import FILE
from promptgrid.tracks.text.backbones.minilm import MASKED, MiniLM
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain.evaluate import cloze, held_out

pytest.importorskip("all_minilm_l6_v2", reason="MiniLM's package is an extra")
CARD = read_yaml(FILE.with_name("card.yaml"))


@pytest.fixture(scope="module")
def tower() -> Transformer:
    found = MiniLM().load(MASKED, "cpu")
    assert isinstance(found, Transformer)
    return found


def test_it_is_small() -> None:
    assert FILE.stat().st_size <= 6_000_000


def test_cloze_sentences_are_filled_as_the_card_says(tower: Transformer) -> None:
    sentences, first, among_five, _ = cloze(tower)
    told = CARD["figures"]["cloze"]
    assert (sentences, first, among_five) == (told["sentences"], told["first_fits"], told["one_of_five_fits"])


def test_it_tells_more_than_how_frequent_words_are(tower: Transformer) -> None:
    """On sentences of ours, which nobody trained on, and on the held-out texts by its card."""
    texts = [
        "The children played in the garden until it was dark, and then they went into the house.",
        "He opened the window because it was very hot in the room.",
        "If you do not know the answer, you can ask one of your friends for help.",
        "She wrote a long letter to her mother and told her all about the new school.",
    ]
    figures = CARD["figures"]
    assert held_out(tower, texts, share=0.25).first > 2 * figures["most_frequent_token"]
    assert figures["held_out"]["accuracy"] > 2 * figures["most_frequent_token"]
    assert figures["held_out"]["perplexity"] < tower.vocabulary / 100
