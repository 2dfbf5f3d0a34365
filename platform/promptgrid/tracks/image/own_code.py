"""The code that makes a method, as a digest: a cell's key changes with it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from promptgrid.contract import Method
from promptgrid.spec import Refused, digest
from promptgrid.tracks.image.prose import without_prose

OURS = __name__.partition(".")[0]


@cache
def source_digest(method: type[Method]) -> str:
    """sha256 of the method's module and of all that this imports from its own package, wherever it stands in a file.

    The package of a method that ships with promptgrid is the folder of methods: what lies below has a version in the
    key. That of any other is its whole top-level package; a module by itself has none. Comments, docstrings, layout
    and the taxonomy are left out: prose may change, results may not.

    Raises:
        Refused: the method's module has no source that can be read.
    """
    first = method.__module__
    parent, top = first.rpartition(".")[0], first.partition(".")[0]
    home = parent if top == OURS or not parent else top
    found: dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        raw = _source(name)
        if raw is None and name == first:
            raise Refused(f"the source of method {method.name!r} cannot be read, so its cells cannot be named")
        if raw is None:
            continue
        try:
            tree = ast.parse(raw)
        except (SyntaxError, ValueError):  # compiled code
            found[name] = hashlib.sha256(raw if isinstance(raw, bytes) else raw.encode()).hexdigest()
            continue
        if home:
            waiting += [other for other in _imports(tree, name) if other.startswith(f"{home}.") or other == top == home]
        found[name] = ast.unparse(without_prose(tree))
    return digest(found)


def _source(module: str) -> str | bytes | None:
    """The text of ``module``, or the bytes of compiled code; None where there is no such module, or no file of it."""
    if module in sys.modules:
        try:
            return inspect.getsource(sys.modules[module])
        except (OSError, TypeError):
            pass
    try:
        spec = importlib.util.find_spec(module)
        return Path(spec.origin).read_bytes() if spec and spec.has_location and spec.origin else None
    except (ImportError, AttributeError, ValueError, OSError):  # a name in a module, or what only a type checker has
        return None


def _imports(tree: ast.Module, module: str) -> Iterator[str]:
    """Every module that ``tree``, the code of ``module``, may import: ``from a import b`` may mean ``a`` or ``a.b``."""
    package = module if hasattr(sys.modules.get(module), "__path__") else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # beyond the top of the package
                continue
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
