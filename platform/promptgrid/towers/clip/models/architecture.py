"""What an open_clip configuration builds: every field written out, so that equal models have equal descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptgrid.contract.clip import Preprocessing
from promptgrid.spec import Refused, digest

BLOCK: dict[str, Any] = {
    "block_type": None, "qk_norm": False, "scaled_cosine_attn": False, "scale_heads": False, "scale_attn_inner": False,
    "scale_attn": False, "scale_fc": False, "act_kwargs": None, "norm_kwargs": None, "ls_init_value": None,
    "mlp_ratio": 4.0, "final_ln_after_pool": False, "output_tokens": False, "layers": 12,
}  # fmt: skip
VISION: dict[str, Any] = BLOCK | {
    "width": 768, "head_width": 64, "patch_size": 16, "image_size": 224, "patch_dropout": 0.0, "pool_type": "tok",
    "attentional_pool": False, "attn_pooler_queries": 256, "attn_pooler_heads": 8, "no_ln_pre": False,
    "pos_embed_type": "learnable", "timm_model_name": None, "timm_pool": "avg", "timm_proj": "linear",
    "timm_proj_bias": False, "timm_drop": 0.0, "timm_drop_path": None,
}  # fmt: skip
TEXT: dict[str, Any] = BLOCK | {
    "width": 512, "heads": 8, "context_length": 77, "vocab_size": 49408, "hf_tokenizer_name": None,
    "tokenizer_mode": None, "tokenizer_kwargs": None, "embed_cls": False, "pad_id": 0, "eos_id": 2,
    "no_causal_mask": False, "pool_type": "argmax", "proj_bias": False, "proj_type": "linear", "hf_model_name": None,
    "hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler",
}  # fmt: skip
"""The fields of open_clip 3.3's towers and what they are where a configuration is silent; a test holds them to it.

They are written here and not asked of open_clip, so that planning need not import it and a later version that changes
one changes neither a key nor a model: what is loaded is built from the fields as resolved.
"""
OF_LOADING = frozenset({"timm_model_pretrained", "hf_model_pretrained"})
"""Fields about weights that a checkpoint replaces: no part of the model."""


def resolved(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``config`` (open_clip's ``model_cfg``) with every field, as plain values: equal where the models are equal.

    Raises:
        Refused: it is no configuration of a two-tower model.
    """
    for name, kind in (("embed_dim", int), ("vision_cfg", Mapping), ("text_cfg", Mapping)):
        if not isinstance(config.get(name), kind):
            raise Refused(f"no open_clip model configuration: {name!r}", where=where, got=config.get(name),
                          expected="embed_dim, vision_cfg and text_cfg")  # fmt: skip
    top = {name: value for name, value in config.items() if value is not None}
    towers = {"vision_cfg": _filled(VISION, top["vision_cfg"]), "text_cfg": _filled(TEXT, top["text_cfg"])}
    return {"quick_gelu": False, "custom_text": False} | top | towers


def built_from(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The towers of :func:`resolved` as open_clip's factory takes them, told to load no weights of its own."""
    return {
        "vision_cfg": {**architecture["vision_cfg"], "timm_model_pretrained": False},
        "text_cfg": {**architecture["text_cfg"], "hf_model_pretrained": False},
    }


def identity(
    architecture: Mapping[str, Any], tokenizer: Mapping[str, Any], preprocessing: Preprocessing, weights: str
) -> dict[str, Any]:
    """What makes a model, as plain values: two of equal identity give every image and text the same features.

    Args:
        architecture: from :func:`resolved`.
        tokenizer: its kind, and digests of the files it reads, if any.
        preprocessing: of images.
        weights: sha256 of the checkpoint's content.
    """
    return {
        "architecture": dict(architecture),
        "tokenizer": dict(tokenizer),
        "preprocessing": preprocessing.plain(),
        "weights": weights,
    }


def facts_of(model: Mapping[str, Any], preprocessing: Preprocessing) -> dict[str, object]:
    """The facts that name a model (:meth:`BackboneFamily.facts`), from its :func:`identity`."""
    return {
        "digest": digest(model),
        "model": dict(model),
        "preprocessing": preprocessing,
        "image_size": preprocessing.side,
    }


def _filled(known: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Every known field; fields that only a later open_clip knows are kept as they are written."""
    own = {name: value for name, value in written.items() if name not in OF_LOADING}
    return {name: _plain(value, known.get(name)) for name, value in (dict(known) | own).items()}


def _plain(value: Any, usual: Any) -> Any:
    """One spelling of equal values: 4 and 4.0 of a fraction, a pair of equal sides and the side."""
    if isinstance(usual, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list | tuple):
        return value[0] if isinstance(usual, int) and len(value) == 2 and value[0] == value[1] else list(value)
    return value
