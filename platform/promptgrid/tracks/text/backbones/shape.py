"""What a text tower is built of, whatever it was called where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Activation = Literal["gelu", "gelu_tanh", "relu"]


@dataclass(frozen=True)
class Shape:
    """The architecture of one tower: BERT, RoBERTa, DeBERTa, GPT-2 and the T5 encoder differ in these fields alone.

    Attributes:
        width: d, of word embeddings and hidden states.
        layers: blocks.
        heads: of attention.
        head_width: of one head; heads side by side need not be d wide (T5).
        inner: width of the MLP.
        vocabulary: rows of the word embeddings.
        most: longest sequence.
        act: of the MLP.
        gated: the MLP multiplies its activations with a second projection, ``gate`` (T5 v1.1).
        norm: LayerNorm, or its root mean square form without mean and bias (T5).
        eps: of the norms.
        norm_first: norms stand before a sublayer and one more behind the last block (GPT-2, T5); else they stand
            behind each residual sum, and one behind the sum of embeddings (BERT, RoBERTa, DeBERTa).
        scale: of attention's scores.
        causal: a token reads itself and what stands before it.
        position_offset: row of the position embeddings that the first token takes; None where there are none.
        segments: rows of the segment embeddings.
        relative: how scores depend on the distance between two tokens, if they do.
        buckets: of distances; for ``disentangled`` 0 means that each distance is its own.
        farthest: the distance from which on all are one.
        position_to_content: DeBERTa's two parts, by what asks and what answers.
        content_to_position: the same.
        shared_keys: DeBERTa projects distances with the same weights as tokens (v2 and v3).
        mask_act: the activation in the mask head.
    """

    width: int
    layers: int
    heads: int
    head_width: int
    inner: int
    vocabulary: int
    most: int
    act: Activation
    gated: bool = False
    norm: Literal["layer", "rms"] = "layer"
    eps: float = 1e-12
    norm_first: bool = False
    scale: float = 1.0
    causal: bool = False
    position_offset: int | None = 0
    segments: int = 0
    relative: Literal["none", "bias", "disentangled"] = "none"
    buckets: int = 0
    farthest: int = 0
    content_to_position: bool = False
    position_to_content: bool = False
    shared_keys: bool = False
    mask_act: Activation = "gelu"
