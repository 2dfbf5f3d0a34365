"""The recipe of the bundled graphs reads its sources as they are written."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from promptgrid.tracks.graph.bundled.make import sources
from promptgrid.tracks.graph.bundled.make.writing import SAID, principal, sentences

FOLDOC = """00-database-info

   <none> About.
alpha

   <language> See {beta} and {gamma (Beta)}.
beta
Beta Two

   A thing like {alpha}, {nobody}. (1999-01-02)
(http://link)}].

   end of a link
"""
VERBS = """  1 licence
00000001 29 v 01 breathe 0 002 @ 00000002 v 0000 + 00000003 n 0101 01 + 02 00 | draw air; "breathe in"
00000002 38 v 02 move_on 0 go 1 000 01 + 02 00 | change place
"""
PACKAGES = """Package: one
Section: net
Depends: libtwo (>= 1), three
Description: first

Package: libtwo
Source: two
Section: libs
Description: second, a library

Package: two
Section: net
Description: second

Package: three
Section: perl
Description: third
"""


def test_entries_are_linked_by_what_they_refer_to_under_any_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "usr/share/dictd/foldoc.dict.dz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(FOLDOC.encode()))
    found = sources.foldoc(tmp_path, ["language"])
    assert found.names == ("alpha", "beta")
    assert found.labels == (0, -1)
    assert found.edges == ((0, 1),)
    assert found.texts[0] == "alpha: See beta and gamma."
    assert found.texts[1].startswith("beta: A thing like alpha, nobody.")


def test_verbs_are_linked_by_pointers_between_verbs(tmp_path: Path) -> None:
    path = tmp_path / "usr/share/wordnet/data.verb"
    path.parent.mkdir(parents=True)
    path.write_text(VERBS)
    found = sources.wordnet_verbs(tmp_path, list(sources.VERBS))
    assert found.texts == ("breathe: draw air", "move on, go: change place")
    assert [sources.VERBS[label] for label in found.labels] == ["body", "motion"]
    assert found.edges == ((0, 1),)


def test_packages_are_linked_by_their_sources(tmp_path: Path) -> None:
    (tmp_path / "Packages").write_text(PACKAGES)
    found = sources.debian(tmp_path, ["net"])
    assert found.names == ("one", "two")
    assert found.edges == ((0, 1),)
    assert found.texts == ("one: first", "two: second")


def test_directions_keep_dot_products_of_what_lies_in_them() -> None:
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(40, 8)) @ rng.normal(size=(8, 384))).astype(np.float32)
    kept = rows @ principal(rows)
    np.testing.assert_allclose(kept @ kept.T, rows @ rows.T, rtol=1e-3, atol=1e-2)


def test_every_class_has_a_sentence() -> None:
    for name in ("foldoc", "wordnet_verbs", "debian_packages"):
        assert len(set(sentences(name))) == len(SAID[name]["classes"])
