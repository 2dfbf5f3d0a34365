"""What the data says of itself stands in the plan before anything runs; one model under two names runs never."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api import tiny
from tests.cli.conftest import Invoke


def test_a_plan_says_what_to_know_of_the_data(invoke: Invoke, tmp_path: Path) -> None:
    dataset = tiny.write_dataset(tmp_path / "data")
    (tmp_path / "data" / "cherry" / "notes.txt").write_text("no image")
    file = tmp_path / "s.json.yaml"
    file.write_text(json.dumps(tiny.suite("bundled", dataset, shots=[4, 16], methods=["zero_shot", "coop"])))
    said = invoke("plan", file, "--store", tmp_path / "store")
    assert said.exit_code == 0, said.output
    notes = [line for line in said.stdout.splitlines() if line.startswith("note: ")]
    assert [note.removeprefix(f"note: {dataset}: ") for note in notes] == [
        "1 left out (no image by its name): cherry/notes.txt",
        "2 classes have fewer than 16 training images, 'blueberry' the fewest: 4",
    ]
    counts = json.loads(invoke("plan", file, "--store", tmp_path / "store", "--json").stdout)
    assert list(counts["notes"]) == [dataset]


def test_one_model_under_two_names_exits_2(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "twins.yaml"
    file.write_text(json.dumps(tiny.suite("bundled", "weather", backbones=["bundled", "bundled-vit"])))
    refused = invoke("plan", file, "--store", tmp_path / "store")
    assert refused.exit_code == 2
    assert "'bundled' and 'bundled-vit' are one and the same model" in " ".join(refused.output.split())
