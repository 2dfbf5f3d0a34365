"""The page: sections in order, one style sheet, one script, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from promptgrid.leaderboard import numbers
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Figures, Section
from promptgrid.leaderboard.text import FULL_LIMIT, NAME_LIMIT, json_island, shorten
from promptgrid.spec.metrics import Metric

FOLDER = Path(__file__).parent / "page"
ISLAND_LIMIT = 300_000


def render_page(
    board: Board, sections: list[tuple[Section, Facts]], leaderboard: list[dict[str, Any]], figures: Figures
) -> str:
    """``report.html`` as text. ``leaderboard`` rows become a JSON island, left out where they would be too large."""
    environment = _environment(board.report.metric)
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("tables.js", "explore.js"))
    island = json_island(leaderboard)
    return environment.get_template("page.html.j2").render(
        title=board.report.suite.title or board.report.suite.name,
        version=board.report.version,
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=Markup(content_hash(script)),
        island=Markup(island if len(island) <= ISLAND_LIMIT else "null"),
        panels=max(1, len(board.leaderboards), len(board.transfers)),
        sections=[
            {"key": section.key, "title": section.title, "body": _body(environment, board, section, facts, figures)}
            for section, facts in sections
        ],
    )


def content_hash(script: str) -> str:
    """What a content security policy calls ``script``."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _body(environment: Environment, board: Board, section: Section, facts: Facts, figures: Figures) -> Markup:
    template = environment.from_string('{% import "macros.html.j2" as ui %}' + section.template)
    return Markup(
        template.render(board=board, examples=board.report.examples, **facts, **section.drawings(board, figures, facts))
    )


def plain_environment() -> Environment:
    """Where the pages of this folder are made; it knows names and counts, and no metric."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(short=lambda text, limit=NAME_LIMIT: shorten(str(text), limit), many=numbers.many)
    return environment


def _environment(metric: Metric) -> Environment:
    environment = plain_environment()
    environment.filters.update(
        full=lambda text: shorten(str(text), FULL_LIMIT),
        points=lambda value, digits=None: numbers.points(value, digits, metric),
        signed=lambda value, digits=None: numbers.signed(value, digits, metric),
        percent=numbers.points,
        signed_percent=numbers.signed,
        correlation=numbers.correlation,
        sortable=lambda value: "" if value is None or value != value else value,
        amount=numbers.amount,
        p=numbers.p_value,
    )
    return environment
