"""The index over reports says what each of them says on top."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptgrid.cli.main import app
from promptgrid.leaderboard.overview import reports_in, write_index
from promptgrid.spec import Refused

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two reports, one of them a floor deeper."""
    for name, place in (("quickstart", "quickstart"), ("gopro", "more/gopro")):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(REPORTS / name / "report.json", tmp_path / place / "report.json")
    return tmp_path


def test_each_report_is_listed_with_its_boards(folder: Path) -> None:
    found = {one.link: one for one in reports_in(folder)}
    assert set(found) == {"quickstart/report.html", "more/gopro/report.html"}
    told = json.loads((REPORTS / "quickstart" / "report.json").read_text(encoding="utf-8"))
    own = found["quickstart/report.html"]
    assert own.header == told["header"]
    assert [said for _, _, said in own.leads] == [board["summary"] for board in told["leaderboard"]["tables"]]
    assert own.last == max(group["last"] for group in told["provenance"]["groups"])


def test_the_page_links_them_and_loads_nothing(folder: Path) -> None:
    page = write_index(folder).read_text(encoding="utf-8")
    assert '<a href="quickstart/report.html">' in page
    assert "2 reports" in page
    assert "http" not in page.split("<style>")[0].replace("http-equiv", "")
    assert page == write_index(folder).read_text(encoding="utf-8")


def test_what_is_no_report_is_named(folder: Path) -> None:
    (folder / "gopro").mkdir()
    (folder / "gopro" / "report.json").write_text("{}")
    with pytest.raises(Refused, match="no report of promptgrid"):
        write_index(folder)
    with pytest.raises(Refused, match="no report lies here"):
        write_index(folder / "more" / "gopro")


def test_the_command_takes_a_suite_or_a_folder(folder: Path) -> None:
    done = CliRunner().invoke(app, ["report", "--index", str(folder)])
    assert done.exit_code == 0, done.output
    assert (folder / "index.html").is_file()
    for words in ([], ["suites/quickstart.yaml", "--index", str(folder)]):
        assert CliRunner().invoke(app, ["report", *words]).exit_code == 2
