"""Part 4: a paper's grid of CoOp cells from measured steps, and 400 pairs of source and target, run; both at ViT-B/16.

The grid is 11 datasets with their own numbers of classes, 5 shots, 3 seeds: the 15 cells of a dataset are one pack,
whose step is timed; the seconds of the whole follow from the steps of CoOp's own schedule. The 400 pairs are run for
real, on the bundled tasks. Both stand beside the floor: operations counted by hand over the rate of a large product.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from ruamel.yaml import YAML
from tests.gpu.part import Part

from promptgrid import api, catalog
from promptgrid.engine.bench.measure import Variant, packed, timed
from promptgrid.engine.bench.rate import matmul_rate
from promptgrid.engine.training.schedule import steps_per_epoch
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.floor import Tower, image_flops, step_flops, text_flops
from promptgrid.tracks.image.bench.problem import FAMILIES, problem
from promptgrid.tracks.image.bench.run import ImageBench
from promptgrid.tracks.image.track import ImageTrack

CLASSES = {"ImageNet": 1000, "SUN397": 397, "StanfordCars": 196, "Flowers102": 102, "UCF101": 101, "Food101": 101,
           "Caltech101": 100, "FGVCAircraft": 100, "DTD": 47, "OxfordPets": 37, "EuroSAT": 10}  # fmt: skip
SHOTS, SEEDS, BATCH = (1, 2, 4, 8, 16), 3, 32
EPOCHS = {1: 50, 2: 100, 4: 100, 8: 200, 16: 200}
IMAGENET_EPOCHS = 50


def steps_of(dataset: str, classes: int, shots: int) -> int:
    """Steps of CoOp's published schedule."""
    epochs = IMAGENET_EPOCHS if dataset == "ImageNet" else EPOCHS[shots]
    return epochs * steps_per_epoch(shots * classes, min(BATCH, shots * classes))


def grid(part: Part, track: ImageTrack, backbone: DualEncoder) -> None:
    """A row for each dataset, and one for all."""
    names = ImageBench(track.resolver).class_names()
    method = track.resolver.method("coop")
    shown = {"small": 3, "smaller": 2} if part.tiny else CLASSES
    whole, floor = 0.0, 0.0
    for dataset, classes in shown.items():
        cells = len(SHOTS) * SEEDS
        posed = problem(FAMILIES["coop"], method, backbone, names[:classes], cells)
        variant = Variant("", cells, lambda n, posed=posed, cells=cells: _trained(posed, cells, n))
        least = timed([variant], step_flops(posed.part(1, 1)), backbone.text.width, posed.features,
                      0.01 if part.tiny else 0.3, lambda what: None)[None]  # fmt: skip
        steps = SEEDS * sum(steps_of(dataset, classes, shots) for shots in SHOTS)
        last = SEEDS * steps_of(dataset, classes, 16)
        part.add(
            grid=dataset,
            classes=classes,
            cells=cells,
            cell_steps=steps,
            ms_a_cell_step=1e3 * variant.best,
            floor_ms=1e3 * least,
            seconds=steps * variant.best,
            floor_seconds=steps * least,
            hours_16_shots_3_seeds=last * variant.best / 3600,
            peak_mb=variant.peak_mb,
        )
        whole, floor = whole + steps * variant.best, floor + steps * least
    part.add(grid="all", cells=len(shown) * len(SHOTS) * SEEDS, seconds=whole, floor_seconds=floor, times=whole / floor)


def _trained(posed, cells, steps):  # type: ignore[no-untyped-def]
    run = packed(posed.part(cells, steps))
    return lambda: torch.stack(run().by_step, dim=1)


def transfer(part: Part, track: ImageTrack, backbone: DualEncoder) -> None:
    """CoOp on every source, then each of the pairs as it is; seconds beside the floor."""
    suite = YAML(typ="safe").load(Path("suites/transfer_400.yaml"))
    coop = next(entry for entry in suite["methods"] if entry["name"] == "coop")
    model = ["bundled"] if part.tiny else [{"model": "ViT-B-16", "pretrained": "random"}]
    suite |= {"methods": [coop], "backbones": model, "readings": ["evaluate", "adapt"]}
    if part.tiny:
        suite |= {"datasets": ["weather", "emoji_faces"], "methods": [coop | {"epochs": 1}], "readings": ["evaluate"]}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        planned = api.plan(suite, folder)
        api.execute(planned, folder, local=True, device=part.device, mlflow=False)
        seconds = time.perf_counter() - began
        told = api.status(suite, folder)
        train = api.results(suite, folder).drop_duplicates("cell_key").train_seconds.sum()
    flops = _study_flops(track, backbone, suite["datasets"], coop["epochs"], coop["context_length"], suite["readings"])
    rate = matmul_rate(backbone.text.width, torch.zeros((), device=part.device), _clock(part.device))
    part.add(
        transfer=f"{len(suite['datasets']) ** 2} pairs",
        cells=told.cells,
        finished=told.finished,
        failed=told.failed,
        reasons=told.reasons,
        seconds=seconds,
        training_seconds=float(train),
        floor_seconds=flops / rate,
        times=seconds * rate / flops,
    )


def _study_flops(
    track: ImageTrack,
    backbone: DualEncoder,
    datasets: Sequence[str],
    epochs: int,
    context: int,
    readings: Sequence[str],
) -> float:
    """Every image once through its tower; sources and adapted cells step by step; every pair's texts once."""
    text = Tower(backbone.text.width, backbone.text.layers, backbone.width)
    vision = Tower(backbone.vision.width, backbone.vision.layers, backbone.width)
    patches = (backbone.image_size // backbone.patch_size) ** 2
    total = 0.0
    for name in datasets:
        card = track.resolver.dataset(name).card
        classes = card.classes
        ends = [len(backbone.tokenize([said])[0].nonzero()) - 1 for said in classes]
        one = text_flops(text, 1 + context, ends)
        images = 16 * len(classes) + card.splits["test"]
        total += image_flops(vision, images, patches, 0, 0) / 2
        steps = epochs * steps_per_epoch(16 * len(classes), BATCH)
        adapted = len(datasets) - 1 if "adapt" in readings else 0
        total += (1 + adapted) * steps * (one + 6.0 * BATCH * len(classes) * backbone.width)
        total += (len(datasets) + adapted) * one / 2
    return total


def _clock(device: str):  # type: ignore[no-untyped-def]
    if not device.startswith("cuda"):
        return time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


def main() -> None:
    part = Part(__doc__ or "")
    track = catalog.track("image")
    assert isinstance(track, ImageTrack)
    name = "bundled" if part.tiny else "ViT-B-16@random"
    backbone = track.resolver.backbone_family(name).load(name, part.device)
    assert isinstance(backbone, DualEncoder)
    asked = os.environ.get("GRID", "grid transfer").split()
    for one in (each for each in (grid, transfer) if each.__name__ in asked):
        try:
            one(part, track, backbone)
        except Exception as error:  # noqa: BLE001 - the other is still to be measured
            part.add(failed=one.__name__, said=f"{type(error).__name__}: {error}"[:2000])
    part.finish()


if __name__ == "__main__":
    main()
