"""ImageNet and its variants, from folders as CoOp has them to records."""

from __future__ import annotations

from pathlib import Path

from tests.contracts.small_world import SmallBackbones, track
from tests.tracks.image.datasets import coop_copies as copies
from tests.tracks.image.datasets.conftest import Write
from tests.tracks.image.small_study import cells_of, run_study

from promptgrid.tracks.image.datasets.layouts import Coop
from promptgrid.tracks.image.track import ImageTrack


def test_what_imagenet_taught_is_scored_on_variants_that_have_nothing_to_train_on(tmp_path: Path, write: Write) -> None:
    source = copies.imagenet(tmp_path, write)
    v2 = copies.variant(tmp_path, "imagenetv2", ["0", "1", "2", "3"], write)
    adversarial = copies.variant(tmp_path, "imagenet-adversarial", ["n03773504", "n01443537"], write)
    found = track().resolver
    wing = ImageTrack(found.methods, [Coop()], [SmallBackbones()], found.protocols, found.columns)
    targets = [f"coop:{v2}", f"coop:{adversarial}"]
    coop = {"name": "coop", "epochs": 2, "context_length": 2}
    study = {"protocol": "domain_generalization", "sources": [f"coop:{source}"], "datasets": targets}
    cells = cells_of(wing, methods=["zero_shot", coop], **study)
    scored = [cell for cell in cells if cell.source]
    assert {(cell.method, cell.dataset) for cell in scored} >= {("coop", target) for target in targets}
    outcomes = run_study(wing, cells)
    for cell in scored:
        outcome = outcomes[cell.key]
        assert outcome.record.status == "done", outcome.record
        (answers,) = outcome.predictions
        assert len(answers.example) == (8 if cell.dataset == targets[0] else 4), "all test images, and only those"
        assert len(answers.classes) == (4 if cell.dataset == targets[0] else 2), "ImageNet-A among its own names"
