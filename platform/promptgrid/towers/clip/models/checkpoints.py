"""Checkpoint files: what one is, whether a model can take it, and a form of it that open_clip reads.

Names of `transformers`, OpenAI's TorchScript archives and the usual wrappings are brought to open_clip's names.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from promptgrid.engine.checkpoints.reading import (
    State,
    content_of,
    difference,
    is_safetensors,
    not_finite,
    unprefixed,
    unwrapped,
    zipped_program,
)
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import huggingface

OPENAI = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI's archives carry beside the weights."""
ARRAYS = (".npz", ".npy")


def admit(file: Path, model: str, quick_gelu: bool, build: Callable[[], Any]) -> None:
    """Refuse a checkpoint that ``model`` cannot be loaded from, before anything is run.

    Args:
        file: the checkpoint.
        model: the name of the architecture, for the message.
        quick_gelu: whether that architecture has QuickGELU.
        build: gives the open_clip model without memory of its own (on torch's ``meta`` device).

    Raises:
        Refused: it is no state dict (and what it is), holds NaN, was trained with another activation, or is of
            another architecture.
    """
    status = file.stat()
    _admit(file, model, quick_gelu, build, (status.st_size, status.st_mtime_ns, status.st_ino))


@contextmanager
def without_warnings() -> Iterator[None]:
    """open_clip warns that a model has no weights, where those are still to be put in, or never."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """A file that open_clip reads: ``file`` itself, or for the time inside a safetensors copy under its names.

    Raises:
        Refused: it holds no state dict of plain tensors; the message says what it is.
    """
    if file.suffix in ARRAYS:
        yield file
        return
    with _readable(file, content_of(file)) as path:
        yield path


def read(file: Path) -> State:
    """The weights in ``file`` under open_clip's names, on the CPU.

    Raises:
        Refused: as :func:`readable`.
    """
    return _named(content_of(file), file)


@lru_cache(maxsize=32)
def _admit(file: Path, model: str, quick_gelu: bool, build: Callable[[], Any], stamp: tuple[int, int, int]) -> None:
    if file.suffix in ARRAYS:
        _try_on(file, file, model, build)
        return
    content = content_of(file)
    state = _named(content, file)
    if _trained_with_quick_gelu(content, file) and not quick_gelu:
        raise Refused(
            "the weights were trained with QuickGELU",
            where=str(file),
            got=model,
            hint=f"name the model {model}-quickgelu, or its numbers will be off",
        )
    broken = next((name for name, value in state.items() if not_finite(value)), None)
    if broken:
        raise Refused(f"the weights hold NaN or infinity in {broken}", where=str(file))
    with _readable(file, content) as path:
        _try_on(path, file, model, build)


def _try_on(path: Path, file: Path, model: str, build: Callable[[], Any]) -> None:
    """Have open_clip load ``path``, a readable form of ``file``, into a model without memory."""
    from open_clip.factory import load_checkpoint

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="for .* copying from a non-meta parameter")  # that is the point
        try:
            load_checkpoint(build(), str(path), weights_only=True)
        except Exception as error:
            raise Refused(f"not the weights of this architecture: {difference(error)}", where=str(file), got=model,
                          hint="name the architecture it was trained as") from error  # fmt: skip


@contextmanager
def _readable(file: Path, content: Any) -> Iterator[Path]:
    state = _named(content, file)
    named_so = content.get("state_dict", content)
    safe = bool(file.suffix == ".safetensors")
    if state.keys() == named_so.keys() and safe == is_safetensors(file) and not zipped_program(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="pg-weights-") as folder:
        copy = Path(folder) / "weights.safetensors"
        save_file({name: value.contiguous().clone() for name, value in state.items()}, copy)
        yield copy


def _named(content: Any, file: Path) -> State:
    """The weights in ``content`` under open_clip's names."""
    state = unprefixed(unwrapped(content, file))
    if huggingface.has_their_names(state):
        return huggingface.renamed(state)
    return {name: value for name, value in state.items() if name not in OPENAI}


def _trained_with_quick_gelu(content: Mapping[str, Any], file: Path) -> bool:
    """OpenAI's archives always were; of `transformers`' weights the config beside them tells."""
    if all(name in content for name in OPENAI):
        return True
    state = unprefixed(unwrapped(content, file))
    return huggingface.has_their_names(state) and bool(huggingface.says_quick_gelu(file))
