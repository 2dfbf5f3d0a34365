"""Small random models of each kind, written as Hugging Face writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

WORDS = ["a", "b", "the", "film", "was", "great", "bad", "it", "long", "##er", "##s", ".", ",", "cat", "sat", "mat"]
SIZES = {"layers": 2, "width": 24, "heads": 3, "inner": 40}
_BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def folder(home: Path, kind: str, sharded: bool = False, **changes: Any) -> Path:
    """A folder with config.json, weights and tokenizer.json; ``changes`` overwrite fields of the config."""
    home.mkdir(parents=True, exist_ok=True)
    config = {**CONFIGS[kind], **changes}
    state = STATES[kind](config)
    (home / "config.json").write_text(json.dumps(config))
    (home / "tokenizer.json").write_text(_tokenizer(kind).to_str())
    if not sharded:
        save_file(state, home / "model.safetensors", metadata={"format": "pt"})
        return home
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: state[name] for name in own}, home / file)
    where = {name: file for file, own in parts.items() for name in own}
    (home / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return home


def _drawn() -> Any:
    generator = torch.Generator().manual_seed(3)

    def draw(*size: int, mean: float = 0.0) -> Tensor:
        return torch.randn(size, generator=generator) * 0.2 + mean

    return draw


def _linear(state: dict[str, Tensor], draw: Any, name: str, inputs: int, outputs: int, bias: bool = True) -> None:
    state[f"{name}.weight"] = draw(outputs, inputs)
    if bias:
        state[f"{name}.bias"] = draw(outputs)


def _norm(state: dict[str, Tensor], draw: Any, name: str, width: int, bias: bool = True) -> None:
    state[f"{name}.weight"] = draw(width, mean=1.0)
    if bias:
        state[f"{name}.bias"] = draw(width)


def _encoder(config: dict[str, Any], root: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    """What BERT, RoBERTa and DeBERTa share."""
    draw, state = _drawn(), dict[str, Tensor]()
    d, inner = config["hidden_size"], config["intermediate_size"]
    state[f"{root}embeddings.word_embeddings.weight"] = draw(config["vocab_size"], d)
    if config.get("position_biased_input", True):
        state[f"{root}embeddings.position_embeddings.weight"] = draw(config["max_position_embeddings"], d)
    if config["type_vocab_size"]:
        state[f"{root}embeddings.token_type_embeddings.weight"] = draw(config["type_vocab_size"], d)
    _norm(state, draw, f"{root}embeddings.LayerNorm", d)
    for layer in range(config["num_hidden_layers"]):
        block = f"{root}encoder.layer.{layer}"
        for name in names:
            _linear(state, draw, f"{block}.attention.self.{name}", d, d)
        _linear(state, draw, f"{block}.attention.output.dense", d, d)
        _norm(state, draw, f"{block}.attention.output.LayerNorm", d)
        _linear(state, draw, f"{block}.intermediate.dense", d, inner)
        _linear(state, draw, f"{block}.output.dense", inner, d)
        _norm(state, draw, f"{block}.output.LayerNorm", d)
    return state


def _bert(config: dict[str, Any]) -> dict[str, Tensor]:
    state, draw, d = _encoder(config, "bert.", ("query", "key", "value")), _drawn(), config["hidden_size"]
    _linear(state, draw, "cls.predictions.transform.dense", d, d)
    _norm(state, draw, "cls.predictions.transform.LayerNorm", d)
    state["cls.predictions.bias"] = draw(config["vocab_size"])
    _linear(state, draw, "bert.pooler.dense", d, d)
    return state


def _roberta(config: dict[str, Any]) -> dict[str, Tensor]:
    state, draw, d = _encoder(config, "roberta.", ("query", "key", "value")), _drawn(), config["hidden_size"]
    _linear(state, draw, "lm_head.dense", d, d)
    _norm(state, draw, "lm_head.layer_norm", d)
    state["lm_head.bias"] = draw(config["vocab_size"])
    return state


def _deberta(config: dict[str, Any]) -> dict[str, Tensor]:
    state, draw, d = _encoder(config, "deberta.", ()), _drawn(), config["hidden_size"]
    for layer in range(config["num_hidden_layers"]):
        name = f"deberta.encoder.layer.{layer}.attention.self"
        state[f"{name}.in_proj.weight"] = draw(3 * d, d)
        state[f"{name}.q_bias"], state[f"{name}.v_bias"] = draw(d), draw(d)
        _linear(state, draw, f"{name}.pos_proj", d, d, bias=False)
        _linear(state, draw, f"{name}.pos_q_proj", d, d)
    state["deberta.encoder.rel_embeddings.weight"] = draw(2 * config["max_relative_positions"], d)
    return state


def _deberta_v2(config: dict[str, Any]) -> dict[str, Tensor]:
    names = ("query_proj", "key_proj", "value_proj")
    more = () if config["share_att_key"] else ("pos_key_proj", "pos_query_proj")
    state, draw, d = _encoder(config, "deberta.", names + more), _drawn(), config["hidden_size"]
    state["deberta.encoder.rel_embeddings.weight"] = draw(2 * config["position_buckets"], d)
    _norm(state, draw, "deberta.encoder.LayerNorm", d)
    return state


def _gpt2(config: dict[str, Any]) -> dict[str, Tensor]:
    draw, state, d = _drawn(), dict[str, Tensor](), config["n_embd"]
    state["transformer.wte.weight"] = draw(config["vocab_size"], d)
    state["transformer.wpe.weight"] = draw(config["n_positions"], d)
    for layer in range(config["n_layer"]):
        for name, inputs, outputs in (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, 4 * d),
                                      ("mlp.c_proj", 4 * d, d)):  # fmt: skip
            state[f"transformer.h.{layer}.{name}.weight"] = draw(inputs, outputs)
            state[f"transformer.h.{layer}.{name}.bias"] = draw(outputs)
        _norm(state, draw, f"transformer.h.{layer}.ln_1", d)
        _norm(state, draw, f"transformer.h.{layer}.ln_2", d)
    _norm(state, draw, "transformer.ln_f", d)
    return state


def _t5(config: dict[str, Any]) -> dict[str, Tensor]:
    draw, state, d = _drawn(), dict[str, Tensor](), config["d_model"]
    joined = config["num_heads"] * config["d_kv"]
    state["shared.weight"] = draw(config["vocab_size"], d)
    for layer in range(config["num_layers"]):
        block = f"encoder.block.{layer}.layer"
        for name in "qkv":
            _linear(state, draw, f"{block}.0.SelfAttention.{name}", d, joined, bias=False)
        _linear(state, draw, f"{block}.0.SelfAttention.o", joined, d, bias=False)
        for name in ("wi_0", "wi_1") if "gated" in config["feed_forward_proj"] else ("wi",):
            _linear(state, draw, f"{block}.1.DenseReluDense.{name}", d, config["d_ff"], bias=False)
        _linear(state, draw, f"{block}.1.DenseReluDense.wo", config["d_ff"], d, bias=False)
        _norm(state, draw, f"{block}.0.layer_norm", d, bias=False)
        _norm(state, draw, f"{block}.1.layer_norm", d, bias=False)
    bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    state[bias] = draw(config["relative_attention_num_buckets"], config["num_heads"])
    _norm(state, draw, "encoder.final_layer_norm", d, bias=False)
    state["decoder.block.0.layer.0.layer_norm.weight"] = draw(d)
    return state


_COMMON = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40, "hidden_act": "gelu",
    "vocab_size": 32, "max_position_embeddings": 40, "layer_norm_eps": 1e-5,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": {**_COMMON, "model_type": "bert", "type_vocab_size": 2},
    "roberta": {**_COMMON, "model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1},
    "deberta": {**_COMMON, "model_type": "deberta", "type_vocab_size": 0, "relative_attention": True,
                "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 7, "position_biased_input": False},
    "deberta-v2": {**_COMMON, "model_type": "deberta-v2", "type_vocab_size": 0, "relative_attention": True,
                   "pos_att_type": "c2p|p2c", "max_relative_positions": -1, "position_buckets": 4,
                   "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False},
    "gpt2": {"model_type": "gpt2", "n_embd": 24, "n_layer": 2, "n_head": 3, "vocab_size": 32, "n_positions": 40},
    "t5": {"model_type": "t5", "d_model": 24, "num_layers": 2, "num_heads": 3, "d_kv": 10, "d_ff": 40,
           "vocab_size": 32, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 9,
           "feed_forward_proj": "gated-gelu"},
}  # fmt: skip
STATES = {"bert": _bert, "roberta": _roberta, "deberta": _deberta, "deberta-v2": _deberta_v2, "gpt2": _gpt2, "t5": _t5}
KINDS = tuple(CONFIGS)


def _tokenizer(kind: str) -> Tokenizer:
    """Words of one vocabulary, read and framed as models of this kind do."""
    if kind in {"gpt2", "roberta"}:
        return _by_bytes(kind)
    special = ["<pad>", "</s>", "<unk>"] if kind == "t5" else _BERT_SPECIAL
    unknown = "<unk>" if kind == "t5" else "[UNK]"
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    found = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    found.normalizer = normalizers.BertNormalizer(lowercase=True)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.add_special_tokens(special)
    if kind == "t5":
        found.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    else:
        pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
        found.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", pair, [("[CLS]", 2), ("[SEP]", 3)])
    return found


def _by_bytes(kind: str) -> Tokenizer:
    special = _ROBERTA_SPECIAL if kind == "roberta" else ["<|endoftext|>"]
    letters = ["Ġ", *"abcdefghilmnorstw."]
    pieces = {word: number for number, word in enumerate([*special, *letters, "Ġt", "th", "Ġf", "it"])}
    merges = [("Ġ", "t"), ("t", "h"), ("Ġ", "f"), ("i", "t")]
    found = Tokenizer(models.BPE(vocab=pieces, merges=merges))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.add_special_tokens(special)
    if kind == "roberta":
        found.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return found
