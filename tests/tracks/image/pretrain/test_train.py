"""The recipe of the bundled backbones, run for two steps, and the files that ship."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from promptgrid.tracks.image.backbones import torchvision_cure
from promptgrid.tracks.image.backbones.bundled_weights import FOLDER, TABLE, build, expand, load_bundled
from promptgrid.tracks.image.pretrain import corpus as corpora
from promptgrid.tracks.image.pretrain import evaluate, weights
from promptgrid.tracks.image.pretrain.corpus import Captions, Corpus, NoExclusion, assemble, load_corpus, phrases_of
from promptgrid.tracks.image.pretrain.material import Material
from promptgrid.tracks.image.pretrain.objectives import PhraseBank, choice_loss, teacher_loss
from promptgrid.tracks.image.pretrain.publish import publish
from promptgrid.tracks.image.pretrain.towers import BACKBONES, TokenTable, encode_text, encode_vit, new_model
from promptgrid.tracks.image.pretrain.train import CHECKPOINT, Recipe, Run, train

SHIPPED = ("bundled-vit", "bundled-conv")
NAMES = ("red apple", "blue car", "small cat", "house", "tree", "boat")


def picture(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize((64, 64), Image.Resampling.NEAREST).save(file, "WEBP", lossless=True)
    return file.getvalue()


def row(place: int, **changes: Any) -> dict[str, Any]:
    facts = {"image": picture(place), "sha256": f"hash{place}", "source": "noto", "item": f"item{place}", "row": place}
    facts |= {"name": NAMES[place % len(NAMES)], "keywords": ["thing"], "category": "Objects/tool"}
    return {**facts, **changes}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return assemble([row(i) for i in range(12)])


@pytest.fixture(scope="module")
def captions(corpus: Corpus) -> Captions:
    return Captions(corpus.phrases, lambda text: [ord(c) % 500 + 1 for c in text.strip()], 49406, 49407)


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    return torch.randn(49408, 8, generator=torch.Generator().manual_seed(1))


def material(corpus: Corpus, conv: bool) -> Material:
    rng = torch.Generator().manual_seed(2)
    sentences = torch.nn.functional.normalize(torch.randn(len(corpus.phrases), 384, generator=rng), dim=-1)
    count = torch.full((len(corpus.pictures),), 2)
    bank = PhraseBank(
        sentences, torch.nn.functional.normalize(torch.randn(5, 384, generator=rng), dim=-1), corpus.frequency.log()
    )
    common: dict[str, Any] = {"turns": corpus.turns, "own": corpus.own, "odds": corpus.odds, "bank": bank}
    common |= {"first": count.cumsum(0) - 2, "count": count, "word_ids": [[49406, i, 49407] for i in range(5)]}
    if conv:
        torchvision_cure.apply()
        import timm

        trunk = timm.create_model("tf_efficientnet_lite0", num_classes=0).state_dict()
        return Material(**common, features=torch.rand(24, 1280, generator=rng).half(), trunk=trunk)
    pixels = torch.randint(0, 255, (24, 3, 48, 48), generator=rng, dtype=torch.uint8)
    return Material(**common, pixels=pixels, targets=torch.randn(24, 256, generator=rng).half())


def run_of(backbone: str, corpus: Corpus, captions: Captions, codes: torch.Tensor) -> Run:
    recipe = Recipe(backbone, minutes=0.001, batch=6, texts=4, words=2, candidates=4)
    return Run(recipe, material(corpus, backbone == "bundled-conv"), captions, codes, "cpu")


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_two_steps_change_the_weights_and_ship_as_a_real_open_clip_model(
    backbone: str, corpus: Corpus, captions: Captions, codes: torch.Tensor, tmp_path: Path
) -> None:
    torchvision_cure.apply()
    from open_clip.model import CLIP

    run = run_of(backbone, corpus, captions, codes)
    before = {name: p.detach().clone() for name, p in run.learner.trained()}
    losses = [run.step(), run.step()]
    assert all(np.isfinite(list(parts.values())).all() for parts in losses)
    assert all(not torch.equal(before[name], p) for name, p in run.learner.trained() if p.grad is not None)
    publish(run, corpus, codes, tmp_path / backbone)
    model, tokenizer, preprocess = load_bundled(backbone, tmp_path)
    assert isinstance(model, CLIP)
    assert model.encode_text(tokenizer(["a cat"])).shape == (1, 256)
    size = model.visual.image_size[0]
    assert model.encode_image(torch.zeros(1, 3, size, size)).isfinite().all()
    assert len(preprocess["mean"]) == 3
    assert weights.read_card(tmp_path / backbone)["samples_seen"] == 12


def test_a_run_goes_on_where_it_was_saved(
    corpus: Corpus, captions: Captions, codes: torch.Tensor, tmp_path: Path
) -> None:
    first = run_of("bundled-vit", corpus, captions, codes)
    first.step()
    first.save(tmp_path / CHECKPOINT)
    second = run_of("bundled-vit", corpus, captions, codes)
    second.load(tmp_path / CHECKPOINT)
    assert second.clock == first.clock
    assert torch.equal(second.rng.get_state(), first.rng.get_state())
    assert all(
        torch.equal(p, q) for (_, p), (_, q) in zip(first.learner.trained(), second.learner.trained(), strict=True)
    )


def test_training_stops_when_its_minutes_are_over(
    corpus: Corpus, captions: Captions, codes: torch.Tensor, tmp_path: Path
) -> None:
    run = run_of("bundled-vit", corpus, captions, codes)
    run.clock.seconds = 1e6
    train(run, tmp_path / CHECKPOINT, lambda: None)
    assert run.clock.steps == 0
    assert (tmp_path / CHECKPOINT).exists()


def test_the_fast_forward_is_open_clips() -> None:
    torch.manual_seed(3)
    model = new_model("bundled-vit").eval()
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


def test_a_pool_without_its_exclusions_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(NoExclusion):
        load_corpus(tmp_path)


def test_evaluation_pictures_and_held_out_sources_are_left_out(tmp_path: Path) -> None:
    rows = [{**row(i), "row": None} for i in range(6)]
    rows[5]["sha256"] = "copy of a tested picture"
    pq.write_table(pa.Table.from_pylist(rows).drop_columns("row"), tmp_path / "noto.parquet")
    held_out = [{**row(i), "source": "fashion-mnist"} for i in range(3)]
    pq.write_table(pa.Table.from_pylist(held_out).drop_columns("row"), tmp_path / "fashion-mnist.parquet")
    banned = [
        {"source": "noto", "item": "item2", "sha256": "x"},
        {"source": "a", "item": "b", "sha256": rows[5]["sha256"]},
    ]
    pq.write_table(pa.Table.from_pylist(banned), tmp_path / corpora.EXCLUDE)
    found = load_corpus(tmp_path)
    assert found.row.tolist() == [0, 1, 3, 4]
    assert found.sources == {"noto": 4}


def test_phrases_are_what_a_person_would_type() -> None:
    found = phrases_of(row(0, name="arrowLeft-outline 2", keywords=["way back"], category="Signs/MapTravel"))
    assert list(found) == ["arrow left", "way back", "signs", "map travel"]


def test_captions_end_where_they_say_and_hold_arbitrary_contexts(captions: Captions) -> None:
    rng = torch.Generator().manual_seed(4)
    lengths = set()
    for _ in range(20):
        tokens, ends = captions.draw(torch.tensor([0, 1, 2]), rng)
        assert (tokens[torch.arange(3), ends] == 49407).all()
        assert (tokens[:, 0] == 49406).all()
        lengths.add(tokens.shape[1])
    assert len(lengths) > 3


def test_true_phrases_and_synonyms_are_no_wrong_answers() -> None:
    sentences = torch.eye(384)[[0, 0, 1, 2]]
    bank = PhraseBank(sentences, sentences, torch.zeros(4))
    logits = torch.tensor([[0.0, 50.0, 50.0, 0.0]])
    right, candidates, own = torch.tensor([0]), torch.arange(4), torch.tensor([[0, 2, -1]])
    assert choice_loss(logits, right, candidates, own, bank) < choice_loss(logits, right, candidates, own[:, :1], bank)
    assert choice_loss(logits[:, [0, 3, 3, 3]], right, candidates, own, bank).isfinite()


def test_pictures_the_teacher_has_not_seen_teach_nothing() -> None:
    targets = torch.tensor([[1.0, 1.0], [float("nan")] * 2])
    assert teacher_loss(torch.zeros(2, 2), targets) == 1.0


def test_the_stored_token_table_is_close_to_the_trained_one(codes: torch.Tensor) -> None:
    table = TokenTable(codes, torch.tensor([5, 9]), 16)
    small = weights.compact({TABLE: table.whole()}, codes, table.basis.detach(), table.seen)
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
