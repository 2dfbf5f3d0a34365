"""Published against reproduced: what is compared with what, and what is said about it."""

from __future__ import annotations

import json
import math
from statistics import fmean, stdev

import pytest

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.analysis.published.agreement import agreements, judged
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.sections import published

KNOWN = {"pets": "OxfordPets", "dtd": "DTD", "vit": "ViT-B/16", "conv": "RN50"}


def figure(**changes):
    plain = {
        "method": "coop",
        "label": "CoOp",
        "dataset": "OxfordPets",
        "protocol": "few_shot",
        "backbone": "ViT-B/16",
        "shots": 16,
        "metric": "accuracy",
        "value": 91.92,
        "evidence": "R",
        "source": "the README of CoOp",
        "settings": {},
        "full_settings": None,
        "learned_on": "",
        "differs": "",
        "over": [],
        "shown": True,
        "reading": False,
    }
    return plain | changes


@pytest.fixture
def report_of(make_report):
    def make(*figures, **changes):
        given = {"methods": ["zero_shot", "coop"], "datasets": ["pets", "dtd", "weather"], "backbones": ("vit",)}
        return make_report(**{**given, "published": figures, "known_as": KNOWN, **changes})

    return make


def scores(report, method, dataset, shots, metric="accuracy"):
    return [
        report.records[cell.key].metrics[metric]
        for _, cell in report.grid
        if (cell.method, cell.dataset, cell.shots) == (method, dataset, shots)
    ]


def test_a_figure_stands_beside_its_own_cells_mean(report_of) -> None:
    report = report_of(figure())
    (pair,) = agreements(report)
    values = scores(report, "coop", "pets", 16)
    assert (pair.ours, pair.sd, pair.seeds) == (fmean(values), stdev(values), 3)
    assert pair.paper == pytest.approx(0.9192)
    assert pair.z == pytest.approx((pair.ours - 0.9192) / (pair.sd * math.sqrt(2 / 3)))
    assert pair.verdict == "off"


def test_a_figure_at_our_mean_is_within_noise(report_of) -> None:
    ours = fmean(scores(report_of(figure()), "coop", "pets", 16))
    (pair,) = agreements(report_of(figure(value=round(100 * ours + 0.4, 2))))
    assert pair.verdict == "within noise"
    assert abs(pair.z) < 4.3


@pytest.mark.parametrize(
    ("differs", "why"),
    [
        ({"backbone": "RN50"}, "backbone vit, there RN50"),
        ({"differs": "the best epoch was chosen on test images"}, "the best epoch was chosen on test images"),
        ({"settings": {"context_length": 4}}, "context_length None, there 4"),
        ({"full_settings": {"context_length": 4}}, "context_length None, there 4"),
        ({"learned_on": "ImageNet"}, "learned on pets, there on ImageNet"),
    ],
)
def test_another_experiment_is_named_and_not_tested(report_of, differs, why) -> None:
    (pair,) = agreements(report_of(figure(**differs)))
    assert (pair.verdict, pair.z, pair.why) == ("protocol differs", None, why)


@pytest.mark.parametrize("differs", ["", "the best epoch was chosen on test images"])
def test_a_reading_is_never_within_noise_or_off(report_of, differs) -> None:
    """Neither next to our mean nor far from it, nor where something else differs too."""
    ours = fmean(scores(report_of(figure()), "coop", "pets", 16))
    for value in (round(100 * ours, 4), 1.0):
        (pair,) = agreements(report_of(figure(value=value, reading=True, differs=differs)))
        assert (pair.verdict, pair.z) == ("claimed", None)
        assert pair.why == "; ".join([*[differs] * bool(differs), "ours is a reading of the paper"])


@pytest.mark.parametrize(
    "other", [{"shots": 3}, {"dataset": "EuroSAT"}, {"protocol": "base_to_new"}, {"method": "vpt"}]
)
def test_what_is_another_square_does_not_match(report_of, other) -> None:
    assert agreements(report_of(figure(**other))) == []


def test_a_closer_experiment_hides_the_others(report_of) -> None:
    report = report_of(figure(backbone="RN50", value=80.0), figure())
    assert [pair.paper for pair in agreements(report)] == [pytest.approx(0.9192)]


def test_remembered_figures_never_reach_the_page(report_of, tmp_path) -> None:
    report = report_of(figure(evidence="M", shown=False, source="from memory"))
    assert published.facts(build_board(report)) is None
    assert "from memory" not in write_report(report, tmp_path).html.read_text()


def test_zero_shot_is_shown_once_whatever_the_shots(report_of) -> None:
    report = report_of(figure(method="zero_shot", label="CLIP", shots=0))
    assert [pair.shots for pair in agreements(report)] == [16]


def test_an_average_needs_all_its_datasets(report_of) -> None:
    both = figure(dataset="average of 2", over=["OxfordPets", "DTD"])
    report = report_of(both)
    (pair,) = agreements(report)
    means = [
        fmean(pairs) for pairs in zip(*(scores(report, "coop", name, 16) for name in ("pets", "dtd")), strict=True)
    ]
    assert pair.ours == pytest.approx(fmean(means))
    assert pair.sd == pytest.approx(stdev(means))
    assert agreements(report_of(figure(dataset="average of 3", over=["OxfordPets", "DTD", "EuroSAT"]))) == []


def test_both_harmonic_means_of_an_average(report_of) -> None:
    over = {"dataset": "average of 2", "over": ["OxfordPets", "DTD"], "protocol": "base_to_new"}
    figures = [figure(**over, metric=metric) for metric in ("h_of_means", "mean_of_h", "base_accuracy", "new_accuracy")]
    report = report_of(*figures, protocol="base_to_new")
    found = {pair.metric: pair for pair in agreements(report)}
    per_seed = []
    for seed in (1, 2, 3):
        cells = [
            report.records[c.key].metrics for _, c in report.grid if (c.method, c.shots, c.seed) == ("coop", 16, seed)
        ]
        base, new = (fmean(cell[name] for cell in cells[:2]) for name in ("base_accuracy", "new_accuracy"))
        per_seed.append(2 * base * new / (base + new))
    assert found["h_of_means"].ours == pytest.approx(fmean(per_seed))
    assert found["mean_of_h"].ours < found["h_of_means"].ours
    assert set(found) == {"h_of_means", "mean_of_h", "base_accuracy", "new_accuracy"}


def test_figures_change_no_rank_and_no_score(report_of, tmp_path) -> None:
    with_figures = write_report(report_of(figure(value=99.0)), tmp_path / "with")
    without = write_report(report_of(), tmp_path / "without")
    for name in ("leaderboard_csv", "results_parquet"):
        assert getattr(with_figures, name).read_bytes() == getattr(without, name).read_bytes()
    assert "published" in json.loads(with_figures.json.read_text())
    assert "published" not in json.loads(without.json.read_text())


def test_the_page_shows_value_source_mark_and_verdict(report_of, tmp_path) -> None:
    page = write_report(report_of(figure(source="<b>README</b>")), tmp_path).html.read_text()
    assert 'id="published"' in page
    for words in ("91.92", "&lt;b&gt;README&lt;/b&gt;", "[R]", "off"):
        assert words in page


@pytest.mark.parametrize(
    ("difference", "spread", "seeds", "verdict"),
    [
        (0.0003, 0.0, 3, "within noise"),
        (0.01, 0.0, 3, "off"),
        (0.01, None, 1, "one seed"),
        (0.01, 0.004, 3, "within noise"),
        (0.01, 0.001, 3, "off"),
    ],
)
def test_verdicts(difference, spread, seeds, verdict) -> None:
    assert judged(difference, spread, seeds)[1] == verdict
