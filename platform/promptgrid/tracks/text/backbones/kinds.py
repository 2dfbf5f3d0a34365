"""The architectures of Hugging Face that we run: what their config.json says, and how their tensors are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbones import names
from promptgrid.tracks.text.backbones.shape import Activation, Shape

Config = Mapping[str, Any]
State = Mapping[str, Tensor]
_ACTS: dict[str, Activation] = {
    "gelu": "gelu", "relu": "relu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One architecture.

    Attributes:
        shape: of a config.
        table: of tensor names.
        arranged: their tensors with what is packed taken apart.
        pooling: what makes a text's features where the folder does not say.
    """

    shape: Callable[[Config], Shape]
    table: names.Table
    arranged: Callable[[State, Shape], dict[str, Tensor]]
    pooling: str


def kind_of(config: Config, where: str) -> tuple[Kind, Shape]:
    """The architecture that a config.json describes.

    Raises:
        Refused: one that we do not run, or a field that is missing or that we do not follow.
    """
    name = str(config.get("model_type"))
    if name not in KINDS:
        raise Refused("an architecture that is not run here", where=where, got=name, expected=", ".join(KINDS))
    try:
        shape = KINDS[name].shape(config)
    except KeyError as missing:
        raise Refused(f"config.json of a {name} without {missing}", where=where) from missing
    except ValueError as foreign:
        raise Refused(f"config.json of a {name} that is not run here: {foreign}", where=where) from foreign
    if shape.heads * shape.head_width != shape.width and name not in {"t5", "mt5"}:
        raise Refused("the heads do not fill the width", where=where, got=f"{shape.heads} heads, {shape.width} wide")
    return KINDS[name], shape


def _act(config: Config, field: str = "hidden_act") -> Activation:
    name = str(config.get(field, "gelu"))
    if name not in _ACTS:
        raise ValueError(f"activation {name}")
    return _ACTS[name]


def _common(config: Config) -> dict[str, Any]:
    """The fields that BERT and its kin share."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    return {
        "width": width, "layers": config["num_hidden_layers"], "heads": heads, "head_width": width // heads,
        "inner": config["intermediate_size"], "vocabulary": config["vocab_size"], "act": _act(config),
        "eps": config.get("layer_norm_eps", 1e-12), "segments": config.get("type_vocab_size", 2),
        "scale": (width // heads) ** -0.5,
    }  # fmt: skip


def _absolute(config: Config) -> None:
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("is_decoder"):
        raise ValueError("relative positions or a decoder")


def _bert(config: Config) -> Shape:
    _absolute(config)
    shared = _common(config)
    return Shape(**shared, most=config["max_position_embeddings"], mask_act=shared["act"])


def _roberta(config: Config) -> Shape:
    _absolute(config)
    first = config.get("pad_token_id", 1) + 1  # row pad is that of padding; tokens count from behind it
    return Shape(**_common(config), most=config["max_position_embeddings"] - first, position_offset=first)


def _deberta(config: Config, later: bool) -> Shape:
    shared, parts = _common(config), config.get("pos_att_type") or []
    parts = parts.split("|") if isinstance(parts, str) else parts
    if not config.get("relative_attention") or config.get("conv_kernel_size", 0) or config.get("talking_head"):
        raise ValueError("no relative attention, a convolution or talking heads")
    if config.get("embedding_size", shared["width"]) != shared["width"] or not set(parts) <= {"c2p", "p2c"}:
        raise ValueError(f"embedding_size {config.get('embedding_size')}, pos_att_type {parts}")
    farthest = config.get("max_relative_positions", -1)
    farthest = config["max_position_embeddings"] if farthest < 1 else farthest
    return Shape(**shared | {
        "eps": config.get("layer_norm_eps", 1e-7), "segments": config.get("type_vocab_size", 0),
        "scale": (shared["head_width"] * (1 + len(parts))) ** -0.5, "most": config["max_position_embeddings"],
        "position_offset": 0 if config.get("position_biased_input", True) else None, "relative": "disentangled",
        "buckets": max(0, config.get("position_buckets", -1)) if later else 0, "farthest": farthest,
        "content_to_position": "c2p" in parts, "position_to_content": "p2c" in parts,
        "shared_keys": later and bool(config.get("share_att_key")), "mask_act": shared["act"],
    })  # fmt: skip


def _gpt2(config: Config) -> Shape:
    width, heads = config["n_embd"], config["n_head"]
    if not config.get("scale_attn_weights", True) or config.get("scale_attn_by_inverse_layer_idx"):
        raise ValueError("attention of another scale")
    return Shape(width=width, layers=config["n_layer"], heads=heads, head_width=width // heads,
                 inner=config.get("n_inner") or 4 * width, vocabulary=config["vocab_size"], most=config["n_positions"],
                 act=_act({"activation_function": "gelu_new", **config}, "activation_function"),
                 eps=config.get("layer_norm_epsilon", 1e-5), norm_first=True, scale=(width // heads) ** -0.5,
                 causal=True)  # fmt: skip


def _t5(config: Config) -> Shape:
    mlp = str(config.get("feed_forward_proj", "relu"))
    gated = mlp.startswith("gated-")
    act = "gelu_new" if mlp == "gated-gelu" else mlp.removeprefix("gated-")
    return Shape(width=config["d_model"], layers=config["num_layers"], heads=config["num_heads"],
                 head_width=config["d_kv"], inner=config["d_ff"], vocabulary=config["vocab_size"],
                 most=config.get("n_positions", 512), act=_act({"act": act}, "act"), gated=gated, norm="rms",
                 eps=config.get("layer_norm_epsilon", 1e-6), norm_first=True, position_offset=None, relative="bias",
                 buckets=config["relative_attention_num_buckets"],
                 farthest=config.get("relative_attention_max_distance", 128))  # fmt: skip


def _as_it_is(state: State, shape: Shape) -> dict[str, Tensor]:
    return dict(state)


def _split_gpt2(state: State, shape: Shape) -> dict[str, Tensor]:
    """Its weights stand (inputs, outputs), queries, keys and values side by side."""
    found = {}
    for name, value in state.items():
        weight = value.mT.contiguous() if value.dim() == 2 and "wte" not in name and "wpe" not in name else value
        if ".attn.c_attn." in name:
            for part, own in zip("qkv", weight.chunk(3), strict=True):
                found[name.replace("c_attn", f"{part}_split")] = own.contiguous()
        else:
            found[name] = weight
    return found


def _split_deberta(state: State, shape: Shape) -> dict[str, Tensor]:
    """Version 1 has one projection, head by head its queries, keys and values, and no bias of the keys."""
    found = {}
    for name, value in state.items():
        if name.endswith(".in_proj.weight"):
            by_head = value.view(shape.heads, 3, shape.head_width, shape.width)
            for number, part in enumerate("qkv"):
                own = by_head[:, number].reshape(-1, shape.width)
                found[name.replace("in_proj", f"{part}_split")] = own
            found[name.replace("in_proj.weight", "k_split.bias")] = torch.zeros(shape.width)
        else:
            plain = name.replace("self.q_bias", "self.q_split.bias").replace("self.v_bias", "self.v_split.bias")
            found[plain] = value
    return found


KINDS: dict[str, Kind] = {
    "bert": Kind(_bert, names.BERT, _as_it_is, "cls"),
    "roberta": Kind(_roberta, names.BERT, _as_it_is, "cls"),
    "xlm-roberta": Kind(_roberta, names.BERT, _as_it_is, "cls"),
    "deberta": Kind(lambda config: _deberta(config, False), names.DEBERTA, _split_deberta, "cls"),
    "deberta-v2": Kind(lambda config: _deberta(config, True), names.DEBERTA, _as_it_is, "cls"),
    "gpt2": Kind(_gpt2, names.GPT2, _split_gpt2, "last"),
    "t5": Kind(_t5, names.T5, _as_it_is, "mean"),
    "mt5": Kind(_t5, names.T5, _as_it_is, "mean"),
}
