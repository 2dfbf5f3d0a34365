"""Old and new towers side by side, and the model card that their cards make."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from promptgrid.tracks.image.backbones.bundled_weights import FOLDER
from promptgrid.tracks.image.pretrain.release import judge
from promptgrid.tracks.image.pretrain.release.evaluate import TASKS, Figures
from promptgrid.tracks.image.pretrain.release.model_card import MODEL_CARD, render
from promptgrid.tracks.image.pretrain.release.weights import read_card, write_card


def test_a_tower_beside_itself_is_as_good_on_the_validation_split(tmp_path: Path) -> None:
    for ending in ("parquet", "yaml"):
        shutil.copy(TASKS / f"emoji_firefox.{ending}", tmp_path)
    found = judge.compare(FOLDER, ["bundled-vit"], FOLDER, tmp_path)
    (row,) = found["bundled-vit"]["new"]
    assert found["bundled-vit"]["old"] == [row]
    assert row.task == "emoji_firefox"
    assert row.test != read_card(FOLDER / "bundled-vit")["figures"][6]["test"]


def test_the_comparison_shows_both_sides_and_their_means() -> None:
    def side(probe: float) -> list[Figures]:
        return [Figures("toy", 2, 10, 50.0, 60.0, probe, 55.0)]

    console = Console(record=True, width=160)
    judge.show({"bundled-vit": {"old": side(61.25), "new": side(71.5)}}, FOLDER, FOLDER, console)
    text = console.export_text()
    assert "61.2" in text
    assert "'mean_probe': 71.5" in text


def test_a_folder_without_towers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds none"):
        judge.compare(tmp_path)


def test_the_model_card_that_ships_has_the_figures_of_the_cards() -> None:
    shipped = (FOLDER / MODEL_CARD).read_text(encoding="utf-8")
    rows = [line for line in render().splitlines() if line.startswith("| ") and line[2:3].islower()]
    figures = [line for line in rows if line.count("|") == 10]
    assert len(figures) == len(read_card(FOLDER / "bundled-vit")["figures"]) + 1
    assert all(line in shipped for line in figures)


def test_the_model_card_says_on_what_a_run_sat_and_what_a_person_adds(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    sittings = [
        {"device": "NVIDIA H100 80GB HBM3", "samples": 7, "seconds": 210.0},
        {"device": "CPU, 1 thread(s)", "samples": 9, "seconds": 60.0},
    ]
    card = read_card(tmp_path / "bundled-vit")
    write_card(tmp_path / "bundled-vit", {**card, "sittings": sittings, "notes": "Stopped early."})
    text = render(tmp_path)
    assert "3.5 minutes of NVIDIA H100 80GB HBM3, then 1.0 minutes of CPU, 1 thread(s)" in text
    assert "Stopped early." in text
    assert "10.2 minutes of one busy CPU core" in text
