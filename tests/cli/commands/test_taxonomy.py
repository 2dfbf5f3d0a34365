"""`promptgrid taxonomy`: methods by axis, gaps with their reasons."""

from __future__ import annotations

import json

from tests.cli.conftest import Invoke

from promptgrid.tracks.image.track import ImageTrack


def test_json_has_values_and_places(invoke: Invoke, image_track: ImageTrack) -> None:
    told = json.loads(invoke("taxonomy", "--json").stdout)
    where = {row["value"]: row for row in told["values"] if row["axis"] == "where"}
    assert "coop" in where["text"]["methods"]
    assert "maple" in where["both"]["methods"]
    assert told["methods"]["vpt"]["where"] == "vision"
    ours = {row["name"] for row in image_track.describe("methods")}
    assert not ours & set(told["not_placed"])


def test_the_table_says_what_is_missing(invoke: Invoke) -> None:
    words = " ".join(invoke("taxonomy").output.split())
    assert "clip_lora" in words
    assert "none yet" in words
