"""Frozen towers of tokens of any kind: the methods that need no more than one, and blocks that are open to edits.

Not here: where a tower comes from. Each wing says how its own answers (:class:`promptgrid.towers.tower.TokenTower`).
"""
