"""Packing, training and scoring of cells: methods are written for one, this floor runs the many."""

ENGINE_VERSION = 2
"""Part of every cell's key: raised whenever a change here moves a number beyond the promised tolerance."""
