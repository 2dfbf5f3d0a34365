"""Small towers, one of each kind, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tracks.text.backbones.folders import KINDS, folder

from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.backbones.hf_folder import HuggingFaceFolder


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("towers")
    return {kind: folder(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="session")
def towers(homes: dict[str, Path]) -> dict[str, TextBackbone]:
    return {kind: HuggingFaceFolder().load(f"hf-dir:{home}", "cpu") for kind, home in homes.items()}
