"""The frame of `promptgrid bench`: variants timed by turns beside a floor of arithmetic, and how far losses are apart.

A wing says what is trained, as :class:`promptgrid.engine.bench.run.Bench`, and the loop that
the public code of its field runs.
"""
