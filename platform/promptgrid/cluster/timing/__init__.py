"""How long things take: the cost of a cell, of the missing packs, and the end of a grid, before and while it runs.

Not here: the guess that a track makes of its own cells, and the order in which packs run (``cluster.schedule``).
"""
