"""What a checkpoint is, in one word; and weights of other houses under open_clip's names."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.tracks.image.backbones.small_clip import SMALL, as_openai_wrote_it, small_model, under_their_names

from promptgrid.spec import Refused
from promptgrid.tracks.image.backbones import checkpoints
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels

State = dict[str, torch.Tensor]


NAME = "open_clip_pytorch_model.bin"


def folder_with(folder: Path, weights: Callable[[Path], None], **config: Any) -> str:
    """A ``local-dir:`` model of the small architecture, whose checkpoint was written by ``weights``."""
    written = {"model_cfg": SMALL | config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(written), encoding="utf-8")
    weights(folder / NAME)
    return f"local-dir:{folder}"


def saved(value: Any) -> Callable[[Path], None]:
    return lambda file: torch.save(value, file)


@cache
def state() -> State:
    return dict(small_model().state_dict())


class Payload:
    def __reduce__(self) -> Any:
        return (Path("/tmp/promptgrid-ran-it").touch, ())


def holding(raw: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_bytes(raw)

    return write


def cut_off(file: Path) -> None:
    torch.save(state(), file)
    file.write_bytes(file.read_bytes()[:5000])


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"
ADAM = torch.optim.Adam([torch.zeros(2, requires_grad=True)])
LEARNER = {"state_dict": {"prompt_learner.ctx": torch.zeros(4, 64)}, "epoch": 50}
NAN = torch.full((64, 32), float("nan"))
IMAGE_TOWER = {name: value for name, value in state().items() if name.startswith("visual.")}
# case: (writes the file, words of the message)
NO_WEIGHTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "empty": (holding(b""), ("is empty", "fetch it again")),
    "lfs-pointer": (holding(POINTER), ("git-LFS pointer", "git lfs pull")),
    "web-page": (holding(b"\n<!DOCTYPE html><html>404</html>"), ("a web page",)),
    "words": (holding(b"weights go here, one day"), ("no checkpoint of a known kind", "weights go")),
    "gzip": (holding(b"\x1f\x8b\x08" + bytes(40)), ("gzip", "unpack")),
    "cut-off": (cut_off, ("damaged or cut off", "5,000 bytes")),
    "namespace": (saved({"args": argparse.Namespace(lr=1), "model": {}}), ("a pickle that holds argparse.Namespace",)),
    "payload": (holding(pickle.dumps(Payload())), ("a pickle", "could run code")),
    "payload-protocol-0": (holding(pickle.dumps(Payload(), 0)), ("no checkpoint of a known kind",)),
    "payload-in-torch": (saved({"x": Payload()}), ("a pickle that holds", "could run code")),
    "whole-module": (saved(torch.nn.Linear(2, 2)), ("a pickle that holds torch.nn", "state_dict()")),
    "optimiser": (saved(ADAM.state_dict()), ("an optimiser's state",)),
    "list": (saved([torch.zeros(2)]), ("is a list, not a state dict",)),
    "settings": (saved({"epoch": 3, "lr": 0.1}), ("other things than tensors", "epoch, lr")),
    "prompt-learner": (saved(LEARNER), ("not the weights of this architecture", "prompt_learner.ctx")),
    "nan": (saved(state() | {"visual.proj": NAN}), ("NaN or infinity in visual.proj",)),
    "width": (saved(state() | {"visual.proj": torch.zeros(64, 16)}), ("first visual.proj: [64, 16] for [64, 32]",)),
    "image-tower-alone": (saved(IMAGE_TOWER), ("names are missing", "first positional_embedding")),
}


@pytest.mark.parametrize("case", NO_WEIGHTS)
def test_what_is_no_model_is_named_when_planned(case: str, tmp_path: Path) -> None:
    write, words = NO_WEIGHTS[case]
    spelling = folder_with(tmp_path, write)
    with pytest.raises(Refused) as refusal:
        OpenClipModels().facts(spelling)
    message = str(refusal.value)
    assert [word for word in (NAME, *words) if word not in message] == [], message
    assert "\n" not in message
    assert len(message) < 700, "a refusal is a sentence"
    assert not Path("/tmp/promptgrid-ran-it").exists()


SAME: dict[str, Callable[[Path], None]] = {
    "plain": saved(state()),
    "wrapped": saved({"epoch": 3, "state_dict": state(), "name": "run"}),
    "under-model": saved({"model": state()}),
    "of-many-gpus": saved({"state_dict": {f"module.{name}": value for name, value in state().items()}}),
    "compiled": saved({f"_orig_mod.{name}": value for name, value in state().items()}),
    "safetensors-called-bin": lambda file: save_file(state(), file),
    "transformers-names": lambda file: save_file(under_their_names(state()), file),
    "openai-archive": as_openai_wrote_it,
}


@pytest.mark.parametrize("case", SAME)
def test_weights_of_other_houses_give_the_same_features(case: str, tmp_path: Path) -> None:
    """Bit for bit, but for OpenAI's halves."""
    archive = case == "openai-archive"
    spelling = folder_with(tmp_path, SAME[case], quick_gelu=archive)
    backbone = OpenClipModels().load(spelling, "cpu")
    wanted = small_model(SMALL | {"quick_gelu": archive})
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        images = wanted.encode_image((pixels / 255.0 - 0.5) / 0.5)
    assert torch.allclose(backbone.encode_pixels(pixels), images, atol=2e-3 if archive else 1e-6)
    found = {name: value for name, value in backbone.model.state_dict().items() if not name.endswith("attn_mask")}
    assert found.keys() <= state().keys()
    assert all(torch.allclose(value, state()[name], atol=1e-3) for name, value in found.items())


def test_quick_gelu_weights_need_a_quick_gelu_model(tmp_path: Path) -> None:
    spelling = folder_with(tmp_path, as_openai_wrote_it)
    with pytest.raises(Refused, match="trained with QuickGELU"):
        OpenClipModels().facts(spelling)


@pytest.mark.parametrize(("text_config", "quick"), [({"hidden_act": "gelu"}, False), ({}, True)])
def test_the_config_beside_says_which_activation(tmp_path: Path, text_config: dict[str, str], quick: bool) -> None:
    """`transformers` leaves out what is its default, which is QuickGELU."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip", "text_config": text_config}))
    spelling = folder_with(tmp_path, SAME["transformers-names"])
    if quick:
        with pytest.raises(Refused, match="trained with QuickGELU"):
            OpenClipModels().facts(spelling)
    else:
        assert OpenClipModels().facts(spelling)["digest"]


def test_an_archive_is_read_without_running_it(tmp_path: Path) -> None:
    as_openai_wrote_it(tmp_path / "clip.pt")
    assert checkpoints.zipped_program(tmp_path / "clip.pt")
    found = checkpoints.read(tmp_path / "clip.pt")
    archived = torch.jit.load(str(tmp_path / "clip.pt")).state_dict()
    assert found.keys() == archived.keys() - {"input_resolution", "context_length", "vocab_size"}
    assert all(torch.equal(found[name], archived[name]) for name in found)


def test_a_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_with(tmp_path, saved(state()))
    assert OpenClipModels().load("local-dir:~", "cpu").width == 32
    with pytest.raises(Refused, match=f"{tmp_path}/none.pt"):
        OpenClipModels().facts("ViT-B-32@~/none.pt")
