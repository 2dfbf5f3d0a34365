"""The benchmark measures what it says: one arithmetic in all variants, and a floor counted right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from promptgrid.cli.main import app
from promptgrid.contract.clip import Backbone, Edits, TokenPlan
from promptgrid.contract.edits import LowRank
from promptgrid.contract.track import Timing
from promptgrid.engine.bench import measure, rate
from promptgrid.spec import Refused
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.floor import Tower, image_flops, text_flops
from promptgrid.tracks.image.bench.plain_backbone import PlainBackbone
from promptgrid.tracks.image.bench.problem import FAMILIES
from promptgrid.tracks.image.bench.run import ImageBench
from promptgrid.tracks.image.track import ImageTrack


@pytest.fixture(scope="module")
def plain(bundled_backbone: Backbone) -> PlainBackbone:
    assert isinstance(bundled_backbone, DualEncoder)
    return PlainBackbone(bundled_backbone)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's rate from one small product: what is held here is arithmetic, not speed."""
    monkeypatch.setattr(rate, "ROWS", 64)
    monkeypatch.setattr(rate, "ENOUGH", 0.0)
    monkeypatch.setattr(measure, "ROUNDS", 1)


def test_plain_towers_agree_with_the_engine(plain: PlainBackbone, bundled_backbone: Backbone) -> None:
    """77 tokens through open_clip's own blocks, deltas and deep prompts included."""
    rng = torch.Generator().manual_seed(5)
    tokens = bundled_backbone.tokenize(["a photo of a cat.", "a very long description of a small blue bird."])
    embeddings, ends = bundled_backbone.embed_tokens(tokens), tokens.argmax(-1)
    width = bundled_backbone.text.width
    prompts = TokenPlan(tuple(0.02 * torch.randn(2, width, generator=rng) for _ in range(3)), "text")
    delta = LowRank(torch.randn(2, width, generator=rng), 0.1 * torch.randn(width, 2, generator=rng))
    for edits in (None, Edits(tokens=prompts), Edits(deltas={(1, "q"): delta, (2, "out"): delta})):
        assert torch.allclose(
            plain.encode_text(embeddings, ends, edits), bundled_backbone.encode_text(embeddings, ends, edits), atol=1e-5
        )
    patches = torch.randn(2, 36, bundled_backbone.vision.width, generator=rng)
    visual = tuple(torch.randn(3, bundled_backbone.vision.width, generator=rng) for _ in range(2))
    for plan in (TokenPlan(visual, "end", before_norm=True), TokenPlan(visual, "after_class")):
        edits = Edits(tokens=plan)
        assert torch.allclose(
            plain.encode_patches(patches, edits), bundled_backbone.encode_patches(patches, edits), atol=1e-5
        )


def test_rows_share_one_arithmetic(image_track: ImageTrack) -> None:
    """Every variant trains to the losses of the reference; the reference is once as fast as itself."""
    asked = Timing("bundled", ("coop", "clip_adapter"), classes=(3,), packs=(2,), steps=6, seconds=0.01)
    rows = list(image_track.bench(asked))
    assert [row["family"] for row in rows] == ["coop"] * 4 + ["clip_adapter"] * 4
    for row in rows:
        assert row["ms"] > 0
        assert row["floor_ms"] > 0
        if row["variant"].startswith("reference"):
            assert row["ratio"] == 1.0
            assert row["difference"] is None
        else:
            assert row["difference"] < 1e-5


def test_images_adapted_to_side_by_side_answer_as_each_alone(image_track: ImageTrack) -> None:
    rows = list(image_track.bench(Timing("bundled", ("tpt",), classes=(3,), packs=(4,), steps=1, seconds=0.01)))
    assert [row["pack"] for row in rows] == [1, 1, 1, 4]
    assert rows[0]["difference"] is None
    assert max(row["difference"] for row in rows[1:]) < 1e-5


def test_there_are_names_for_a_thousand_classes(image_track: ImageTrack) -> None:
    names = ImageBench(image_track.resolver).class_names()
    assert len(set(names)) == len(names) >= 1000


def test_losses_agree_to_the_last_bits_in_float64(image_track: ImageTrack) -> None:
    asked = Timing("bundled", ("coop",), classes=(4,), packs=(3,), steps=8, precision="fp64", seconds=0.01)
    gaps = [row["difference"] for row in image_track.bench(asked) if row["difference"] is not None]
    assert len(gaps) == 3
    assert max(gaps) < 1e-12


def test_half_precision_stands_beside_the_same_pack_in_fp32(
    image_track: ImageTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "ENOUGH", 0.0)
    asked = Timing("bundled", ("coop",), classes=(4,), packs=(3,), steps=4, precision="amp", seconds=0.05)
    rows = list(image_track.bench(asked))
    named = ["exact shortcuts", "exact shortcuts, bf16", "pack of 3", "pack of 3, bf16"]
    assert [row["variant"] for row in rows] == named
    assert [row["precision"] for row in rows] == ["fp32", "bf16"] * 2
    for exact, half in zip(rows[::2], rows[1::2], strict=True):
        assert exact["ratio"] == 1.0
        assert exact["difference"] is None
        assert half["ratio"] == pytest.approx(exact["ms"] / half["ms"])
        assert 0.0 < half["difference"] < 0.1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Timing("bundled", ("copo",)), "unknown family"),
        (Timing("bundled", classes=(1,)), "classes"),
        (Timing("bundled-conv"), "cannot be reached"),
    ],
)
def test_refused(image_track: ImageTrack, asked: Timing, said: str) -> None:
    with pytest.raises(Refused, match=said):
        list(image_track.bench(asked))


def test_every_family_names_a_method(image_track: ImageTrack) -> None:
    for family in FAMILIES.values():
        image_track.resolver.settle(image_track.resolver.method(family.method), family.settings)


def _block(x: Tensor, asking: Tensor, weights: dict[str, Tensor], seen: Tensor) -> Tensor:
    """One head of one block without norms; ``asking`` are the rows that go on."""
    q, k, v = asking @ weights["q"], x @ weights["k"], x @ weights["v"]
    scores = (q @ k.T).masked_fill(~seen, -torch.inf)
    y = asking + torch.softmax(scores, -1) @ v @ weights["out"]
    return y + F.relu(y @ weights["fc"]) @ weights["proj"]


def test_floor_counts_what_a_program_without_waste_computes() -> None:
    """One block, one class: every product counted by torch, less the frozen ones and the half that no query sees."""
    width, prefix, suffix, joint = 8, 3, 2, 4
    shapes = {"q": width, "k": width, "v": width, "out": width, "fc": 4 * width}
    weights = {name: torch.randn(width, size) for name, size in shapes.items()} | {
        "proj": torch.randn(4 * width, width)
    }
    context, name = torch.randn(prefix, width, requires_grad=True), torch.randn(suffix, width)
    with FlopCounterMode(display=False) as counter:
        whole = torch.cat([context, name])
        seen = torch.ones(1, prefix + suffix, dtype=torch.bool)
        pooled = _block(whole, whole[-1:], weights, seen) @ torch.randn(width, joint)
        pooled.sum().backward()
    query = 2 * width * width  # of the frozen last token: a constant, forward and backward
    keys = 2 * 2 * width * width * suffix
    wasted = 2 * (query + keys)
    assert text_flops(Tower(width, 1, joint), prefix, [suffix]) == counter.get_total_flops() - wasted


def test_deep_visual_prompts_cost_keys_and_values_once() -> None:
    tower = Tower(8, 3, 4)
    none, some = image_flops(tower, 2, 9, 0, 3), image_flops(tower, 2, 9, 5, 3)
    attention = sum(12 * 8 * asking * 5 for asking in (10, 10, 1)) * 2
    assert some - none == attention + 3 * 2 * 4 * 8 * 8 * 5


def test_command_prints_a_table_and_json(tmp_path: Path) -> None:
    arguments = [
        "bench",
        "--family",
        "clip_adapter",
        "--classes",
        "3",
        "--pack",
        "2",
        "--steps",
        "2",
        "--seconds",
        "0.01",
    ]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "pack of 2" in shown.output
    assert "reference" in shown.output
    rows = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert {row["pack"] for row in rows} == {1, 2}
    refused = CliRunner().invoke(app, [*arguments, "--precision", "fp8"])
    assert refused.exit_code == 2
