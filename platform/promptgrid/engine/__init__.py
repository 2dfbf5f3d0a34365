"""Packing, training and scoring of cells: methods are written for one, this floor runs the many.

**What shares a pack.** Cells of one method, protocol, backbone and dataset that differ in shots, seed, source and knobs
alone. Knobs are the settings that change numbers and no shapes (``learning_rate``, a strength); ``epochs``,
``context_length`` and every other setting make other packs. Inside a pack, cells of another batch size (too few
examples for a whole one) are programs of their own, so that no loss is ever masked: what is ragged is the number of
steps, and a cell that has taken its own leaves. See :mod:`planning.packing` and :mod:`training.programs`.
"""

ENGINE_VERSION = 2
"""Part of every cell's key: raised whenever a change here moves a number beyond the promised tolerance."""
