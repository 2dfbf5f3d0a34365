"""Backbones that have shapes and nothing else: a method's parameters can be counted on them without any weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from promptgrid.contract.assets import Pairs, Second
from promptgrid.contract.clip import Backbone, Edits, Labelled, Preprocessing, Task
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.towers.shapes import TowerShapes
from promptgrid.tracks.image.backbones.bundled_models import ALIASES, FOLDER

EOT = 1000
SECOND = 768
"""Width of the second backbone: that of a ViT-B."""


class Shapes(Backbone):
    """Answers every question with zeros of the right shape; a word is a token."""

    def __init__(
        self, name: str, width: int, text: TowerShape, vision: TowerShape, patch_size: int, image_size: int
    ) -> None:
        self.id = self.digest = name
        self.width, self.text, self.vision = width, text, vision
        self.patch_size, self.image_size, self.logit_scale = patch_size, image_size, 100.0
        self.preprocessing = Preprocessing.square(image_size)
        inside = {"text_tokens", "text_blocks", "vision_blocks", "unprojected", "tokens", "blocks", "weights"}
        self.offers = frozenset({"features", "pixels", "logits"} | inside)

    @property
    def image_tokens_tower(self) -> TowerShapes:
        length = 1 + (self.image_size // self.patch_size) ** 2
        return TowerShapes(self.vision.width, self.vision.layers, length, self.width)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        rows = [[1] * (1 + len(text.replace(".", " .").split())) + [EOT] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape, self.text.width)

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        return 0.0 * embeddings.mean((1, 2)).unsqueeze(1).expand(-1, self.width)  # training can be counted too

    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        return torch.zeros(len(texts), self.width)

    def patches(self, pixels: Tensor) -> Tensor:
        return torch.zeros(len(pixels), (self.image_size // self.patch_size) ** 2, self.vision.width)

    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        return torch.zeros(len(patches), self.width)

    def image_tokens(self, patches: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        return torch.zeros(len(patches), len(layers), 1 + patches.shape[1], self.vision.width)

    def text_ends(self, embeddings: Tensor, ends: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        return torch.zeros(len(ends), len(layers), self.text.width)

    def project_image(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape[:-1], self.width)

    def project_text(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape[:-1], self.width)

    @property
    def pixel_range(self) -> Tensor:
        return torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        return torch.zeros(len(pixels), self.width)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        return torch.zeros(len(pixels), self.width)


def vit_b16() -> Shapes:
    """CLIP's ViT-B/16 (Radford et al., 2021, table 20)."""
    return Shapes("ViT-B/16", 512, TowerShape(512, 12), TowerShape(768, 12), patch_size=16, image_size=224)


@cache
def bundled() -> Shapes:
    """The backbone that suites call ``bundled``, from its configuration."""
    path = FOLDER / ALIASES["bundled"] / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
    text, vision = (TowerShape(config[f"{name}_cfg"]["width"], config[f"{name}_cfg"]["layers"])
                    for name in ("text", "vision"))  # fmt: skip
    sizes = config["vision_cfg"]
    return Shapes("bundled", config["embed_dim"], text, vision, sizes["patch_size"], sizes["image_size"])


def task_on(backbone: Backbone, classes: int, shots: int) -> Task:
    """A task of so many classes and shots whose images are all zeros, with as many images again in the pool."""
    labels = torch.arange(classes).repeat_interleave(shots)
    support = Labelled(torch.zeros(len(labels), backbone.width), labels)
    names = tuple(f"thing {i}" for i in range(classes))
    pool = torch.zeros(len(labels), backbone.width)
    return Task.of(
        "things",
        names,
        "a photo of a {}.",
        backbone,
        shots=shots,
        support=support,
        validation=support,
        descriptions={name: (f"the look of {name}",) for name in names},
        unlabelled=pool,
        unlabelled_pixels=torch.zeros(len(labels), 3, 1, 1, dtype=torch.uint8),
        seen=classes,
        second=Second(torch.zeros(len(labels), SECOND), torch.zeros(len(labels), SECOND)),
        domains=tuple("ab"[place % 2] for place in range(len(labels))),
        pairs=Pairs(pool, tuple(f"one {name}" for name in names), labels),
    )
