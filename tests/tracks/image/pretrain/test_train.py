"""The recipe of the bundled backbones, run for two steps from a packed corpus, and the files that ship."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.backbones.bundled_weights import FOLDER, TABLE, TOKENS, build, expand, load_bundled
from promptgrid.tracks.image.pretrain.from_sources import pretrain_from
from promptgrid.tracks.image.pretrain.release import evaluate, weights
from promptgrid.tracks.image.pretrain.release.publish import publish
from promptgrid.tracks.image.pretrain.training import checkpoints
from promptgrid.tracks.image.pretrain.training.material import Material, targets_of
from promptgrid.tracks.image.pretrain.training.objectives import PhraseBank, choice_loss
from promptgrid.tracks.image.pretrain.training.packing import Packed, write
from promptgrid.tracks.image.pretrain.training.recipe import Recipe
from promptgrid.tracks.image.pretrain.training.towers import BACKBONES, TokenTable, encode_text, encode_vit, new_model
from promptgrid.tracks.image.pretrain.training.train import Run, train

SHIPPED = ("bundled-vit", "bundled-conv")


@pytest.fixture(scope="module")
def material(packed: Packed) -> Material:
    return Material(packed, "cpu")


def small(_: str, backbone: str, minutes: float) -> Recipe:
    return Recipe(backbone, minutes, batch=6, texts=4, words=2, candidates=4)


def run_of(backbone: str, material: Material) -> Run:
    targets = targets_of(material, None) if backbone == "bundled-vit" else None
    return Run(small("cpu", backbone, 0.001), material, targets)


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_two_steps_change_the_weights_and_ship_as_a_real_open_clip_model(
    backbone: str, material: Material, tmp_path: Path
) -> None:
    torchvision_cure.apply()
    from open_clip.model import CLIP

    run = run_of(backbone, material)
    before = {name: p.detach().clone() for name, p in run.learner.trained()}
    losses = [run.step(), run.step()]
    assert all(value.isfinite() for parts in losses for value in parts.values())
    assert all(not torch.equal(before[name], p) for name, p in run.learner.trained() if p.grad is not None)
    publish(run, tmp_path / backbone)
    model, tokenizer, preprocess = load_bundled(backbone, tmp_path)
    assert isinstance(model, CLIP)
    assert model.encode_text(tokenizer(["a cat"])).shape == (1, 256)
    size = model.visual.image_size[0]
    assert model.encode_image(torch.zeros(1, 3, size, size)).isfinite().all()
    assert len(preprocess["mean"]) == 3
    card = weights.read_card(tmp_path / backbone)
    assert card["samples_seen"] == 12
    assert card["sha256"] == weights.sha256(tmp_path / backbone / weights.WEIGHTS)


def test_a_run_goes_on_where_it_was_saved(material: Material, tmp_path: Path) -> None:
    first = run_of("bundled-vit", material)
    first.step()
    checkpoints.save(first, tmp_path / "state.pt")
    second = run_of("bundled-vit", material)
    checkpoints.load(second, tmp_path / "state.pt")
    assert (second.clock.steps, second.clock.samples) == (1, 6)
    assert torch.equal(second.rng.get_state(), first.rng.get_state())
    first.step(), second.step()
    assert all(
        torch.equal(p, q) for (_, p), (_, q) in zip(first.learner.trained(), second.learner.trained(), strict=True)
    )


def test_another_machine_goes_on_from_the_small_file(material: Material, tmp_path: Path) -> None:
    first = run_of("bundled-vit", material)
    first.step()
    first.clock.sittings[0].device = "NVIDIA H100"
    checkpoints.save_start(first, tmp_path / "start.pt")
    second = run_of("bundled-vit", material)
    checkpoints.load(second, tmp_path / "start.pt")
    for (_, p), (_, q) in zip(first.learner.trained(), second.learner.trained(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-3, rtol=1e-3)
    second.step()
    assert [sitting.samples for sitting in second.clock.sittings] == [6, 6]
    assert second.clock.sittings[0].device == "NVIDIA H100"


def test_training_stops_when_its_minutes_are_over(material: Material, tmp_path: Path) -> None:
    run = run_of("bundled-conv", material)
    run.clock.sittings[0].seconds = 1e6
    train(run, tmp_path)
    assert run.clock.steps == 0
    assert (tmp_path / f"bundled-conv.{checkpoints.CHECKPOINT}").is_file()
    assert (tmp_path / f"bundled-conv.{checkpoints.START}").stat().st_size < 16 * 2**20


def test_one_command_trains_the_guide_and_the_vit_from_what_travels(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recipe, "on", small)
    write(packed, tmp_path / "corpus.zip")
    pretrain_from(
        tmp_path / "corpus.zip",
        tmp_path / "out",
        backbone="bundled-vit",
        minutes=0.001,
        guide_minutes=0.001,
        threads=1,
        device="cpu",
    )
    for name in SHIPPED:
        load_bundled(name, tmp_path / "out")
    told = torch.load(tmp_path / "out" / "bundled-vit.start.pt", weights_only=True)["learner"]["head.weight"]
    assert len(told) == 128 + 256
    assert (tmp_path / "out" / TOKENS).stat().st_size < 1.7e6


def test_token_codes_of_another_training_are_refused(material: Material, tmp_path: Path) -> None:
    publish(run_of("bundled-conv", material), tmp_path / "bundled-conv")
    (tmp_path / TOKENS).write_bytes(b"others")
    with pytest.raises(ValueError, match="does not belong"):
        load_bundled("bundled-conv", tmp_path)


def test_the_fast_forward_is_open_clips() -> None:
    torch.manual_seed(3)
    model = new_model("bundled-vit", {}).eval()
    table = TokenTable(torch.randn(49408, 8), torch.tensor([320, 2368]), 192)
    model.token_embedding.weight.data = table.whole()
    tokens = torch.tensor([[49406, 320, 2368, 49407, 0], [49406, 2368, 269, 7, 49407]])
    padded = torch.nn.functional.pad(tokens, (0, 72))
    images = torch.randn(2, 3, 48, 48)
    ends = torch.tensor([3, 4])
    with torch.no_grad():
        texts = encode_text(model, table, tokens, ends, torch.float32)
        hidden = encode_vit(model.visual, images, 1.0, torch.Generator(), torch.float32)
        torch.testing.assert_close(texts, model.encode_text(padded), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(hidden @ model.visual.proj, model.encode_image(images), atol=1e-5, rtol=1e-4)


def test_true_phrases_and_synonyms_are_no_wrong_answers() -> None:
    sentences = torch.eye(384)[[0, 0, 1, 2]]
    bank = PhraseBank(sentences, sentences, torch.zeros(4))
    logits = torch.tensor([[0.0, 50.0, 50.0, 0.0]])
    right, candidates, own = torch.tensor([0]), torch.arange(4), torch.tensor([[0, 2, -1]])
    assert choice_loss(logits, right, candidates, own, bank) < choice_loss(logits, right, candidates, own[:, :1], bank)
    assert choice_loss(logits[:, [0, 3, 3, 3]], right, candidates, own, bank).isfinite()


def test_the_stored_token_table_is_close_to_the_trained_one(packed: Packed) -> None:
    table = TokenTable(packed.codes.float() * packed.code_scales.float(), torch.tensor([5, 9]), 16)
    small = weights.compact({TABLE: table.whole()}, table.basis.detach(), table.seen)
    small |= {"token_embedding.codes": packed.codes, "token_embedding.code_scales": packed.code_scales}
    torch.testing.assert_close(expand(small)[TABLE], table.whole(), atol=5e-3, rtol=0)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_the_card_s(name: str) -> None:
    card = weights.read_card(FOLDER / name)
    assert card["name"] == name
    assert weights.sha256(FOLDER / name / weights.WEIGHTS) == card["sha256"]
    with (FOLDER / name / evaluate.FIGURES).open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [{key: str(value) for key, value in figures.items()} for figures in card["figures"]] == written


def test_shipped_weights_fit_the_package() -> None:
    assert sum((FOLDER / name / weights.WEIGHTS).stat().st_size for name in SHIPPED) <= 28e6


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_backbones_load_into_open_clip_by_their_config(name: str) -> None:
    model, _, _ = load_bundled(name)
    fresh = build(BACKBONES[name])
    assert {key: value.shape for key, value in fresh.state_dict().items()} == {
        key: value.shape for key, value in model.state_dict().items()
    }
    assert not any(p.requires_grad for p in model.parameters())
    assert float(model.logit_scale.exp()) <= 100.001


def test_a_figure_of_each_kind_comes_out_of_a_task() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 30)
    splits = np.tile(np.repeat(["train", "val", "test"], 10), 2)
    task = evaluate.TaskData("toy", ["a", "b"], "a {}.", torch.zeros(60, 3, 64, 64, dtype=torch.uint8), labels, splits)
    inputs = torch.from_numpy(rng.normal(size=(60, 4)) + labels[:, None] * 6).float()
    assert evaluate.probe(inputs, task, (1,), "test") > 90
    assert len(evaluate.draw_shots(task, 1)) == 20
    assert evaluate.zero_shot(torch.eye(2)[labels], torch.eye(2), labels) == 100
