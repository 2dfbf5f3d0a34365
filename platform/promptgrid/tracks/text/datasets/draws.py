"""Folders of published few-shot draws: one folder a draw, ``16-13`` for 16 a class and seed 13, one test for all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.building import Draws, Row, fingerprint

FOLDER = re.compile(r"(\d+)-(\d+)")


def draw_folders(path: Path) -> dict[tuple[int, int], Path]:
    """{(shots, seed): folder}: of ``path`` itself where it is one draw, else of the draws in it; empty if none."""
    if match := FOLDER.fullmatch(path.name):
        return {(int(match[1]), int(match[2])): path}
    found = {}
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and (match := FOLDER.fullmatch(entry.name)):
            found[int(match[1]), int(match[2])] = entry
    return dict(sorted(found.items()))


def join(
    read: Mapping[tuple[int, int], Mapping[str, Sequence[Row]]], test: Sequence[Row], pool: Sequence[Row] = ()
) -> tuple[dict[str, list[Row]], Draws, list[str]]:
    """Splits, draws and notes of draws that share one test.

    The training texts of all draws stand in ``train`` and their dev texts in ``val``, equal ones once in each; the
    texts of ``pool`` that are in no draw and not in the test stand behind the training texts.
    """
    train, train_rows = _gather({key: each["train"] for key, each in read.items()})
    kept = {fingerprint(row.text) for row in train} | {fingerprint(row.text) for row in test}
    dev, dev_rows = _gather({key: each["dev"] for key, each in read.items()})
    kept |= {fingerprint(row.text) for row in dev}
    free = [row for row in pool if fingerprint(row.text) not in kept]
    offset = len(train) + len(free)
    draws = {key: (train_rows[key], [offset + row for row in dev_rows[key]]) for key in read}
    crossing = {fingerprint(row.text) for row in train} & {fingerprint(row.text) for row in dev}
    notes = [f"{len(crossing)} texts stand in train of one draw and in dev of another"] if crossing else []
    if pool:
        notes.append(f"{len(pool) - len(free)} of the {len(pool):,} texts of the pool are in a draw or in the test"
                     ", and are left out of it")  # fmt: skip
    return {"train": [*train, *free], "val": dev, "test": list(test)}, draws, notes


def _gather(draws: Mapping[tuple[int, int], Sequence[Row]]) -> tuple[list[Row], dict[tuple[int, int], list[int]]]:
    """All rows, equal ones once, and by draw which they are, in the draw's own order.

    A draw that holds one text twice keeps it twice.
    """
    rows: list[Row] = []
    places: dict[tuple[object, ...], int] = {}
    found: dict[tuple[int, int], list[int]] = {}
    for key, some in draws.items():
        found[key] = []
        seen: dict[tuple[object, ...], int] = {}
        for row in some:
            same = (row.text, row.label)
            seen[same] = seen.get(same, 0) + 1
            known = (*same, seen[same])
            if known not in places:
                places[known] = len(rows)
                rows.append(row)
            found[key].append(places[known])
    return rows, found


def refuse_other_tests(tests: Mapping[Path, Sequence[Row]], where: str) -> None:
    """Refuse draws whose tests differ: they are not draws of one task."""
    (first, wanted), *others = tests.items()
    for folder, rows in others:
        if rows is not wanted and [(row.text, row.label) for row in rows] != [(row.text, row.label) for row in wanted]:
            raise Refused(f"the test of {folder.name} is not that of {first.name}", where=where,
                          expected="one test for all draws")  # fmt: skip
