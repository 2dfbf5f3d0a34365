"""Which ids of a Hugging Face tokenizer pad and mask, and whether it lowers case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.spec import Refused

_USUAL = {"mask": ("[MASK]", "<mask>"), "pad": ("[PAD]", "<pad>")}


@dataclass(frozen=True)
class Special:
    """Ids of padding and of the mask (None where there is none), and whether texts are read in lower case."""

    pad: int
    mask: int | None
    lower_case: bool


def special_of(home: Path, config: Mapping[str, Any], where: str) -> Special:
    """From tokenizer.json and the files beside it.

    Raises:
        Refused: tokenizer.json is not one.
    """
    try:
        written = json.loads((home / "tokenizer.json").read_text(encoding="utf-8"))
        ids = {str(token["content"]): int(token["id"]) for token in written["added_tokens"]}
        normalizer = written.get("normalizer")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"tokenizer.json cannot be read: {error!r}", where=where) from error
    named = {name: _named(home, f"{name}_token") for name in _USUAL}
    mask = next((ids[name] for name in (named["mask"], *_USUAL["mask"]) if name in ids), None)
    usual = config.get("pad_token_id")
    pad = next((ids[name] for name in (named["pad"], *_USUAL["pad"]) if name in ids), usual)
    return Special(int(pad or 0), mask, _lowers(normalizer))


def _named(home: Path, name: str) -> str | None:
    """The token that a tokenizer's own files call ``name``."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (home / file).is_file():
            found = json.loads((home / file).read_text(encoding="utf-8")).get(name)
            if found is not None:
                return str(found["content"] if isinstance(found, dict) else found)
    return None


def _lowers(normalizer: Any) -> bool:
    if not isinstance(normalizer, dict):
        return False
    if normalizer.get("type") == "Sequence":
        return any(_lowers(part) for part in normalizer.get("normalizers", []))
    return normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase"))
