"""A shipped method is one short file that carries its name: who wants to know it reads one page."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

import promptgrid.tracks.image.methods as home
from promptgrid.catalog import track

LINES = {
    path.stem: len(path.read_text(encoding="utf-8").splitlines())
    for path in sorted(Path(home.__file__).parent.glob("*.py"))
    if path.name != "__init__.py"
}
SHIPPED = {
    name: kind for name, kind in track("image").resolver.methods.items() if kind.__module__.startswith(home.__name__)
}


def test_half_of_the_method_files_fit_a_page() -> None:
    longest = sorted(LINES, key=LINES.__getitem__)[len(LINES) // 2 :]
    assert median(LINES.values()) <= 60, f"longer than half of them: {', '.join(longest)}"


@pytest.mark.parametrize("name", LINES)
def test_no_method_file_is_long(name: str) -> None:
    assert LINES[name] <= 150


def test_a_file_holds_one_method_and_has_its_name() -> None:
    homes = {name: kind.__module__.rpartition(".")[2] for name, kind in SHIPPED.items()}
    assert homes == {name: name for name in LINES}
