"""Cells that start from another: their keys, what they need, and who is refused."""

from __future__ import annotations

import pytest
from tests.tracks.image.small_study import cells_of, run_study, study_track

from promptgrid.spec import Refused

PAIR = {"protocol": "transfer", "datasets": ["warm", "cold"], "sources": "datasets"}


def test_a_target_names_the_cell_that_it_starts_from() -> None:
    cells = cells_of(study_track(), **PAIR, methods=["coop"], readings=["evaluate", "adapt"])
    plain = {cell.dataset: cell.key for cell in cells if not cell.source}
    targets = [cell for cell in cells if cell.source]
    assert len(cells) == len({cell.key for cell in cells}) == 2 + 8
    for cell in targets:
        assert cell.needs == (plain[cell.source],)
        assert cell.identity["source"] == plain[cell.source]
        assert cell.identity["reading"] == cell.reading
    assert all(not cell.needs and "source" not in cell.identity for cell in cells if not cell.source)


def test_sources_are_the_cells_of_a_plain_suite() -> None:
    wing = study_track()
    plain = cells_of(wing, protocol="few_shot", datasets=["warm", "cold"], methods=["coop"])
    study = cells_of(wing, **PAIR, methods=["coop"])
    assert {cell.key for cell in plain} == {cell.key for cell in study if not cell.source}


def test_what_was_learned_elsewhere_is_in_the_key() -> None:
    """The same target from a source that learned longer is another cell, of the same group."""
    wing = study_track()
    short, long = (cells_of(wing, **PAIR, methods=[{"name": "coop", "epochs": epochs}])[-1] for epochs in (1, 2))
    slow, fast = (cells_of(wing, **PAIR, methods=[{"name": "coop", "learning_rate": rate}])[-1] for rate in (0.1, 0.2))
    assert short.key != long.key
    assert slow.identity["source"] != fast.identity["source"]
    assert slow.group == fast.group


def test_targets_of_one_dataset_share_a_pack_over_sources_and_plain_cells_do_not_join_them() -> None:
    wing = study_track()
    cells = cells_of(wing, **PAIR, methods=["coop"], seeds=[1, 2], readings=["evaluate", "adapt"])
    packs = wing.pack(cells)
    assert sorted(len(pack.cells) for pack in packs) == [2, 2, 4, 4, 4, 4]
    for pack in packs:
        assert len({(cell.dataset, cell.reading) for cell in pack.cells}) == 1
        assert bool(pack.needs) == bool(pack.cells[0].source)


@pytest.mark.parametrize(
    ("suite", "problem"),
    [
        ({"methods": ["zero_shot"]}, "learns nothing that could be carried over.*readings: \\[\\]"),
        ({"methods": ["taskres"]}, "about the classes of 'warm' only"),
        ({"methods": ["taskres"], "readings": ["adapt"]}, "about the classes of 'warm' only"),
        ({"methods": [{"name": "coop", "class_specific": True}]}, "about the classes of 'warm' only"),
        ({"methods": ["coop"], "sources": ["wrm"]}, "did you mean 'warm'"),
        ({"methods": ["coop"], "sources": None}, "give the suite `sources`"),
        ({"methods": ["coop"], "protocol": "few_shot"}, "starts from nothing learned elsewhere"),
        ({"methods": ["coop"], "protocol": "cross_dataset", "readings": ["adapt"]}, "no such reading"),
        ({"methods": ["coop"], "protocol": "cross_dataset"}, "both source and target"),
        ({"methods": ["coop"], "protocol": "domain_generalization", "sources": ["warm_ink"]}, "shares 0 class names"),
        ({"methods": ["taskres"], "sources": ["warm+cold"]}, "one task of 'warm\\+cold' at a time"),
    ],
)
def test_what_cannot_take_part_is_refused_with_the_reason(suite: dict[str, object], problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        cells_of(study_track(), **{**PAIR, **suite})


def test_per_class_parameters_may_go_on_learning_where_the_classes_are_the_same() -> None:
    cells = cells_of(
        study_track(), protocol="transfer", datasets=["warm"], sources=["warm"], methods=["taskres"], readings=["adapt"]
    )
    assert [cell.reading for cell in cells] == ["", "adapt"]


def test_zero_shot_is_scored_on_what_a_narrowed_pair_is_scored_on() -> None:
    wing = study_track()
    pair = {"protocol": "domain_generalization", "datasets": ["warm_ink"], "sources": ["warm"]}
    cells = cells_of(wing, **pair, methods=["zero_shot", {"name": "coop", "epochs": 1}])
    found = run_study(wing, cells)
    scored = {cell.method: found[cell.key].predictions[0] for cell in cells if cell.source}
    assert len(scored["zero_shot"].example) == len(scored["coop"].example) == 8
    assert scored["zero_shot"].top.shape[1] == 2, "brown bear is no class of the source"


def test_leave_one_domain_out_learns_on_the_union_of_the_others() -> None:
    cells = cells_of(
        study_track(),
        protocol="domain_generalization",
        datasets=["warm", "warm_ink"],
        sources="others",
        methods=["coop", {"name": "zero_shot", "readings": []}],
    )
    pairs = {(cell.source, cell.dataset) for cell in cells if cell.source}
    assert pairs == {("warm_ink", "warm"), ("warm", "warm_ink")}
    assert {cell.dataset for cell in cells if cell.method == "zero_shot"} == {"warm", "warm_ink"}
