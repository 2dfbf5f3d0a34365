"""What a method says of itself in words: its docstring, and the card that may lie beside its module."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from promptgrid.contract.method import Method
from promptgrid.engine.cards.parity import parsed
from promptgrid.spec import Refused
from promptgrid.spec.reading import read_yaml

OURS = (
    "the last step (`selection: val` in a suite: the best on validation examples); nothing is chosen on test examples"
)
KEYS = frozenset({"learns", "selection", "ours", "parity", "quirks", "reading", "open_choices", "found"})


def said(method: type[Method]) -> dict[str, Any]:
    """``about``, ``source`` and ``deviations`` from the docstring of ``method``; empty where it says nothing."""
    text = inspect.cleandoc(method.__doc__ or "")
    found = re.search(r"\bSource: (.+?)\.(?:\s|$)", text, re.DOTALL)
    return {
        "about": text.split("\n")[0],
        "source": " ".join(found[1].split()) if found else "",
        "deviations": _deviations(text),
    }


def written(method: type[Method], compared: str = "") -> dict[str, Any]:
    """The card ``cards/<name>.yaml`` beside the module of ``method``, with defaults for what it leaves out.

    ``learns`` in words, ``selection`` rule of the original's code, ``ours`` where it is not the platform's own,
    ``parity`` with the authors' code, which every card says (None where no card was written), ``quirks`` of the
    original's code with what is done about them ``here``; ``reading`` where no code is public and the method is our
    reading of the paper, with its ``open_choices``; what was ``found`` about it here, ``by`` a command that prints the
    figures. ``compared`` is how all methods of the wing were that were compared with their authors' code.

    Raises:
        Refused: a key that no card has, a quirk without saying what is done about it, a finding without its command, no
            parity or a strange one.
    """
    path = Path(inspect.getfile(method)).parent / "cards" / f"{method.name}.yaml"
    given = read_yaml(path) if path.is_file() else {}
    unknown = sorted(given.keys() - KEYS)
    if unknown:
        raise Refused("unknown keys", where=str(path), got=unknown, expected=", ".join(sorted(KEYS)))
    for quirk in given.get("quirks", []):
        if set(quirk) != {"quirk", "here"}:
            raise Refused("a quirk", where=str(path), got=quirk, expected="quirk: ..., here: ...")
    for finding in given.get("found", []):
        if set(finding) != {"found", "by"}:
            raise Refused("a finding", where=str(path), got=finding, expected="found: ..., by: a command")
    if given:
        if not isinstance(given.get("parity"), dict):
            raise Refused("a card says `parity`", where=str(path), got=given.get("parity"),
                          expected="parity: {result: not compared, code: repository and commit}")  # fmt: skip
        given = given | {"parity": parsed(given["parity"], str(path)).as_dict(compared)}
    defaults: dict[str, Any] = {
        "learns": "",
        "selection": "",
        "ours": OURS,
        "parity": None,
        "quirks": None,
        "reading": 0,
        "open_choices": [],
        "found": [],
    }
    return defaults | given


def _deviations(text: str) -> list[str]:
    """The parts of "Deviations: ...", up to the end of the paragraph; none where it says so or nothing."""
    found = re.search(r"\bDeviations?(?: from the paper)?: (.+?)(?:\n\n|\Z)", text, re.DOTALL)
    parts = re.split(r";(?![^(]*\))", " ".join(found[1].split()).rstrip(".")) if found else []
    return [part.strip() for part in parts if not part.strip().startswith("none")]
