"""Writes a trained backbone as the small files that ship, and the card that says where they come from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from safetensors.torch import save
from torch import Tensor

from promptgrid.tracks.image.backbones.bundled_weights import SHARED, TABLE, TOKENS

CONFIG, WEIGHTS, CARD = "open_clip_config.json", "weights.safetensors", "card.yaml"


def quantize(rows: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """int8 values and the float16 scales along the other dimension (`dim=1`: one a row, `dim=0`: one a column)."""
    scales = (rows.abs().amax(dim, keepdim=True) / 127).clamp_min(1e-6).half()
    values = (rows / scales.float()).round().clamp_(-127, 127).to(torch.int8)
    return values, scales.squeeze(dim)


def compact(weights: dict[str, Tensor], basis: Tensor, seen: Tensor) -> dict[str, Tensor]:
    """The stored form of a state dict, without the token codes that all backbones share: see :mod:`bundled_weights`.

    Args:
        weights: the model's state dict.
        basis: (rank, width) what training made of the codes.
        seen: (n,) tokens that occurred in the captions; their rows of the table are kept.
    """
    rows, row_scales = quantize(weights[TABLE][seen], 1)
    table = {"basis": basis.half(), "seen_ids": seen.to(torch.int32), "seen_rows": rows, "seen_scales": row_scales}
    stored = {name: narrow(tensor) for name, tensor in weights.items() if name != TABLE}
    return stored | {f"token_embedding.{part}": tensor.contiguous() for part, tensor in table.items()}


def narrow(tensor: Tensor) -> Tensor:
    """Matrices in float16; vectors and scalars (norms, biases, running statistics) stay as they are."""
    return tensor.detach().half().contiguous() if tensor.ndim > 1 else tensor.detach().contiguous()


def write_backbone(
    folder: Path, config: dict[str, Any], stored: dict[str, Tensor], codes: dict[str, Tensor], card: dict[str, Any]
) -> str:
    """Write config, weights and card into `folder`, and the token codes beside it, for all backbones once.

    The weights name the codes by their sha256, so that the digest of the weights stands for both.

    Returns:
        The sha256 of the weights, which the card repeats.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = save({f"token_embedding.{part}": codes[part].contiguous() for part in SHARED})
    _replace(folder.parent / TOKENS, shared)
    weights = save(stored, metadata={TOKENS: hashlib.sha256(shared).hexdigest()})
    _replace(folder / WEIGHTS, weights)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    digest = hashlib.sha256(weights).hexdigest()
    write_card(folder, {**card, "sha256": digest})
    return digest


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write `card.yaml`."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    with (folder / CARD).open("w", encoding="utf-8") as file:
        yaml.dump(card, file)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a backbone's folder."""
    return dict(YAML(typ="safe").load((folder / CARD).read_text(encoding="utf-8")))


def sha256(path: Path) -> str:
    """The hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
