"""Hyper-parameter search: trials of a suite, random or by Optuna, ASHA and PBT through Ray Tune, and the choice.

Not here: what a search space may be (``spec.search``), how a search is kept (``store.searches``), how it is drawn.
"""
