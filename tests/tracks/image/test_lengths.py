"""What is cut below a paper's training, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from promptgrid import api
from promptgrid.tracks.image.track import ImageTrack


def cut(image_track: ImageTrack, method: dict[str, Any], shots: int = 16) -> str:
    suite = api.as_suite(
        {"name": "s", "protocol": "few_shot", "methods": [method], "datasets": ["weather"], "shots": [shots],
         "seeds": [1], "backbones": ["bundled"]}
    )  # fmt: skip
    (cell,) = image_track.resolve([request for _, request in suite.requests([])])
    return image_track.cut(cell)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ({"name": "coop"}, ""),
        ({"name": "coop", "context_length": 4, "learning_rate": 0.02}, ""),
        ({"name": "coop", "epochs": 200}, ""),
        ({"name": "coop", "epochs": 300}, ""),
        ({"name": "coop", "epochs": 8}, "8 of 200 epochs"),
        ({"name": "amt", "epochs": 8}, "8 of 30 epochs"),
        ({"name": "cocoop", "epochs": 4}, "4 of 10 epochs"),
        ({"name": "zero_shot"}, ""),
        ({"name": "tip_adapter"}, ""),
        ({"name": "clip_lora", "steps_per_shot": 100}, "100 of 500 steps a shot"),
        ({"name": "spg", "epochs": 10, "gan_epochs": 7}, "10 of 50 epochs, 7 of 70 epochs of its generator"),
    ],
)
def test_less_than_the_papers_training_is_a_cut(image_track: ImageTrack, method: dict[str, Any], told: str) -> None:
    assert cut(image_track, method) == told


def test_the_papers_schedule_follows_the_shots(image_track: ImageTrack) -> None:
    assert cut(image_track, {"name": "coop", "epochs": 50}, shots=1) == ""
    assert cut(image_track, {"name": "coop", "epochs": 50}, shots=4) == "50 of 100 epochs"


def test_epochs_against_steps_are_compared_as_steps(image_track: ImageTrack) -> None:
    told = cut(image_track, {"name": "clip_lora", "epochs": 6})
    ours, theirs = (int(word) for word in told.split()[:3:2])
    assert ours < theirs == 8000
    assert told.endswith("steps")
