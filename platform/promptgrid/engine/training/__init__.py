"""How the cells of a pack are fitted: batches, schedules, optimizers, step policies, rounds, shortcuts of a step.

Not here: which cells make a pack, and what their examples are.
"""
