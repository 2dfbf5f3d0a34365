"""What a machine needs before it runs grids, each line checked by doing it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

NEEDED = ("torch", "torchvision", "open_clip_torch", "ray", "mlflow", "pandas", "pyarrow")
FREE_GIB = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    check: str
    ok: bool
    detail: str


def examine() -> list[Finding]:
    """Every check, in the order in which a grid would meet it; a check that breaks is a finding, not a crash."""
    return [_safely(name, check) for name, check in _checks()]


def _checks() -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "python", _python
    for package in NEEDED:
        yield package, partial(_package, package)
    yield "standard library", _platform_module
    yield "torch", _torch
    yield "open_clip", _open_clip
    yield "plug-ins", _plugins
    yield "disk", _disk
    yield "ray token", _token


def _safely(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - the point of an examination is to say what is broken
        return Finding(name, False, f"{type(error).__name__}: {error}")


def _python() -> Finding:
    return Finding("python", sys.version_info >= (3, 11), sys.version.split()[0])


def _package(name: str) -> Finding:
    return Finding(name, True, importlib.metadata.version(name))


def _platform_module() -> Finding:
    import platform

    shadowed = not hasattr(platform, "system")
    where = getattr(platform, "__file__", "a folder")
    return Finding("standard library", not shadowed, f"`import platform` gives {where}")


def _torch() -> Finding:
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    product = float((torch.eye(64) @ torch.eye(64)).trace())
    return Finding("torch computes", product == 64.0, f"{device}, {torch.get_num_threads()} threads")


def _open_clip() -> Finding:
    """A CPU torch beside the CUDA build of torchvision: we cure that for ourselves, a user's own script has to ask."""
    from promptgrid.tracks.image.backbones import torchvision_cure

    needed = torchvision_cure.apply()
    import open_clip

    how = f"`from {torchvision_cure.__package__} import torchvision_cure; torchvision_cure.apply()`"
    told = f"your own scripts write {how} before `import open_clip`" if needed else "`import open_clip` works as it is"
    return Finding("open_clip", hasattr(open_clip, "create_model"), told)


def _plugins() -> Finding:
    from promptgrid import catalog

    track = catalog.track("image")
    counts = {what: len(track.describe(what)) for what in ("methods", "datasets", "backbones", "protocols")}
    return Finding("plug-ins", all(counts.values()), ", ".join(f"{count} {what}" for what, count in counts.items()))


def _disk() -> Finding:
    free = min(shutil.disk_usage(place).free for place in (Path.cwd(), tempfile.gettempdir())) / 2**30
    return Finding("free disk", free >= FREE_GIB, f"{free:.1f} GiB here and in the temporary folder")


def _token() -> Finding:
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not path.is_file():
        return Finding("ray token", True, "none yet: Ray writes one when it first starts")
    mode = path.stat().st_mode & 0o777
    return Finding("ray token", mode & 0o077 == 0, f"{path} has mode {mode:04o}, 0600 keeps it yours")
