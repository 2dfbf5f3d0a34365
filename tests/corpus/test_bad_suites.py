"""Files of suites at their limits; what is refused for what it says stands in the table of reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptgrid.spec import Refused, Suite, read_suite

SOUND = """\
name: quick
protocol: few_shot
methods: [zero_shot, {name: coop, context_length: 4}]
shots: [1, 16]
seeds: [1, 2]
"""


def with_line(line: str, without: str = "") -> str:
    """The sound suite with ``line`` added, and the line of the key ``without`` left out."""
    kept = [row for row in SOUND.splitlines() if not (without and row.startswith(f"{without}:"))]
    return "\n".join([*kept, line, ""])


def instead(line: str) -> str:
    """The sound suite with another line for a key it has."""
    return with_line(line, line.split(":")[0])


def test_the_sound_original_is_read(tmp_path: Path) -> None:
    """Every file of the table of reports breaks one thing in it."""
    path = tmp_path / "suite.yaml"
    path.write_text(SOUND)
    suite = read_suite(path)
    assert suite.labels == ["zero_shot", "coop (context_length=4)"]
    assert len(list(suite.requests(["a", "b"]))) == 2 * 2 * 2 * 2


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_text(SOUND)
    with pytest.raises(Refused, match=r"quik\.yaml: no such file.*quick\.yaml"):
        read_suite(tmp_path / "quik.yaml")


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        read_suite(tmp_path)


def test_a_hundred_megabytes_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    with path.open("wb") as stream:
        stream.truncate(100 * 2**20)
    with pytest.raises(Refused, match="too large"):
        read_suite(path)


def test_ten_million_cells_are_refused_uncounted(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    seeds = ", ".join(map(str, range(10_000)))
    path.write_text(instead(f"seeds: [{seeds}]"))
    suite = read_suite(path)
    with pytest.raises(Refused, match=r"10,000,000 cells.*at most 1,000,000"):
        next(suite.requests([f"task {i}" for i in range(250)]))


def test_yaml_1_1_surprises_do_not_happen(tmp_path: Path) -> None:
    """``1e-3`` is a number, ``no`` is a word, ``010`` is ten."""
    path = tmp_path / "suite.yaml"
    path.write_text(instead("seeds: [010]") + "title: no\n")
    path.write_text(path.read_text().replace("context_length: 4", "learning_rate: 1e-3"))
    suite: Suite = read_suite(path)
    assert suite.methods[1].settings == {"learning_rate": 0.001}
    assert (suite.title, suite.seeds) == ("no", [10])
