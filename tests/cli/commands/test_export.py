"""`promptgrid export`."""

from pathlib import Path

import pandas as pd
from tests.cli.conftest import Invoke

import promptgrid

QUICKSTART = Path(__file__).parents[3] / "reports" / "quickstart"


def test_a_committed_report_gives_csv_and_pictures_without_a_store(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("export", QUICKSTART, tmp_path / "paper")
    assert done.exit_code == 0, done.output
    written = [Path(line) for line in done.stdout.split()]
    assert {path.suffix for path in written} == {".csv", ".svg"}
    assert all(path.is_file() for path in written)
    rows, kept = pd.read_csv(tmp_path / "paper" / "results.csv"), promptgrid.load_results(QUICKSTART)
    assert rows["value"].tolist() == kept["value"].tolist()
    assert list(rows.columns) == list(kept.columns)


def test_a_folder_that_is_no_report_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("export", tmp_path, tmp_path / "paper")
    assert done.exit_code == 2
    assert "no report there" in done.stderr
