"""Studies of transfer: gains of every source on every target, their tests, groupings, pictures and tables.

Not here: the section of the page that shows them (``leaderboard.sections.transfer``).
"""
