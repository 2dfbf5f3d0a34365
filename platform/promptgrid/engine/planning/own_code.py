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

from promptgrid.contract.method import Method
from promptgrid.engine.planning.prose import without_prose
from promptgrid.spec import Refused, digest

OURS = __name__.partition(".")[0]
SHARED = f"{OURS}.towers.methods."
"""Methods below the wings, which those of a wing may build on."""


@cache
def source_digest(method: type[Method]) -> str:
    """sha256 of the method's module and of all that this imports from its own package, wherever it stands in a file.

    The package of a method that ships with promptgrid is its folder of methods, and the methods below the wings: what
    else lies below has a version in the key. That of any other is its whole top-level package; a module by itself has
    none. Comments, docstrings, layout and the taxonomy are left out: prose may change, results may not.

    Raises:
        Refused: the method's module has no source that can be read.
    """
    first = method.__module__
    parent, top = first.rpartition(".")[0], first.partition(".")[0]
    home = parent if top == OURS or not parent else top
    inside = (f"{home}.", SHARED) if top == OURS else f"{home}."
    found: dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        code = _code(name)
        if code is None and name == first:
            raise Refused(f"the source of method {method.name!r} cannot be read, so its cells cannot be named")
        if code is None:
            continue
        raw, package = code
        try:
            tree = ast.parse(raw)
        except (SyntaxError, ValueError):  # compiled code
            found[name] = hashlib.sha256(raw).hexdigest()
            continue
        if home:
            imports = _imports(tree, package)
            waiting += [other for other in imports if other.startswith(inside) or other == top == home]
        found[name] = ast.unparse(without_prose(tree))
    return digest(found)


def _code(module: str) -> tuple[bytes, str] | None:
    """The bytes of a module's file, and the package that its relative imports start from; None where there is none.

    Neither depends on what this process has imported so far: two processes give a cell the same key.
    """
    try:
        spec = importlib.util.find_spec(module)
        if spec is not None:
            return (Path(spec.origin).read_bytes(), spec.parent or "") if spec.has_location and spec.origin else None
    except (ImportError, AttributeError, ValueError, OSError):  # a name in a module, or what only a type checker has
        pass
    try:  # what was made in a notebook
        return inspect.getsource(sys.modules[module]).encode(), ""
    except (KeyError, OSError, TypeError):
        return None


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Every module that ``tree``, in ``package``, may import: ``from a import b`` may mean ``a`` or ``a.b``."""
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
