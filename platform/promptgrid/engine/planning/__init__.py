"""From what a suite says to cells with keys, and from cells to packs with what they are expected to take.

Not here: running them.
"""
