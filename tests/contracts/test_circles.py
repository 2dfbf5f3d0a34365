"""No two files of these floors know each other, whether directly, by way of others, or for their types only."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import promptgrid

HOME = Path(promptgrid.__file__).parent
FLOORS = (
    "spec", "contract", "engine", "towers", "tracks/image", "tracks/text", "tracks/graph", "store", "cluster",
    "leaderboard", "cli", "api",
)  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(HOME.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, known: set[str]) -> set[str]:
    """The modules of ``known`` that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & known or {node.module}
    return (found & known) - {name_of(path)}


@pytest.mark.parametrize("floor", FLOORS)
def test_no_files_of_a_floor_import_each_other(floor: str) -> None:
    files = {name_of(path): path for path in (HOME / floor).rglob("*.py")}
    try:
        TopologicalSorter({name: imported(path, set(files)) for name, path in files.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_an_import_for_types_counts() -> None:
    about = HOME / "store" / "verification.py"
    assert imported(about, {"promptgrid.store.records"}) == {"promptgrid.store.records"}, "under TYPE_CHECKING only"
