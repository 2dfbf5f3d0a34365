from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.relations import from_tokens, tagged
from promptgrid.tracks.text.datasets.semeval import WORDS, SemEval
from promptgrid.tracks.text.datasets.text import TextDataset

TRAIN = """8001\t"The <e1>burst</e1> was caused by <e2>pressure</e2>."\r
Cause-Effect(e2,e1)\r
Comment: as told "here"\r
\r
8002\t"A <e1>misty</e1> "quoted" <e2>ridge</e2> uprises."\r
Other\r
Comment:\r
\r
"""
TEST = '9001\t"<e2>Rain</e2> is the cause of <e1>floods</e1>."\nCause-Effect(e2,e1)\nComment:\n\n'


def opened(path: Path) -> TextDataset:
    found = SemEval().open(f"semeval:{path}")
    assert isinstance(found, TextDataset)
    return found


def published(root: Path, train: str = TRAIN, test: str = TEST) -> Path:
    for folder, name, text in (("training", "TRAIN_FILE.TXT", train), ("testing_keys", "TEST_FILE_FULL.TXT", test)):
        (root / "task8" / folder).mkdir(parents=True)
        (root / "task8" / folder / name).write_text(text, newline="")
    return root


def test_the_published_files_are_read_with_spans_and_the_class_of_no_relation(tmp_path: Path) -> None:
    found = opened(published(tmp_path))
    assert found.card.classes == ("Cause-Effect(e2,e1)", "Other")
    assert found.splits == {"train": [0, 1], "test": [2]}
    first, second, third = (found.read(index) for index in range(3))
    assert (first.a, first.subject, first.object) == ("The burst was caused by pressure.", "burst", "pressure")
    assert (second.a, second.object) == ('A misty "quoted" ridge uprises.', "ridge")
    assert (third.subject, third.object) == ("floods", "Rain")
    assert (found.metric, found.none_class) == ("micro_f1", "Other")
    assert found.words == {name: WORDS[name] for name in found.card.classes}


def test_labels_of_the_test_may_lie_in_a_file_of_keys(tmp_path: Path) -> None:
    (tmp_path / "TRAIN_FILE.TXT").write_text(TRAIN)
    (tmp_path / "TEST_FILE_CLEAN.TXT").write_text('9001\t"<e1>Rain</e1> made <e2>floods</e2>."\n')
    with pytest.raises(Refused, match="no test with labels"):
        opened(tmp_path)
    (tmp_path / "TEST_FILE_KEY.TXT").write_text("9001\tOther\n")
    assert opened(tmp_path).labels == (0, 1, 1)
    (tmp_path / "TEST_FILE_KEY.TXT").write_text("9002\tOther\n")
    with pytest.raises(Refused, match="the key of a sentence is missing; got '9001'"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ('1\t"<e1>A</e1> b <e2>c</e2>"\n2\t"x"\nOther\n', "line 1: a sentence has no relation"),
        ('1\t"<e1>A</e1> b <e2>c</e2>"\n', "line 1: a sentence has no relation"),
        ('1\t"<e1>A</e1> b <e2>c</e2>"\nCause-Effect\n', "line 2: unknown relation; got 'Cause-Effect'"),
        ('1\t"<e1>A</e1> b c"\nOther\n', "line 1: <e2> is missing"),
        ("Other\n", "line 1: neither a sentence nor a comment"),
    ],
)
def test_malformed_blocks_are_refused(tmp_path: Path, train: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        opened(published(tmp_path, train))


def line(relation: str, word: str = "rain") -> str:
    row: dict[str, Any] = {"token": ["heavy", word, "made", "floods", "."], "relation": relation}
    return json.dumps(row | {"h": {"name": word, "pos": [0, 2]}, "t": {"name": "floods", "pos": [3, 4]}}) + "\n"


def json_folder(root: Path) -> Path:
    for part, word in (("train", "rain"), ("val", "snow"), ("test", "hail")):
        (root / f"{part}.txt").write_text(line("Cause-Effect(e1,e2)", word) + line("Other", f"{word}drops"))
    return root


def test_json_lines_are_read_with_positions_of_tokens(tmp_path: Path) -> None:
    found = opened(json_folder(tmp_path))
    assert found.splits == {"train": [0, 1], "val": [2, 3], "test": [4, 5]}
    text = found.read(0)
    assert (text.a, text.subject, text.object) == ("heavy rain made floods .", "heavy rain", "floods")
    assert found.card.name == "SemEval-2010-8"


def test_lines_as_python_prints_them_are_read_too(tmp_path: Path) -> None:
    json_folder(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"{json.loads(line(x))}\n" for x in ("Cause-Effect(e1,e2)", "Other")))
    assert opened(tmp_path).read(0).subject == "heavy rain"
    (tmp_path / "train.txt").write_text("__import__('os').getcwd()\n")
    with pytest.raises(Refused, match="line 1: not an object"):
        opened(tmp_path)


def test_the_draws_of_k_shot_folders_are_those_of_their_seeds(tmp_path: Path) -> None:
    json_folder(tmp_path)
    for seed, word in ((1, "one"), (2, "two")):
        folder = tmp_path / "k-shot" / f"1-{seed}"
        folder.mkdir(parents=True)
        (folder / "train.txt").write_text(line("Cause-Effect(e1,e2)", word) + line("Other", f"{word}s"))
    found = opened(tmp_path / "k-shot")
    assert found.draws == {(1, 1): ([0, 1], [4, 5]), (1, 2): ([2, 3], [4, 5])}
    assert found.read(2).subject == "heavy two"
    assert len(found.splits["test"]) == 2
    assert opened(tmp_path / "k-shot" / "1-2").draws == {(1, 2): ([0, 1], [2, 3])}


def test_other_relation_sets_take_their_classes_from_the_file_of_ids(tmp_path: Path) -> None:
    home = tmp_path / "tacred"
    home.mkdir()
    for part in ("train", "val", "test"):
        (home / f"{part}.txt").write_text(line("no_relation", part) + line("per:title", f"{part}s"))
    (home / "rel2id.json").write_text(json.dumps({"per:title": 1, "no_relation": 0, "org:founded": 2}))
    found = opened(home)
    assert found.card.classes == ("no_relation", "per:title")
    assert (found.card.name, found.none_class, found.words) == ("tacred", "no_relation", {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": {"name": "rain"}}, "'h' has no position"),
        ({"h": {"pos": [0, 9]}}, "a position is outside of the tokens"),
        ({"h": {"pos": [1, 1]}}, "a position is outside of the tokens"),
        ({"h": {"pos": ["0", "1"]}}, "a position is no pair of integers"),
        ({"token": "heavy rain"}, "the tokens are no list of strings"),
        ({"relation": None}, "the relation is no string"),
    ],
)
def test_malformed_lines_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    json_folder(tmp_path)
    (tmp_path / "train.txt").write_text(json.dumps(json.loads(line("Other")) | changes) + "\n")
    with pytest.raises(Refused, match=message):
        opened(tmp_path)


def test_a_folder_of_neither_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"neither TRAIN_FILE\.TXT nor train\.txt"):
        opened(tmp_path)


def test_tags_in_any_order_and_none_doubled_or_crossing() -> None:
    text = tagged("<e2>b</e2> of <e1>a c</e1>", "line 1")
    assert (text.a, text.subject, text.object) == ("b of a c", "a c", "b")
    for wrong, message in (
        ("<e1>a</e1> <e1>b</e1> <e2>c</e2>", "<e1> stands twice"),
        ("<e1>a <e2>b</e1> c</e2>", "out of order"),
        ("</e1>a<e1> <e2>c</e2>", "out of order"),
        ("<e1></e1> <e2>c</e2>", "out of order"),
    ):
        with pytest.raises(Refused, match=message):
            tagged(wrong, "line 1")


def test_tokens_that_are_spaces_keep_the_spans_right() -> None:
    text = from_tokens(["Wilton", " ", "Bridge", "é"], (2, 3), (3, 4), "here")
    assert (text.a, text.subject, text.object) == ("Wilton   Bridge é", "Bridge", "é")
