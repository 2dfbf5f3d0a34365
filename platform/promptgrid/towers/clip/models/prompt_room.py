"""How many tokens a text tower reads, told from its config before any weights are there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from promptgrid.contract.backbone import PromptRoom
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure

CONTEXT = 77
"""Tokens that CLIP's text tower reads, where a config does not say."""


def clip_room(config: dict[str, Any]) -> PromptRoom | None:
    """The room of a model with CLIP's own tokenizer; None with another one, which is known once it is loaded.

    Args:
        config: open_clip's ``model_cfg``.
    """
    text = config.get("text_cfg", {})
    if {"hf_tokenizer_name", "hf_model_name"} & set(text):
        return None
    return PromptRoom(_tokens, int(text.get("context_length", CONTEXT)))


def refuse_cut(tokenizer: Any, texts: Sequence[str], backbone: str) -> None:
    """Refuse texts that ``tokenizer`` would cut off, which those of `transformers` do without a word.

    Raises:
        Refused: it names the tokens and the tower's.
    """
    inner, most = getattr(tokenizer, "tokenizer", None), getattr(tokenizer, "context_length", None)
    if not callable(inner) or not isinstance(most, int):
        return
    for text in texts:
        tokens = len(inner(text)["input_ids"])
        if tokens > most:
            raise Refused(f"a prompt has {tokens} tokens, {backbone} reads {most}", got=text)


@cache
def _tokenizer() -> Any:
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def _tokens(text: str) -> int:
    return len(_tokenizer().encode(text)) + 2
