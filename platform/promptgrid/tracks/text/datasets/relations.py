"""Sentences with two marked words, as relation files write them: tags in the text, or tokens with positions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.text import Span, Text

TAGS = re.compile(r"</?e[12]>")


def tagged(written: str, place: str) -> Text:
    """The text of ``The <e1>audits</e1> were about <e2>waste</e2>.``: e1 is the subject, e2 the object.

    Raises:
        Refused: a tag is missing, doubled, or out of order.
    """
    plain, marks, last = "", {}, 0
    for match in TAGS.finditer(written):
        plain += written[last : match.start()]
        if match[0] in marks:
            raise Refused(f"{match[0]} stands twice", where=place, got=written)
        marks[match[0]] = len(plain)
        last = match.end()
    plain += written[last:]
    try:
        spans = (marks["<e1>"], marks["</e1>"]), (marks["<e2>"], marks["</e2>"])
    except KeyError as error:
        raise Refused(f"{error.args[0]} is missing", where=place, got=written) from error
    (a, b), (c, d) = spans
    if a >= b or c >= d or not (b <= c or d <= a):
        raise Refused("the tags are out of order", where=place, got=written)
    return Text(plain, spans=spans)


def from_tokens(tokens: Any, subject: Sequence[int], object_: Sequence[int], place: str) -> Text:
    """Tokens joined by spaces; ``subject`` and ``object_`` are (first, last + 1) of the tokens that are marked.

    Raises:
        Refused: tokens that are no list of strings, or positions outside of it.
    """
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise Refused("the tokens are no list of strings", where=place, got=tokens)
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    spans: list[Span] = []
    for span in (subject, object_):
        if len(span) != 2 or not 0 <= span[0] < span[1] <= len(tokens):
            raise Refused("a position is outside of the tokens", where=place, got=list(span),
                          expected=f"first and last + 1 of {len(tokens)} tokens")  # fmt: skip
        spans.append((starts[span[0]], starts[span[1]] - 1))
    return Text(" ".join(tokens), spans=(spans[0], spans[1]))


def positions(value: Any, key: str, place: str) -> Mapping[str, Any]:
    """The mapping under ``key`` of a row, such as ``h`` and ``t``.

    Raises:
        Refused: it is missing or no mapping.
    """
    found = value.get(key)
    if not isinstance(found, dict) or "pos" not in found:
        raise Refused(
            f"{key!r} has no position", where=place, got=found, expected='{"name": ..., "pos": [first, last + 1]}'
        )
    return found
