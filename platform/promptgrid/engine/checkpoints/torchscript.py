"""The weights inside a TorchScript archive, such as OpenAI's own CLIP files, read without running what it holds."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class NotPlain(ValueError):
    """The archive holds something that is neither a module nor a tensor."""


def is_torchscript(archive: zipfile.ZipFile) -> bool:
    """Whether ``archive`` holds a program beside its weights."""
    return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())


def state_of(file: Path) -> State:
    """{name: tensor} of every parameter and buffer, named as ``state_dict`` names them.

    The archive's pickle is read by an unpickler that knows modules as bags of attributes, tensors and lists, and
    refuses every other name; its code is not looked at.

    Raises:
        NotPlain: something else is in there.
        zipfile.BadZipFile, OSError: it is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        home = next((name[: -len("data.pkl")] for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if home is None:
            raise NotPlain("no data.pkl")
        raw = archive.read(f"{home}data.pkl")
        module = _Reader(io.BytesIO(raw), lambda key: archive.read(f"{home}data/{key}")).load()
    found: State = {}
    _collect(module, "", found)
    return found


class _Module:
    """A module of the archive: its attributes, and nothing that could run."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


class _Reader(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, read: Callable[[str], bytes]) -> None:
        super().__init__(stream)
        self._read = read
        self._known: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _STORAGES:
            return name
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *rest: data,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch.jit._pickle":  # lists of numbers and the like: attributes, no weights
            return lambda *values: list(values)
        raise NotPlain(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """The whole storage that ``pid`` names, as a flat tensor."""
        kind, key = str(pid[1]), str(pid[2])
        if kind not in _STORAGES:
            raise NotPlain(kind)
        if key not in self._known:
            self._known[key] = torch.frombuffer(bytearray(self._read(key)), dtype=_STORAGES[kind])
        return self._known[key]


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _collect(module: Any, prefix: str, found: State) -> None:
    for name, value in getattr(module, "attributes", {}).items():
        if isinstance(value, Tensor):
            found[f"{prefix}{name}"] = value
        elif isinstance(value, _Module):
            _collect(value, f"{prefix}{name}.", found)
