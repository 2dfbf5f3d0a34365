"""The words of a description that say something of their own."""

from __future__ import annotations

import re

SMALL_WORDS = (
    "a an and are as at be by for from has have in into is it its like looks made of on one or out over some such "
    "than that the their them they this through to under up very which with without"
)


def key_words(said: tuple[str, ...], name: str, count: int) -> str:
    """The first ``count`` words of ``said`` that are not small, not in ``name`` and not there yet."""
    found = dict.fromkeys(re.findall(r"[a-z]+", " ".join(said).lower()))
    left_out = {*SMALL_WORDS.split(), *re.findall(r"[a-z]+", name.lower())}
    return " ".join([word for word in found if word not in left_out and len(word) > 1][:count])
