import importlib
import json

from promptgrid.leaderboard import columns, sections, write_report
from promptgrid.leaderboard.columns import Column, Entry
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.text import strict_json

NEW = '''
"""How many methods there are."""
from promptgrid.leaderboard.section import Section

SECTION = Section("how_many", "How many", 35, "<p>{{ many_methods }} methods of {{ board.report.suite.name }}</p>",
                  lambda board: {"many_methods": len(board.labels)})
'''


def test_sections_are_found_in_order_and_their_facts_are_json(holed):
    found = sections.all_sections()
    core = [
        *("header", "leaderboard", "datasets", "published", "shots", "transfer", "multitask"),
        *("ranks", "failures", "provenance", "reading"),
    ]
    assert [section.key for section in found if section.key in core] == core
    board = build_board(holed)
    for section in found:
        json.dumps(strict_json(section.facts(board)), allow_nan=False)


def test_a_section_is_one_new_file(make_report, tmp_path, monkeypatch):
    (tmp_path / "how_many.py").write_text(NEW)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    paths = write_report(make_report(methods=["coop", "maple"], datasets=["digits"]), tmp_path / "out")
    text = paths.html.read_text()
    assert "2 methods of quickstart" in text
    assert text.index('id="shots"') < text.index('id="how_many"') < text.index('id="ranks"')
    assert json.loads(paths.json.read_text())["how_many"] == {"many_methods": 2}


def test_a_column_is_one_new_row(make_report, tmp_path, monkeypatch):
    extra = Column("seeds", "Seeds", "Seeds finished.", lambda row: Entry(f"{row.done} seeds here", row.done))
    monkeypatch.setattr(columns, "COLUMNS", (*columns.COLUMNS, extra))
    paths = write_report(make_report(methods=["coop"], datasets=["digits"]), tmp_path)
    assert "3 seeds here" in paths.html.read_text()
    assert paths.leaderboard_csv.read_text().splitlines()[0].split(",").count("seeds") == 1
