"""What cells become for other tools, read back by the libraries that read such files."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load
from torch.nn import functional as F

from promptgrid.contract.clip import Backbone
from promptgrid.contract.edits import LowRank
from promptgrid.contract.track import Kept, Predictions
from promptgrid.engine.scoring import predictions_of
from promptgrid.spec import Cell, Record, Refused
from promptgrid.towers.clip.exports import EXPORTS
from promptgrid.towers.clip.exports.elevater import probabilities
from promptgrid.tracks.image.track import ImageTrack
from promptgrid.tracks.image.words import nearest_words

RNG = np.random.default_rng(3)


def kept(method: str, state: dict[str, npt.NDArray[Any]], seed: int = 1, **settings: Any) -> Kept:
    cell = Cell(track="image", protocol="few_shot", method=method, settings=settings, backbone="bundled",
                dataset="elevater:/data/cifar-10", shots=4, seed=seed, selection="last", precision="fp32",
                identity={"backbone": "abc", "method": method, "seed": seed})  # fmt: skip
    record = Record(cell=cell, metrics={"accuracy": 0.5}, curves={"train_loss": [1.0, 0.5, 0.2]})
    return Kept(record, (), state, {"classes": ["cat", "dog"], "dataset": "elevater-cifar-10", "model": {"a": 1}})


def normal(*shape: int) -> npt.NDArray[Any]:
    return RNG.normal(size=shape).astype(np.float32)


def test_safetensors_hold_the_arrays_and_say_what_they_are(tmp_path: Any) -> None:
    cell = kept("taskres", {"residual": normal(2, 8), "bias": normal(2)})
    raw = EXPORTS["safetensors"]([cell])["state.safetensors"]
    back = load(raw)
    assert set(back) == {"residual", "bias"}
    assert all(np.array_equal(back[name], cell.state[name]) for name in back)
    (tmp_path / "a.safetensors").write_bytes(raw)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        told = file.metadata()
    assert told["promptgrid.key"] == cell.record.cell.key
    assert told["promptgrid.method"] == "taskres"
    assert told["promptgrid.backbone_digest"] == "abc"
    assert json.loads(told["promptgrid.classes"]) == ["cat", "dog"]
    assert EXPORTS["safetensors"]([cell])["state.safetensors"] == raw
    several = EXPORTS["safetensors"]([cell, kept("taskres", {"residual": normal(2, 8)}, seed=2)])
    assert {name.split("/")[1] for name in several} == {"state.safetensors"}
    assert len(several) == 2


@pytest.mark.parametrize("shape", [(4, 8), (2, 4, 8)])
def test_a_checkpoint_of_coop_loads_without_pickled_code(shape: tuple[int, ...]) -> None:
    cell = kept("coop", {"context": normal(*shape)})
    files = EXPORTS["coop"]([cell])
    assert set(files) == {"prompt_learner/model.pth.tar-3", "prompt_learner/checkpoint"}
    assert files["prompt_learner/checkpoint"] == b"model.pth.tar-3\n"
    told = torch.load(io.BytesIO(files["prompt_learner/model.pth.tar-3"]), weights_only=True)
    assert told["epoch"] == 3
    assert list(told["state_dict"]) == ["ctx"]
    assert np.array_equal(told["state_dict"]["ctx"].numpy(), cell.state["context"])


def test_clip_lora_becomes_an_adapter_that_changes_as_much() -> None:
    state = {"text_down": normal(2, 3, 2, 8), "text_up": normal(2, 3, 8, 2),
             "image_down": normal(3, 3, 2, 6), "image_up": normal(3, 3, 6, 2)}  # fmt: skip
    files = EXPORTS["peft"]([kept("clip_lora", state, rank=2, alpha=1.5, rate=0.25)])
    assert set(files) == {"adapter_config.json", "adapter_model.safetensors"}
    config = json.loads(files["adapter_config.json"])
    assert (config["peft_type"], config["r"], config["lora_alpha"], config["use_rslora"]) == ("LORA", 2, 1.5, True)
    assert (config["lora_dropout"], config["bias"]) == (0.25, "none")
    assert config["target_modules"] == ["q_proj", "k_proj", "v_proj"]
    weights = load(files["adapter_model.safetensors"])
    assert len(weights) == (2 + 3) * 3 * 2
    name = "base_model.model.vision_model.encoder.layers.2.self_attn.v_proj"
    down, up = (torch.from_numpy(weights[f"{name}.lora_{part}.weight"]) for part in "AB")
    x = torch.from_numpy(normal(5, 6))
    ours = LowRank(torch.from_numpy(state["image_down"][2, 2]), torch.from_numpy(state["image_up"][2, 2]), 1.5 / 2**0.5)
    theirs = F.linear(F.linear(x, down), up) * (config["lora_alpha"] / config["r"] ** 0.5)
    torch.testing.assert_close(theirs, ours(x, None))


def test_lora_keeps_its_head_beside() -> None:
    state = {"down": normal(2, 2, 4, 6), "up": normal(2, 2, 6, 4), "head_weight": normal(2, 6), "head_bias": normal(2)}
    files = EXPORTS["peft"]([kept("lora", state, rank=4, alpha=16.0, rate=0.1)])
    assert json.loads(files["adapter_config.json"])["use_rslora"] is False
    assert np.array_equal(load(files["head.safetensors"])["weight"], state["head_weight"])
    names = {name.split(".self_attn.")[1].split(".")[0] for name in load(files["adapter_model.safetensors"])}
    assert names == {"q_proj", "v_proj"}


@pytest.mark.parametrize(
    ("form", "method", "said"),
    [
        ("coop", "clip_lora", "expected a cell of coop, kgcoop, prograd; safetensors take any"),
        ("peft", "coop", "expected a cell of clip_lora or lora; safetensors take any"),
    ],
)
def test_what_a_cell_is_not_is_refused_with_what_is_possible(form: str, method: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        EXPORTS[form]([kept(method, {"context": normal(4, 8)})])
    with pytest.raises(Refused, match="keeps no learned arrays"):
        EXPORTS[form]([kept("zero_shot", {})])


def answers(classes: int, shuffled: bool = False) -> tuple[Predictions, torch.Tensor]:
    logits = torch.from_numpy(RNG.normal(size=(6, classes)) * 3)
    order = [4, 2, 0, 5, 1, 3] if shuffled else list(range(6))
    labels, names = torch.arange(6) % classes, [f"{place}.png" for place in order]
    part = predictions_of("test", order, logits, labels, names, [f"class {place}" for place in range(classes)])
    return part, logits.softmax(1)[torch.tensor(order).argsort()]


def with_answers(seed: int, part: Predictions, dataset: str = "elevater-cifar-10") -> Kept:
    one = kept("coop", {}, seed)
    return Kept(one.record, (part,), {}, {**one.about, "dataset": dataset})


def test_a_submission_to_elevater_merges_seeds_in_the_order_of_the_test_list() -> None:
    (first, wanted), (second, _) = answers(4, shuffled=True), answers(4)
    files = EXPORTS["elevater"]([with_answers(2, second), with_answers(1, first)])
    assert set(files) == {"all_predictions.zip"}
    with zipfile.ZipFile(io.BytesIO(files["all_predictions.zip"])) as archive:
        assert archive.namelist() == ["all_predictions.json"]
        (entry,) = json.loads(archive.read("all_predictions.json"))["data"]
    assert (entry["dataset_name"], entry["rnd_seeds"], entry["n_shot"]) == ("cifar-10", [1, 2], 4)
    np.testing.assert_allclose(entry["predictions"][0], wanted, atol=2e-6)
    assert EXPORTS["elevater"]([with_answers(2, second), with_answers(1, first)]) == files


def test_of_many_classes_the_likeliest_five_are_exact_and_the_rest_stay_below() -> None:
    part, wanted = answers(10)
    found = probabilities(part)
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)
    top = wanted.topk(5).indices.numpy()
    np.testing.assert_allclose(np.take_along_axis(found, top, 1), np.take_along_axis(wanted.numpy(), top, 1), atol=1e-6)
    assert (np.argsort(-found, kind="stable")[:, :5] == top).all()


def test_what_elevater_cannot_score_is_refused() -> None:
    part, _ = answers(10)
    with pytest.raises(Refused, match="is no dataset of ELEVATER"):
        EXPORTS["elevater"]([with_answers(1, part, "weather")])
    with pytest.raises(Refused, match="11point_mAP, which asks for all 10 probabilities"):
        EXPORTS["elevater"]([with_answers(1, part, "elevater-voc-2007-classification")])


def test_words_are_those_of_the_vocabulary(image_track: ImageTrack, bundled_backbone: Backbone) -> None:
    tokens = bundled_backbone.tokenize(["a photo of a dog"])[0]
    embedded = bundled_backbone.embed_tokens(tokens[1:4]).numpy()
    rows = nearest_words(kept("coop", {"context": embedded}), lambda *named: bundled_backbone, 2)  # type: ignore[arg-type, return-value]  # the bundled one is a dual encoder
    first = [row for row in rows if row["rank"] == 1]
    assert [row["word"] for row in first] == ["a</w>", "photo</w>", "of</w>"]
    assert [row["distance"] for row in first] == [0.0, 0.0, 0.0]
    assert [row["token"] for row in rows] == [1, 1, 2, 2, 3, 3]
    table = bundled_backbone.vocabulary()[1].double()  # type: ignore[attr-defined]  # as above
    second = next(row for row in rows if row["rank"] == 2)
    by_hand = (table - torch.from_numpy(embedded[0]).double()).norm(dim=1).sort().values[1]
    assert second["distance"] == pytest.approx(float(by_hand))
    classwise = nearest_words(
        kept("coop", {"context": np.stack([embedded, embedded])}), lambda *named: bundled_backbone, 1
    )  # type: ignore[arg-type, return-value]  # as above
    assert [row["of"] for row in classwise] == ["cat"] * 3 + ["dog"] * 3
    with pytest.raises(Refused, match="learned no context of words"):
        image_track.words(kept("taskres", {"residual": embedded}), 1)
