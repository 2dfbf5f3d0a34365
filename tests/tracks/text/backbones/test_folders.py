"""Hugging Face folders: what names them, and what is refused of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tracks.text.backbones.folders import folder

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbones.hf_folder import HuggingFaceFolder

FAMILY = HuggingFaceFolder()


def _facts(home: Path) -> dict[str, object]:
    return FAMILY.facts(f"hf-dir:{home}")


def _config(home: Path, **changes: object) -> None:
    written = json.loads((home / "config.json").read_text())
    (home / "config.json").write_text(json.dumps({**written, **changes}))


def test_a_model_is_named_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "bert"), folder(tmp_path / "two", "bert")
    _config(two, transformers_version="5.0", architectures=["BertModel"])
    assert _facts(one)["digest"] == _facts(two)["digest"]
    tower = FAMILY.load(f"hf-dir:{one}", "cpu")
    assert tower.digest == _facts(one)["digest"]
    assert sorted(tower.offers) == _facts(one)["offers"]
    assert _facts(one)["sizes"] == {"width": 24, "layers": 2, "heads": 3, "most_tokens": 40, "vocabulary": 32}


def _weights(home: Path) -> None:
    state = load_file(home / "model.safetensors")
    state["bert.embeddings.LayerNorm.bias"][0] += 1.0
    save_file(state, home / "model.safetensors")


def _pooling(home: Path) -> None:
    (home / "1_Pooling").mkdir()
    (home / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')


def _length(home: Path) -> None:
    (home / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')


def _tokenizer(home: Path) -> None:
    path = home / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase":true', '"lowercase":false'))


def _activation(home: Path) -> None:
    _config(home, hidden_act="relu")


@pytest.mark.parametrize("change", [_weights, _pooling, _length, _tokenizer, _activation])
def test_whatever_changes_features_changes_the_digest(change: Callable[[Path], None], tmp_path: Path) -> None:
    home = folder(tmp_path, "bert")
    before = _facts(home)["digest"]
    change(home)
    assert _facts(home)["digest"] != before


def test_sentence_transformers_say_how_they_pool(tmp_path: Path) -> None:
    home = folder(tmp_path, "bert")
    _pooling(home)
    _length(home)
    tower = FAMILY.load(f"hf-dir:{home}", "cpu")
    assert tower.preprocessing == {"lower_case": True, "most_tokens": 16, "pooling": "mean"}
    assert tower.tokenize(["cat " * 30]).ids.shape == (1, 16)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_weights_in_parts_are_the_same_weights(kind: str, tmp_path: Path) -> None:
    whole = FAMILY.load(f"hf-dir:{folder(tmp_path / 'whole', kind)}", "cpu").weights()
    parts = FAMILY.load(f"hf-dir:{folder(tmp_path / 'parts', kind, sharded=True)}", "cpu").weights()
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_older_names_of_norms_are_read(tmp_path: Path) -> None:
    home = folder(tmp_path, "bert")
    before = FAMILY.load(f"hf-dir:{home}", "cpu").weights()
    state = load_file(home / "model.safetensors")
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
               for name, value in state.items()}  # fmt: skip
    save_file(renamed, home / "model.safetensors")
    after = FAMILY.load(f"hf-dir:{home}", "cpu").weights()
    assert all(torch.equal(before[name], after[name]) for name in before)


def _absent(name: str) -> Callable[[Path], None]:
    return lambda home: (home / name).unlink()


def _pickled(home: Path) -> None:
    (home / "model.safetensors").unlink()
    (home / "pytorch_model.bin").write_bytes(b"\x80")


def _cut_off(home: Path) -> None:
    content = (home / "model.safetensors").read_bytes()
    (home / "model.safetensors").write_bytes(content[: len(content) // 2])


def _nan(home: Path) -> None:
    state = load_file(home / "model.safetensors")
    state["bert.embeddings.LayerNorm.bias"][0] = torch.nan
    save_file(state, home / "model.safetensors")


def _escaping(home: Path) -> None:
    (home / "model.safetensors").unlink()
    (home / "model.safetensors.index.json").write_text('{"weight_map": {"x": "../elsewhere.safetensors"}}')


REFUSALS: list[tuple[Callable[[Path], object], str]] = [
    (_absent("config.json"), "no config.json"),
    (_absent("tokenizer.json"), "no tokenizer.json"),
    (_absent("model.safetensors"), "no weights there"),
    (_pickled, "pickle"),
    (_cut_off, "damaged or cut off"),
    (_nan, "NaN"),
    (_escaping, "part of the weights is missing"),
    (lambda home: (home / "config.json").write_text("{"), "not valid JSON"),
    (lambda home: (home / "tokenizer.json").write_text("{}"), "tokenizer.json cannot be read"),
    (lambda home: _config(home, model_type="mamba"), "not run here"),
    (lambda home: _config(home, hidden_act="silu"), "activation silu"),
    (lambda home: _config(home, position_embedding_type="relative_key"), "relative positions"),
    (lambda home: _config(home, intermediate_size=48), "does not fit config.json"),
    (lambda home: _config(home, num_hidden_layers=3), "are missing"),
    (lambda home: _config(home, num_attention_heads=5), "do not fill the width"),
    (lambda home: _config(home, vocab_size=None), "config.json"),
]


@pytest.mark.parametrize(("spoil", "why"), REFUSALS, ids=[why for _, why in REFUSALS])
def test_what_is_no_model_is_refused(spoil: Callable[[Path], object], why: str, tmp_path: Path) -> None:
    home = folder(tmp_path, "bert")
    spoil(home)
    with pytest.raises(Refused, match=why):
        FAMILY.load(f"hf-dir:{home}", "cpu")


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    home = folder(tmp_path, "gpt2")
    written = json.loads((home / "config.json").read_text())
    del written["n_head"]
    (home / "config.json").write_text(json.dumps(written))
    with pytest.raises(Refused, match="n_head"):
        _facts(home)


def test_deberta_with_what_we_do_not_follow_is_refused(tmp_path: Path) -> None:
    home = folder(tmp_path, "deberta-v2", conv_kernel_size=3)
    with pytest.raises(Refused, match="convolution"):
        _facts(home)


def test_the_family_knows_its_prefix_alone() -> None:
    assert FAMILY.knows("hf-dir:/x")
    assert not FAMILY.knows("minilm-l6")
    assert FAMILY.listing()[0]["name"] == "hf-dir:/path/to/folder"
