"""Numbers computed from records: statistics, ranks, curves, comparisons, agreement with published figures, verdicts.

Not here: how they are written or drawn. Nothing here opens a file.
"""
