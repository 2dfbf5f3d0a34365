"""The two backbones' shapes, their token tables before training, and a fast bfloat16 forward over their own parameters.

The forward here and open_clip's own give the same features (a test compares them); this one is the quicker on a CPU
with bfloat16 matrix units, and leaves out some of the patches while training.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from promptgrid.tracks.image.backbones.bundled_weights import build
from promptgrid.tracks.image.pretrain.training.teachers import LITE0_WIDTH
from promptgrid.tracks.image.pretrain.training.views import TEACHER_SIZE, VIEW_SIZE

EMBED = 256
TOKEN_RANK = 32
PLAIN = 0.04  # patches that vary less than this hold nothing but ground
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 192, "heads": 4}
_VIT = {"image_size": VIEW_SIZE, "patch_size": 8, "width": 192, "layers": 6, "head_width": 48}
_CONV = {
    "timm_model_name": "tf_efficientnet_lite0",
    "timm_model_pretrained": False,
    "timm_pool": "avg",
    "timm_proj": "mlp",
    "image_size": TEACHER_SIZE,
}
BACKBONES: dict[str, dict[str, Any]] = {
    "bundled-vit": {"embed_dim": EMBED, "vision_cfg": _VIT, "text_cfg": {**_TEXT, "layers": 4}},
    "bundled-conv": {"embed_dim": EMBED, "vision_cfg": _CONV, "text_cfg": {**_TEXT, "layers": 3}},
}


def open_clip_config(backbone: str) -> dict[str, Any]:
    """What `open_clip_config.json` holds."""
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    return {"model_cfg": BACKBONES[backbone], "preprocess_cfg": preprocess}


def new_model(backbone: str, trunk: dict[str, Tensor]) -> Any:
    """An untrained open_clip model; the convolutional one carries Lite0's weights `trunk`, locked."""
    model = build(BACKBONES[backbone])
    std = model.text_projection.shape[0] ** -0.5
    nn.init.normal_(model.positional_embedding, std=0.01)
    nn.init.normal_(model.text_projection, std=std)
    for block in model.transformer.resblocks:
        nn.init.normal_(block.attn.in_proj_weight, std=std)
        nn.init.normal_(block.attn.out_proj.weight, std=std * 0.35)
        nn.init.normal_(block.mlp.c_fc.weight, std=std * 0.7)
        nn.init.normal_(block.mlp.c_proj.weight, std=std * 0.35)
    if hasattr(model.visual, "trunk"):
        model.visual.trunk.load_state_dict(trunk)
        model.lock_image_tower(freeze_bn_stats=False)
        model.visual.trunk.eval()
    return model


class TokenTable(nn.Module):
    """Token embeddings: fixed codes times a trained basis, and a trained row of its own for every seen token.

    Args:
        codes: (vocabulary, rank) the sentence teacher's view of each token's string.
        seen: (n,) tokens that occur in the captions.
        width: of the text tower.
    """

    codes: Tensor
    place: Tensor
    seen: Tensor

    def __init__(self, codes: Tensor, seen: Tensor, width: int) -> None:
        super().__init__()
        place = torch.zeros(len(codes), dtype=torch.long)
        place[seen] = torch.arange(1, len(seen) + 1)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("seen", seen, persistent=False)
        self.basis = nn.Parameter(torch.randn(codes.shape[1], width) * 0.02)
        self.rows = nn.Parameter(torch.randn(len(seen) + 1, width) * 0.01)

    def forward(self, tokens: Tensor) -> Tensor:
        own = F.embedding(self.place[tokens], self.rows) * (self.place[tokens] > 0).unsqueeze(-1)
        return self.codes[tokens] @ self.basis + own

    def whole(self) -> Tensor:
        """The table (vocabulary, width) that open_clip's embedding needs."""
        with torch.no_grad():
            return self.forward(torch.arange(len(self.codes), device=self.codes.device)).detach()


def token_strings(decoder: dict[int, str]) -> list[str]:
    """What each BPE token says, word ends removed."""
    return [decoder[i].replace("</w>", "") for i in range(len(decoder))]


def _block(x: Tensor, block: Any, heads: int, causal: bool) -> Tensor:
    """A pre-norm residual attention block on (n, length, width) in bfloat16 with float32 parameters."""
    n, length, width = x.shape
    low = x.dtype
    attention = block.attn
    normed = F.layer_norm(x, (width,), block.ln_1.weight.to(low), block.ln_1.bias.to(low))
    qkv = F.linear(normed, attention.in_proj_weight.to(low), attention.in_proj_bias.to(low))
    q, k, v = qkv.view(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(n, length, width)
    x = x + F.linear(mixed, attention.out_proj.weight.to(low), attention.out_proj.bias.to(low))
    normed = F.layer_norm(x, (width,), block.ln_2.weight.to(low), block.ln_2.bias.to(low))
    hidden = F.gelu(F.linear(normed, block.mlp.c_fc.weight.to(low), block.mlp.c_fc.bias.to(low)))
    return x + F.linear(hidden, block.mlp.c_proj.weight.to(low), block.mlp.c_proj.bias.to(low))


def encode_text(
    model: Any, table: TokenTable, tokens: Tensor, ends: Tensor, low: torch.dtype = torch.bfloat16
) -> Tensor:
    """Text features (n, embed), not normalised, of tokens (n, length) whose end tokens stand at `ends`."""
    length = tokens.shape[1]
    x = (table(tokens) + model.positional_embedding[:length]).to(low)
    heads = model.transformer.resblocks[0].attn.num_heads
    for block in model.transformer.resblocks:
        x = _block(x, block, heads, causal=True)
    ended = x[torch.arange(len(x), device=x.device), ends].float()
    ended = F.layer_norm(ended, ended.shape[-1:], model.ln_final.weight, model.ln_final.bias)
    projection: Tensor = model.text_projection
    return ended @ projection


def encode_vit(visual: Any, images: Tensor, keep: float, rng: Generator, low: torch.dtype = torch.bfloat16) -> Tensor:
    """The ViT's class feature (n, width) before its projection, from images (n, 3, h, w) as the model expects them.

    Args:
        visual: open_clip's VisionTransformer.
        images: normalised pixels.
        keep: the share of patches that take part, the same for the whole batch; plain ground is left out first.
        rng: draws which patches.
        low: the type of the arithmetic.
    """
    size = visual.patch_size[0]
    n, channels, high, wide = images.shape
    grid = images.to(low).view(n, channels, high // size, size, wide // size, size)
    patches = grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * size * size)
    x = F.linear(patches, visual.conv1.weight.flatten(1).to(low)) + visual.positional_embedding[1:].to(low)
    if keep < 1:
        kept = int(x.shape[1] * keep)
        detail = patches.float().reshape(*patches.shape[:-1], 3, -1).std(-1).amax(-1)
        lots = torch.rand(x.shape[:2], generator=rng, device=x.device) + (detail > PLAIN)
        order = lots.topk(kept, dim=1).indices
        x = x.gather(1, order.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
    first = (visual.class_embedding + visual.positional_embedding[0]).to(low).expand(len(x), 1, -1)
    x = torch.cat([first, x], 1)
    x = F.layer_norm(x, x.shape[-1:], visual.ln_pre.weight.to(low), visual.ln_pre.bias.to(low))
    for block in visual.transformer.resblocks:
        x = _block(x, block, block.attn.num_heads, causal=False)
    return F.layer_norm(x[:, 0].float(), x.shape[-1:], visual.ln_post.weight, visual.ln_post.bias)


def project_conv(visual: Any, features: Tensor) -> Tensor:
    """Image features (n, embed) of Lite0 features (n, 1280): the trained part of the convolutional tower."""
    if features.shape[-1] != LITE0_WIDTH:
        raise ValueError(f"{features.shape[-1]} features where Lite0 has {LITE0_WIDTH}")
    projected: Tensor = visual.head(features)
    return projected
