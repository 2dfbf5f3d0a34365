"""A report keeps each thing once; what other programs read is made from it."""

import pytest

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.files.export import export_report
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.pictures.figures import figure_files
from promptgrid.leaderboard.pictures.profile import profile_figures
from promptgrid.leaderboard.pictures.svg import inline, pictures
from promptgrid.leaderboard.sections.cost import cost_figures
from promptgrid.spec import Refused


@pytest.fixture(scope="module")
def report(make_report):
    methods = ["zero_shot", {"name": "coop", "label": "fill: transparent #1f2329 var(--ink)"}]
    return make_report(methods=methods, datasets=["digits", "flags"], shots=(1, 4))


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    return write_report(report, tmp_path_factory.mktemp("report"))


def test_pictures_come_out_of_the_page_as_they_were_drawn(report, written, tmp_path):
    board = build_board(report)
    drawn = figure_files(board) | cost_figures(board) | profile_figures(board)
    assert pictures(written.html.read_text()) == drawn
    exported = export_report(written.folder, tmp_path)
    assert {path.name: path.read_text() for path in exported if path.suffix == ".svg"} == drawn
    assert all(svg.startswith("<svg ") and "<metadata>" not in svg for svg in drawn.values())


def test_a_picture_on_the_page_follows_light_and_dark_and_can_be_linked_to(written):
    page = written.html.read_text()
    shown = page[page.index('<svg xmlns:xlink="http://www.w3.org/1999/xlink" id="shots_mean.svg"') :]
    shown = shown[: shown.index("</svg>")]
    assert "fill: var(--ink)" in shown
    assert "fill: #1f2329" not in shown
    assert 'id="figure_1"' not in shown


def test_a_picture_without_a_name_is_called_after_its_place():
    svg = '<svg width="2pt" height="1pt" viewBox="0 0 2 1"><rect fill="#fefefd"/></svg>\n'
    named = inline(svg, "one.svg", "a &quot;name&quot;")
    assert pictures(named + named.replace('id="one.svg" ', "")) == {"one.svg": svg, "picture_2.svg": svg}


def test_a_name_that_leaves_the_folder_names_nothing():
    page = inline('<svg width="2pt" height="1pt" viewBox="0 0 2 1"></svg>', "../one.svg", "")
    assert list(pictures(page)) == ["picture_1.svg"]


def test_what_is_no_report_is_refused_and_so_is_the_report_itself(written, tmp_path):
    with pytest.raises(Refused, match="no report there"):
        export_report(tmp_path, tmp_path / "there")
    with pytest.raises(Refused, match="the report itself"):
        export_report(written.folder, written.folder / "tables" / "..")
    assert not (tmp_path / "there").exists()
