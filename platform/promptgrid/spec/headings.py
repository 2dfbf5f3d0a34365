"""What people read above a column: titles of datasets, no two of one grid alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

SHOWN = 24
"""Characters of the narrowest heading (a column of a LaTeX table): titles differ even when cut to it."""
_BEGINNING, _END = 17, 6


def headings(titles: Mapping[str, str]) -> dict[str, str]:
    """{name: heading}: ``titles`` as they are where no two read alike, told apart by their folders where some do.

    Args:
        titles: {name or address of a dataset: its title}.
    """
    found = {name: " ".join(title.split()) or name for name, title in titles.items()}
    for names in _clashes(found):
        told = {name: f"{found[name]} ({part})" for name, part in _folders_apart(names).items()}
        found |= told if told and not _clashes(told) else {}
    for names in _clashes(found):
        found |= {name: f"{found[name][: SHOWN - 6]} [{number}]" for number, name in enumerate(names, start=1)}
    taken = _clashes(found)
    return found if not taken else {name: f"[{number}] {found[name]}" for number, name in enumerate(found, start=1)}


def _clashes(found: Mapping[str, str]) -> list[list[str]]:
    """Names whose headings read alike once they are cut."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, heading in found.items():
        cut = heading if len(heading) <= SHOWN else f"{heading[:_BEGINNING]}…{heading[-_END:]}"
        groups[cut.casefold()].append(name)
    return [names for names in groups.values() if len(names) > 1]


def _folders_apart(names: Sequence[str]) -> dict[str, str]:
    """For addresses the first folder from the end in which all differ; empty where there is none."""
    parts = [name.partition(":")[2].partition("?")[0].rstrip("/").split("/") for name in names]
    for place in range(1, max(map(len, parts)) + 1):
        column = [path[-place] if place <= len(path) else "" for path in parts]
        if len(set(column)) == len(names) and all(column):
            return dict(zip(names, column, strict=True))
    return {}
