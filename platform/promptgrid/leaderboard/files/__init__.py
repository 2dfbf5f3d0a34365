"""What a report writes for other programs: LaTeX tables, CSV, long-form results, and their export.

Not here: the page (``leaderboard.page``), and the tables of a study of transfer.
"""
