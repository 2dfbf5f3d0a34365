"""What of a method's card stands on a page, and which names lead to it."""

from __future__ import annotations

import dataclasses

from tests.leaderboard.conftest import make_report

from promptgrid import catalog
from promptgrid.leaderboard.leaderboard import build_board
from promptgrid.leaderboard.method_cards import card_id, page_card
from promptgrid.leaderboard.report import report_files
from promptgrid.spec import Noun

PAPERS = {"coop": "Zhou et al., IJCV 2022, arXiv:2109.01134", "cocoop": "Zhou et al., CVPR 2022"}
CARDS = {"coop": {"learns": ["vectors"], "traps": ["<b>one</b>", "two"]}, "tip_adapter": {"learns": ["a cache"]}}


def test_a_card_says_what_is_learned_verified_and_odd() -> None:
    found = page_card(catalog.track("image").card("clip_adapter"), Noun("image", "images"))
    assert set(found) == {"learns", "recipe", "cost", "verified", "traps", "differs"}
    assert "131,072 parameters on ViT-B/16" in found["learns"]
    assert found["verified"] == [
        "equal to the authors' code; apart by at most 1e-05 (gaopengcuhk/CLIP-Adapter 08d07f8)"
    ], "how all were compared is said once, not here"
    assert "the code adapts images alone, the paper texts too (here: reproduced)" in found["traps"]
    assert any("one ratio for all datasets" in line for line in found["differs"])
    assert page_card({}, Noun("image", "images")) == {}


def test_only_methods_of_the_page_have_a_card_there_and_their_names_lead_to_it() -> None:
    report = dataclasses.replace(make_report(), papers=PAPERS, cards=CARDS)
    assert card_id(report, "coop") == "card-coop"
    assert card_id(report, "cocoop") == "", "nothing is known of it"
    assert card_id(report, "tip_adapter") == "", "its paper is not known, so it stands nowhere"
    page = report_files(build_board(report))["report.html"].decode()
    assert page.count('id="card-coop"') == 1
    assert page.count('href="#card-coop"') >= 1
    assert page.count('class="card"') == 1
    assert "&lt;b&gt;one&lt;/b&gt;; two" in page
