"""What methods need is looked for when the grid is planned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from PIL import Image

from promptgrid.catalog import track
from promptgrid.contract.assets import ASSETS
from promptgrid.contract.clip import Classifier, Params, Task
from promptgrid.spec import Refused, Request
from promptgrid.tracks.image.datasets.bundled import BundledDataset
from promptgrid.tracks.image.pairs import pair_pool
from promptgrid.tracks.image.resolve import ImageResolver

SQUARE = Request("image", "few_shot", "needy", {}, "bundled", "animals", 2, 1, "last", "fp32")
ELSEWHERE = ("unlabelled", "pool_labels", "variations")
"""Part of the split; offered by folders alone."""


@dataclass(frozen=True)
class Needy(Classifier):
    """Needs whatever a test says."""

    name = "needy"
    kind = "text"
    paper = "unpublished"
    second: str = "bundled-conv"
    stand_in: bool = False
    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def assets(self) -> frozenset[str]:
        return frozenset() if self.stand_in else super().assets

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {}


@pytest.fixture
def resolver(request, monkeypatch) -> ImageResolver:
    """Knows a method that needs the test's parameter."""
    shipped = track("image").resolver  # type: ignore[attr-defined]
    monkeypatch.setattr(Needy, "needs", frozenset(request.param))
    return ImageResolver({"needy": Needy}, shipped.datasets, shipped.backbones, shipped.protocols)


@pytest.mark.parametrize(
    ("resolver", "square", "words"),
    [
        (["unlabelled"], SQUARE, "'needy' needs unlabelled .*protocol 'few_shot' does not offer.*semi_supervised"),
        (["pool_labels"], SQUARE, "'needy' needs pool_labels .*protocol 'few_shot' does not offer"),
        (["variations"], SQUARE, "needs variations .*dataset 'animals' does not offer.*variations/<path"),
        (["domain_labels"], replace(SQUARE, dataset="mnist"), "needs domain_labels .*'mnist' does not.*a|b|c"),
        (["descriptions"], replace(SQUARE, dataset="imagefolder:HOME"), "needs descriptions .*descriptions.yaml"),
        (["second_backbone"], replace(SQUARE, settings={"second": "bundeld"}), "'bundeld'; did you mean 'bundled'"),
        (["second_backbone"], replace(SQUARE, settings={"second": ""}), "names none.*setting `second`"),
        (["logits", "second_backbone"], replace(SQUARE, settings={"second": "bundled-vit"}), "is that same model"),
        (["vision_blocks", "descriptions"], replace(SQUARE, backbone="bundled-conv"), "needs vision_blocks, which"),
        (["holograms"], SQUARE, "needs holograms, which backbone 'bundled' does not offer"),
    ],
    indirect=["resolver"],
)
def test_what_nobody_offers_is_refused_with_a_way_out(resolver, square, words, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label, name in enumerate("ab"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (4, 4), (50 * label, 0, len(split))).save(tmp_path / split / name / "1.png")
    square = replace(square, shots=1, dataset=square.dataset.replace("HOME", str(tmp_path)))
    with pytest.raises(Refused, match=words):
        resolver.cell(square)


def test_a_text_tower_that_is_not_causal_takes_prompts_and_shows_no_blocks() -> None:
    """SigLIP's: what works inside its blocks is refused when the grid is planned, with the reason; else planned."""
    resolver = track("image").resolver  # type: ignore[attr-defined]
    square = replace(SQUARE, method="deep_language", backbone="ViT-B-16-SigLIP@random")
    with pytest.raises(Refused, match=r"needs text_blocks, .*a causal text .* SigLIP's is not.*frozen features work"):
        resolver.cell(square)
    with pytest.raises(Refused, match=r"needs vision_blocks, .*a ViT pooled at its class token"):
        resolver.cell(replace(square, method="vpt"))
    for method in ("zero_shot", "linear_probe", "clip_adapter", "tip_adapter", "taskres", "coop", "cocoop", "kgcoop"):
        assert resolver.cell(replace(square, method=method)).method == method


@pytest.mark.parametrize("resolver", [[name] for name in ASSETS if name not in ELSEWHERE], indirect=True)
def test_what_is_used_enters_the_identity(resolver) -> None:
    [name] = Needy.needs
    cell = resolver.cell(SQUARE)
    assert list(cell.identity["assets"]) == [name]
    without = resolver.cell(replace(SQUARE, settings={"stand_in": True}))
    assert "assets" not in without.identity
    assert without.key != cell.key


@pytest.mark.parametrize("resolver", [["unlabelled"]], indirect=True)
def test_a_pool_is_part_of_the_split(resolver) -> None:
    cell = resolver.cell(replace(SQUARE, protocol="semi_supervised"))
    assert cell.identity["assets"] == {}
    assert resolver.split(cell).unlabelled


@pytest.mark.parametrize("resolver", [["second_backbone"]], indirect=True)
def test_another_second_backbone_is_another_cell(resolver) -> None:
    cells = [resolver.cell(replace(SQUARE, settings={"second": name})) for name in ("bundled", "bundled-conv")]
    assert cells[0].identity["assets"] != cells[1].identity["assets"]


@pytest.mark.parametrize("resolver", [["image_text_pairs"]], indirect=True)
def test_pairs_are_labelled_as_what_they_are(resolver) -> None:
    cell = resolver.cell(SQUARE)
    assert "stand-in" in cell.identity["assets"]["image_text_pairs"][1]


@pytest.mark.parametrize("task", ["concepts", "vehicles", "mnist"])
def test_pairs_show_no_held_out_image_of_the_task(task: str) -> None:
    resolver = track("image").resolver  # type: ignore[attr-defined]
    tasks = [resolver.dataset(name) for name in track("image").bundled_datasets()]
    target = resolver.dataset(task)
    pool = pair_pool(target, tasks)
    hidden = {target.images[i].as_py() for split in ("val", "test") for i in target.splits[split]}
    assert len(pool.parts) == 24
    for dataset, indices in pool.parts:
        assert isinstance(dataset, BundledDataset)
        assert set(indices) <= set(dataset.splits["train"])
        assert not hidden & {dataset.images[i].as_py() for i in indices}
    captions = pool.captions()
    assert len(captions) == sum(len(indices) for _, indices in pool.parts)
    assert "{}" not in "".join(captions)
