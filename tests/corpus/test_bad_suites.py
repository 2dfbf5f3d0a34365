"""Bad suites are refused when they are read: before any name is looked up, before any work."""

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


def method(settings: str) -> str:
    return instead(f"methods: [zero_shot, {{name: coop, {settings}}}]")


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: *c\n"

# case: (the file's content, words of the message)
BAD: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    # the file
    "empty": ("", ("empty", "mapping")),
    "only-comments": ("# nothing yet\n", ("empty",)),
    "a-list": ("- zero_shot\n- coop\n", ("not a mapping", "list")),
    "a-word": ("quickstart\n", ("not a mapping", "str")),
    "not-yaml": ("name: [quick\nprotocol: few_shot\n", ("line", "not valid YAML")),
    "tab-indented": ("name: quick\nmethods:\n\t- coop\n", ("line 3", "not valid YAML")),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", ("not UTF-8", "save the file as UTF-8")),
    "latin-1": (SOUND.replace("quick", "d\u00e9but").encode("latin-1"), ("not UTF-8", "byte 7")),
    "utf-16": (SOUND.encode("utf-16"), ("not UTF-8",)),
    "nul-byte": (SOUND + "title: a\0b\n", ("not valid YAML",)),
    "two-documents": (SOUND + "---\n" + SOUND, ("not valid YAML", "document")),
    "deep": ("name: " + "[" * 20_000, ("nested too deeply", "40")),
    "too-large": ("# " + "x" * 1_000_001, ("too large", "1000003", "at most 1000000")),
    # YAML as a way in
    "python-object": (
        with_line("title: !!python/object/apply:os.system [id]"),
        ("line 6", "tags are not allowed", "os.system"),
    ),
    "python-name": (with_line("title: !!python/name:os.system"), ("tags are not allowed",)),
    "own-tag": (with_line("title: !include /etc/passwd"), ("line 6", "tags are not allowed", "!include")),
    "alias-bomb": (BOMB, ("line 1", "anchors and aliases")),
    "anchor": (with_line("title: &t hello"), ("line 6", "anchors and aliases")),
    "include-outside": (with_line("include: ../../secrets.yaml"), ("unknown key 'include'",)),
    # keys
    "key-twice": (SOUND + "name: slow\n", ("line 6", "twice", "name")),
    "key-twice-in-a-method": (method("label: a, label: b"), ("line", "twice", "label")),
    "unknown-key": (with_line("sead: [4]"), ("unknown key 'sead'", "did you mean 'seeds'?")),
    "unknown-key-far-off": (with_line("learning_rate: 0.1"), ("unknown key 'learning_rate'", "valid: ", "protocol")),
    "name-missing": (with_line("", "name"), ("'name' is missing",)),
    "protocol-missing": (with_line("", "protocol"), ("'protocol' is missing",)),
    "methods-missing": (with_line("", "methods"), ("'methods' is missing",)),
    "backbone-unknown-key": (
        with_line("backbones: [{model: RN50, weights: openai}]"),
        ("unknown key", "weights", "pretrained"),
    ),
    # names
    "name-climbs": (instead("name: ../quick"), ("name", "'../quick'")),
    "name-too-long": (instead("name: " + "q" * 81), ("name", "qqq")),
    "name-a-number": (instead("name: 7"), ("name", "string", "7")),
    "protocol-null": (instead("protocol:"), ("protocol", "string")),
    # methods
    "no-methods": (instead("methods: []"), ("methods", "at least 1")),
    "methods-a-word": (instead("methods: coop"), ("methods", "list", "'coop'")),
    "method-a-number": (instead("methods: [coop, 3]"), ("methods.1", "3")),
    "method-without-name": (instead("methods: [{label: mine}]"), ("'methods.0.name' is missing",)),
    "method-twice": (instead("methods: [coop, zero_shot, coop]"), ("coop", "listed twice")),
    "one-display-name": (
        instead("methods: [{name: coop, label: Ours}, {name: cocoop, label: Ours}]"),
        ("one display name", "'Ours'", "label"),
    ),
    "setting-nan": (method("learning_rate: .nan"), ("learning_rate", "nan", "finite")),
    "setting-infinite": (method("learning_rate: .inf"), ("learning_rate", "inf", "finite")),
    "setting-infinite-among-others": (method("learning_rate: [0.1, -.inf]"), ("learning_rate", "-inf", "finite")),
    "setting-overflows": (method("learning_rate: 1e999"), ("learning_rate", "inf", "finite")),
    "setting-empty-list": (method("learning_rate: []"), ("learning_rate", "empty list")),
    "setting-repeats": (method("learning_rate: [0.1, 0.1]"), ("learning_rate", "repeats")),
    "setting-null": (method("learning_rate:"), ("learning_rate",)),
    "setting-a-mapping": (method("learning_rate: {a: 1}"), ("learning_rate",)),
    "label-empty": (method('label: ""'), ("label", "at least 1")),
    "label-endless": (method("label: " + "x" * 5000), ("label", "at most 80")),
    "reference-unknown": (with_line("reference: CoOp"), ("reference 'CoOp'", "coop")),
    # numbers
    "shots-text": (instead('shots: ["4"]'), ("shots.0", "integer", "'4'")),
    "shots-negative": (instead("shots: [4, -4]"), ("shots.1", "-4")),
    "shots-fraction": (instead("shots: [3.5]"), ("shots.0", "integer", "3.5")),
    "shots-a-billion": (instead("shots: [1000000000]"), ("shots.0", "10000")),
    "shots-true": (instead("shots: [true]"), ("shots.0", "integer", "True")),
    "shots-no-list": (instead("shots: 4"), ("shots", "list", "4")),
    "shots-empty": (instead("shots: []"), ("shots", "at least 1")),
    "shots-twice": (instead("shots: [4, 4]"), ("shots", "4", "listed twice")),
    "seeds-empty": (instead("seeds: []"), ("seeds", "at least 1")),
    "seeds-null": (instead("seeds:"), ("seeds", "list")),
    "seed-negative": (instead("seeds: [-1]"), ("seeds.0", "-1")),
    "seed-too-large": (instead(f"seeds: [{2**31}]"), ("seeds.0", "2147483648")),
    "seed-twice": (instead("seeds: [1, 2, 1]"), ("seeds", "1", "listed twice")),
    # choices
    "backbones-empty": (with_line("backbones: []"), ("backbones", "at least 1")),
    "backbone-bad-pin": (with_line("backbones: [{model: m, sha256: abc}]"), ("backbones.0.sha256", "abc")),
    "datasets-empty": (with_line("datasets: []"), ("datasets", "empty")),
    "dataset-twice": (with_line("datasets: [a, b, a]"), ("datasets", "a", "listed twice")),
    "datasets-a-word": (with_line("datasets: bundeld"), ("datasets", "bundeld", "bundled")),
    "selection-on-test": (with_line("selection: test"), ("selection", "'test'", "'last' or 'val'")),
    "precision-unknown": (with_line("precision: fp8"), ("precision", "'fp8'", "fp32")),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_when_read_with_file_key_and_expectation(case: str, tmp_path: Path) -> None:
    content, words = BAD[case]
    path = tmp_path / "suite.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Refused) as refusal:
        read_suite(path)
    message = str(refusal.value)
    assert [word for word in (str(path), *words) if word not in message] == [], message
    assert len(message.removeprefix(str(path))) < 600, "a refusal is a sentence"


def test_the_sound_original_is_read(tmp_path: Path) -> None:
    """Every case above breaks one thing in it."""
    path = tmp_path / "suite.yaml"
    path.write_text(SOUND)
    suite = read_suite(path)
    assert suite.labels == ["zero_shot", "coop (context_length=4)"]
    assert len(list(suite.squares(["a", "b"]))) == 2 * 2 * 2 * 2


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
        next(suite.squares([f"task {i}" for i in range(250)]))


def test_yaml_1_1_surprises_do_not_happen(tmp_path: Path) -> None:
    """``1e-3`` is a number, ``no`` is a word, ``010`` is ten."""
    path = tmp_path / "suite.yaml"
    path.write_text(instead("seeds: [010]") + "title: no\n")
    path.write_text(path.read_text().replace("context_length: 4", "learning_rate: 1e-3"))
    suite: Suite = read_suite(path)
    assert suite.methods[1].settings == {"learning_rate": 0.001}
    assert (suite.title, suite.seeds) == ("no", [10])
