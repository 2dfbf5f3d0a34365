"""Tensor names of Hugging Face models and ours, kind by kind.

Ours: ``embeddings.word``, ``.position``, ``.segment``; norms ``pre``, ``post``, ``blocks.L.first``,
``blocks.L.second``; projections ``blocks.L.`` with ``q``, ``k``, ``v``, ``out``, ``fc``, ``gate``, ``proj``,
``position_k``, ``position_q``; ``relative.bias``, ``relative.table``, ``relative.norm``; the mask head ``mask.dense``,
``mask.norm``, ``mask.bias`` and, where it is not the word embeddings, ``mask.decoder``. Norms and projections end in
``.weight`` and ``.bias``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

Table = Mapping[str, str]
"""The beginning of Hugging Face's names (a regular expression; its group is the layer) and of ours."""
_ROOTS = r"^(bert|roberta|deberta|transformer)\."
_BLOCK = {
    r"encoder\.layer\.(\d+)\.attention\.output\.dense": "blocks.{}.out",
    r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm": "blocks.{}.first",
    r"encoder\.layer\.(\d+)\.intermediate\.dense": "blocks.{}.fc",
    r"encoder\.layer\.(\d+)\.output\.dense": "blocks.{}.proj",
    r"encoder\.layer\.(\d+)\.output\.LayerNorm": "blocks.{}.second",
    r"embeddings\.word_embeddings\.weight": "embeddings.word",
    r"embeddings\.position_embeddings\.weight": "embeddings.position",
    r"embeddings\.token_type_embeddings\.weight": "embeddings.segment",
    r"embeddings\.LayerNorm": "pre",
}
_PREDICTIONS = {
    r"cls\.predictions\.transform\.dense": "mask.dense",
    r"cls\.predictions\.transform\.LayerNorm": "mask.norm",
    r"cls\.predictions\.(?:decoder\.)?bias": "mask.bias",
    r"cls\.predictions\.decoder\.weight": "mask.decoder",
}
_HEAD = {
    r"(?:lm_head|lm_predictions\.lm_head)\.dense": "mask.dense",
    r"(?:lm_head|lm_predictions\.lm_head)\.(?:layer_norm|LayerNorm)": "mask.norm",
    r"(?:lm_head|lm_predictions\.lm_head)\.(?:decoder\.)?bias": "mask.bias",
    r"lm_head\.decoder\.weight": "mask.decoder",
}
BERT: Table = {
    **_BLOCK,
    **_PREDICTIONS,
    **_HEAD,
    r"encoder\.layer\.(\d+)\.attention\.self\.query": "blocks.{}.q",
    r"encoder\.layer\.(\d+)\.attention\.self\.key": "blocks.{}.k",
    r"encoder\.layer\.(\d+)\.attention\.self\.value": "blocks.{}.v",
}
"""Of BERT and of RoBERTa, which differ in the mask head."""
DEBERTA: Table = {
    **_BLOCK,
    **_PREDICTIONS,
    **_HEAD,
    r"encoder\.layer\.(\d+)\.attention\.self\.(?:query_proj|q_split)": "blocks.{}.q",
    r"encoder\.layer\.(\d+)\.attention\.self\.(?:key_proj|k_split)": "blocks.{}.k",
    r"encoder\.layer\.(\d+)\.attention\.self\.(?:value_proj|v_split)": "blocks.{}.v",
    r"encoder\.layer\.(\d+)\.attention\.self\.(?:pos_key_proj|pos_proj)": "blocks.{}.position_k",
    r"encoder\.layer\.(\d+)\.attention\.self\.(?:pos_query_proj|pos_q_proj)": "blocks.{}.position_q",
    r"encoder\.rel_embeddings\.weight": "relative.table",
    r"encoder\.LayerNorm": "relative.norm",
}
GPT2: Table = {
    r"wte\.weight": "embeddings.word",
    r"wpe\.weight": "embeddings.position",
    r"ln_f": "post",
    r"h\.(\d+)\.ln_1": "blocks.{}.first",
    r"h\.(\d+)\.ln_2": "blocks.{}.second",
    r"h\.(\d+)\.attn\.q_split": "blocks.{}.q",
    r"h\.(\d+)\.attn\.k_split": "blocks.{}.k",
    r"h\.(\d+)\.attn\.v_split": "blocks.{}.v",
    r"h\.(\d+)\.attn\.c_proj": "blocks.{}.out",
    r"h\.(\d+)\.mlp\.c_fc": "blocks.{}.fc",
    r"h\.(\d+)\.mlp\.c_proj": "blocks.{}.proj",
}
T5: Table = {
    r"(?:shared|encoder\.embed_tokens)\.weight": "embeddings.word",
    r"encoder\.final_layer_norm": "post",
    r"encoder\.block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.weight": "relative.bias",
    r"encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.q": "blocks.{}.q",
    r"encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.k": "blocks.{}.k",
    r"encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.v": "blocks.{}.v",
    r"encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.o": "blocks.{}.out",
    r"encoder\.block\.(\d+)\.layer\.0\.layer_norm": "blocks.{}.first",
    r"encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.wi_1": "blocks.{}.gate",
    r"encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.wi(?:_0)?\b": "blocks.{}.fc",
    r"encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.wo": "blocks.{}.proj",
    r"encoder\.block\.(\d+)\.layer\.1\.layer_norm": "blocks.{}.second",
}


def renamed(state: Mapping[str, Tensor], table: Table) -> dict[str, Tensor]:
    """The tensors that ``table`` knows, under our names and in float32; all others are left out."""
    rules = [(re.compile(theirs), ours) for theirs, ours in table.items()]
    found = {}
    for name, tensor in state.items():
        plain = re.sub(_ROOTS, "", name).replace(".gamma", ".weight").replace(".beta", ".bias")
        for pattern, ours in rules:
            if match := pattern.match(plain):
                found[ours.format(*match.groups()) + plain[match.end() :]] = tensor.float()
                break
    return found
