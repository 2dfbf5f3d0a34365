"""The weights that make MiniLM fill masks, as they ship: four bits a number on top of the package's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from promptgrid.tracks.text.backbones.file_hashes import sha256_of

FILE = Path(__file__).parents[1] / "bundled" / "backbones" / "minilm-l6-mlm" / "delta.safetensors"
GROUP = 128
"""Numbers that share one scale."""
_LEVELS = 7
WORD = "embeddings.word"


def sha256() -> str:
    """Of the file that ships."""
    return sha256_of(FILE)


def applied(tensors: Mapping[str, Tensor], file: Path | None = None) -> dict[str, Tensor]:
    """The weights of the package moved by the stored changes, with the mask head that they come with."""
    stored = load_file(file or FILE)
    found = dict(tensors)
    for name, value in stored.items():
        if name.startswith("mask."):
            found[name] = value.float()
        elif name.startswith("row."):
            found[WORD] = tensors[WORD].clone()
            found[WORD][int(name.removeprefix("row."))] = value.float()
        elif name.endswith(".codes"):
            whole = name.removesuffix(".codes")
            found[whole] = tensors[whole] + opened(value, stored[f"{whole}.scales"], tensors[whole].shape)
        elif not name.endswith(".scales"):
            found[name] = tensors[name] + value.float()
    return found


def closed(change: Tensor) -> tuple[Tensor, Tensor]:
    """A change as (numbers / 2,) uint8 codes, two a byte, and (groups,) float16 scales: -7 .. 7 times the scale."""
    groups = change.flatten().view(-1, GROUP)
    scales = _best_scales(groups)
    levels = (groups / scales.unsqueeze(-1)).round().clamp(-_LEVELS, _LEVELS).to(torch.int16) + 8
    pairs = levels.view(-1, 2)
    return (pairs[:, 0] * 16 + pairs[:, 1]).to(torch.uint8), scales.half()


def opened(codes: Tensor, scales: Tensor, size: torch.Size) -> Tensor:
    """The change that :func:`closed` was given, as far as four bits tell it."""
    levels = torch.stack([codes.to(torch.int16) // 16, codes.to(torch.int16) % 16], -1) - 8
    return (levels.view(-1, GROUP).float() * scales.float().unsqueeze(-1)).view(size)


def _best_scales(groups: Tensor) -> Tensor:
    """Of each group the scale, among shares of what would reach its largest number, with the least squared error."""
    top = groups.abs().amax(-1) / _LEVELS
    best, least = top, torch.full_like(top, torch.inf)
    for share in torch.linspace(0.45, 1.0, 12):
        scale = (top * share).clamp(min=6e-8).half().float()
        told = (groups / scale.unsqueeze(-1)).round().clamp(-_LEVELS, _LEVELS) * scale.unsqueeze(-1)
        error = (told - groups).pow(2).sum(-1)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best
