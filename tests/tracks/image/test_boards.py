"""The small boards that ship for the protocols of today: admitted, whole, and of minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.spec import read_suite
from promptgrid.spec.metrics import metric_of
from promptgrid.tracks.image.track import ImageTrack

SUITES = Path(__file__).parents[3] / "suites"
MINUTES = 6.0
BOARDS = {
    "calibration": ("mean_ece", "lower"),
    "ood_detection": ("auroc", "higher"),
    "corruptions": ("accuracy", "higher"),
    "long_tail": ("accuracy", "higher"),
    "test_stream": ("accuracy", "higher"),
}
"""Headline, and which way is better."""


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_planned_and_takes_minutes(image_track: ImageTrack, name: str) -> None:
    suite = read_suite(SUITES / f"{name}.yaml")
    protocol = image_track.resolver.protocol(suite.protocol)
    headline, better = BOARDS[name]
    assert (suite.name, protocol.name, protocol.headline) == (name, name, headline)
    assert metric_of(headline).better == better
    assert len(suite.seeds) == 3
    assert suite.reference == "zero_shot"
    cells = image_track.resolve([request for _, request in suite.requests(image_track.bundled_datasets())])
    packs = image_track.pack(list({cell.key: cell for cell in cells}.values()))
    assert sum(pack.seconds for pack in packs) <= 60.0 * MINUTES


def test_streams_have_a_method_that_needs_them(image_track: ImageTrack) -> None:
    suite = read_suite(SUITES / "test_stream.yaml")
    joint = {entry.name for entry in suite.methods if image_track.resolver.method(entry.name).joint}
    assert joint == {name for name, method in image_track.resolver.methods.items() if method.joint}
