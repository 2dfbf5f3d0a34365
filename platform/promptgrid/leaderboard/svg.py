"""SVG text from matplotlib figures: reproducible, names never read as formulas, ready for light and dark."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

INK, MUTED, LINE, PAPER = "#1f2329", "#646c78", "#dfe2e8", "#fefefd"
INLINE = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", PAPER: "transparent"}
"""What the page puts in place of the colours of a file, so that pictures follow light and dark."""


def to_svg(figure: Figure, salt: str) -> str:
    """``figure`` as SVG: text stays text, names are never read as formulas, no date, ids from ``salt``."""
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
    return out.getvalue()


def inline(svg: str, about: str) -> str:
    """The ``<svg>`` element of a file, for the page: colours as variables, no ids that could meet another picture's.

    ``about`` must be escaped by the caller: it becomes the accessible name.
    """
    element = svg[svg.index("<svg ") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|xtick|ytick|matplotlib|legend|[A-Za-z0-9]+Collection)[.\w]*_\d+"',
        "",
        element,
    )
    element = re.sub(
        r'width="[\d.]+pt" height="[\d.]+pt"', f'class="figure" role="img" aria-label="{about}"', element, count=1
    )
    element = re.sub(r"<!--.*?-->\s*", "", element, flags=re.DOTALL)
    for written, variable in INLINE.items():
        element = element.replace(written, variable)
    return element
