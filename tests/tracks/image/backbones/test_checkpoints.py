"""Weights of other houses under open_clip's names; what is no model stands in the corpus of reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.corpus.broken_checkpoints import SOUND, Write, state
from tests.tracks.image.backbones.small_clip import SMALL, as_openai_wrote_it, small_model

from promptgrid.spec import Refused
from promptgrid.towers.clip.models import checkpoints
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels

NAME = "open_clip_pytorch_model.bin"


def folder_with(folder: Path, weights: Write, **config: Any) -> str:
    """A ``local-dir:`` model of the small architecture, whose checkpoint was written by ``weights``."""
    written = {"model_cfg": SMALL | config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(written), encoding="utf-8")
    weights(folder / NAME)
    return f"local-dir:{folder}"


@pytest.mark.parametrize("case", SOUND)
def test_weights_of_other_houses_give_the_same_features(case: str, tmp_path: Path) -> None:
    """Bit for bit, but for OpenAI's halves."""
    archive = case == "openai-archive"
    spelling = folder_with(tmp_path, SOUND[case], quick_gelu=archive)
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
    spelling = folder_with(tmp_path, SOUND["transformers-names"])
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
    folder_with(tmp_path, SOUND["plain"])
    assert OpenClipModels().load("local-dir:~", "cpu").width == 32
    with pytest.raises(Refused, match=f"{tmp_path}/none.pt"):
        OpenClipModels().facts("ViT-B-32@~/none.pt")


def test_nobody_is_warned_of_weights_that_are_read_a_moment_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    OpenClipModels().load(folder_with(tmp_path, SOUND["plain"]), "cpu")
    assert [record.getMessage() for record in caplog.records if "weights" in record.getMessage()] == []
