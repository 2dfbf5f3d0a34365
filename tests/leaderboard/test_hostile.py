"""Names and messages from strangers: nothing in them runs, hides or breaks a file."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.files.export import results_csv
from promptgrid.leaderboard.pictures.svg import pictures
from promptgrid.spec.parquet import read_frame

NASTY = {
    "script": "</script><script>alert(1)</script>",
    "attribute": '" onload="alert(1)" x="',
    "single": "' onmouseover='alert(1)",
    "image": "<img src=x onerror=alert(1)>",
    "template": "{{7*7}}{% raw %}${7*7}#{7*7}",
    "bidi": "safe\u202egnp.exe\u2066",
    "comment": "<!-- --><![CDATA[ ]]>",
    "controls": "a\x00b\x1b[31mc\x0bd",
    "separators": "a\u2028b\u2029c",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "latex": r"\input{/etc/passwd} & % $x$ # _ ^ ~ { }",
    "math": "$\\frac{1}{0}$ and _underscore",
    "half math": "$\\notacommand{",
    "long": "x" * 4_990 + "LAST",
    "underscore": "_hidden",
}


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.events, self.words, self.titles = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.events += [name for name, _ in attrs if name.startswith("on")]
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def hostile(make_report, tmp_path_factory):
    names = list(NASTY.values())

    def decide(cell):
        return "PLUGIN_ERROR" if cell.seed == 2 and cell.method == "coop" else "done"

    report = make_report(
        title=NASTY["script"] + NASTY["bidi"],
        methods=[
            "zero_shot",
            *({"name": "coop", "label": name} for name in names if len(name) <= 80),
            {"name": "coop", "prompt": NASTY["long"]},
        ],
        datasets=names,
        backbones=(NASTY["image"],),
        shots=(1, 4),
        seeds=(1, 2),
        decide=decide,
        message=NASTY["script"] + " HF_TOKEN=hf_aaaaaaaaaaaaaaaaaaaa " + NASTY["long"],
        log_tail=NASTY["image"] + "\nuri postgres://me:secret99@db/x\n" + NASTY["controls"],
        titles={names[0]: NASTY["attribute"]},
        kinds={"coop": NASTY["image"]},
        command="MLFLOW_TRACKING_PASSWORD=opensesame promptgrid run " + NASTY["script"],
        revision=NASTY["image"],
        version=NASTY["single"],
        scores_digest=NASTY["attribute"],
    )
    return write_report(report, tmp_path_factory.mktemp("hostile"))


def test_nothing_runs_in_the_page(hostile):
    text = hostile.html.read_text()
    page = Tags(text)
    assert page.found.count("script") == 2
    assert "img" not in page.found
    assert page.events == []
    assert page.words.count("{{7*7}}") == page.words.count("{{7*7}}{% raw %}$") > 10


def test_hidden_characters_are_shown_in_the_page(hostile):
    text = hostile.html.read_text()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00\x0b\x1b]", text)
    assert "⟨U+202E⟩" in text


def test_long_names_are_shortened_with_the_whole_behind(hostile):
    page = Tags(hostile.html.read_text())
    assert "x" * 200 not in re.sub(r"<script.*?</script>", "", page.words.split('"adjusted"')[0])
    assert any(NASTY["long"] in title for title in page.titles)
    assert hostile.html.stat().st_size <= 2_000_000


def test_the_island_reads_back(hostile):
    island = re.search(r'id="leaderboard-data">(.*?)</script>', hostile.html.read_text(), re.DOTALL).group(1)
    labels = {row["method"] for row in json.loads(island)}
    assert NASTY["script"] in labels
    assert NASTY["bidi"] in labels


def test_figures_are_well_formed_and_inert(hostile):
    shown = pictures(hostile.html.read_text(encoding="utf-8"))
    assert shown
    for svg in shown.values():
        root = ElementTree.fromstring(svg)
        kinds = {element.tag.rsplit("}")[-1] for element in root.iter()}
        assert not kinds & {"script", "foreignObject", "image", "a"}
        assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]


def test_names_are_drawn_as_they_are(make_report, tmp_path):
    named = [NASTY[name] for name in ("template", "half math", "underscore")]
    methods = ["zero_shot", *({"name": "coop", "label": name, "context_length": i} for i, name in enumerate(named))]
    for path in write_report(make_report(methods=methods), tmp_path).figures:
        words = " ".join(ElementTree.fromstring(path.read_text(encoding="utf-8")).itertext())
        assert "{{7*7}}" in words
        assert "$\\notacommand{" in words
        assert "_hidden" in words


def test_inline_figures_keep_their_text_escaped(hostile):
    text = hostile.html.read_text()
    for svg in re.findall(r"<svg[^>]*class=\"figure\".*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


def test_latex_has_no_live_command_from_a_name(hostile):
    for path in hostile.tables:
        text = path.read_text()
        assert "\\input{" not in text
        assert "\\notacommand" not in text
        assert "\\textbackslash{}input\\{" in text
        body = text[text.index("\\toprule") :]
        for ours in ("$^\\dagger$", "$\\pm$", "$\\Delta$", "$-$"):
            body = body.replace(ours, "")
        assert not re.search(r"(?<!\\)[#%~^$_]", body)


def test_csv_cells_run_no_formula(hostile):
    for text in (results_csv(read_frame(hostile.results_parquet)), hostile.leaderboard_csv.read_text(encoding="utf-8")):
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(rows) > 10
        for row in rows[1:]:
            for cell in row:
                if cell.lstrip().startswith(("=", "+", "-", "@")):
                    float(cell)  # only numbers may start so


def test_secrets_reach_no_file(hostile):
    for path in hostile.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (b"hf_aaaaaaaaaaaaaaaaaaaa", b"secret99", b"opensesame"):
                assert secret not in content, path.name


def test_file_names_are_ours(hostile):
    for path in hostile.folder.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name)
