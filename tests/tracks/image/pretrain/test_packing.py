"""The corpus as a file that travels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from promptgrid.spec import Refused
from promptgrid.tracks.image.pretrain.pictures.corpus import NoExclusion
from promptgrid.tracks.image.pretrain.training import packing
from promptgrid.tracks.image.pretrain.training.packing import Packed, mosaic, pack, read, tiles, write


def test_what_was_packed_comes_out_again(packed: Packed, tmp_path: Path) -> None:
    sizes = write(packed, tmp_path / "corpus.zip", quality=90)
    found = read(tmp_path / "corpus.zip")
    assert found.corpus.phrases == packed.corpus.phrases
    assert found.corpus.sources == packed.corpus.sources
    for name in ("own", "odds", "turns", "upright"):
        assert torch.equal(getattr(found.corpus, name), getattr(packed.corpus, name))
    for name in ("word_ids", "codes", "code_scales"):
        assert torch.equal(getattr(found, name), getattr(packed, name))
    assert (found.sentences * packed.sentences).sum(1).min() > 0.99
    assert (found.words * packed.words).sum(1).min() > 0.99
    assert (found.corpus.pictures.float() - packed.corpus.pictures.float()).abs().mean() < 8
    for name, tensor in packed.trunk.items():
        torch.testing.assert_close(found.trunk[name], tensor.float(), atol=2e-3, rtol=1e-3)
    assert sizes["pictures"] > 0


def test_the_same_corpus_is_the_same_file(packed: Packed, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write(packed, tmp_path / name)
    assert read(tmp_path / "one.zip").digest == read(tmp_path / "two.zip").digest


def test_every_tile_of_a_mosaic_is_its_picture() -> None:
    shades = torch.arange(0, 250, 3, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 64, 64).contiguous()
    found = tiles(mosaic(shades, 90), len(shades))
    assert (found.float().mean((1, 2, 3)) - shades.float().mean((1, 2, 3))).abs().max() < 3


def test_a_source_may_need_several_mosaics(packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(_written(packed, tmp_path / "whole.zip")).corpus.pictures
    monkeypatch.setattr(packing, "TILES", 5)
    parts = read(_written(packed, tmp_path / "parts.zip")).corpus.pictures
    assert (whole.float() - parts.float()).abs().mean() < 2


def _written(packed: Packed, path: Path) -> Path:
    write(packed, path, quality=95)
    return path


def test_a_pool_without_its_exclusions_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(NoExclusion):
        pack(tmp_path, tmp_path / "corpus.zip")
    assert not (tmp_path / "corpus.zip").exists()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.zip").write_bytes(b"no archive")
    with pytest.raises(Refused, match="no packed corpus"):
        read(tmp_path / "corpus.zip")
