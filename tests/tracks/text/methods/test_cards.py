"""Cards and published figures of the text wing are read as those of any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tracks.text.methods.test_every_method import METHODS
from tests.tracks.text.small_world import track

import promptgrid.tracks.text.published as published
from promptgrid import catalog
from promptgrid.contract.method import Method
from promptgrid.spec.reading import read_yaml

EVIDENCE = "RCSAMDP"
"""The marks that figures of the image wing bear."""
KEYS = {"learns", "selection", "ours", "parity", "quirks", "reading", "open_choices", "found"}


def folders() -> list[Path]:
    import promptgrid.towers.methods as of_towers
    import promptgrid.tracks.text.methods as of_texts

    return [Path(package.__path__[0]) / "cards" for package in (of_towers, of_texts)]


def test_there_is_no_card_without_a_method() -> None:
    assert {path.stem for folder in folders() for path in folder.glob("*.yaml")} == METHODS.keys()


@pytest.mark.parametrize(
    "path", [p for folder in folders() for p in sorted(folder.glob("*.yaml"))], ids=lambda p: p.stem
)
def test_a_card_says_what_cards_say(path: Path) -> None:
    card = read_yaml(path)
    assert card.keys() <= KEYS
    parity = card["parity"]
    assert parity["result"] in ("not compared", "no public code")
    assert bool(parity.get("code")) == (parity["result"] == "not compared")
    assert all(set(quirk) == {"quirk", "here"} for quirk in card["quirks"])
    assert bool(card.get("reading")) == bool(card.get("open_choices"))


def test_published_figures_are_of_our_methods_and_marked() -> None:
    import csv

    for path in Path(published.__path__[0]).glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        for row in rows:
            kind: type[Method] = METHODS[row["method"]]
            assert kind.name == row["method"]
            assert row["evidence"] in EVIDENCE
            assert 0 <= float(row["value"]) <= 100
            assert row["metric"].startswith("gain_")
            assert row["source"]


def test_published_rows_are_read_by_the_wing() -> None:
    rows = track().published()
    assert {row["method"] for row in rows} == {"pcp", "ept"}
    assert all(row["shown"] and row["full_settings"] == METHODS[row["method"]].defaults() for row in rows)


@pytest.mark.parametrize(
    ("ours", "papers"),
    [
        ("lm-bff:/data/k-shot/SST-2", "SST-2"),
        ("lm-bff:data/k-shot/cr/", "CR"),
        ("banking77:/data/banking77", "BANKING77"),
        ("table:/data/mr.csv?text=a&label=b", "MR"),
        ("word_classes", ""),
    ],
)
def test_papers_names_of_tasks(ours: str, papers: str) -> None:
    assert track().known_as("dataset", ours) == papers


@pytest.mark.parametrize(
    ("ours", "papers"),
    [
        ("hf-dir:/models/roberta-large", "RoBERTa-large"),
        ("hf-dir:/models/bert-base-uncased", "BERT-base"),
        ("minilm-l6", ""),
    ],
)
def test_papers_names_of_models(ours: str, papers: str) -> None:
    assert track().known_as("backbone", ours) == papers


WING = catalog.track("text")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_card_is_whole(name: str) -> None:
    """What is computed is computed, what is said is said, and every method may take part somewhere."""
    card = WING.card(name)
    assert card["problems"] == []
    assert card["missing"] == []
    assert bool(card["losses"]["names"]) == (card["recipe"] is not None) == (card["cost"]["steps"] > 0)
    assert any(row["allowed"] for row in card["protocols"])
    assert WING.parities()[name] == card["parity"]


@pytest.mark.parametrize(
    ("name", "count", "per_class"),
    [
        ("zero_shot", 0, 0),
        ("linear_probe", 10 * (384 + 1), 385),
        ("warp", 10 * 384, 384),
        ("prompt_tuning", 20 * 384 + 10 * 385, 385),
        ("p_tuning_v2", 6 * 2 * 20 * 384 + 10 * 385, 385),
    ],
)
def test_counts_are_those_of_the_formulas(name: str, count: int, per_class: int) -> None:
    """On MiniLM: six layers of 384 numbers."""
    told = WING.card(name)["learns"]["counts"][0]
    assert (told["backbone"], told["count"], told["per_class"], told["per_shot"]) == ("MiniLM-L6", count, per_class, 0)
