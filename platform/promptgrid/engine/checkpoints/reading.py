"""What a checkpoint file is, and the plain tensors in it.

Nothing is ever unpickled beyond plain tensors. What is no state dict is refused with a word on what it is.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from promptgrid.engine.checkpoints import torchscript
from promptgrid.spec import Refused

State = dict[str, Tensor]
WRAPPINGS = ("state_dict", "model_state_dict", "model", "module", "params")
PREFIXES = ("module.", "_orig_mod.", "model.", "clip_model.")
_SIZES = re.compile(r"size mismatch for ([\w.]+): [^:]*?Size\((.*?)\) from checkpoint.*?Size\((.*?)\)")
_DAMAGED = re.compile(r"invalid load key|truncated|[Rr]an out of input|magic number|storage has wrong")
_ONLY_TENSORS = "save the weights alone: torch.save(model.state_dict(), 'weights.pt'), or as safetensors"


def is_safetensors(file: Path) -> bool:
    """Whether ``file`` begins as safetensors do."""
    with file.open("rb") as stream:
        head = stream.read(9)
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32


def zipped_program(file: Path) -> bool:
    """Whether ``file`` is a TorchScript archive."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return torchscript.is_torchscript(archive)


def content_of(file: Path) -> Any:
    """What the file holds, judged by its bytes and not by its name.

    Raises:
        Refused: it is no checkpoint of plain tensors; the message says what it is.
    """
    with file.open("rb") as stream:
        head = stream.read(512)
    _refuse_impostors(head, file)
    try:
        if is_safetensors(file):
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


def unwrapped(value: Any, file: Path) -> State:
    """The state dict in ``value``, out of the wrapping that training scripts put around it.

    Raises:
        Refused: it is none.
    """
    if isinstance(value, Mapping) and "param_groups" in value and "state" in value:
        raise Refused("the checkpoint is an optimiser's state, not a model's", where=str(file), hint=_ONLY_TENSORS)
    if not isinstance(value, Mapping):
        raise Refused(f"the checkpoint is a {type(value).__name__}, not a state dict", where=str(file),
                      hint=_ONLY_TENSORS)  # fmt: skip
    inner = next((key for key in WRAPPINGS if isinstance(value.get(key), Mapping)), None)
    if inner is not None:
        return unwrapped(value[inner], file)
    state = {str(name): item for name, item in value.items() if isinstance(item, Tensor)}
    if not state or len(state) < len(value):
        others = ", ".join(str(name) for name, item in value.items() if not isinstance(item, Tensor))
        raise Refused("the checkpoint is a dict of other things than tensors", where=str(file), got=others[:200],
                      hint=_ONLY_TENSORS)  # fmt: skip
    return state


def unprefixed(state: State) -> State:
    """Names without what DistributedDataParallel, torch.compile and wrapping modules put in front of all of them."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return unprefixed({name.removeprefix(prefix): value for name, value in state.items()})
    return state


def not_finite(value: Tensor) -> bool:
    """Whether ``value`` holds NaN or infinity."""
    return value.is_floating_point() and not bool(torch.isfinite(value).all())


def difference(error: Exception) -> str:
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
