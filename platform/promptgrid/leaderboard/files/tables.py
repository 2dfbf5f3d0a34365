"""LaTeX tables (booktabs), ready for \\input: the main table and the per-dataset matrix of each leaderboard."""

from __future__ import annotations

from promptgrid.leaderboard.analysis.matrix import MatrixCell, matrix_cells
from promptgrid.leaderboard.columns import Column, Entry, shown_columns
from promptgrid.leaderboard.leaderboard import Board, Leaderboard, Row
from promptgrid.leaderboard.numbers import DASH, points
from promptgrid.leaderboard.text import latex, shorten
from promptgrid.spec.metrics import Metric

HEAD = "% Needs \\usepackage{booktabs}. Written by promptgrid; the same records give the same table.\n"
TITLES = {"difference": "$\\Delta$", "trainable_parameters": "Params"}


def latex_tables(board: Board) -> dict[str, str]:
    """{file name: text}: ``main_16shot.tex`` and ``datasets_16shot.tex``, with the backbone where there are several."""
    tables = {}
    for leaderboard in board.leaderboards:
        name = f"{leaderboard.shots}shot{board.suffix(leaderboard.backbone)}"
        tables[f"main_{name}.tex"] = main_table(leaderboard)
        tables[f"datasets_{name}.tex"] = matrix_table(board, leaderboard)
    return tables


def main_table(leaderboard: Leaderboard) -> str:
    """The columns marked ``tex``; the best mean bold."""
    columns = [column for column in shown_columns(leaderboard) if column.tex]
    head = [TITLES.get(column.key, latex(column.title)) for column in columns]
    lines = [[_entry(column, column.entry(row), row) for column in columns] for row in leaderboard.rows]
    layout = "".join("l" if column.text else "r" for column in columns)
    return _tabular(layout, head, lines, notes=_notes(leaderboard), ranked=sum(row.ranked for row in leaderboard.rows))


def _entry(column: Column, entry: Entry, row: Row) -> str:
    text = latex(shorten(entry.text)).replace("−", "$-$").replace("†", "$^\\dagger$").replace(DASH, "--")
    if column.key in {"mean", "difference"} and entry.low is not None and entry.high is not None:
        text += f" {{\\scriptsize$\\pm${points((entry.high - entry.low) / 2, metric=row.metric)}}}"
    return f"\\textbf{{{text}}}" if column.key == "mean" and row.place == 1 else text


def matrix_table(board: Board, leaderboard: Leaderboard) -> str:
    """Means with standard deviations; best of a column bold, inside its interval underlined, reasons small."""
    cells = matrix_cells(leaderboard)
    head = [
        "Method",
        *(latex(shorten(board.report.titles.get(name, name), 24)) for name in leaderboard.datasets),
        "Mean",
    ]
    lines = [
        [
            latex(shorten(row.label)),
            *(_cell(cells[row.label, name], row.metric) for name in leaderboard.datasets),
            _mean(row),
        ]
        for row in leaderboard.rows
    ]
    layout = "l" + "r" * (len(leaderboard.datasets) + 1)
    return _tabular(layout, head, lines, notes=_notes(leaderboard), ranked=sum(row.ranked for row in leaderboard.rows))


def _cell(cell: MatrixCell, metric: Metric) -> str:
    if cell.mean != cell.mean:
        return f"{{\\scriptsize {latex(cell.reason)}}}"
    text = points(cell.mean, metric=metric)
    text = f"\\textbf{{{text}}}" if cell.best else f"\\underline{{{text}}}" if cell.near else text
    spread = "" if cell.sd != cell.sd else f" {{\\scriptsize$\\pm${points(cell.sd, metric=metric)}}}"
    partial = f" {{\\scriptsize ({cell.done}/{cell.planned})}}" if cell.done < cell.planned else ""
    return text + spread + partial


def _mean(row: Row) -> str:
    text = points(row.mean.value, metric=row.metric).replace(DASH, "--") + ("$^\\dagger$" if row.adjusted else "")
    return f"\\textbf{{{text}}}" if row.place == 1 else text


def _notes(leaderboard: Leaderboard) -> str:
    scale = leaderboard.metric.scale.removeprefix("in ")
    metric = leaderboard.metric
    what = "" if metric.by_answers else f"{metric.title}, {metric.better} is better; "
    where = f"% {leaderboard.shots} shots, backbone {latex(shorten(leaderboard.backbone))}; {what}{scale}"
    marks = "; $\\pm$: 95 % half interval (main) or standard deviation over seeds (datasets)"
    dagger = "; dagger: adjusted for missing cells, not ranked" if any(row.adjusted for row in leaderboard.rows) else ""
    apart = "; below the second rule: not ranked" if any(not row.ranked for row in leaderboard.rows) else ""
    return f"{where}{marks}{dagger}{apart}\n"


def _tabular(layout: str, head: list[str], lines: list[list[str]], notes: str, ranked: int) -> str:
    """The table; a rule behind the first ``ranked`` lines sets the others apart."""
    rows = "\n".join(
        ("\\midrule\n" if place == ranked and place else "") + " & ".join(line) + r" \\"
        for place, line in enumerate(lines)
    )
    return (
        f"{HEAD}{notes}\\begin{{tabular}}{{{layout}}}\n\\toprule\n{' & '.join(head)} \\\\\n\\midrule\n{rows}\n"
        "\\bottomrule\n\\end{tabular}\n"
    )
