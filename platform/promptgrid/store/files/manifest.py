"""The MANIFEST of a record: sha256 and size of each of its files, sealed by a sha256 of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptgrid.store.files import encoding

FILES = ("record.json", "predictions.parquet", "state.safetensors")


def manifest_bytes(key: str, files: Mapping[str, bytes]) -> bytes:
    """The MANIFEST of a commit: sha256 and size of each file, sealed."""
    listed = {name: {"sha256": encoding.sha256(raw), "bytes": len(raw)} for name, raw in files.items()}
    return encoding.sealed({"format": 1, "key": key, "files": listed})


def read_manifest(folder: Path, key: str) -> dict[str, dict[str, Any]]:
    """The listed sha256 and size of each file in ``folder``. Raises ValueError where it is not what was written."""
    try:
        content = encoding.unsealed((folder / "MANIFEST.json").read_bytes())
    except ValueError as error:
        raise ValueError(f"MANIFEST.json: {error}") from error
    if content.get("key") != key:
        raise ValueError(f"MANIFEST.json is about cell {content.get('key')}")
    files: dict[str, dict[str, Any]] = content["files"]
    if sorted(files) != sorted(FILES):
        raise ValueError(f"MANIFEST.json lists {sorted(files)}")
    return files


def read_checked(path: Path, expected: dict[str, Any]) -> bytes:
    """The bytes of ``path``. Raises ValueError when they are not those ``expected`` by the MANIFEST."""
    raw = path.read_bytes()
    if len(raw) != expected["bytes"]:
        raise ValueError(f"{path.name} has {len(raw)} bytes, {expected['bytes']} were written")
    if encoding.sha256(raw) != expected["sha256"]:
        raise ValueError(f"{path.name} does not match its sha256")
    return raw


def check(path: Path, expected: dict[str, Any], deep: bool) -> None:
    """Raise ValueError when ``path`` is not as ``expected``: by its size, with ``deep`` by its content."""
    if deep:
        read_checked(path, expected)
    elif (size := path.stat().st_size) != expected["bytes"]:
        raise ValueError(f"{path.name} has {size} bytes, {expected['bytes']} were written")
