"""`promptgrid datasets check NAME --root DIR`: lines, JSON, exit status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Invoke
from tests.corpus.broken_datasets import sound_split

from promptgrid.engine.datasets.published.coop_layouts import COOP


@pytest.fixture
def textures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a small ``dtd`` that is as published, by a table of its size."""
    monkeypatch.setitem(COOP, "dtd", replace(COOP["dtd"], classes=3, splits={"train": 9, "val": 3, "test": 6}))
    home = tmp_path / "dtd"
    lists = sound_split(home)
    (home / "split_zhou_DescribableTextures.json").write_text(json.dumps(lists))
    return tmp_path


def test_what_is_as_published_leaves_with_0_and_says_the_line_of_a_suite(invoke: Invoke, textures: Path) -> None:
    done = invoke("datasets", "check", "coop:dtd", "--root", textures)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "coop:dtd: as published (9 train, 3 val, 6 test)",
        f'  in a suite: "coop:{textures}/dtd"',
    ]


def test_what_is_missing_leaves_with_2(invoke: Invoke, textures: Path) -> None:
    (textures / "dtd" / "images" / "train_0.png").unlink()
    done = invoke("datasets", "check", "coop:dtd", "--root", textures)
    assert done.exit_code == 2
    assert "coop:dtd: something is missing" in done.stdout
    assert "  missing: train_0.png: 1 of the 9 files of train are not in " in done.stdout
    assert "in a suite" not in done.stdout


def test_what_is_wrong_leaves_with_1(invoke: Invoke, textures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COOP, "dtd", replace(COOP["dtd"], classes=47))
    done = invoke("datasets", "check", "coop:dtd", "--root", textures)
    assert done.exit_code == 1
    assert "3 classes, the paper has 47" in done.stdout


def test_scripts_read_the_same(invoke: Invoke, textures: Path) -> None:
    (textures / "dtd" / "images" / "late.png").write_bytes(b"")
    done = invoke("datasets", "check", "coop:dtd", "--root", textures, "--json")
    (found,) = json.loads(done.stdout)
    assert found == {
        "layout": "coop:dtd",
        "address": f"coop:{textures}/dtd",
        "splits": {"train": 9, "val": 3, "test": 6},
        "missing": [],
        "wrong": [],
        "extra": ["./: 1 images in no list, first late.png"],
    }


def test_a_whole_family_is_checked_at_once(invoke: Invoke, textures: Path) -> None:
    done = invoke("datasets", "check", "coop", "--root", textures, "--json")
    assert done.exit_code == 2
    assert len(json.loads(done.stdout)) == 15


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check"], "one NAME"),
        (["check", "coop:dtdd"], "did you mean 'coop:dtd'"),
        (["check", "coop", "--root", "/nowhere/at/all"], "no such folder"),
        (["check", "coop", "--track", "text"], "no published dataset is called so"),
        (["a", "b"], "more than one path"),
    ],
)
def test_bad_input_is_refused(invoke: Invoke, words: list[str], said: str) -> None:
    refused = invoke("datasets", *words)
    assert refused.exit_code == 2
    assert said in refused.output
