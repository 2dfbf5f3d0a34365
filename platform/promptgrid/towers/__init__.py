"""Frozen towers of tokens of any kind, and the methods that need no more than one.

Not here: what a tower is made of. Each wing says how its own answers (:class:`promptgrid.towers.tower.TokenTower`).
"""
