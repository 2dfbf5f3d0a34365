"""Every method stands somewhere on every axis; every value has a method or a reason for having none."""

from __future__ import annotations

import pytest

from promptgrid import catalog
from promptgrid.contract import taxonomy as contract
from promptgrid.contract.clip import Axes
from promptgrid.contract.taxonomy import axis_values, none_yet, taxonomy

SURVEYS = {
    "family": {"multimodal_to_text", "image_text_matching", "text_to_image"},
    "prompt": {"hard_instruction", "hard_in_context", "hard_retrieved", "hard_chain_of_thought"}
    | {"soft_tuning", "soft_prefix"},
    "where": {"text", "vision", "both"},
    "task": {"classification", "segmentation", "detection", "grounding", "generation", "editing", "reasoning"}
    | {"video", "medical", "document", "three_d"},
    "design": {"data", "architecture", "objective"},
}
"""The axes and values of Gu et al. (2307.12980: model type; hard and soft prompts; text, visual or unified) and of
Huang et al. (2312.16602: discriminative, generative and other tasks; data construction, architecture or objective),
said here once more so that one of them cannot vanish from the contract unseen."""
LEFT_OUT = ("application", "responsibility", "datasets", "evaluation")
"""Their other axes: the contract says why each is none of ours."""


def placed() -> dict[str, dict[str, str]]:
    return {row["name"]: row["axes"] for row in catalog.track("image").describe("methods")}


def test_every_method_has_one_value_on_each_axis() -> None:
    for name, place in placed().items():
        assert place.keys() == axis_values().keys(), f"{name}: give the class `axes: ClassVar = Axes(...)`"
        assert all(place[axis] in values for axis, values in axis_values().items()), name


@pytest.mark.parametrize("axis", SURVEYS)
def test_every_value_of_the_surveys_is_one_of_ours(axis: str) -> None:
    assert SURVEYS[axis] <= set(axis_values()[axis])


@pytest.mark.parametrize("axis", LEFT_OUT)
def test_an_axis_of_the_surveys_that_is_left_out_has_a_reason(axis: str) -> None:
    assert axis not in axis_values()
    assert f"``{axis}``" in (contract.__doc__ or "").partition("left out")[2]


@pytest.mark.parametrize("row", taxonomy(placed()), ids=lambda row: f"{row['axis']}-{row['value']}")
def test_every_value_has_a_method_or_a_reason_and_not_both(row) -> None:
    """A gap is said in none_yet.yaml; whoever fills one takes its line out."""
    assert bool(row["methods"]) != bool(row["none_yet"]), (
        f"{row['axis']}: {row['value']} has {row['methods'] or 'no method'} and "
        f"{'a' if row['none_yet'] else 'no'} line in contract/none_yet.yaml"
    )


def test_a_value_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"axes.where: got 'sideways', expected one of nowhere, text"):
        Axes("context", "sideways")  # type: ignore[arg-type]


def test_reasons_are_sentences_about_values_that_exist() -> None:
    for axis, reasons in none_yet().items():
        assert set(reasons) <= set(axis_values()[axis])
        assert all(len(reason) > 10 for reason in reasons.values())


def test_a_reason_for_a_value_that_does_not_exist_is_refused(monkeypatch, tmp_path) -> None:
    from promptgrid.contract import taxonomy as module

    (tmp_path / "none_yet.yaml").write_text("where:\n  sideways: nobody went there\n")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "taxonomy.py"))
    none_yet.cache_clear()
    try:
        with pytest.raises(ValueError, match="where has no value sideways"):
            none_yet()
    finally:
        monkeypatch.undo()
        none_yet.cache_clear()


def test_a_method_without_a_place_stands_nowhere() -> None:
    rows = taxonomy({"mine": {}})
    assert not any(row["methods"] for row in rows)
