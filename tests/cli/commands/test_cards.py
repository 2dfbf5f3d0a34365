"""`promptgrid methods NAME` shows a card; `--json` gives it to scripts beside what it gave before."""

from __future__ import annotations

import json

from tests.cli.conftest import Invoke

from promptgrid.tracks.image.cards.parity import RESULTS


def test_json_keeps_its_shape_and_adds_the_card(invoke: Invoke) -> None:
    rows = json.loads(invoke("methods", "--json").stdout)
    for row in rows:
        assert {"name", "kind", "about", "paper", "knobs", "settings", "needs", "axes", "card"} <= row.keys()
        assert row["card"]["name"] == row["name"]
        assert row["card"]["missing"] == []
        assert row["parity"] == row["card"]["parity"]
        assert row["parity"]["result"] in RESULTS


def test_one_method_shows_its_card(invoke: Invoke) -> None:
    words = " ".join(invoke("methods", "prograd").output.split())
    for told in (
        "8,192 numbers on ViT-B/16",
        "cross_entropy, knowledge",
        "SGD 0.002",
        "GFLOP a step of 32 images",
        "original: last step",
        "the template's last token stays frozen behind the context (here: reproduced",
        "differed from the authors' code in what stands below, and has their form now",
        "beside that apart by 4e-07 at the start, 6e-06 after training (BeierZhu/Prompt-align 1b76203)",
        "views: 0, the centre crop of each training image",
        "`views: online` in a suite",
        "promptgrid published --method prograd",
    ):
        assert told in words, told


def test_growth_with_classes_is_told(invoke: Invoke) -> None:
    words = " ".join(invoke("methods", "taskres").output.split())
    assert "5,120 numbers on ViT-B/16 at 10 classes, 16 shots, 512 more with a class" in words
    assert "nobody published" in words
    assert "not base_to_new: method 'taskres' cannot be scored on classes it was not trained on" in words


def test_figures_of_a_reading_are_claims(invoke: Invoke) -> None:
    claim = "claimed by the paper; ours is a reading"
    reading, original = (" ".join(invoke("methods", name).output.split()) for name in ("gram", "prograd"))
    assert f"3 figures, {claim}: promptgrid published --method gram" in reading
    assert claim not in original
