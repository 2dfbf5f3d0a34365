"""A page says which graphs the towers on it were trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid import catalog
from promptgrid.api import plan
from promptgrid.api.reporting import seen_before
from promptgrid.tracks.graph.bundled.pretrain.recipe import recipes


@pytest.mark.parametrize(
    ("backbones", "seen"),
    [
        (["gps", "random:gps"], {"wordnet_verbs": "without its labels among what trained gps"}),
        (["gps", "gps-plain"], {"wordnet_verbs": "without its labels among what trained gps, gps-plain"}),
        (["random:gps"], {}),
    ],
)
def test_graphs_that_trained_a_tower_are_named(backbones: list[str], seen: dict[str, str], tmp_path: Path) -> None:
    asked = {
        "name": "seen",
        "track": "graph",
        "protocol": "graph_zero_shot",
        "methods": ["graph_clip"],
        "backbones": backbones,
        "datasets": ["foldoc", "wordnet_verbs"],
        "shots": [0],
        "seeds": [1],
    }
    found = seen_before(catalog.track("graph"), plan(asked, tmp_path / "store"))
    assert {name: said for name, said in found.items() if name in asked["datasets"]} == seen


def test_a_tower_that_ships_says_what_its_recipe_was_trained_on() -> None:
    rows = {row["name"]: row for row in catalog.track("graph").describe("backbones")}
    assert {name: tuple(rows[name]["trained_on"]) for name in recipes()} == {
        name: recipe.graphs for name, recipe in recipes().items()
    }
