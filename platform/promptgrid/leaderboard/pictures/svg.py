"""SVG text from matplotlib figures: reproducible, names never read as formulas, ready for light and dark."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

INK, MUTED, LINE, PAPER = "#1f2329", "#646c78", "#dfe2e8", "#fefefd"
INLINE = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", PAPER: "transparent"}
"""What the page puts in place of the colours of a file, so that pictures follow light and dark."""
READABLE = 9.0
"""The smallest text that can be read on a phone, in CSS px."""
SHOWN = re.compile(
    r'<svg (?P<before>[^>]*?)(?:id="(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)" )?class="figure" (?:style="[^"]*" )?'
    r'role="img" aria-label="[^"]*" '
    r'(?P<after>[^>]*?viewBox="0 0 (?P<width>[\d.]+) (?P<height>[\d.]+)"[^>]*>.*?</svg>\n?)',
    re.DOTALL,
)
"""A picture of the page, as :func:`inline` writes it."""


def to_svg(figure: Figure, salt: str) -> str:
    """``figure`` as an ``<svg>`` element: text stays text, names are never read as formulas, ids from ``salt``.

    No date and no metadata; of the ids only those that something in the picture points to.
    """
    settings: dict[Any, Any] = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
    }
    figure.set_facecolor(PAPER)
    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.tick_params(colors=MUTED, length=0)
        axes.xaxis.label.set_color(MUTED)
        axes.yaxis.label.set_color(MUTED)
        axes.spines["bottom"].set_color(LINE)
        axes.spines["top"].set_color(LINE)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    out = io.StringIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Text stays text, so a glyph that the layout font lacks is drawn by the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return _bare(out.getvalue())


def _bare(svg: str) -> str:
    element = svg[svg.index("<svg ") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|xtick|ytick|matplotlib|legend|[A-Za-z0-9]+Collection)[.\w]*_\d+"',
        "",
        element,
    )
    return re.sub(r"<!--.*?-->\s*", "", element, flags=re.DOTALL)


def inline(svg: str, name: str, about: str) -> str:
    """The picture ``name`` (a file name) for the page: it has that id, its colours are variables, its size is free.

    ``about`` must be escaped by the caller: it becomes the accessible name. :func:`pictures` undoes this.
    """
    shown = f'id="{name}" class="figure" style="min-width:{_least_width(svg)}px" role="img" aria-label="{about}"'
    element = _painted(svg, INLINE)
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: shown, element, count=1)


def _least_width(svg: str) -> int:
    """The px below which its smallest text would be smaller than :data:`READABLE`: there a reader scrolls instead."""
    width = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    sizes = [float(size) for size in re.findall(r'font(?:-size)?(?:: ?|=")([\d.]+)', svg)]
    return math.ceil(READABLE / min(sizes) * float(width[1])) if width and sizes else 0


def pictures(page: str) -> dict[str, str]:
    """{file name: SVG} of the pictures in a page, as they were before :func:`inline`, in order.

    A picture without a name is called after its place: ``picture_3.svg``.
    """
    found = {}
    written = {variable: colour for colour, variable in INLINE.items()}
    for place, shown in enumerate(SHOWN.finditer(page), 1):
        size = f'width="{shown["width"]}pt" height="{shown["height"]}pt"'
        element = f"<svg {shown['before']}{size} {shown['after']}"
        found[shown["name"] or f"picture_{place}.svg"] = _painted(element, written)
    return found


def _painted(element: str, colours: Mapping[str, str]) -> str:
    """``element`` with other colours; the same words in its text are left alone."""
    known = "|".join(map(re.escape, colours))
    paint = re.compile(rf'((?:fill|stroke)(?:: ?|="))({known})')
    return re.sub(r"<[^>]*>", lambda tag: paint.sub(lambda p: p[1] + colours[p[2]], tag[0]), element)
