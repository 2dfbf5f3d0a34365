"""Every kind of tower gives what the formulas of its paper give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.tracks.text.backbones import plain
from tests.tracks.text.backbones.folders import KINDS, folder

from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.backbones.hf_folder import HuggingFaceFolder

TEXTS = ["the film was great, it was long. the cat sat", "bad film", "it was the longer cats that sat, a b a b a b a."]


def _held_to_plain(home: Path, kind: str, tower: TextBackbone) -> None:
    state, config = load_file(home / "model.safetensors"), json.loads((home / "config.json").read_text())
    tokens = tower.tokenize(TEXTS)
    found = tower.encode(tower.embed(tokens.ids), tokens.mask)
    for row in range(len(TEXTS)):
        length = int(tokens.mask[row].sum())
        wanted = plain.hidden(kind, config, state, tokens.ids[row, :length])
        assert torch.allclose(found[row, :length], wanted, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_are_those_of_the_formulas(
    kind: str, homes: dict[str, Path], towers: dict[str, TextBackbone]
) -> None:
    _held_to_plain(homes[kind], kind, towers[kind])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("t5", {"feed_forward_proj": "relu"}),
        ("deberta-v2", {"share_att_key": False}),
        ("deberta-v2", {"position_biased_input": True}),
        ("bert", {"num_hidden_layers": 3, "num_attention_heads": 2}),
    ],
)
def test_other_members_of_a_kind(kind: str, changes: dict[str, object], tmp_path: Path) -> None:
    home = folder(tmp_path, kind, **changes)
    _held_to_plain(home, kind, HuggingFaceFolder().load(f"hf-dir:{home}", "cpu"))


@pytest.mark.parametrize("kind", KINDS)
def test_some_tokens_alone_are_the_same_tokens(kind: str, towers: dict[str, TextBackbone]) -> None:
    tower = towers[kind]
    tokens = tower.tokenize(TEXTS)
    at = torch.tensor([[0, 3], [1, 0], [2, 5]])
    embeddings = tower.embed(tokens.ids)
    whole = tower.encode(embeddings, tokens.mask)
    some = tower.encode_at(embeddings, tokens.mask, at)
    assert torch.allclose(some, whole[torch.arange(3)[:, None], at], atol=1e-5)


def test_padding_changes_nothing(towers: dict[str, TextBackbone]) -> None:
    for tower in towers.values():
        alone, beside = tower.tokenize([TEXTS[1]]), tower.tokenize(TEXTS[:2])
        assert beside.ids.shape[1] > alone.ids.shape[1]
        pooled = [tower.pool(tower.encode(tower.embed(t.ids), t.mask), t.mask)[-1] for t in (alone, beside)]
        assert torch.allclose(pooled[0], pooled[1], atol=1e-5)


def test_pooling_is_that_of_the_kind(towers: dict[str, TextBackbone]) -> None:
    for kind, how in (("bert", "cls"), ("gpt2", "last"), ("t5", "mean")):
        tower = towers[kind]
        tokens = tower.tokenize(TEXTS)
        hidden = tower.encode(tower.embed(tokens.ids), tokens.mask)
        lengths = tokens.mask.sum(-1)
        wanted = {
            "cls": hidden[:, 0],
            "last": hidden[torch.arange(3), lengths - 1],
            "mean": torch.stack([row[:length].mean(0) for row, length in zip(hidden, lengths, strict=True)]),
        }
        assert tower.preprocessing["pooling"] == how
        assert torch.allclose(tower.pool(hidden, tokens.mask), wanted[how], atol=1e-6)


def test_segments_reach_bert(towers: dict[str, TextBackbone]) -> None:
    tower = towers["bert"]
    tokens = tower.tokenize(["the film"], ["the cat"])
    assert tokens.segments is not None
    assert tokens.segments.tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    embeddings, weights = tower.embed(tokens.ids), tower.weights()
    moved = embeddings + weights["embeddings.segment"][tokens.segments] - weights["embeddings.segment"][0]
    found = tower.encode(embeddings, tokens.mask, segments=tokens.segments)
    assert torch.allclose(found, tower.encode(moved, tokens.mask), atol=1e-5)
    assert towers["gpt2"].tokenize(["the film"]).segments is None


def test_masks_are_filled_by_the_head(homes: dict[str, Path], towers: dict[str, TextBackbone]) -> None:
    heads = {
        "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
        "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
    }
    for kind, (dense, norm, bias) in heads.items():
        tower, state = towers[kind], load_file(homes[kind] / "model.safetensors")
        assert "mask" in tower.offers
        hidden = torch.randn(2, 3, tower.width)
        x = torch.nn.functional.gelu(hidden @ state[f"{dense}.weight"].T + state[f"{dense}.bias"])
        x = plain._norm(state, norm, x, 1e-5)
        logits = x @ state[f"{kind}.embeddings.word_embeddings.weight"].T + state[bias]
        assert torch.allclose(tower.fill(hidden), logits, atol=1e-5)
        few = torch.tensor([7, 2, 20])
        assert torch.allclose(tower.fill_words(hidden, few), logits[..., few], atol=1e-5)


def test_towers_without_a_head_do_not_offer_it(towers: dict[str, TextBackbone]) -> None:
    for kind in ("deberta", "deberta-v2", "gpt2", "t5"):
        assert "mask" not in towers[kind].offers
