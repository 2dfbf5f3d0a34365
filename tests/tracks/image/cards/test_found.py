"""What was found about a method here stands in its card, with the command that prints the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid import catalog
from promptgrid.contract.clip import Method
from promptgrid.engine.cards import prose
from promptgrid.spec import Refused
from promptgrid.tracks.image import methods

METHODS = catalog.track("image").resolver.methods  # type: ignore[attr-defined]
CARDS = Path(methods.__file__).parent / "cards"


def card_beside(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    (folder / "cards").mkdir()
    (folder / "cards" / "vp.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(prose.inspect, "getfile", lambda method: str(folder / "vp.py"))  # type: ignore[attr-defined]
    return METHODS["vp"]


def test_a_finding_has_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "parity: {result: no public code}\nfound:\n  - {found: it learns, by: promptgrid report suites/x.yaml}\n"
    method = card_beside(tmp_path, told, monkeypatch)
    assert prose.written(method)["found"] == [{"found": "it learns", "by": "promptgrid report suites/x.yaml"}]


def test_a_finding_without_a_command_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = card_beside(tmp_path, "found:\n  - {found: it learns}\n", monkeypatch)
    with pytest.raises(Refused, match="a finding"):
        prose.written(method)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_commands_can_be_run_and_name_suites_that_are_there(name: str) -> None:
    for finding in prose.written(METHODS[name])["found"]:
        suites = [word for word in finding["by"].split() if word.startswith("suites/")]
        assert finding["by"].startswith(("promptgrid ", "python -m ", "make "))
        assert all((CARDS.parents[5] / suite).is_file() for suite in suites)
