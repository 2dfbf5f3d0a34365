"""CLIP weights under the names of Hugging Face's `transformers`, renamed as open_clip has them.

Source: the parameter names of ``transformers.CLIPModel`` and of ``open_clip.model.CLIP``. There attention has three
matrices, here one with all three below each other; there projections are layers, here matrices to multiply with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
MARK = "text_model.embeddings.token_embedding.weight"
_TOWERS = {"text_model.encoder.layers.": "transformer.", "vision_model.encoder.layers.": "visual.transformer."}
_WHOLE = {
    MARK: "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # their spelling
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "logit_scale": "logit_scale",
}
_TURNED = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}
_IN_BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_ASKED = ("q", "k", "v")
_COUNTERS = ("position_ids",)


def has_their_names(state: State) -> bool:
    """Whether ``state`` is a CLIP model of `transformers`."""
    return MARK in state


def renamed(state: State) -> State:
    """``state`` under open_clip's names; what is not of a CLIP model keeps its own, and is refused by the model."""
    found: State = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.endswith(_COUNTERS):
            continue
        if name in _TURNED:
            found[_TURNED[name]] = value.T.contiguous()
        elif name in _WHOLE:
            found[_WHOLE[name]] = value
        else:
            _block(name, value, found, parts)
    for target, asked in parts.items():
        if set(asked) == set(_ASKED):
            found[target] = torch.cat([asked[part] for part in _ASKED])
    return found


def _block(name: str, value: Tensor, found: State, parts: dict[str, dict[str, Tensor]]) -> None:
    tower = next((prefix for prefix in _TOWERS if name.startswith(prefix)), None)
    if tower is None:
        found[name] = value
        return
    number, _, rest = name.removeprefix(tower).partition(".")
    layer, _, kind = rest.rpartition(".")
    place = f"{_TOWERS[tower]}resblocks.{number}."
    if layer in _IN_BLOCK:
        found[f"{place}{_IN_BLOCK[layer]}.{kind}"] = value
    elif layer.startswith("self_attn.") and layer.endswith("_proj"):
        asked = layer.removeprefix("self_attn.").removesuffix("_proj")
        parts.setdefault(f"{place}attn.in_proj_{kind}", {})[asked] = value
    else:
        found[name] = value


def says_quick_gelu(file: Path) -> bool | None:
    """Whether the ``config.json`` beside ``file`` says QuickGELU, as it does where it is silent; None without one."""
    try:
        config = json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
        text: dict[str, Any] = config.get("text_config") or config.get("text_config_dict") or {}
        return str(text.get("hidden_act", "quick_gelu")) == "quick_gelu"
    except (OSError, ValueError, AttributeError):
        return None
