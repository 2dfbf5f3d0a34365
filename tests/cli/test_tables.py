"""Tables: whole lines in a pipe, and on a terminal no name broken or lost."""

from __future__ import annotations

import pytest
from rich.console import Console
from tests.cli.conftest import Invoke

from promptgrid.cli import tables
from promptgrid.cli.tables import show_table

ROWS = [("emoji_emojione", 15, "a title of a good many words " * 4, "coop, deep_language, mvlpt_coop")]
COLUMNS = ("name", "classes", "title", "methods")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns."""

    def console(**given: int) -> Console:
        return Console(force_terminal=True, no_color=True, width=given.get("width", 60))

    monkeypatch.setattr(tables, "Console", console)


def test_a_pipe_gets_a_line_of_whole_fields_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(COLUMNS, ROWS)
    head, line = capsys.readouterr().out.splitlines()
    assert head.split("\t") == list(COLUMNS)
    assert line.split("\t") == ["emoji_emojione", "15", ROWS[0][2].strip(), "coop, deep_language, mvlpt_coop"]


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_names_and_numbers_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(COLUMNS, ROWS, wrap=("methods",))
    shown = capsys.readouterr().out
    assert "emoji_emojione" in shown
    assert " 15 " in shown
    assert "…" in shown  # the title gave way
    assert all(name in shown for name in ("deep_language", "mvlpt_coop"))
    assert {len(line) for line in shown.splitlines() if line.startswith("│")} <= set(range(61))


@pytest.mark.usefixtures("terminal")
def test_wide_shows_everything_in_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(COLUMNS, ROWS, wide=True)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "emoji_emojione" in line)
    assert ROWS[0][2].strip() in line
    assert "coop, deep_language, mvlpt_coop" in line


def test_every_listed_name_can_be_searched_for(invoke: Invoke) -> None:
    lines = invoke("datasets").stdout.splitlines()
    assert any(line.startswith("emoji_emojione\t") for line in lines)
    assert len({line.count("\t") for line in lines}) == 1
