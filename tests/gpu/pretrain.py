"""Part 5: steps a second of `promptgrid pretrain`, on `.gpu/corpus.zip` where that is, else on a tiny corpus."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.gpu.part import Part
from tests.tracks.image.pretrain.conftest import tiny_corpus, tiny_packed

from promptgrid.tracks.image.pretrain.release.weights import read_card
from promptgrid.tracks.image.pretrain.training.material import Material
from promptgrid.tracks.image.pretrain.training.packing import read
from promptgrid.tracks.image.pretrain.training.train import pretrain

CORPUS = Path(".gpu/corpus.zip")
BACKBONES = ("bundled-conv", "bundled-vit")


def rows(towers: Path) -> Iterator[dict[str, Any]]:
    """A row for each sitting of each backbone that was trained into ``towers``, as their cards tell it."""
    for backbone in BACKBONES:
        card = read_card(towers / backbone)
        for sitting in card["sittings"]:
            steps = sitting["samples"] / card["recipe"]["batch"]
            yield {
                "backbone": backbone,
                "batch": card["recipe"]["batch"],
                "steps": round(steps),
                "pictures": sitting["samples"],
                "seconds": round(sitting["seconds"], 1),
                "steps a second": steps / sitting["seconds"],
                "pictures a second": sitting["samples"] / sitting["seconds"],
            }


def main() -> None:
    part = Part(__doc__ or "")
    whole = CORPUS.is_file() and not part.tiny
    material = Material(read(CORPUS) if whole else tiny_packed(tiny_corpus()), part.device)
    with tempfile.TemporaryDirectory() as folder:
        for backbone in BACKBONES:
            pretrain(material, Path(folder), backbone=backbone, minutes=0.15 if whole else 0.01)
        for row in rows(Path(folder)):
            part.add(**row, corpus=CORPUS.name if whole else "tiny")
    part.finish()


if __name__ == "__main__":
    main()
