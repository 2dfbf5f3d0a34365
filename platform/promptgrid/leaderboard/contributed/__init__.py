"""Results that somebody hands in: read, checked row by row, and merged into a board that lives in a git repository.

Not here: what needs the plug-ins of a track, such as keys and metrics computed again (``promptgrid.api``).
"""
