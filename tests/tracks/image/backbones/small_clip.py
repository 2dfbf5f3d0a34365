"""A CLIP of a few hundred kilobytes, and its weights as other houses write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from promptgrid.towers.clip.models import torchvision_cure

torchvision_cure.apply()
import open_clip  # noqa: E402 - only after the cure

SMALL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
_BLOCK = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj"}
_BLOCK |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}


def small_model(config: dict[str, Any] = SMALL) -> Any:
    torch.manual_seed(3)
    return open_clip.model.CLIP(**config).eval()


def under_their_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """``state`` as `transformers.CLIPModel` would save it, written from its module tree."""
    found = {
        "logit_scale": state["logit_scale"],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "text_model.final_layer_norm.weight": state["ln_final.weight"],
        "text_model.final_layer_norm.bias": state["ln_final.bias"],
        "text_projection.weight": state["text_projection"].T,
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "visual_projection.weight": state["visual.proj"].T,
    }
    for ours, theirs in (("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm")):
        for kind in ("weight", "bias"):
            found[f"vision_model.{theirs}.{kind}"] = state[f"visual.{ours}.{kind}"]
    for tower, model in (("", "text_model"), ("visual.", "vision_model")):
        for layer in range(2):
            ours, theirs = f"{tower}transformer.resblocks.{layer}.", f"{model}.encoder.layers.{layer}."
            for kind in ("weight", "bias"):
                asked = state[f"{ours}attn.in_proj_{kind}"].chunk(3)
                found |= {
                    f"{theirs}self_attn.{part}_proj.{kind}": value for part, value in zip("qkv", asked, strict=True)
                }
                found |= {f"{theirs}{name}.{kind}": state[f"{ours}{own}.{kind}"] for own, name in _BLOCK.items()}
    return {name: value.clone().contiguous() for name, value in found.items()}


class _Holder(nn.Module):
    """A tree of modules with given parameters and buffers, which can be scripted."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels


def as_openai_wrote_it(file: Path) -> None:
    """The small model's weights in halves as a TorchScript archive, with the three numbers that OpenAI's hold."""
    root = _Holder()
    for name, value in small_model().state_dict().items():
        *path, leaf = name.split(".")
        home: nn.Module = root
        for part in path:
            if part not in dict(home.named_children()):
                home.add_module(part, _Holder())
            home = home.get_submodule(part)
        home.register_parameter(leaf, nn.Parameter(value.half(), requires_grad=False))
    for name, number in (("input_resolution", 32), ("context_length", 77), ("vocab_size", 49408)):
        root.register_buffer(name, torch.tensor(number))
    torch.jit.trace(root, torch.zeros(1)).save(str(file))
