"""Reads the weights that ship with the package into real open_clip models.

Two things keep the files small. Matrices are float16. The token table is stored as `seen` rows (tokens that occur in
the pretraining captions: int8 with one float16 scale a row) over a low-rank rest: int8 codes of every token (from the
sentence teacher's view of the token's string) times one small basis that was trained with the tower. The codes are the
same for every backbone: they lie once beside the folders, and each weights file names them by their sha256.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load, load_file
from torch import Tensor

from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.clip.models.architecture import built_from, resolved

FOLDER = Path(__file__).parents[1] / "bundled" / "backbones"
TABLE = "token_embedding.weight"
TOKENS = "tokens.safetensors"
SHARED = ("codes", "code_scales")
_PARTS = (*SHARED, "basis", "seen_ids", "seen_rows", "seen_scales")


def load_bundled(name: str, folder: Path = FOLDER) -> tuple[Any, Any, dict[str, Any]]:
    """A bundled backbone: the open_clip model (float32, eval, frozen), its tokenizer, and how pixels are prepared.

    Args:
        name: `bundled-vit` or `bundled-conv`; a folder below `folder`.
        folder: where the backbones lie.

    Raises:
        FileNotFoundError: no such backbone.
    """
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    config = json.loads((folder / name / "open_clip_config.json").read_text(encoding="utf-8"))
    model = build(config["model_cfg"])
    model.load_state_dict(expand(read_weights(folder / name / "weights.safetensors")))
    tokenizer = SimpleTokenizer(context_length=config["model_cfg"]["text_cfg"]["context_length"])
    return model.eval().requires_grad_(False), tokenizer, config["preprocess_cfg"]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The stored tensors of a weights file, with the shared token codes beside its folder if it names any.

    Raises:
        ValueError: the codes there are not those the weights were trained with.
    """
    stored = load_file(path)
    with safe_open(path, "pt") as file:
        named = (file.metadata() or {}).get(TOKENS)
    if named is None:
        return stored
    content = (path.parents[1] / TOKENS).read_bytes()
    if hashlib.sha256(content).hexdigest() != named:
        raise ValueError(f"{path.parents[1] / TOKENS} does not belong to {path}")
    return stored | load(content)


def build(model_cfg: dict[str, Any]) -> Any:
    """An open_clip `CLIP` of this config with untrained weights."""
    torchvision_cure.apply()
    from open_clip.model import CLIP

    return CLIP(**{**model_cfg, **built_from(resolved(model_cfg, "bundled"))})


def expand(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the stored tensors: float32 throughout (counters excepted), the token table written out."""
    parts = {part: stored[f"token_embedding.{part}"] for part in _PARTS}
    weights = {name: tensor for name, tensor in stored.items() if name.removeprefix("token_embedding.") not in parts}
    weights = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    return weights | {TABLE: expand_table(**parts)}


def expand_table(
    codes: Tensor, code_scales: Tensor, basis: Tensor, seen_ids: Tensor, seen_rows: Tensor, seen_scales: Tensor
) -> Tensor:
    """The whole token table (vocabulary, width) float32.

    Args:
        codes: (vocabulary, rank) int8, and code_scales (rank,): the low-rank rest before its basis.
        code_scales: one factor a column of `codes`.
        basis: (rank, width) float16.
        seen_ids: (n,) int32 tokens whose rows are stored in full.
        seen_rows: (n, width) int8, and seen_scales (n,): those rows.
        seen_scales: one factor a row of `seen_rows`.
    """
    table = (codes.float() * code_scales.float()) @ basis.float()
    table[seen_ids.long()] = seen_rows.float() * seen_scales.float()[:, None]
    return table
