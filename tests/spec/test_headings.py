from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promptgrid.leaderboard.text import shorten
from promptgrid.spec.headings import SHOWN, headings


def test_titles_that_differ_stay_as_they_are() -> None:
    assert headings({"a": "Birds", "b": "Cats"}) == {"a": "Birds", "b": "Cats"}


def test_equal_titles_are_told_apart_by_their_folders() -> None:
    found = headings({"imagefolder:/data/garden/birds": "birds", "imagefolder:/data/forest/birds": "birds", "x": "X"})
    assert list(found.values()) == ["birds (garden)", "birds (forest)", "X"]


def test_one_title_for_two_folders_of_different_names() -> None:
    found = headings({"imagefolder:/d/crows": "Birds", "imagefolder:/d/wrens": "Birds"})
    assert list(found.values()) == ["Birds (crows)", "Birds (wrens)"]


def test_an_empty_title_gives_way_to_the_name() -> None:
    assert headings({"weather": " "}) == {"weather": "weather"}


@given(st.dictionaries(st.text("ab:/?| ", min_size=1, max_size=40), st.text("abA ", max_size=60), max_size=8))
def test_no_two_headings_are_alike_even_in_the_narrowest_column(titles: dict[str, str]) -> None:
    found = headings(titles)
    assert found.keys() == titles.keys()
    shown = {shorten(heading, SHOWN).casefold() for heading in found.values()}
    assert len(shown) == len(found)
