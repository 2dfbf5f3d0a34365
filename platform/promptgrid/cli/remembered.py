"""What listings say, kept in the user's cache for as long as the code and data that said it are the same.

To list the methods means to import them, and torch with them: seconds. What a listing says changes with the files of
the package and of the plug-ins alone, so it is asked for once and read back afterwards.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent
TOLD_BY = frozenset({".py", ".yaml", ".csv", ".json"})
"""Endings of the files that listings are made of."""
PLUGINS = ("tracks", "methods", "datasets", "backbones", "protocols")
"""What entry points may add: see :mod:`promptgrid.catalog`."""


def remembered(name: str, ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives, as JSON carries it; read back where nothing has changed since it was asked last.

    An answer that came with a warning (of a plug-in that cannot be loaded, say) is not kept: it is to be seen again.
    """
    path = folder() / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"
    now = code_digest()
    with suppress(OSError, ValueError, KeyError, TypeError):  # nothing there, or nothing that can be read
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["code"] == now and kept["name"] == name:
            return kept["answer"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = json.loads(json.dumps(ask(), default=list))
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if not any(issubclass(warning.category, UserWarning) for warning in caught):
        _keep(path, {"code": now, "name": name, "answer": answer})
    return answer


def folder() -> Path:
    """Where answers of this installation are kept: a folder of its own below ``$XDG_CACHE_HOME``, else ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        root = Path(home) if home else Path.home() / ".cache"
    except RuntimeError:  # a user without a home, as in some containers
        root = Path(tempfile.gettempdir()) / f"promptgrid-{os.getuid()}"
    return root / "promptgrid" / hashlib.sha256(f"{PACKAGE} {sys.prefix}".encode()).hexdigest()[:16]


@cache
def code_digest() -> str:
    """sha256 of the package and of every package that adds plug-ins to it, by content."""
    found = hashlib.sha256(sys.version.encode())
    for path in _files(PACKAGE):
        _add(found, path.relative_to(PACKAGE), path)
    installed = importlib.metadata.entry_points()
    entries = [entry for kind in PLUGINS for entry in installed.select(group=f"promptgrid.{kind}")]
    for entry in sorted(entries, key=lambda entry: (entry.group, entry.name, entry.value)):
        found.update(f"\0{entry.group}\0{entry.name}\0{entry.value}".encode())
        for path in _plugin_files(entry.module.partition(".")[0]):
            _add(found, path, path)
    return found.hexdigest()


def _add(found: Any, name: Path, path: Path) -> None:
    found.update(f"\0{name}\0".encode())
    found.update(hashlib.sha256(path.read_bytes()).digest())


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix in TOLD_BY and path.is_file())


def _plugin_files(package: str) -> Iterator[Path]:
    """The files of a top-level package or module, found without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # nothing that can be found; the catalogue warns of it when it is asked
        return
    if spec is None:
        return
    for place in spec.submodule_search_locations or ():
        yield from _files(Path(place))
    if not spec.submodule_search_locations and spec.origin and Path(spec.origin).is_file():
        yield Path(spec.origin)


def _keep(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all; a home that cannot be written costs time, nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(partial, path)
