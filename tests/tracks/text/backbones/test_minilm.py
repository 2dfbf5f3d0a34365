"""MiniLM as its package brings it."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file
from tests.tracks.text.backbones import plain

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import Piece
from promptgrid.tracks.text.backbones import minilm_package
from promptgrid.tracks.text.backbones.kinds import kind_of
from promptgrid.tracks.text.backbones.minilm import MASK, MASKED, PAD, PLAIN, MiniLM
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain.publish import stored
from promptgrid.tracks.text.pretrain.train import trainable, with_head

TEXTS = ["A dog runs in the park.", "The stock market fell sharply on Tuesday.", "Dogs were running through a park!"]


@pytest.fixture(scope="module")
def tower() -> Transformer:
    found = MiniLM().load(PLAIN, "cpu")
    assert isinstance(found, Transformer)
    return found


@pytest.fixture(scope="module")
def content() -> zipfile.ZipFile:
    return zipfile.ZipFile(minilm_package.archive())


def test_its_shape_and_ids_are_those_of_its_config(content: zipfile.ZipFile, tower: Transformer) -> None:
    config = json.loads(content.read("config.json"))
    assert kind_of(config, "")[1] == minilm_package.SHAPE
    tokens = {token["content"]: token["id"] for token in json.loads(content.read("tokenizer.json"))["added_tokens"]}
    assert (tokens["[PAD]"], tokens["[MASK]"]) == (PAD, MASK)
    assert tower.preprocessing["most_tokens"] == json.loads(content.read("sentence_bert_config.json"))["max_seq_length"]
    assert json.loads(content.read("1_Pooling/config.json"))["pooling_mode_mean_tokens"]


def test_hidden_states_are_those_of_the_formulas(content: zipfile.ZipFile, tower: Transformer) -> None:
    config = json.loads(content.read("config.json"))
    state = {f"bert.{name}": value for name, value in load(content.read("model.safetensors")).items()}
    tokens = tower.tokenize(TEXTS[:1])
    wanted = plain.hidden("bert", config, state, tokens.ids[0])
    assert torch.allclose(tower.encode(tower.embed(tokens.ids), tokens.mask)[0], wanted, atol=1e-5)


def test_close_sentences_are_close(tower: Transformer) -> None:
    tokens = tower.tokenize(TEXTS)
    pooled = tower.pool(tower.encode(tower.embed(tokens.ids), tokens.mask), tokens.mask)
    unit = torch.nn.functional.normalize(pooled, dim=-1)
    assert float(unit[0] @ unit[2]) > 0.5 > 0.1 > float(unit[0] @ unit[1])


def test_facts_are_quick(tower: Transformer) -> None:
    began = time.process_time()
    facts = MiniLM().facts(PLAIN)
    assert time.process_time() - began < 0.5
    assert tower.digest == facts["digest"]
    assert sorted(tower.offers) == facts["offers"] == ["blocks", "features", "tokens", "weights"]


def test_another_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(minilm_package.CONTENT, "tokenizer.json", (1, ""))
    with pytest.raises(Refused, match="another version"):
        MiniLM().facts(PLAIN)
    monkeypatch.setitem(minilm_package.CONTENT, "tokenizer.json", (466247, "0" * 64))
    with pytest.raises(Refused, match="not the known one"):
        MiniLM().load(PLAIN, "cpu")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refused, match="not installed"):
        MiniLM().facts(PLAIN)


def test_a_delta_makes_the_masked_tower(tower: Transformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "delta.safetensors"
    monkeypatch.setattr("promptgrid.tracks.text.backbones.mask_delta.FILE", file)
    assert not MiniLM().knows(MASKED)
    with pytest.raises(Refused, match="unknown backbone"):
        MiniLM().load(MASKED, "cpu")
    headed = with_head(tower, torch.ones(tower.vocabulary))
    moved = trainable(headed)
    moved["blocks.3.fc.weight"] = moved["blocks.3.fc.weight"] + 0.01
    save_file(stored(tower, moved), file)
    found = MiniLM().load(MASKED, "cpu")
    assert "mask" in found.offers
    assert found.digest == MiniLM().facts(MASKED)["digest"] != tower.digest
    assert {row["name"] for row in MiniLM().listing()} == {PLAIN, MASKED}
    change = found.weights()["blocks.3.fc.weight"] - tower.weights()["blocks.3.fc.weight"]
    assert torch.allclose(change, torch.full_like(change, 0.01), atol=1e-3)
    tokens = found.tokenize_template([Piece("he is taller"), Piece(masks=1), Piece("his brother.")])
    at = found.encode_at(found.embed(tokens.ids), tokens.mask, tokens.places["mask"])
    assert found.fill(at).shape == (1, 1, 30522)
