"""Which tokens of a row go when it is too long."""

from __future__ import annotations

from collections.abc import Sequence


def to_fit(parts: Sequence[list[int]], cuts: Sequence[str], room: int) -> list[list[int]]:
    """The parts of a row with ``room`` tokens in all, or as near as what may be cut allows.

    One token at a time goes from the longest part that may be cut; of equal ones from that which was shorter before,
    else from the first. Of a pair that is the rule ``longest_first`` of the tokenizers library.

    Args:
        parts: ids.
        cuts: of each part ``no``, or the side from which it is shortened: ``end`` or ``start``.
        room: tokens.
    """
    keep = [len(part) for part in parts]
    free = [number for number, cut in enumerate(cuts) if cut != "no"]
    for _ in range(sum(keep) - room):
        longest = max(free, key=lambda number: (keep[number], -len(parts[number]), -number), default=None)
        if longest is None or keep[longest] == 0:
            break
        keep[longest] -= 1
    return [
        part[len(part) - size :] if cut == "start" else part[:size]
        for part, cut, size in zip(parts, cuts, keep, strict=True)
    ]
