"""Packing, training and scoring of cells: methods are written for one, this floor runs the many.

**What shares a pack.** Cells of one method, protocol, backbone and dataset that differ in shots, seed, source and knobs
alone. Knobs are the settings that change numbers and no shapes (``learning_rate``, a strength); ``epochs``,
``context_length`` and every other setting make other packs. Inside a pack, cells of another batch size (too few images
for a whole one) are programs of their own, so that no loss is ever masked: what is ragged is the number of steps, and a
cell that has taken its own leaves. See :mod:`packing` and :mod:`programs`.

**Text towers.** A context that classes share is encoded once (:class:`SharedPrefix`), with deep prompts too where they
overwrite nothing but the prefix. The plain route, every prompt whole and cut behind its EOT, is that of methods that
change what text blocks do (:attr:`Edits.inside`: weights, biases, norms, or what attention reads beside the sequence;
``clip_lora``, ``dpl``, and ``bitfit`` and ``ln_tuning`` in both towers): the fast one works out once what frozen blocks
make of frozen tokens, and where blocks learn, that changes at each step. A text tower that is not causal (SigLIP's) has
no such prefix, and what stands behind EOT counts; it is not offered, so that learned prompts are refused when the grid
is planned, with the reason, and methods on frozen features work.
"""

ENGINE_VERSION = 2
"""Part of every cell's key: raised whenever a change here moves a number beyond the promised tolerance."""
