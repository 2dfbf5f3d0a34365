"""The VisionTransformer of timm as an image tower: ViT, DeiT, DINO, DINOv2 with and without registers, MAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from promptgrid.towers.blocks import Block
from promptgrid.towers.clip.towers import ImageTower


@dataclass(frozen=True)
class TimmTower(ImageTower):
    """A ViT of timm read at its class token; registers stay in the sequence and are not read."""

    outside: ClassVar[tuple[str, ...]] = ("patch_embed.",)

    @classmethod
    def of(cls, visual: Any) -> TimmTower:
        """The blocks of ``visual``, a timm model without a head.

        Raises:
            TypeError: a model of another kind, or pooled otherwise.
        """
        kind = type(visual)
        if kind.__name__ != "VisionTransformer" or kind.__module__ != "timm.models.vision_transformer":
            raise TypeError(f"{kind.__name__} is no VisionTransformer of timm")
        if visual.cls_token is None or visual.global_pool != "token" or not isinstance(visual.norm, nn.LayerNorm):
            raise TypeError(f"a ViT that is not read at its class token (pooling {visual.global_pool!r})")
        if visual.dynamic_img_size or visual.pos_embed is None:
            raise TypeError("a ViT without fixed learned positions")
        return cls(visual, tuple(_block(block) for block in visual.blocks), int(visual.embed_dim))

    @property
    def norm_before(self) -> nn.Module:
        return self.source.norm_pre  # type: ignore[no-any-return]

    @property
    def norm_behind(self) -> nn.LayerNorm:
        return self.source.norm  # type: ignore[no-any-return]

    def patches(self, pixels: Tensor) -> Tensor:
        return self.source.patch_embed(pixels)  # type: ignore[no-any-return]

    def tokens(self, patches: Tensor) -> Tensor:
        """Class token, registers and (..., P, width) patches with positions: (..., 1 + R + P, width)."""
        vit = self.source
        own = [
            token.expand(*patches.shape[:-2], -1, -1) for token in (vit.cls_token, vit.reg_token) if token is not None
        ]
        if vit.no_embed_class:
            return torch.cat([*own, patches + vit.pos_embed], dim=-2)
        return torch.cat([*own, patches], dim=-2) + vit.pos_embed  # type: ignore[no-any-return]

    def pooled(self, x: Tensor, edits: Any = None) -> Tensor:
        raise TypeError("an image tower without a joint space projects nothing")


def _block(block: Any) -> Block:
    """The weights of a timm ``Block``. Raises TypeError where it does more than a pre-norm block with biases does."""
    attn: Any = getattr(block, "attn", None)
    mlp: Any = getattr(block, "mlp", None)
    if type(block).__name__ != "Block" or type(attn).__name__ != "Attention" or type(mlp).__name__ != "Mlp":
        raise TypeError(
            f"cannot reach into a {type(block).__name__} with {type(attn).__name__} and {type(mlp).__name__}"
        )
    more = [attn.q_norm, attn.k_norm, getattr(attn, "norm", nn.Identity()), getattr(mlp, "norm", nn.Identity())]
    gated = getattr(attn, "gate", None) is not None
    if (
        gated
        or attn.qkv.bias is None
        or attn.proj.bias is None
        or not all(isinstance(one, nn.Identity) for one in more)
    ):
        raise TypeError("cannot reach into attention with norms or gates of its own, or without biases")
    return Block(
        norm1=block.norm1,
        in_weight=attn.qkv.weight,
        in_bias=attn.qkv.bias,
        out=attn.proj,
        scale1=block.ls1,
        norm2=block.norm2,
        fc=mlp.fc1,
        act=mlp.act,
        proj=mlp.fc2,
        scale2=block.ls2,
        heads=attn.num_heads,
    )
