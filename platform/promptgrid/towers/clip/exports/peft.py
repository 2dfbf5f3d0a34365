"""PEFT's layout of a LoRA: ``adapter_config.json`` and ``adapter_model.safetensors``, on transformers' CLIPModel.

Keys are ``base_model.model.`` and the module's name in CLIPModel, then ``lora_A.weight`` (rank, inputs) and
``lora_B.weight`` (outputs, rank). CLIP-LoRA scales by alpha / √rank, which PEFT calls ``use_rslora``; ``lora`` by
alpha / rank. The linear head of ``lora`` is no part of an adapter and lies beside it in ``head.safetensors``. Written
from PEFT's documented layout; no file of PEFT's own was at hand to compare with. ``base_model_name_or_path`` is our
name of the backbone: PEFT needs transformers' own for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from promptgrid.contract.track import Kept
from promptgrid.engine.exporting import arrays_of, header, tensors_bytes
from promptgrid.spec import Refused

TEXT, VISION = "text_model.encoder.layers", "vision_model.encoder.layers"


def as_peft(kept: Kept) -> dict[str, bytes]:
    """The files of one adapter."""
    cell, arrays = kept.record.cell, arrays_of(kept)
    files: dict[str, bytes] = {}
    parts: tuple[str, ...]
    if cell.method == "clip_lora":
        parts, rslora = ("q", "k", "v"), True
        weights = _weights(TEXT, parts, arrays["text_down"], arrays["text_up"])
        weights |= _weights(VISION, parts, arrays["image_down"], arrays["image_up"])
        targets: Any = [f"{part}_proj" for part in parts]
    elif cell.method == "lora":
        parts, rslora = ("q", "v"), False
        weights = _weights(VISION, parts, arrays["down"], arrays["up"])
        targets = r".*vision_model\.encoder\.layers\.\d+\.self_attn\.(q_proj|v_proj)"
        head = {"weight": arrays["head_weight"], "bias": arrays["head_bias"]}
        files["head.safetensors"] = tensors_bytes(head, header(kept))
    else:
        raise Refused("only low-rank changes of weights become an adapter of PEFT", where=cell.key[:12],
                      got=cell.method, expected="a cell of clip_lora or lora; safetensors take any")  # fmt: skip
    config = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": cell.backbone,
        "r": int(cell.settings["rank"]),
        "lora_alpha": cell.settings["alpha"],
        "lora_dropout": cell.settings["rate"],
        "use_rslora": rslora,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "modules_to_save": None,
    }
    files["adapter_config.json"] = (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()
    files["adapter_model.safetensors"] = tensors_bytes(weights, header(kept))
    return files


def _weights(tower: str, parts: Sequence[str], down: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """By PEFT's names, A (rank, width) and B (width, rank) of each layer and part."""
    found = {}
    for layer in range(down.shape[0]):
        for place, part in enumerate(parts):
            module = f"base_model.model.{tower}.{layer}.self_attn.{part}_proj"
            found[f"{module}.lora_A.weight"] = np.ascontiguousarray(down[layer, place])
            found[f"{module}.lora_B.weight"] = np.ascontiguousarray(up[layer, place])
    return found
