"""The section about transfer: pictures, files, and the page they stand in."""

import csv
import dataclasses
import hashlib
import json
import re
from xml.etree import ElementTree

import pytest
from tests.leaderboard.transfer_study import METHODS, TASKS, make_study

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.files.export import export_report
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.numbers import signed
from promptgrid.leaderboard.pictures.svg import pictures
from promptgrid.leaderboard.sections import transfer as section
from promptgrid.leaderboard.transfer.pictures import orders

SMALL = {"tasks": TASKS[:5], "methods": METHODS[:2], "decide": lambda cell: "done"}


@pytest.fixture(scope="module")
def study():
    return make_study()


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("transfer"))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_study_of_400_pairs_fits_the_page(written):
    text = written.html.read_text()
    assert written.html.stat().st_size <= 2_000_000
    assert 'id="transfer"' in text
    assert text.count("<svg") - text.count('class="forest"') - text.count('class="dot"') >= 4 * 5


def test_the_page_loads_nothing(written):
    text = written.html.read_text()
    assert set(re.findall(r"https?://[\w./-]+", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"\ssrc=\"(?!data:,|data:image)|<link[^>]*href=\"(?!data:,)", text)


def test_the_map_is_whole_and_marks_without_colour(study, written):
    board = build_board(study)
    item = board.transfers[0]
    drawn = pictures(written.html.read_text())["transfer_1-CoOp-evaluate_gain_over_scratch.svg"]
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    words = [element.text for element in root.iter(f"{space}text")]
    assert sum(name in words for name in TASKS) == 20
    assert all(words.count(name) == 2 for name in TASKS)
    gains = item.apart("scratch")
    for i in range(20):
        for j in range(20):
            if i != j and gains[i, j] == gains[i, j]:
                assert signed(float(gains[i, j])) in words
    triangles = [element for element in root.iter(f"{space}path") if element.get("d", "").endswith("h6l-3 5z")]
    marks = [mark for row in item.marks("scratch") for mark in row if mark]
    filled = [element for element in triangles if element.get("fill") != "none"]
    assert len(triangles) == len(marks) + 2  # two in the key
    assert len(filled) == marks.count("all") + 1
    titles = [element.text for element in root.iter(f"{space}title")]
    assert len(titles) == 400
    assert next(title for title in titles if title.startswith("mnist → weather")).endswith("MISSING")


def test_both_axes_have_one_order_so_the_diagonal_stays_one(study):
    board = build_board(study)
    for item in board.transfers:
        rows, columns = orders(board, item)
        assert rows == columns
        assert sorted(rows) == list(range(20))
    assert len({tuple(orders(board, item)[0]) for item in board.transfers}) == 1


def test_failed_and_partial_pairs_are_told_from_numbers(study, written):
    by_name = pictures(written.html.read_text())
    vpt = by_name["transfer_2-VPT-evaluate_gain_over_scratch.svg"]
    assert ">×</text>" in vpt
    upt = by_name["transfer_3-UPT-evaluate_gain_over_scratch.svg"]
    assert upt.count("†</text>") == 19
    assert upt.count("NEEDS_FAILED") == 20
    assert ">·</text>" in by_name["transfer_1-CoOp-evaluate_gain_over_scratch.svg"]


def test_every_number_is_in_report_json_and_the_matrices_in_csv(study, written):
    found = json.loads(written.json.read_text())["transfer"]
    assert [part["label"] for part in found["studies"]] == [
        *("CoOp, evaluate", "VPT, evaluate", "UPT, evaluate", "CoOp, adapt")
    ]
    item = build_board(study).transfers[0]
    part = found["studies"][0]
    i, j = part["sources"].index("food"), part["targets"].index("digits")
    value = item.measures["scratch"][item.sources.index("food"), item.targets.index("digits")]
    assert part["matrices"]["gain_over_scratch"][i][j] == value
    (path,) = [path for path in written.tables if path.name == "transfer_1-CoOp-evaluate_gain_over_scratch.csv"]
    rows = list(csv.DictReader(path.open(newline="")))
    assert [row["source"] for row in rows] == part["sources"]
    assert float(rows[i]["digits"]) == value
    assert rows[part["sources"].index("mnist")]["weather"] == ""
    (path,) = [path for path in written.tables if path.name == "transfer_pairs.csv"]
    pairs = list(csv.DictReader(path.open(newline="")))
    assert len(pairs) == 4 * 400
    row = next(row for row in pairs if (row["source"], row["target"]) == ("food", "digits"))
    assert float(row["gain_over_scratch"]) == value
    seeds = [float(row[f"gain_over_scratch_seed_{seed}"]) for seed in (1, 2, 3)]
    assert sum(seeds) / 3 == pytest.approx(value)


def test_groups_are_shown_where_tasks_help_each_other(study, written):
    part = json.loads(written.json.read_text())["transfer"]["studies"][-1]
    item = build_board(study).transfers[-1]
    gain = item.apart("scratch")
    first = [item.targets.index(name) for name in part["groups"]["scratch"][0]]
    assert 2 <= len(first) <= 3
    assert all(gain[i, j] > 0 for i in first for j in first if i != j)
    assert "+".join(part["groups"]["scratch"][0]) in written.html.read_text()


def test_the_same_records_in_another_order_give_the_same_bytes(study, written, tmp_path):
    shuffled = dataclasses.replace(
        study,
        records=dict(reversed(study.records.items())),
        failures=dict(reversed(study.failures.items())),
        correct=dict(reversed(study.correct.items())),
    )
    write_report(shuffled, tmp_path)
    assert contents(tmp_path) == contents(written.folder)
    for line in written.sums.read_text().splitlines():
        assert hashlib.sha256((written.folder / line[66:]).read_bytes()).hexdigest() == line[:64]


def test_a_page_that_would_grow_too_large_leaves_maps_to_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr(section, "PAGE_SHARE", 30_000)
    paths = write_report(make_study(**SMALL), tmp_path)
    text = paths.html.read_text()
    assert "Only in the figures folder" in text
    assert "transfer_2-CoOp-adapt_raw.svg" in text
    apart = {path.name: path.read_text() for path in paths.figures}
    assert "transfer_2-CoOp-adapt_raw.svg" in apart
    assert not apart.keys() & pictures(text).keys()
    export_report(tmp_path, tmp_path / "there")
    exported = {path.name: path.read_text() for path in (tmp_path / "there" / "figures").iterdir()}
    assert exported == apart | pictures(text)
    assert text.count("over this map") == 2


SHAPES = {
    "one source": {"sources": ["food"], "readings": ("evaluate",), "protocol": "cross_dataset"},
    "leave one out": {"sources": "others", "readings": ("evaluate",), "protocol": "domain_generalization"},
    "one seed": {"seeds": (1,)},
    "no predictions": {"images": 0},
    "no similarity": {"similarities": {}},
    "nothing run": {"decide": lambda cell: "missing"},
    "all sources failed": {"decide": lambda cell: "NEEDS_FAILED" if cell.reading else "PLUGIN_ERROR"},
    "two shots": {"shots": (1, 16)},
    "no zero-shot": {"methods": METHODS[1:2]},
    "two tasks": {"tasks": TASKS[:2]},
    "other sources than targets": {"sources": ["vehicles", "weather", "food"]},
    "learned together": {"sources": ["animals+concepts+digits", "clipart_topics+emoji_emojione"]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_study_gives_a_whole_report(tmp_path, shape):
    paths = write_report(make_study(**{**SMALL, **SHAPES[shape]}), tmp_path)
    text = re.sub(r"<(script|style).*?</\1>", "", paths.html.read_text(), flags=re.DOTALL)
    assert "nan" not in re.findall(r"[a-z]+", re.sub(r"<[^>]*>", " ", text))
    assert 'data-sort="nan"' not in text
    assert 'class="r">nan' not in text
    shown = pictures(paths.html.read_text())
    for svg in shown.values():
        ElementTree.fromstring(svg)
    if shape in ("one source", "leave one out"):
        assert "Gain on each target" in text
        assert not [name for name in shown if "gain_over" in name]


@pytest.mark.parametrize(
    ("changes", "said"), [({"seeds": (1,)}, True), ({}, False), ({"seeds": (1,), "images": 0}, False)]
)
def test_marks_of_one_seed_say_what_they_rest_on(tmp_path, changes, said):
    """Two seeds have a test of their own; without answers image by image there is no mark at all."""
    text = write_report(make_study(**{**SMALL, **changes}), tmp_path).html.read_text()
    words = "One seed: the marks rest on the sign test over test images alone, and say nothing about"
    assert text.count(words) == (text.count("over this map") if said else 0)
    assert ("over this map" in text) == (changes.get("images") != 0)


def test_names_from_strangers_stay_names(tmp_path):
    nasty = ("</text><script>alert(1)</script>", '" onload="x', "=1+1", "a\u202eb")
    paths = write_report(make_study(**{**SMALL, "tasks": nasty}), tmp_path)
    assert paths.html.read_text().count("<script") == 2
    shown = pictures(paths.html.read_text())
    assert shown
    for svg in shown.values():
        root = ElementTree.fromstring(svg)
        assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
        assert "script" not in {element.tag.rsplit("}")[-1] for element in root.iter()}
        assert "\u202e" not in svg
    for path in paths.tables:
        if path.suffix == ".csv":
            for row in csv.reader(path.open(newline="")):
                assert not [cell for cell in row if cell.startswith("=")]
    for path in paths.folder.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name)


def test_a_suite_without_sources_has_no_such_section(full, tmp_path):
    board = build_board(full)
    assert section.facts(board) is None
