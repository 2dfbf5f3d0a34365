from __future__ import annotations

from typing import Any

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.building import pinned
from promptgrid.tracks.text.datasets.text import Text, TextCard

TEXTS = [Text("fine film"), Text("dull film"), Text("a fine thing"), Text("a dull thing")]
LABELS, SPLITS = [1, 0, 1, 0], {"train": [0, 1], "test": [2, 3]}
FACTS: dict[str, Any] = {
    "name": "films",
    "classes": ["negative", "positive"],
    "splits": {"train": 2, "test": 2},
    "words": {"negative": ["terrible"], "positive": ["great"]},
    "mask_templates": ["{text} It was {mask}."],
}


def card(**changes: Any) -> TextCard:
    return pinned("films", FACTS | changes, TEXTS, LABELS, SPLITS)


def test_subject_and_object_are_the_words_at_their_spans() -> None:
    text = Text("audits were about waste", spans=((0, 6), (18, 23)))
    assert (text.subject, text.object) == ("audits", "waste")
    assert (Text("no relation").subject, Text("no relation").object) == ("", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": {"negative": ["bad"]}}, "not so 'positive'"),
        ({"words": {"negative": ["bad"], "positive": ["good"], "odd": ["odd"]}}, "not so 'odd'"),
        ({"words": {"negative": ["bad"], "positive": []}}, "'positive' has no label word"),
        ({"words": {"negative": ["bad"], "positive": [" "]}}, "an empty one"),
        ({"words": {"negative": ["It", "bad"], "positive": ["it"]}}, "two classes have the first word 'it'"),
        ({"mask_templates": ["{text} It was."]}, "needs one {text}, one {mask}"),
        ({"mask_templates": ["{text} {text} {mask}"]}, "needs one {text}, one {mask}"),
        ({"mask_templates": ["{text} {mask} {label}"]}, "needs one {text}, one {mask}"),
        ({"mask_templates": ["{text {mask}"]}, "mask_templates"),
        ({"none_class": "Other"}, "'Other' is none of the classes"),
        ({"metric": "bleu"}, "metric"),
    ],
)
def test_words_and_templates_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message.replace("{", r"\{")):
        card(**changes)


def test_the_digest_is_of_all_that_a_number_depends_on_and_of_nothing_else() -> None:
    plain = card().sha256
    assert card(title="Films", licence="MIT", called=["FILMS"]).sha256 == plain
    changed = [
        card(words={"negative": ["bad"], "positive": ["great"]}),
        card(mask_templates=["{text} So {mask}."]),
        card(template="It is {}."),
        card(metric="matthews"),
        card(none_class="negative"),
        pinned("films", FACTS, [Text("fine films"), *TEXTS[1:]], LABELS, SPLITS),
        pinned("films", FACTS, [Text("fine film", "b"), *TEXTS[1:]], LABELS, SPLITS),
        pinned("films", FACTS, [Text("fine film", spans=((0, 1), (2, 3))), *TEXTS[1:]], LABELS, SPLITS),
        pinned("films", FACTS, TEXTS, [1, 0, 0, 1], SPLITS),
        pinned("films", FACTS, TEXTS, LABELS, {"train": [1, 0], "test": [2, 3]}),
        pinned("films", FACTS, TEXTS, LABELS, SPLITS, {(1, 13): ([0, 1], [])}),
    ]
    assert len({plain, *(one.sha256 for one in changed)}) == 1 + len(changed)


def test_a_pinned_digest_that_is_another_is_refused() -> None:
    assert card(sha256=card().sha256) == card()
    with pytest.raises(Refused, match="damaged or changed"):
        card(sha256="0" * 64)
