"""A method's place in the taxonomy and its prose are no part of a cell's key; its code is."""

from __future__ import annotations

import ast

import pytest

from promptgrid.engine.planning.prose import without_prose

PLAIN = """
from promptgrid.contract.clip import Params, Trained
class Mine(Trained):
    name = "mine"
    def init(self, task, rng):
        return {}
"""
SAME = {
    "placed": PLAIN.replace("import Params", "import Axes, Params").replace(
        '    name = "mine"\n', '    name = "mine"\n    axes: ClassVar = Axes("context", "text")\n'
    ),
    "placed by an import of its own": "from promptgrid.contract.clip import Axes\n" + PLAIN,
    "described": PLAIN.replace("class Mine(Trained):\n", 'class Mine(Trained):\n    """It learns."""\n'),
    "commented": PLAIN.replace("return {}", "return {}  # nothing"),
}
OTHER = {
    "another number": PLAIN.replace("return {}", "return {1: 2}"),
    "a local called axes": PLAIN.replace("return {}", "axes = 1\n        return {}"),
    "another base": PLAIN.replace("(Trained)", "(Params)"),
}


def written(source: str) -> str:
    return ast.unparse(without_prose(ast.parse(source)))


@pytest.mark.parametrize("name", SAME)
def test_prose_does_not_count(name: str) -> None:
    assert written(SAME[name]) == written(PLAIN)


@pytest.mark.parametrize("name", OTHER)
def test_code_counts(name: str) -> None:
    assert written(OTHER[name]) != written(PLAIN)
