"""What a text task tells its methods: templates, label words, prompt slots."""

from __future__ import annotations

import pytest
import torch
from tests.reference.text.plain import bert
from tests.reference.text.tiny import BEGIN, END, MASK, PAD, PLACES, TinyBert
from tests.reference.text.world import RELATION, WORDS, world

from promptgrid.contract.task import Batch
from promptgrid.spec import Refused
from promptgrid.tracks.text.label_words import label_words
from promptgrid.tracks.text.reading import Text, bare, pooled, sequence, written
from promptgrid.tracks.text.templates import check_template, fill


def test_a_filled_template_says_where_its_parts_stand() -> None:
    found = fill(TinyBert(), "{text} It was {mask}.", {"text": ["a fun film", "dull"]})
    word = PLACES.__getitem__
    first = [BEGIN, *map(word, ["a", "fun", "film", "it", "was"]), MASK, word("."), END]
    second = [BEGIN, *map(word, ["dull", "it", "was"]), MASK, word("."), END, PAD, PAD]
    assert found.ids.tolist() == [first, second]
    assert found.attention.tolist() == [[True] * 9, [True] * 7 + [False] * 2]
    assert found.mask_at.tolist() == [6, 4]
    assert found.columns["template_at"].tolist() == [[4, 5, 7], [2, 3, 5]]


def test_a_relation_has_two_slots_around_each_entity() -> None:
    rows = {"text": ["fun"], "subject": ["film"], "object": ["the plot"]}
    columns = fill(TinyBert(), RELATION, rows).columns
    assert columns["subject_at"].tolist() == [[1, 3]]
    assert columns["object_at"].tolist() == [[5, 8]]
    assert columns["mask_at"].tolist() == [4]
    assert columns["templated"][0, 1] == PAD
    assert bool(columns["templated_attention"][0, 1])


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{text} It was.", "one {text} and one {mask}"),
        ("{mask} {mask} {text}", "one {text} and one {mask}"),
        ("It was {mask}.", "one {text} and one {mask}"),
        ("{text} {mask} {words}", "unknown field"),
        ("{sub} {subject} {mask} {text}", "two {sub} or none"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        check_template(template)


def test_a_field_that_the_dataset_lacks_is_refused() -> None:
    with pytest.raises(Refused, match="no such field"):
        fill(TinyBert(), "{text} {mask} {pair}", {"text": ["fun"]})


def test_label_words_are_means_over_their_tokens() -> None:
    backbone = TinyBert()
    words = label_words(backbone, tuple(WORDS.values()))
    assert words.known.tolist() == [[True, True, True], [True, True, False], [True, True, True]]
    assert words.single.tolist() == [True, True, True]
    assert words.first.tolist() == [PLACES["great"], PLACES["bad"], PLACES["physics"]]
    values = torch.arange(backbone.vocabulary, dtype=torch.float64)
    means = words.of_words(values[words.tokens])
    for c, own in enumerate(WORDS.values()):
        for w, spelled in enumerate(backbone.words(own)):
            assert means[c, w] == pytest.approx(sum(spelled) / len(spelled))
    assert means[1, 2] == 0


def test_a_class_without_a_word_is_refused() -> None:
    with pytest.raises(Refused, match="label word"):
        label_words(TinyBert(), (("great",), ()))
    with pytest.raises(Refused, match="label word"):
        label_words(TinyBert(), (("great",), ("",)))


def test_a_task_without_words_is_named_by_its_classes() -> None:
    task = world(words=None, word_scores=None).but(classes=("very_good", "bad"))
    assert task.words == {"very_good": ("very good",), "bad": ("bad",)}
    assert task.word_scores == {"very_good": (1.0,), "bad": (1.0,)}
    with pytest.raises(Refused, match="scores of label words"):
        _ = world(word_scores={"negative": (1.0,)}).word_scores


def test_what_is_said_of_classes_stays_when_examples_go() -> None:
    bound = world(none_class="negative").without_examples()
    assert bound.words == WORDS
    assert bound.none_class == "negative"
    assert bound.template == "{text} It was {mask}."
    assert bound.examples is bound.pool is bound.pool_labels is None


def test_prompt_slots_stand_behind_the_first_token_and_are_not_pooled() -> None:
    backbone = TinyBert()
    tokens = backbone.tokenize(["a fun film", "dull"])
    prompt = torch.randn(3, backbone.width, dtype=torch.float64)
    given = sequence(backbone, bare(Batch(tokens=tokens.ids, attention=tokens.mask)), prompt)
    found = pooled(backbone, given, None)
    w = backbone.weights()
    for row, (ids, there) in enumerate(zip(tokens.ids, tokens.mask, strict=True)):
        x = w["embeddings.word"][ids[there]]
        hidden = bert(w, torch.cat([x[:1], prompt, x[1:]]))
        wanted = torch.cat([hidden[:1], hidden[4:]]).mean(0)
        torch.testing.assert_close(found[row], wanted, rtol=0, atol=1e-10)


def test_segments_and_the_mask_move_with_the_slots() -> None:
    backbone = TinyBert()
    ids = torch.tensor([[BEGIN, 5, MASK, END]])
    text = Text(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([[0, 0, 1, 1]]), torch.tensor([2]))
    given = sequence(backbone, text, torch.zeros(2, backbone.width, dtype=torch.float64))
    assert given.segments is not None
    assert given.at is not None
    assert given.segments.tolist() == [[0, 0, 0, 0, 1, 1]]
    assert given.at.tolist() == [4]
    assert given.own.tolist() == [[True, False, False, True, True, True]]


def test_vectors_are_written_where_they_are_told() -> None:
    words = torch.zeros(2, 4, 3)
    found = written(words, torch.tensor([[0, 2], [3, 1]]), torch.tensor([[1.0, 1, 1], [2, 2, 2]]))
    assert found[..., 0].tolist() == [[1, 0, 2, 0], [0, 2, 0, 1]]
    each = written(words, torch.tensor([[1], [2]]), torch.tensor([[[5.0, 5, 5]], [[7, 7, 7]]]))
    assert each[..., 0].tolist() == [[0, 5, 0, 0], [0, 0, 7, 0]]
