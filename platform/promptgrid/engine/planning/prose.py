"""What of a method's source says nothing about its results, and so stays out of a cell's key."""

from __future__ import annotations

import ast

PLACE, PLACED = "axes", "Axes"


def without_prose(tree: ast.Module) -> ast.Module:
    """``tree``, changed: without docstrings, and without the taxonomy (``axes`` of a class, and its import).

    Comments and layout go when the tree is written out.
    """
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        if documented and body:
            body[:] = body[1:] or [ast.Pass()]
        if isinstance(node, ast.ClassDef):
            node.body = [part for part in node.body if not _places(part)] or [ast.Pass()]
    tree.body = [part for part in tree.body if not _imports_nothing_else(part)]
    return tree


def _places(part: ast.stmt) -> bool:
    return isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.target.id == PLACE


def _imports_nothing_else(part: ast.stmt) -> bool:
    """Whether ``part`` imports the taxonomy's class alone; takes that name out of an import of several."""
    if not isinstance(part, ast.ImportFrom):
        return False
    part.names = [alias for alias in part.names if alias.name != PLACED]
    return not part.names
