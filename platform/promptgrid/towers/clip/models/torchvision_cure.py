"""Lets open_clip import a CUDA build of torchvision beside a CPU build of torch."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch


@cache
def apply() -> bool:
    """Define the two operators torchvision registers shapes for, when its own extension cannot load here.

    The registry's torchvision wheel links against CUDA; next to a CPU torch its extension fails to load and
    ``import torchvision`` then raises "operator torchvision::nms does not exist". Call this before the first import
    of torchvision or open_clip.

    Returns:
        Whether the cure was needed.
    """
    if "torchvision" in sys.modules or _extension_loads():
        return False
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # torch types it nowhere
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
    return True


_KEPT: list[Any] = []  # a library's operators vanish when it is collected


def _extension_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for extension in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(extension))  # type: ignore[no-untyped-call]  # torch types it nowhere
        except OSError:
            return False
        return True
    return False


def open_clip_works() -> tuple[bool, str]:
    """Whether open_clip can be imported beside this torch, and how a user's own script does so.

    A CPU torch beside the CUDA build of torchvision is cured here; a user's own script has to ask for it.
    """
    needed = apply()
    import open_clip

    how = f"`from {__package__} import torchvision_cure; torchvision_cure.apply()`"
    told = f"your own scripts write {how} before `import open_clip`" if needed else "`import open_clip` works as it is"
    return hasattr(open_clip, "create_model"), told
