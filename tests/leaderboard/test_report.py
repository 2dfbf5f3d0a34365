import base64
import csv
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.columns import COLUMNS
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.numbers import points
from promptgrid.leaderboard.pictures.svg import pictures

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """Tags, attributes and text of a page, and the bodies of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.words, self._open = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.words.append(data)

    def handle_endtag(self, tag):
        self._open = None


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(holed, tmp_path_factory):
    return write_report(holed, tmp_path_factory.mktemp("report"))


def test_every_promised_file_is_there_and_summed(written):
    names = set(contents(written.folder))
    tables = {f"tables/{kind}_{shots}shot.tex" for kind in ("main", "datasets") for shots in (1, 4, 16)}
    assert names == tables | {
        *("report.html", "report.json", "leaderboard.csv", "results.parquet", "SHA256SUMS"),
    }
    assert set(pictures(written.html.read_text())) == {
        "shots_mean.svg",
        "shots_datasets.svg",
        "cost_16shot.svg",
        "profile_16shot.svg",
    }
    assert {str(path.relative_to(written.folder)) for path in written.tables} == tables
    lines = written.sums.read_text().splitlines()
    assert {line[66:] for line in lines} == names - {"SHA256SUMS"}
    for line in lines:
        assert hashlib.sha256((written.folder / line[66:]).read_bytes()).hexdigest() == line[:64]


def test_the_same_records_in_another_order_give_the_same_bytes(holed, written, tmp_path):
    shuffled = dataclasses.replace(
        holed,
        records=dict(reversed(holed.records.items())),
        failures=dict(reversed(holed.failures.items())),
    )
    write_report(shuffled, tmp_path)
    assert contents(tmp_path) == contents(written.folder)


def test_another_process_with_another_hash_seed_gives_the_same_bytes(make_report, holes, full, tmp_path):
    code = (
        "import importlib.util, pathlib, sys\n"
        "spec = importlib.util.spec_from_file_location('made', 'tests/leaderboard/conftest.py')\n"
        "made = importlib.util.module_from_spec(spec); sys.modules['made'] = made; spec.loader.exec_module(made)\n"
        "from promptgrid.leaderboard import write_report\n"
        "report = made.make_report(methods=made.METHODS[:4], datasets=made.DATASETS[:3], decide=made.some_holes)\n"
        "write_report(report, pathlib.Path(sys.argv[1]))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT / "platform")}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], env=environment, cwd=ROOT, check=True)
    here = make_report(
        methods=full.suite.labels[:4],
        datasets=full.suite.datasets[:3],
        decide=holes,
    )
    write_report(here, tmp_path / "here")
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_the_page_asks_nothing_of_the_network(written):
    text = written.html.read_text()
    page = Page(text)
    links = [
        value for _, name, value in page.attributes if name in {"src", "href", "action", "data", "poster", "srcset"}
    ]
    assert links
    assert all(link.startswith("#") or link == "data:," or not re.match(r"[a-z+]*:|//", link) for link in links)
    assert not re.search(r"@import|url\((?!#)", text)
    assert set(re.findall(r"https?://[\w./-]+", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_policy_lets_only_our_script_run(written):
    page = Page(written.html.read_text())
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    island, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.search(r"script-src ([^;]+)", policy).group(1) == f"'sha256-{digest}'"
    assert len(json.loads(island)) == 27
    assert not [pair for pair in page.attributes if pair[1].startswith("on")]


def test_the_page_is_whole_without_scripts(written, holed):
    page = Page(written.html.read_text())
    words = " ".join(page.words)
    board = build_board(holed)
    for leaderboard in board.leaderboards:
        for row in leaderboard.rows:
            assert points(row.mean.value) in words
        for value in leaderboard.means.to_numpy().ravel():
            assert value != value or points(float(value)) in words
    for reason in ("OOM_GPU", "NAN_LOSS", "MISSING"):
        assert reason in words
    assert "input" in page.tags  # the tabs are plain radio buttons
    assert page.tags.count("input") == 9


def test_every_number_of_the_main_table_and_the_matrix_is_in_report_json(written, holed):
    found = json.loads(written.json.read_text())
    board = build_board(holed)
    for table, leaderboard in zip(found["leaderboard"]["tables"], board.leaderboards, strict=True):
        assert (table["shots"], table["backbone"]) == (leaderboard.shots, leaderboard.backbone)
        for shown, row in zip(table["rows"], leaderboard.rows, strict=True):
            cell = shown["cells"]["mean"]
            assert (cell["value"], cell["low"]) == (row.mean.value, row.mean.low)
            assert shown["cells"]["coverage"]["text"] == f"{row.done}/{row.planned}"
    matrix = found["datasets"]["tables"][-1]
    assert (
        matrix["rows"][0]["cells"][0]["mean"]
        == board.leaderboards[-1].means.at[matrix["rows"][0]["label"], matrix["datasets"][0]["name"]]
    )
    assert found["header"] | {"done": 635, "failed": 12, "missing": 1, "planned": 648} == found["header"]
    assert found["failures"]["reasons"] == {"NAN_LOSS": 3, "OOM_GPU": 9}
    assert {group["host"] for group in found["provenance"]["groups"]} == {"node-a", "node-b"}
    assert len(found["shots"]["parts"][0]["mean"]) == 9


def test_leaderboard_csv_has_a_row_a_method_and_leaderboard_with_intervals(written, holed):
    rows = list(csv.DictReader(written.leaderboard_csv.open(newline="")))
    assert len(rows) == 27
    board = build_board(holed)
    top = board.leaderboards[-1].rows[0]
    row = next(row for row in rows if row["shots"] == "16" and row["place"] == "1")
    assert row["method"] == top.label
    assert float(row["mean"]) == top.mean.value
    assert float(row["mean_low"]) == top.mean.low
    assert float(row["difference_new_high"]) == top.datasets.high


def test_figures_are_dateless_svg_with_every_method_named(written, holed):
    for name, svg in pictures(written.html.read_text()).items():
        words = " ".join(ElementTree.fromstring(svg).itertext())
        assert name.startswith(("cost", "profile")) or all(label in words for label in holed.suite.labels)
        assert "<dc:date>" not in svg


def test_latex_tables_are_balanced_and_mark_best_and_holes(written):
    for path in written.tables:
        text = path.read_text()
        assert text.count("{") == text.count("}")
        body = text[text.index("\\midrule") : text.index("\\bottomrule")]
        widths = {line.count(" & ") for line in body.splitlines() if line != "\\midrule"}
        assert len(widths) == 1
        assert "\\textbf{" in body
        assert "dagger" in body
    assert "OOM\\_GPU" in (written.folder / "tables/datasets_16shot.tex").read_text()
    assert "linear\\_probe" in (written.folder / "tables/main_16shot.tex").read_text()


def test_files_of_an_earlier_report_go_and_foreign_files_stay(make_report, tmp_path):
    small = {"methods": ["zero_shot", "coop"], "datasets": ["digits", "flags"]}
    earlier = write_report(make_report(shots=(1, 4), **small), tmp_path)
    (tmp_path / "tables" / "mine.tex").write_text("kept")
    (tmp_path / "mine.csv").write_text("kept")
    for name in ("results.csv", "figures/shots_mean.svg"):  # as reports of another version had them
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
        earlier.sums.write_text(f"{earlier.sums.read_text()}{64 * '0'}  {name}\n")
    write_report(make_report(shots=(1,), **small), tmp_path)
    names = set(contents(tmp_path))
    assert {"tables/mine.tex", "mine.csv"} <= names
    assert "tables/main_1shot.tex" in names
    assert not names & {"tables/main_4shot.tex", "figures/shots_mean.svg", "results.csv"}


SHAPES = {
    "one method": {"methods": ["coop"]},
    "one dataset": {"datasets": ["digits"]},
    "one seed": {"seeds": (1,)},
    "one of everything": {"methods": ["coop"], "datasets": ["digits"], "seeds": (1,), "shots": (16,)},
    "base to new": {"protocol": "base_to_new", "methods": ["zero_shot", "coop"]},
    "two backbones": {
        "backbones": ("bundled", "bundled-conv"),
        "methods": ["zero_shot", "coop"],
        "datasets": ["a", "b"],
    },
    "backbones with one slug": {"backbones": ("a/b", "a@b"), "methods": ["coop"], "datasets": ["a"], "shots": (1, 2)},
    "nothing run": {"decide": lambda cell: "missing"},
    "all failed": {"decide": lambda cell: "PLUGIN_ERROR"},
    "a diagram": {"datasets": [f"d{i}" for i in range(12)], "shots": (16,)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_grid_gives_a_whole_report(make_report, tmp_path, shape):
    small = {"shots": (1, 16), "methods": ["zero_shot", "coop", "maple"], "datasets": ["digits", "flags", "fashion"]}
    paths = write_report(make_report(log_tail="", **{**small, **SHAPES[shape]}), tmp_path)
    page = Page(paths.html.read_text())
    words = " ".join(page.words)
    assert "nan" not in re.findall(r"[a-z]+", words)
    assert page.tags.count("section") >= 5
    assert len(paths.tables) == len(set(paths.tables)) == len(list((tmp_path / "tables").iterdir()))
    if shape == "a diagram":
        assert "ranks_16shot.svg" in pictures(paths.html.read_text())
        assert "A bar joins" in words
    if shape == "base to new":
        assert "H of means" in words
        assert "Mean of H" in words
    if shape == "one dataset":
        assert "No critical-difference diagram" in words


def test_a_large_grid_stays_under_two_megabytes(make_report, tmp_path):
    report = make_report(
        methods=[f"method_{i}" for i in range(20)],
        datasets=[f"dataset_{i}" for i in range(20)],
        shots=(1, 2, 4, 8, 16),
        seeds=(1, 2),
        decide=lambda cell: "OOM_GPU" if cell.seed == 2 and cell.dataset == "dataset_7" else "done",
        log_tail="a line of a log\n" * 400,
    )
    paths = write_report(report, tmp_path)
    assert paths.html.stat().st_size <= 2_000_000
    assert "dataset_19" in paths.html.read_text()


def test_columns_have_keys_titles_and_explanations():
    keys = [column.key for column in COLUMNS]
    assert len(set(keys)) == len(keys)
    assert all(column.title and column.about.endswith((".", "?")) for column in COLUMNS)


@pytest.mark.parametrize(("seeds", "said"), [((1,), "One seed, in percent"), ((1, 2), "deviation over seeds")])
def test_the_matrix_speaks_of_a_spread_only_where_there_is_one(make_report, tmp_path, seeds, said):
    report = make_report(methods=["zero_shot", "coop"], datasets=["digits"], shots=(1,), seeds=seeds)
    page = write_report(report, tmp_path).html.read_text()
    other = {"One seed, in percent", "deviation over seeds"} - {said}
    assert said in page
    assert not any(words in page for words in other)
