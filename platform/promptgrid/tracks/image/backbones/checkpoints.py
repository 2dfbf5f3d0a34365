"""Checkpoint files: what one is, whether a model can take it, and a form of it that open_clip reads.

Nothing is ever unpickled beyond plain tensors. What is no state dict is refused with a word on what it is; names of
`transformers`, OpenAI's TorchScript archives and the usual wrappings are brought to open_clip's names.
"""

from __future__ import annotations

import logging
import pickle
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.tracks.image.backbones import huggingface, torchscript

State = dict[str, Tensor]
WRAPPINGS = ("state_dict", "model_state_dict", "model", "module", "params")
PREFIXES = ("module.", "_orig_mod.", "model.", "clip_model.")
OPENAI = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI's archives carry beside the weights."""
ARRAYS = (".npz", ".npy")
_SIZES = re.compile(r"size mismatch for ([\w.]+): [^:]*?Size\((.*?)\) from checkpoint.*?Size\((.*?)\)")
_DAMAGED = re.compile(r"invalid load key|truncated|[Rr]an out of input|magic number|storage has wrong")
_ONLY_TENSORS = "save the weights alone: torch.save(model.state_dict(), 'weights.pt'), or as safetensors"


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
    with _readable(file, _content(file)) as path:
        yield path


def read(file: Path) -> State:
    """The weights in ``file`` under open_clip's names, on the CPU.

    Raises:
        Refused: as :func:`readable`.
    """
    return _named(_content(file), file)


@lru_cache(maxsize=32)
def _admit(file: Path, model: str, quick_gelu: bool, build: Callable[[], Any], stamp: tuple[int, int, int]) -> None:
    if file.suffix in ARRAYS:
        _try_on(file, file, model, build)
        return
    content = _content(file)
    state = _named(content, file)
    if _trained_with_quick_gelu(content, file) and not quick_gelu:
        raise Refused(
            "the weights were trained with QuickGELU",
            where=str(file),
            got=model,
            hint=f"name the model {model}-quickgelu, or its numbers will be off",
        )
    broken = next((name for name, value in state.items() if _not_finite(value)), None)
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
            raise Refused(f"not the weights of this architecture: {_difference(error)}", where=str(file), got=model,
                          hint="name the architecture it was trained as") from error  # fmt: skip


@contextmanager
def _readable(file: Path, content: Any) -> Iterator[Path]:
    state = _named(content, file)
    named_so = content.get("state_dict", content)
    safe = bool(file.suffix == ".safetensors")
    if state.keys() == named_so.keys() and safe == _is_safetensors(file) and not zipped_program(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="pg-weights-") as folder:
        copy = Path(folder) / "weights.safetensors"
        save_file({name: value.contiguous().clone() for name, value in state.items()}, copy)
        yield copy


def _named(content: Any, file: Path) -> State:
    """The weights in ``content`` under open_clip's names."""
    state = _unprefixed(_unwrapped(content, file))
    if huggingface.has_their_names(state):
        return huggingface.renamed(state)
    return {name: value for name, value in state.items() if name not in OPENAI}


def _is_safetensors(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(9)
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32


def zipped_program(file: Path) -> bool:
    """Whether ``file`` is a TorchScript archive."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return torchscript.is_torchscript(archive)


def _content(file: Path) -> Any:
    """What the file holds, judged by its bytes and not by its name."""
    with file.open("rb") as stream:
        head = stream.read(512)
    _refuse_impostors(head, file)
    try:
        if _is_safetensors(file):
            return load_file(file)
        if zipped_program(file):
            return torchscript.state_of(file)
        if head[:1] == b"\x80" or head[:2] == b"PK":
            return torch.load(file, map_location="cpu", weights_only=True)
    except torchscript.NotPlain as error:
        raise Refused(f"a TorchScript archive that holds more than weights: {error}", where=str(file)) from error
    except pickle.UnpicklingError as error:
        if not _DAMAGED.search(str(error)):
            raise _refused_pickle(error, file) from error
        raise _damaged(error, file) from error
    except (SafetensorError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise _damaged(error, file) from error
    raise Refused(
        f"no checkpoint of a known kind; it begins with {head[:12]!r}",
        where=str(file),
        expected="safetensors, or a state dict that torch.save wrote",
    )


def _damaged(error: Exception, file: Path) -> Refused:
    problem = f"a damaged or cut off checkpoint of {file.stat().st_size:,} bytes: {_one_line(error)}"
    return Refused(problem, where=str(file), hint="fetch it again")


def _refuse_impostors(head: bytes, file: Path) -> None:
    start = head.lstrip().lower()
    for mark, what, hint in (
        (b"version https://git-lfs", "a git-LFS pointer, not the weights", "run `git lfs pull` in its repository"),
        (b"<!doctype html", "a web page saved under that name", "the download failed: fetch it again"),
        (b"<html", "a web page saved under that name", "the download failed: fetch it again"),
        (b"\x1f\x8b", "compressed (gzip)", "unpack it first"),
        (b"\x89hdf", "a Keras (HDF5) file", "convert it to a PyTorch state dict"),
        (b"gguf", "a GGUF file", "fetch the weights as safetensors"),
    ):
        if start.startswith(mark):
            raise Refused(f"the checkpoint is {what}", where=str(file), hint=hint)
    if not head:
        raise Refused("the checkpoint is empty", where=str(file), hint="fetch it again")


def _refused_pickle(error: Exception, file: Path) -> Refused:
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f"a pickle that holds {named[1]}" if named else "a pickle of other things than tensors"
    return Refused(f"the checkpoint is {what}: reading it could run code, so it is not read", where=str(file),
                   hint=_ONLY_TENSORS)  # fmt: skip


def _unwrapped(value: Any, file: Path) -> State:
    """The state dict in ``value``, out of the wrapping that training scripts put around it."""
    if isinstance(value, Mapping) and "param_groups" in value and "state" in value:
        raise Refused("the checkpoint is an optimiser's state, not a model's", where=str(file), hint=_ONLY_TENSORS)
    if not isinstance(value, Mapping):
        raise Refused(f"the checkpoint is a {type(value).__name__}, not a state dict", where=str(file),
                      hint=_ONLY_TENSORS)  # fmt: skip
    inner = next((key for key in WRAPPINGS if isinstance(value.get(key), Mapping)), None)
    if inner is not None:
        return _unwrapped(value[inner], file)
    state = {str(name): item for name, item in value.items() if isinstance(item, Tensor)}
    if not state or len(state) < len(value):
        others = ", ".join(str(name) for name, item in value.items() if not isinstance(item, Tensor))
        raise Refused("the checkpoint is a dict of other things than tensors", where=str(file), got=others[:200],
                      hint=_ONLY_TENSORS)  # fmt: skip
    return state


def _unprefixed(state: State) -> State:
    """Names without what DistributedDataParallel, torch.compile and wrapping modules put in front of all of them."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _unprefixed({name.removeprefix(prefix): value for name, value in state.items()})
    return state


def _trained_with_quick_gelu(content: Mapping[str, Any], file: Path) -> bool:
    """OpenAI's archives always were; of `transformers`' weights the config beside them tells."""
    if all(name in content for name in OPENAI):
        return True
    state = _unprefixed(_unwrapped(content, file))
    return huggingface.has_their_names(state) and bool(huggingface.says_quick_gelu(file))


def _not_finite(value: Tensor) -> bool:
    return value.is_floating_point() and not bool(torch.isfinite(value).all())


def _difference(error: Exception) -> str:
    """One line of what ``load_state_dict`` says in a hundred."""
    text = " ".join(str(error).split()) + " "
    parts = []
    for what, said in (("Missing", "are missing"), ("Unexpected", "are too many")):
        if listed := re.search(rf"{what} key\(s\) in state_dict: (.*?)\. ", text):
            names = re.findall(r'"([^"]+)"', listed[1])
            parts.append(f"{len(names)} names {said}, first {names[0]}")
    if sizes := _SIZES.findall(text):
        name, found, wanted = sizes[0]
        parts.append(f"{len(sizes)} shapes differ, first {name}: {found} for {wanted}")
    return "; ".join(parts) or _one_line(error)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
