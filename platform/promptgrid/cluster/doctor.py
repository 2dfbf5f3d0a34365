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

NEEDED = ("torch", "ray", "mlflow", "pandas", "pyarrow")
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
    from promptgrid import catalog

    yield "python", _python
    for package in NEEDED:
        yield package, partial(_package, package)
    yield "standard library", _platform_module
    yield "torch", _torch
    for name in catalog.tracks():
        yield from _of_track(name)
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


def _of_track(name: str) -> Iterator[tuple[str, Callable[[], Finding]]]:
    """What one track needs beside this: its packages, and what it checks for itself."""
    from promptgrid import catalog

    try:
        track = catalog.track(name)
    except Exception:  # noqa: BLE001 - the line of its plug-ins says so
        return
    for package in track.packages:
        yield package, partial(_package, package)
    try:
        found = track.checks()
    except Exception as error:  # noqa: BLE001 - the point of an examination is to say what is broken
        found = {f"track {name}": (False, f"{type(error).__name__}: {error}")}
    for check, (good, detail) in found.items():
        yield check, partial(Finding, check, good, detail)


def _plugins() -> Finding:
    from promptgrid import catalog

    found = {name: _counts(name) for name in catalog.tracks()}
    told = {name: ", ".join(f"{count} {what}" for what, count in counts.items()) for name, counts in found.items()}
    lines = [f"{name}: {line}" if len(told) > 1 else line for name, line in told.items()]
    return Finding("plug-ins", all(all(counts.values()) for counts in found.values()), "; ".join(lines))


def _counts(track: str) -> dict[str, int]:
    from promptgrid import catalog

    found = catalog.track(track)
    return {what: len(found.describe(what)) for what in ("methods", "datasets", "backbones", "protocols")}


def _disk() -> Finding:
    free = min(shutil.disk_usage(place).free for place in (Path.cwd(), tempfile.gettempdir())) / 2**30
    return Finding("free disk", free >= FREE_GIB, f"{free:.1f} GiB here and in the temporary folder")


def _token() -> Finding:
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not path.is_file():
        return Finding("ray token", True, "none yet: Ray writes one when it first starts")
    mode = path.stat().st_mode & 0o777
    return Finding("ray token", mode & 0o077 == 0, f"{path} has mode {mode:04o}, 0600 keeps it yours")
