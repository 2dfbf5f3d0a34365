"""Captions by tensor operations."""

from __future__ import annotations

import pytest
import torch

from promptgrid.tracks.image.pretrain.pictures import captions as module
from promptgrid.tracks.image.pretrain.pictures.captions import Captions, Rows, joined


@pytest.fixture(scope="module")
def captions() -> Captions:
    return Captions(["cat", "red car"], lambda text: [ord(c) for c in text.strip()], 49406, 49407)


def test_parts_are_joined_without_gaps() -> None:
    parts = [Rows.of([[1], [2, 3]]), Rows.of([[], []]), Rows.of([[4, 5, 6], [7]])]
    tokens, ends = joined(parts)
    assert tokens.tolist() == [[1, 4, 5, 6], [2, 3, 7, 0]]
    assert ends.tolist() == [3, 2]


def test_captions_end_where_they_say_and_hold_arbitrary_contexts(captions: Captions) -> None:
    rng = torch.Generator().manual_seed(4)
    lengths = set()
    for _ in range(20):
        tokens, ends = captions.draw(torch.tensor([0, 1, 1]), rng)
        assert (tokens[torch.arange(3), ends] == 49407).all()
        assert (tokens[:, 0] == 49406).all()
        lengths.add(tokens.shape[1])
    assert len(lengths) > 3


def test_a_caption_is_a_template_around_its_phrase(captions: Captions) -> None:
    rng = torch.Generator().manual_seed(5)
    spaceless = {template.format(said).replace(" ", "") for template in module.TEMPLATES for said in ("cat", "cats")}
    said = set()
    for _ in range(40):
        tokens, ends = captions.draw(torch.zeros(8, dtype=torch.long), rng)
        for row, end in zip(tokens.tolist(), ends.tolist(), strict=True):
            said.add("".join(map(chr, row[1:end])).replace(" ", ""))
    of_a_template = said & spaceless
    assert len(of_a_template) > len(module.TEMPLATES)
    assert all(text.endswith(chr(module.FULL_STOP)) for text in said - spaceless)
