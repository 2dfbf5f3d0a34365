"""What a path would become, before any suite names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tracks.image.datasets.conftest import Write

from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.preview import address_of, preview
from promptgrid.tracks.image.track import ImageTrack


@pytest.fixture
def birds(tmp_path: Path, write: Write) -> Path:
    for split, count in (("Training", 3), ("Testing", 2)):
        for label, name in enumerate(("wren", "crow")):
            for i in range(count):
                write(tmp_path / "birds" / split / name / f"{i}.png", 100 * len(split) + 10 * label + i)
    (tmp_path / "birds" / "Training" / "crow" / "list.txt").write_text("0.png")
    (tmp_path / "birds" / "Testing" / "wren" / "1.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "birds" / "dataset.yaml").write_text("title: Birds of a garden")
    return tmp_path / "birds"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("~/photos", "imagefolder:~/photos"),
        ("./photos", "imagefolder:./photos"),
        ("data/photos", "imagefolder:data/photos"),
        ("data/split_zhou_DTD.json", "coop-split:data/split_zhou_DTD.json"),
        ("x.json?images=/d", "coop-split:x.json?images=/d"),
        ("imagefolder:/photos", "imagefolder:/photos"),
        ("weather", "weather"),
        ("emoji_noto|emoji_fluent", "emoji_noto|emoji_fluent"),
    ],
)
def test_a_path_is_named_as_a_suite_would(written: str, address: str) -> None:
    assert address_of(written) == address


def test_a_folder_in_this_folder_needs_no_dot(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(birds.parent)
    assert address_of("birds") == "imagefolder:birds"


def test_a_preview_has_counts_sizes_and_names(birds: Path, image_track: ImageTrack) -> None:
    found = image_track.preview(str(birds))
    assert found["splits"] == {"train": 6, "test": 4}
    assert found["title"] == "Birds of a garden"
    assert found["classes"] == [
        {"label": 0, "name": "crow", "train": 3, "test": 2},
        {"label": 1, "name": "wren", "train": 3, "test": 2},
    ]
    assert found["left_out"] == [{"path": "Training/crow/list.txt", "why": "no image by its name"}]
    (unread,) = found["unreadable"]
    assert unread["path"] == "Testing/wren/1.png"
    assert "git-lfs pointer" in unread["why"]
    assert found["pixels"]["looked_at"] == found["pixels"]["images"] == 10
    low, middle, high = found["pixels"]["width"]
    assert 0 < low <= middle <= high


def test_a_preview_agrees_with_what_a_suite_opens(birds: Path, image_track: ImageTrack) -> None:
    card = image_track.resolver.dataset(f"imagefolder:{birds}").card
    found = preview(image_track.resolver.dataset(f"imagefolder:{birds}"), "there")
    assert (found["sha256"], [row["name"] for row in found["classes"]]) == (card.sha256, list(card.classes))
    assert image_track.title(f"imagefolder:{birds}") == "Birds of a garden"


def test_bundled_tasks_have_a_preview_too(image_track: ImageTrack) -> None:
    found = image_track.preview("weather")
    assert sum(row["test"] for row in found["classes"]) == found["splits"]["test"]
    assert found["left_out"] == []


def test_nothing_has_no_preview(tmp_path: Path, image_track: ImageTrack) -> None:
    with pytest.raises(Refused, match="no such folder"):
        image_track.preview(str(tmp_path / "gone"))
