"""The suites of the text wing that ship plan, and cut no method's training unless they say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid import catalog
from promptgrid.spec import read_suite

pytest.importorskip("all_minilm_l6_v2", reason="MiniLM's package is an extra")
SUITES = sorted((Path(__file__).parents[3] / "suites" / "text").glob("*.yaml"))
ON_DISK = {"lm_bff"}
"""Suites over data that users have: read here, not planned."""


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_it_resolves_and_trains_as_long_as_its_methods_do(path: Path) -> None:
    suite = read_suite(path)
    assert suite.track == "text"
    if path.stem in ON_DISK:
        return
    track = catalog.track("text")
    asked = [request for _, request in suite.requests(track.bundled_datasets())]
    cells = track.resolve(asked)
    assert len(cells) == len(asked)
    assert {track.cut(cell) for cell in cells} == {""}
