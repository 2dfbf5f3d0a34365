"""Records judged and drawn: statistics, columns, tables, pictures and the one page that shows them.

Everything here is a function of the records, so the same records give the same bytes.
"""

from promptgrid.leaderboard.files.results import results_frame, store_frame
from promptgrid.leaderboard.inputs import ReportInput, ReportPaths
from promptgrid.leaderboard.report import write_report

__all__ = ["ReportInput", "ReportPaths", "results_frame", "store_frame", "write_report"]
