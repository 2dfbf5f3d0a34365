"""Texts, pairs and templates as ids: framed, cut and padded by the model's own rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import Piece, TextBackbone
from promptgrid.tracks.text.backbones.tokens.cutting import to_fit

LONG = "the film was great . it was long . the cat sat , a b a b"
Towers = dict[str, TextBackbone]


def _theirs(homes: dict[str, Path], kind: str) -> Tokenizer:
    return Tokenizer.from_file(str(homes[kind] / "tokenizer.json"))


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "t5"])
@pytest.mark.parametrize("most", [8, 9, 13, 38])
def test_rows_are_those_of_the_models_own_tokenizer(
    kind: str, most: int, homes: dict[str, Path], towers: Towers
) -> None:
    theirs = _theirs(homes, kind)
    theirs.enable_truncation(most)
    for first, second in ((LONG, None), ("bad film", LONG), (LONG, "bad film"), (LONG, LONG), ("bad", "cat")):
        found = towers[kind].tokenize([first], None if second is None else [second], most)
        wanted = theirs.encode(first) if second is None else theirs.encode(first, second)
        assert found.ids[0].tolist() == wanted.ids
        assert bool(found.mask.all())
        if found.segments is not None:
            assert found.segments[0].tolist() == wanted.type_ids


def test_rows_are_padded_to_the_longest(towers: Towers) -> None:
    tower = towers["roberta"]
    tokens = tower.tokenize(["the film", "it"])
    lengths = [len(tower.words([text.strip()])[0]) for text in ("the film", "it")]
    assert tokens.mask.sum(-1).tolist()[0] == tokens.ids.shape[1]
    assert tokens.ids[1, int(tokens.mask[1].sum()) :].unique().tolist() == [tower.special.pad] == [1]
    assert lengths[0] > lengths[1]
    assert tower.tokenize([]).ids.shape == (0, 0)


def test_special_tokens_in_a_text_are_plain_words(towers: Towers) -> None:
    tower = towers["bert"]
    ids = tower.tokenize(["the [MASK] [SEP] film"]).ids[0, 1:-1].tolist()
    assert tower.special.mask not in ids
    assert tower.special.end not in ids


def test_a_template_says_where_its_parts_stand(towers: Towers) -> None:
    tower = towers["bert"]
    pieces = [Piece(["bad film", LONG], cut="end"), Piece(slots=2, name="soft"), Piece("it was", name="words"),
              Piece(masks=1), Piece(".")]  # fmt: skip
    tokens = tower.tokenize_template(pieces, most=12)
    it, was = (ids[0] for ids in tower.words(["it", "was"]))
    assert tokens.mask.sum(-1).tolist() == [10, 12]
    for row in range(2):
        at = {name: places[row] for name, places in tokens.places.items()}
        ids = tokens.ids[row]
        assert ids[at["words"]].tolist() == [it, was]
        assert ids[at["mask"]].tolist() == [tower.special.mask]
        assert ids[at["soft"]].tolist() == [tower.special.pad] * 2
        assert bool(tokens.mask[row][at["soft"]].all())
        assert at["mask"] == at["words"][-1] + 1
    bare = tower.tokenize([LONG]).ids[0]
    assert tokens.ids[1, :5].tolist() == bare[:5].tolist()


def test_pieces_of_one_name_are_joined(towers: Towers) -> None:
    pieces = [Piece(slots=1, name="sub"), Piece(["cat"]), Piece(slots=1, name="sub"), Piece(masks=2)]
    tokens = towers["bert"].tokenize_template(pieces)
    assert tokens.places["sub"].tolist() == [[1, 3]]
    assert tokens.places["mask"].tolist() == [[4, 5]]


def test_a_mask_is_never_cut(towers: Towers) -> None:
    pieces = [Piece(["a b a b"], cut="start"), Piece(" it was"), Piece(masks=1)]
    tokens = towers["bert"].tokenize_template(pieces, most=6)
    a, b = (ids[0] for ids in towers["bert"].words(["a", "b"]))
    assert tokens.ids[0, 1].item() == b != a
    with pytest.raises(Refused, match="too long"):
        towers["bert"].tokenize_template(pieces, most=4)


def test_a_mask_is_refused_where_there_is_none(towers: Towers) -> None:
    with pytest.raises(Refused, match="no mask token"):
        towers["gpt2"].tokenize_template([Piece(masks=1)])
    with pytest.raises(Refused, match="does not fill masks"):
        towers["deberta"].fill(torch.zeros(1, 24))


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([Piece(["cat"]), Piece(["cat", "mat"])], "differ in their number of rows"),
        ([Piece(["cat"], name="x")], "same in every row"),
        ([Piece("cat", masks=1)], "one of them"),
        ([Piece()], "one of them"),
        ([Piece(masks=1, cut="end")], "never cut"),
        ([Piece(["cat " * 60]), Piece(masks=1)], "too long"),
    ],
)
def test_templates_that_make_no_sense_are_refused(pieces: list[Piece], why: str, towers: Towers) -> None:
    with pytest.raises(Refused, match=why):
        towers["bert"].tokenize_template(pieces)


def test_lengths_that_the_tower_does_not_read_are_refused(towers: Towers) -> None:
    with pytest.raises(Refused, match="no such length"):
        towers["bert"].tokenize(["cat"], most=41)
    with pytest.raises(Refused, match="differ in number"):
        towers["bert"].tokenize(["cat"], ["a", "b"])
    with pytest.raises(Refused, match="too long a sequence"):
        towers["bert"].encode(torch.zeros(1, 41, 24), torch.ones(1, 41, dtype=torch.bool))


def test_words_are_spelled_as_inside_a_sentence(homes: dict[str, Path], towers: Towers) -> None:
    theirs = _theirs(homes, "gpt2")
    assert towers["gpt2"].words(["film"]) == (tuple(theirs.encode(" film").ids),)
    assert towers["gpt2"].words(["film"]) != (tuple(theirs.encode("film").ids),)
    assert towers["bert"].words(["longer"]) == (tuple(towers["bert"].tokenize(["longer"]).ids[0, 1:-1].tolist()),)


def test_the_longest_part_is_cut_first() -> None:
    assert to_fit([[1] * 5, [2] * 2, [3] * 9], ["end", "end", "no"], 13) == [[1, 1], [2, 2], [3] * 9]
    assert to_fit([[1, 2, 3]], ["start"], 2) == [[2, 3]]
    assert to_fit([[1, 2, 3]], ["no"], 2) == [[1, 2, 3]]


def test_prompts_stand_behind_the_first_special_token(towers: Towers) -> None:
    for kind, first in (("bert", 1), ("roberta", 1), ("gpt2", 0), ("t5", 0)):
        tower = towers[kind]
        tokens = tower.tokenize(["the film", "it"])
        embeddings = tower.embed(tokens.ids)
        prompt = torch.full((2, 24), 7.0)
        longer, mask = tower.with_prompt(embeddings, tokens.mask, prompt)
        assert torch.equal(longer[:, first : first + 2], prompt.expand(2, 2, 24))
        assert torch.equal(longer[:, :first], embeddings[:, :first])
        assert torch.equal(longer[:, first + 2 :], embeddings[:, first:])
        assert mask.sum(-1).tolist() == (tokens.mask.sum(-1) + 2).tolist()


def test_lower_case_is_read_off_the_tokenizer(towers: Towers, homes: dict[str, Path]) -> None:
    assert json.loads((homes["bert"] / "tokenizer.json").read_text())["normalizer"]["lowercase"]
    assert towers["bert"].preprocessing["lower_case"] is True
    assert towers["roberta"].preprocessing["lower_case"] is False
